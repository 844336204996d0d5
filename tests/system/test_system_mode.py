"""One Remit for everybody on a machine: under its own uid, each person with what is theirs."""

import stat
import time
from collections.abc import Iterator

import pytest

from tests.system.machine import Machine, can_make_machines, machine
from tests.system.running import SystemRemit, put_code, put_places

pytestmark = pytest.mark.skipif(not can_make_machines(), reason="only root can make machines")

CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapAmb")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("machine")) as made:
        put_code(made)
        yield made


@pytest.fixture(scope="module")
def remit(here: Machine) -> Iterator[SystemRemit]:
    put_places(here)
    running = SystemRemit(here)
    try:
        running.event("ready")
        yield running
    finally:
        running.stop()


def capabilities(machine: Machine, pid: int) -> set[int]:
    status = machine.path(f"/proc/{pid}/status").read_text()
    rows = dict(line.split(":", 1) for line in status.splitlines())
    return {int(rows[name], 16) for name in CAPABILITIES}


def test_control_and_worker_have_remits_uid_and_no_capability(remit: SystemRemit) -> None:
    uid = int(remit.machine.run("id", "-u", "remit").stdout)
    for what in ("remit.app control --system", "remit.app gateway"):
        pid = remit.pid_inside(what)
        status = remit.machine.path(f"/proc/{pid}/status").read_text()
        assert f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n" in status, what
        assert "NoNewPrivs:\t1\n" in status
        assert capabilities(remit.machine, pid) == {0}, what


def test_the_attestor_alone_sees_other_peoples_programs(remit: SystemRemit) -> None:
    pid = remit.pid_inside("remit.sandbox.attestor")
    assert capabilities(remit.machine, pid) <= {0, 1 << 2 | 1 << 19}
    status = remit.machine.path(f"/proc/{pid}/status").read_text()
    assert "CapEff:\t0000000000080004\n" in status
    sleeper = remit.machine.start("sleep", "60", user="bob")
    inside = remit.pid_inside("^sleep 60")
    try:
        seen = remit.said("root", "whois", str(inside))
        assert seen["owner"]["name"] == "bob"
        assert seen["proof"]["exe"].endswith("/sleep")
        assert seen["proof"]["exe_sha256"]
    finally:
        remit.machine.run("kill", str(inside))
        sleeper.communicate()


def test_the_sockets_are_reachable_and_nothing_else_is(remit: SystemRemit) -> None:
    run = remit.machine.path("/run/remit")
    assert stat.S_IMODE(run.stat().st_mode) == 0o755
    modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in run.iterdir()}
    sockets = {name for name in modes if name.endswith(".sock")}
    assert {"control.sock", "workload.sock"} < sockets, "and a door"
    assert {modes[name] for name in sockets} == {0o666}
    assert modes["demo"] == 0o700
    assert not {mode & 0o077 for name, mode in modes.items() if name not in sockets} - {0}


def test_each_sees_only_their_own(remit: SystemRemit) -> None:
    root, ada = remit.said("root", "status"), remit.said("ada", "status")
    assert (root["role"], ada["role"]) == ("administrator", "person")
    assert root["guarded"]
    assert root["guarded"][0]["owner"] == "root"
    assert ada["guarded"] == []
    assert ada["shared"]
    assert remit.said("ada", "workload", "list") == []
    refused = remit.machine.run("remit", "whois", root["guarded"][0]["name"], user="ada", check=False)
    assert refused.returncode == 3
    assert "another person's" in refused.stderr


def test_each_reads_of_the_log_what_is_theirs(remit: SystemRemit) -> None:
    def of(user: str, *arguments: str) -> tuple[int, str]:
        done = remit.machine.run("remit", *arguments, user=user, check=False)
        return done.returncode, done.stdout + done.stderr

    url = remit.said("root", "status")["guarded"][0]["url"]
    reply = remit.machine.run("curl", "-s", "-D", "-", f"{url}/v1/models", user="ada").stdout
    [decision] = [line.split()[1] for line in reply.splitlines() if line.lower().startswith("remit-decision:")]
    code, said = of("ada", "explain", decision)
    assert (code, "refused" in said) == (0, True), said
    assert remit.said("ada", "explain", decision)["id"] == decision
    assert decision in of("ada", "audit", "tail")[1]
    assert decision in of("ada", "audit", "show", decision)[1]
    for arguments in (("explain", decision), ("audit", "show", decision)):
        code, said = of("bob", *arguments)
        assert code == 1, said
        assert "of yours" in said
    assert of("bob", "audit", "tail") == (0, "")
    code, said = of("ada", "audit", "verify")
    assert (code, "Remit's own" in said) == (2, True), said
    assert decision in of("root", "audit", "tail")[1]
    assert of("root", "audit", "verify")[0] == 0


