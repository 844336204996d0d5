"""Which stack PAM is asked by: the machine's own where the checker can ask it, else the machine's passwords."""

import os
import pwd
from pathlib import Path

import pytest

from remit.cli.install import _installer
from remit.config.load import parse
from remit.identity.attestation.procfs import login_uid
from remit.install import contents
from remit.install.contents import pam

ACCOUNT = "account required pam_unix.so\n"
PLAIN = "auth [success=1 default=ignore] pam_unix.so nullok\n"
COUNTING = "auth required pam_faillock.so preauth\n" + PLAIN


def put(directory: Path, auth: str) -> None:
    (directory / "common-auth").write_text(auth)
    (directory / "common-account").write_text(ACCOUNT)


@pytest.mark.parametrize("auth", [PLAIN, "# not here: pam_faillock.so\n" + PLAIN])
def test_debians_common_stack_is_asked(tmp_path: Path, auth: str) -> None:
    put(tmp_path, auth)
    assert "@include common-auth\n@include common-account\n" in pam(tmp_path)


def test_a_stack_that_counts_for_itself_is_not_asked(tmp_path: Path) -> None:
    put(tmp_path, COUNTING)
    assert "@include" not in pam(tmp_path)
    assert "pam_unix.so" in pam(tmp_path)


def test_without_debians_files_passwords_are_asked(tmp_path: Path) -> None:
    (tmp_path / "system-auth").write_text(COUNTING)
    assert "@include" not in pam(tmp_path)
    assert "auth     required pam_unix.so\naccount  required pam_unix.so\n" in pam(tmp_path)


def test_who_installs_administers() -> None:
    assert parse(contents.config("ada").encode(), "config.toml").roles.administrator == ("ada",)
    assert parse(contents.config("").encode(), "config.toml").roles.administrator == ()


@pytest.mark.skipif(
    os.geteuid() != 0 or login_uid("self") is not None, reason="sudo is believed where root alone acts"
)
def test_the_installer_is_who_typed_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    account = pwd.getpwnam("daemon")
    assert _installer() == ""
    monkeypatch.setenv("SUDO_USER", "daemon")
    monkeypatch.setenv("SUDO_UID", str(account.pw_uid))
    assert _installer() == "daemon"
    monkeypatch.setenv("SUDO_USER", "root")
    assert _installer() == "", "sudo's two words contradict each other"
