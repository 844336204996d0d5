"""Grade B from end to end: the raw port of a person's server refuses everybody but Remit, and that is minded."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.faults.world import records
from tests.sandbox.network import can_make_networks
from tests.system.machine import Machine, can_make_machines, machine
from tests.system.running import SOURCE, SystemRemit, put_code, put_places

pytestmark = pytest.mark.skipif(
    not (can_make_machines() and can_make_networks()), reason="machines of their own are made by root only, with nft"
)

PORT = 11434
RAW = f"http://127.0.0.1:{PORT}"
HERE = "192.0.2.9"
NFT = "/usr/sbin/nft"
SERVE = (
    "import runpy, sys; sys.path.insert(0, '/opt'); runpy.run_module('tests.fakes.fake_ollama', run_name='__main__')"
)
# The least of one, at every address there is, of both families.
WIDE = """
import http.server, json, socket, sys
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        told = {"/": b"Ollama is running", "/api/version": b'{"version":"0.35.0"}'}
        body = told.get(self.path, json.dumps({"models": []}).encode())
        self.send_response(200)
        self.send_header("content-type", "text/plain" if self.path == "/" else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
class Wide(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
server = Wide(("::", int(sys.argv[2])), Answers)
print("listening", flush=True)
server.serve_forever()
"""
# One that starts another process, which listens too.
WITH_A_RUNNER = (
    "import subprocess, sys\n"
    "subprocess.Popen([sys.executable, '-m', 'http.server', '11500', '--bind', '127.0.0.1', '-d', '/usr/share'],"
    " stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
    + WIDE.replace("AF_INET6", "AF_INET").replace('"::"', '"127.0.0.1"')
)
# One that listens at more addresses than the fence has room for, all of them before 11434.
CROWD = (
    "import socket\nmore = [socket.create_server(('127.0.0.1', 2000 + one)) for one in range(80)]\n"
    + WIDE.replace("AF_INET6", "AF_INET").replace('"::"', '"127.0.0.1"')
)
REFUSED = "7"  # curl(1): failed to connect


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("machine")) as made:
        put_code(made)
        put_places(made)
        made.run("sh", "-c", f"cp -r {SOURCE.parent}/tests /opt/tests && chmod -R a+rX /opt/tests")
        made.run("ip", "addr", "add", f"{HERE}/32", "dev", "lo")
        yield made


@contextmanager
def serving(machine: Machine, user: str, port: int, script: str = SERVE) -> Iterator[None]:
    """An Ollama of that user's, which answers."""
    process = machine.start("/usr/bin/python3", "-c", script, "--port", str(port), user=user)
    assert process.stdout is not None
    assert b"listening" in process.stdout.readline()
    try:
        yield
    finally:
        machine.run("pkill", "-KILL", "-u", user, "-f", "--", f"--port {port}")
        process.communicate()


@pytest.fixture(scope="module")
def adas(here: Machine) -> Iterator[None]:
    with serving(here, "ada", PORT):
        yield


@pytest.fixture(scope="module")
def remit(here: Machine, adas: None) -> Iterator[SystemRemit]:
    running = SystemRemit(here)
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def ready(remit: SystemRemit) -> dict[str, Any]:
    return remit.event("ready")


def call(machine: Machine, url: str, user: str, *arguments: str) -> str:
    """What curl says: the status, or its own number for why there is none."""
    done = machine.run(
        "curl", "-s", "-m", "5", *arguments, "-o", "/dev/null", "-w", "%{http_code}", url, user=user, check=False
    )
    return str(done.returncode) if done.returncode else done.stdout


def acts(machine: Machine, what: str) -> list[dict[str, Any]]:
    every = records(machine.path("/var/lib/remit"))
    return [one["facts"] for one in every if one["kind"] == "act" and one["what"] == what]


def within(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_grade_b_is_told_everywhere(here: Machine, remit: SystemRemit, ready: dict[str, Any]) -> None:
    assert (ready["grade"], ready["guarded"][0]["grade"]) == ("B", "B"), ready["grade_why"]
    assert ready["guarded"][0]["pid"] == remit.pid_inside(f"port {PORT}$"), "seen through the attestor"
    for user in ("root", "ada"):
        said = remit.said(user, "status")
        assert said["grade"] == "B"
        [raw] = [one for one in said["facts"] if one["fact"] == "raw ports out of reach"]
        assert (raw["is"], f"127.0.0.1:{PORT}" in raw["evidence"]) == ("true", True)
    assert remit.said("ada", "doctor")["grade"] == "B"
    assert "walls" in ready["grade_why"], "what A takes is not there, and is said to be missing"
    answer = here.run("curl", "-si", f"{ready['guarded'][0]['url']}/api/version", user="ada").stdout
    assert "remit-grade: B\r\n" in answer.replace("\n", "\r\n").replace("\r\r", "\r")
    assert acts(here, "started")[-1]["grade"] == "C"
    last = acts(here, "grade.changed")[-1]
    assert last == {"from": "C", "to": "B", "facts": [{"fact": "raw ports out of reach", "is": "true"}]}


def test_one_persons_many_ports_open_nobody_elses(here: Machine, ready: dict[str, Any]) -> None:
    with serving(here, "bob", PORT + 1, CROWD):
        within(lambda: call(here, "http://127.0.0.1:2000", "daemon") == REFUSED, 30.0)
        time.sleep(2.5)  # the fence is looked at every two seconds
        assert call(here, f"{RAW}/api/version", "bob") == REFUSED
    within(lambda: call(here, f"http://127.0.0.1:{PORT + 1}", "bob") == REFUSED)


def test_the_raw_port_is_closed_and_the_guarded_one_is_not(here: Machine, ready: dict[str, Any]) -> None:
    for user in ("ada", "bob", "root", "daemon"):
        assert call(here, f"{RAW}/api/version", user) == REFUSED, user
        assert call(here, f"http://[::ffff:127.0.0.1]:{PORT}/api/version", user) == REFUSED, user
    assert call(here, f"{RAW}/api/version", "remit") == "200"
    assert call(here, f"{ready['guarded'][0]['url']}/api/version", "ada") == "200"


def test_who_was_refused_finds_the_reason(here: Machine, remit: SystemRemit, ready: dict[str, Any]) -> None:
    url = ready["guarded"][0]["url"]
    for command in ("status", "doctor"):
        said = here.run("remit", command, user="ada").stdout
        assert f"127.0.0.1:{PORT} refuses all callers here but Remit" in said
        assert url in said
        assert "another person's guarded server" in here.run("remit", command, user="bob").stdout
    assert remit.said("bob", "status")["closed"] == [
        {"address": f"127.0.0.1:{PORT}", "everywhere": False, "server": "", "instead": ""}
    ]


def test_a_flush_behind_its_back_is_seen_recorded_and_mended(here: Machine, ready: dict[str, Any]) -> None:
    before = len(acts(here, "grade.changed"))
    here.run(NFT, "flush", "ruleset")
    within(lambda: len(acts(here, "grade.changed")) == before + 2)
    assert [(one["from"], one["to"]) for one in acts(here, "grade.changed")[-2:]] == [("B", "C"), ("C", "B")]
    assert acts(here, "grade.changed")[-2]["facts"] == [{"fact": "raw ports out of reach", "is": "false"}]
    assert acts(here, "fence.lost")[-1] == {"ways": [f"127.0.0.1:{PORT}"]}
    assert call(here, f"{RAW}/api/version", "ada") == REFUSED


@pytest.mark.parametrize(
    "what", ["remit.sandbox.fence", pytest.param("remit.sandbox.attestor", marks=pytest.mark.long)]
)
def test_what_is_closed_stays_closed_while_all_is_started_again(
    here: Machine, remit: SystemRemit, ready: dict[str, Any], what: str
) -> None:
    killed = remit.pid_inside(what)
    here.run("kill", "-KILL", str(killed))
    answers: set[str] = set()

    def back() -> bool:
        answers.add(call(here, f"{RAW}/api/version", "ada"))
        return here.run("pgrep", "-f", what, check=False).stdout.split() not in ([], [str(killed)])

    within(back)
    remit.event("ready")
    answers.add(call(here, f"{RAW}/api/version", "ada"))
    assert answers == {REFUSED}
    assert remit.said("ada", "status")["grade"] == "B"


@pytest.mark.long
def test_a_server_at_every_address_is_closed_at_each_and_costs_the_grade(
    here: Machine, remit: SystemRemit, ready: dict[str, Any]
) -> None:
    """Other machines still reach it, as `local` has it: B would say more than is so."""
    with serving(here, "bob", 8000, WIDE):
        within(lambda: len(remit.said("bob", "status")["guarded"]) == 1, 30)
        for place in ("127.0.0.1", HERE, "[::1]"):
            assert call(here, f"http://{place}:8000/api/version", "bob") == REFUSED, place
        said = remit.said("bob", "status")
        assert said["grade"] == "C"
        assert [one["evidence"] for one in said["facts"] if "other machines" in one["evidence"]]
        assert '`guard.raw_ports` to "closed"' in json.dumps(said["raises"]).replace('\\"', '"')
    within(lambda: bool(remit.said("ada", "status")["grade"] == "B"))
    assert "8000" not in here.run(NFT, "list", "ruleset").stdout, "who comes to that port next is not refused"


@pytest.mark.long
def test_what_a_server_listens_at_for_itself_is_left_to_its_own_uid(
    here: Machine, remit: SystemRemit, ready: dict[str, Any]
) -> None:
    """As an Ollama calls its runners: no person's program gets there, so that the grade stays."""
    here.run("useradd", "--system", "--user-group", "ollama")
    with serving(here, "ollama", 8100, WITH_A_RUNNER):
        try:
            within(lambda: len(remit.said("root", "status")["guarded"]) == 2, 30)
            within(lambda: "11500" in here.run(NFT, "list", "ruleset").stdout)
            for user in ("ada", "root"):
                assert call(here, "http://127.0.0.1:11500/", user) == REFUSED, user
            assert call(here, "http://127.0.0.1:11500/", "ollama") == "200"
            assert call(here, "http://127.0.0.1:8100/api/version", "ollama") == REFUSED, (
                "its own port is for Remit alone"
            )
            assert remit.said("root", "status")["grade"] == "B"
        finally:
            here.run("pkill", "-KILL", "-f", "http.server 11500", check=False)


@pytest.mark.long
def test_nothing_stays_after_its_end_and_what_a_killed_one_left_is_replaced(
    here: Machine, remit: SystemRemit, ready: dict[str, Any]
) -> None:
    here.run("pkill", "-KILL", "-f", "remit up --system|remit.app|remit.sandbox|remit.persons")
    remit.stop()
    within(lambda: here.run("pgrep", "-f", "remit.app", check=False).stdout == "")
    assert call(here, f"{RAW}/api/version", "ada") == REFUSED, "nobody was left to open it"
    here.run(NFT, "add", "rule", "inet", "remit", "sent", "tcp", "dport", "1", "reject")
    again = SystemRemit(here)
    try:
        again.event("ready")
        assert "dport 1 reject" not in here.run(NFT, "list", "ruleset").stdout
        assert call(here, f"{RAW}/api/version", "ada") == REFUSED
        second = here.run("remit", "up", "--system", check=False)
        assert second.returncode == 1
        assert call(here, f"{RAW}/api/version", "ada") == REFUSED, "one that may not start opens nothing"
    finally:
        again.stop()
    assert here.run(NFT, "list", "ruleset").stdout == ""
    assert call(here, f"{RAW}/api/version", "ada") == "200"


@pytest.mark.long
def test_control_opens_what_it_closed_when_roots_part_is_killed(here: Machine, adas: None) -> None:
    running = SystemRemit(here)
    try:
        running.event("ready")
        here.run("pkill", "-KILL", "-f", "remit up --system")
        within(lambda: here.run("pgrep", "-f", "remit.app", check=False).stdout == "")
        assert here.run(NFT, "list", "ruleset").stdout == ""
    finally:
        running.stop()


@pytest.mark.long
def test_what_died_for_good_leaves_nothing(here: Machine, adas: None) -> None:
    """Root's part of it takes the table away where control can't any more."""
    running = SystemRemit(here)
    try:
        running.event("ready")
        for _ in range(4):
            here.run("pkill", "-KILL", "-f", "remit.app control", check=False)
            time.sleep(0.3)
            with_it = here.run("pgrep", "-f", "remit.app control", check=False).stdout
            if not with_it and running.process.poll() is not None:
                break
            within(
                lambda: (
                    running.process.poll() is not None
                    or bool(here.run("pgrep", "-f", "remit.app control", check=False).stdout)
                )
            )
        running.process.wait(20)
        assert here.run(NFT, "list", "ruleset").stdout == ""
    finally:
        running.stop()


@pytest.mark.long
def test_without_the_capability_it_guards_and_says_what_is_missing(here: Machine, adas: None) -> None:
    """As in a container that leaves root no CAP_NET_ADMIN."""
    running = SystemRemit(here, "setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin", "--")
    try:
        said = running.event("ready")
        assert said["grade"] == "C"
        assert call(here, f"{RAW}/api/version", "ada") == "200"
        assert call(here, f"{said['guarded'][0]['url']}/api/version", "ada") == "200"
        [raw] = [one for one in said["facts"] if one["fact"] == "raw ports out of reach"]
        assert raw["is"] == "false"
        assert "CAP_NET_ADMIN" in raw["next_step"]
        assert said["closed"] == []
    finally:
        running.stop()
