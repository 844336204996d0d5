"""The machine that system tests run on is one of its own."""

import os
import pwd
from pathlib import Path

import pytest

from tests.system.machine import can_make_machines, machine, tree

pytestmark = pytest.mark.skipif(not can_make_machines(), reason="machines of their own are made by root only")


def test_what_happens_in_a_machine_happens_to_no_other(tmp_path: Path) -> None:
    with machine(tmp_path) as one:
        one.run("useradd", "--system", "remit")
        one.run("touch", "/etc/remit-was-here", "/var/lib/remit-was-here")
        assert one.path("/etc/remit-was-here").exists()
        assert one.run("id", "-un", user="ada").stdout == "ada\n"
        assert one.run("ls", "/home/ada", user="bob", check=False).returncode != 0
        assert "/etc/passwd" in tree(one, ["/etc"])
    assert not Path("/etc/remit-was-here").exists()
    assert not os.listdir(tmp_path)
    with pytest.raises(KeyError):
        pwd.getpwnam("ada")
