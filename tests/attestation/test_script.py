"""The script of a real interpreter: found where the process sees it, hashed like an executable."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from remit.identity import Process
from remit.identity.attestation import Digests, observe
from remit.identity.attestation.eyes import MAX_SCRIPT_BYTES
from remit.identity.attestation.script import Scripts
from remit.identity.process import Script

WAIT = "import sys; print('ready', flush=True); sys.stdin.read()"
SHELL = shutil.which("bash") or "/bin/sh"


@contextmanager
def running(*words: str | Path, cwd: Path | None = None) -> Iterator[Process]:
    """A process that has said it is ready, observed."""
    with subprocess.Popen(words, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield observe(process.pid, digests=Digests())
        finally:
            process.kill()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    path = tmp_path / "agent.py"
    path.write_text(WAIT)
    return path


def test_a_script_is_known_by_path_and_digest(agent: Path) -> None:
    with running(sys.executable, "-I", agent) as process:
        assert process.script == Script(Path(sys.executable).resolve().name, str(agent), sha256(agent))


def test_a_relative_script_is_found_from_its_own_directory(agent: Path) -> None:
    with running(sys.executable, "agent.py", cwd=agent.parent) as process:
        assert process.script is not None
        assert process.script.path == str(agent)


def test_the_path_is_the_one_behind_its_links(agent: Path) -> None:
    link = agent.parent / "link"
    link.symlink_to(agent)
    with running(sys.executable, link) as process:
        assert process.script is not None
        assert (process.script.path, process.script.sha256) == (str(agent), sha256(agent))


def test_a_script_that_names_its_interpreter_itself_is_one_too(tmp_path: Path) -> None:
    script = tmp_path / "agent"
    script.write_text(f"#!{SHELL}\necho ready\nread -r line\n")
    script.chmod(0o755)
    with running(script) as process:
        assert process.script is not None
        assert (process.script.path, process.script.sha256) == (str(script), sha256(script))
        assert process.exe == os.path.realpath(SHELL)


@pytest.mark.parametrize("words", [("-c", WAIT), ("-Ic", WAIT)])
def test_code_that_is_no_file_is_unknown(words: tuple[str, ...]) -> None:
    with running(sys.executable, *words) as process:
        assert process.script == Script(Path(sys.executable).resolve().name)


def test_a_module_is_unknown(agent: Path) -> None:
    with running(sys.executable, "-m", "agent", cwd=agent.parent) as process:
        assert process.script is not None
        assert process.script.path is None


def test_a_program_that_is_no_interpreter_has_no_script() -> None:
    with subprocess.Popen([shutil.which("sleep") or "/bin/sleep", "30"]) as sleep:
        process = observe(sleep.pid, digests=Digests())
        sleep.kill()
    assert process.script is None


def test_a_script_edited_since_it_started_has_the_digest_of_the_edit(agent: Path) -> None:
    with running(sys.executable, agent) as before:
        agent.write_text("something = 'else'")
        after = observe(before.pid, digests=Digests())
    assert before.script is not None
    assert after.script is not None
    assert after.script.sha256 == sha256(agent) != before.script.sha256


def test_a_script_that_is_gone_or_no_file_is_unknown(agent: Path) -> None:
    with running(sys.executable, agent) as process:
        agent.unlink()
        assert observe(process.pid, digests=Digests()).script == Script(Path(sys.executable).resolve().name)
        os.mkfifo(agent)  # opening it would wait for a writer for ever
        assert observe(process.pid, digests=Digests()).script == Script(Path(sys.executable).resolve().name)


def test_a_script_too_large_to_hash_is_unknown(agent: Path) -> None:
    with running(sys.executable, agent) as process:
        with agent.open("ab") as file:
            file.truncate(MAX_SCRIPT_BYTES + 1)
        assert observe(process.pid, digests=Digests()).script == Script(Path(sys.executable).resolve().name)


REWRITE = """
import sys
start = int(open("/proc/self/stat").read().rpartition(")")[2].split()[45])  # arg_start, proc_pid_stat(5)
line = open("/proc/self/cmdline", "rb").read()
with open("/proc/self/mem", "r+b", buffering=0) as memory:
    memory.seek(start)
    memory.write(line.replace(b"hostile.py", b"trusted.py"))
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_process_can_rewrite_its_arguments_which_is_why_its_script_is_weaker(tmp_path: Path) -> None:
    (tmp_path / "trusted.py").write_text("the_good_one = 1")
    (tmp_path / "hostile.py").write_text(REWRITE)
    with running(sys.executable, tmp_path / "hostile.py") as process:
        assert process.script is not None
        assert process.script.path == str(tmp_path / "trusted.py")  # taken at its word: docs/callers.md says so
        assert process.exe == os.path.realpath(sys.executable)  # this it can't rewrite


def test_a_script_seen_before_is_another_when_its_link_leads_elsewhere(agent: Path) -> None:
    other, link = agent.parent / "other.py", agent.parent / "link.py"
    other.write_text(WAIT + "#")
    link.symlink_to(agent)
    for words, cwd in (((sys.executable, str(link)), None), ((sys.executable, "link.py"), agent.parent)):
        with running(*words, cwd=cwd) as process:
            link.unlink()
            link.symlink_to(other)
            later = observe(process.pid, digests=Digests()).script
            link.unlink()
            link.symlink_to(agent)
        assert later is not None
        assert (later.path, later.sha256) == (str(other), sha256(other))


def test_what_is_remembered_of_scripts_is_bounded_and_one_processs_own(agent: Path) -> None:
    scripts, exe = Scripts(capacity=1), os.path.realpath(sys.executable)
    with running(sys.executable, agent) as one, running(sys.executable, agent.name, cwd=agent.parent) as two:
        for process in (one, two, one):
            script = scripts.of(process.pid, process.start, exe, Digests())
            assert script is not None
            assert script.path == str(agent)
            assert scripts.of(process.pid, process.start, exe, Digests()) is script
            assert scripts.of(process.pid, process.start + 1, exe, Digests()) is not script
    assert len(scripts) == 1
    assert scripts.of(one.pid, one.start, exe, Digests()) == Script(Path(exe).name)  # it has ended