def test_a_second_one_says_that_one_runs(remit: SystemRemit) -> None:
    second = remit.machine.run("remit", "up", "--system", check=False)
    assert second.returncode == 1
    assert "already runs here" in second.stdout + second.stderr


def test_an_account_that_nobody_logs_in_to_is_refused(remit: SystemRemit) -> None:
    refused = remit.machine.run("remit", "status", user="daemon", check=False)
    assert refused.returncode == 3, refused.stderr
    assert "acts for no person known here" in refused.stderr


def test_a_person_does_not_stop_it(remit: SystemRemit) -> None:
    refused = remit.machine.run("remit", "down", user="ada", check=False)
    assert refused.returncode == 3, refused.stderr
    assert "administrator" in refused.stderr


@pytest.mark.parametrize(
    ("doubtful", "mended"), [(("chmod", "o+w"), ("chmod", "o-w")), (("chown", "remit"), ("chown", "root"))]
)
def test_code_that_others_can_write_is_not_started(
    here: Machine, doubtful: tuple[str, ...], mended: tuple[str, ...]
) -> None:
    here.run(*doubtful, "/opt/remit/venv/bin")
    try:
        refused = here.run("remit", "up", "--system", check=False)
    finally:
        here.run(*mended, "/opt/remit/venv/bin")
    assert refused.returncode == 1
    assert "the code can't be trusted" in refused.stdout + refused.stderr


def test_the_checker_alone_is_roots_and_holds_no_capability(remit: SystemRemit) -> None:
    pid = remit.pid_inside("remit.persons.checker")
    status = remit.machine.path(f"/proc/{pid}/status").read_text()
    assert "Uid:\t0\t0\t0\t0\n" in status
    assert "NoNewPrivs:\t1\n" in status
    assert "Seccomp:\t2\n" in status
    assert capabilities(remit.machine, pid) == {0}
    shadow = remit.machine.run("cat", "/etc/shadow", user="remit", check=False)
    assert shadow.returncode != 0, "control could read what passwords are checked against"


def test_the_line_to_the_checker_is_controls_alone(remit: SystemRemit) -> None:
    checker = remit.machine.run("readlink", f"/proc/{remit.pid_inside('remit.persons.checker')}/fd/4").stdout.strip()
    control = remit.pid_inside("remit.app control --system")
    line = remit.machine.path(f"/proc/{control}/cmdline").read_bytes().split(b"\0")
    held = remit.machine.run("readlink", f"/proc/{control}/fd/{line[line.index(b'--checker') + 1].decode()}").stdout
    ends = {checker, held.strip()}
    assert len(ends) == 2
    for pid in remit.machine.run("pgrep", "-f", "remit").stdout.split():
        listed = remit.machine.run("ls", "-l", f"/proc/{pid}/fd", check=False).stdout
        found = {end for end in ends if end in listed}
        assert not found or pid == str(control) or "checker" in command_of(remit.machine, pid), (pid, found)


def command_of(machine: Machine, pid: str) -> str:
    return machine.path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


KILLED = ["remit.app gateway", "remit.sandbox.attestor", "remit.persons.checker", "remit.app control --system"]


@pytest.mark.parametrize("what", KILLED)
def test_what_is_killed_comes_back(remit: SystemRemit, what: str) -> None:
    killed = remit.pid_inside(what)
    remit.machine.run("kill", "-KILL", str(killed))
    deadline = time.monotonic() + 20
    while True:
        assert time.monotonic() < deadline, f"`{what}` did not come back"
        answer = remit.machine.run("remit", "status", "--json", user="ada", check=False)
        found = remit.machine.run("pgrep", "-f", what, check=False).stdout.split()
        if answer.returncode == 0 and found and str(killed) not in found:
            break
        time.sleep(0.1)
    assert capabilities(remit.machine, remit.pid_inside("remit.app control --system")) == {0}


def test_a_person_is_not_root(here: Machine) -> None:
    refused = here.run("remit", "up", "--system", user="ada", check=False)
    assert refused.returncode == 1
    assert "started by root" in refused.stderr
