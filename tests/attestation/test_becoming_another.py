"""A workload's process that becomes another, or whose executable does: its identity stays behind."""

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from remit.errors import AttestationError
from remit.identity import Process, SpiffeId
from remit.identity.attestation import EXECUTABLES, Digests, attest_unix, observe
from remit.inventory import Capability, Kind, Workload, matches
from remit.inventory.selectors import REGISTERED, selectors_to_enrol
from tests.attestation.children import forked
from tests.attestation.conftest import Server
from tests.attestation.test_attested import sleep_inheriting, wait_for_exec


def registered(process: Process) -> Workload:
    """The workload that is any process with the selectors that `process` has now."""
    return Workload(
        spiffe_id=SpiffeId.parse("spiffe://maple.local/agent/tool"),
        name="tool",
        kind=Kind.AGENT,
        owner="ada",
        server="llama.cpp",
        upstream="http://127.0.0.1:8080",
        reach="loopback",
        capabilities=(Capability.ACT,),
        selectors=selectors_to_enrol(process),
        found=REGISTERED,
    )


def test_an_executable_replaced_between_enrolment_and_use_takes_no_identity_along(tmp_path: Path) -> None:
    sleep, cat = shutil.which("sleep") or "/bin/sleep", shutil.which("cat") or "/bin/cat"
    tool = shutil.copy(sleep, tmp_path / "tool")
    with subprocess.Popen([tool, "30"]) as running:
        enrolled = registered(observe(running.pid, digests=Digests()))
        assert len(enrolled.selectors) == 3
        shutil.copy(cat, tmp_path / "new")
        (tmp_path / "new").rename(tool)
        replaced = observe(running.pid, digests=Digests())
        with subprocess.Popen([tool], stdin=subprocess.PIPE) as newcomer:
            later = observe(newcomer.pid, digests=Digests())
        running.kill()
    assert not matches(enrolled, replaced)  # its path names another file by now
    assert not matches(enrolled, later)  # and that file is another program
    by_digest = registered(replaced)
    assert len(by_digest.selectors) == 2
    assert matches(by_digest, replaced)


def test_a_caller_that_executes_a_trusted_program_on_its_kept_connection_is_refused_at_its_next_request(
    unix_server: Server,
) -> None:
    def connect_and_exec(line: socket.socket) -> None:
        client = unix_server.connect()
        line.recv(100)
        sleep_inheriting(client)

    with forked(connect_and_exec) as child, attest_unix(unix_server.accept()) as caller:
        before = caller.process
        assert isinstance(before, Process)
        enrolled = registered(before)
        assert matches(enrolled, before)
        caller.still()
        child.say()
        wait_for_exec(child.pid)
        with pytest.raises(AttestationError, match="changed its executable"):
            caller.still()
        assert not matches(enrolled, observe(child.pid, digests=EXECUTABLES))
