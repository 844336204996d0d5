"""Passwords, checked by real PAM in a machine of a test's own: who gets in, and what the checker can't do."""

import itertools
import json
import queue
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.machine import PASSWORDS, Machine, can_make_machines, machine
from tests.system.running import SOURCE

pytestmark = pytest.mark.skipif(not can_make_machines(), reason="only root can make machines")

ASKING = Path(__file__).parent / "asking_passwords.py"
# Debian's stack as `remit install` writes it, but that PAM doesn't wait two seconds after a wrong one.
QUICK = """
auth [success=1 default=ignore] pam_unix.so nullok nodelay
auth requisite pam_deny.so
auth required pam_permit.so
@include common-account
"""


class Asked:
    """The program that asks, and what it said."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._keys = itertools.count(1)
        self._said: queue.Queue[dict[str, Any]] = queue.Queue()
        self.heard: list[dict[str, Any]] = []
        self.process = machine.start("/usr/bin/python3", "-B", "-I", str(ASKING), str(SOURCE))
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.checker: int = self.hear(lambda said: "pid" in said)["pid"]

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._said.put(json.loads(line))

    def hear(self, meant: Any, seconds: float = 15.0) -> dict[str, Any]:
        """The next that it says which is `meant`."""
        for one in self.heard:
            if meant(one):
                self.heard.remove(one)
                return one
        while True:
            said = self._said.get(timeout=seconds)
            if meant(said):
                return said
            self.heard.append(said)

    def tell(self, **what: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(what).encode() + b"\n")
        self.process.stdin.flush()

    def begin(self, name: str, password: str, uid: int | None = None, **more: Any) -> int:
        key = next(self._keys)
        uid = uid_of(self.machine, name) if uid is None else uid
        self.tell(do="check", key=key, uid=uid, name=name, password=password, **more)
        return key

    def answer(self, key: int) -> dict[str, Any]:
        return self.hear(lambda said: said.get("key") == key)

    def check(self, name: str, password: str, uid: int | None = None) -> dict[str, Any]:
        return self.answer(self.begin(name, password, uid))

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.machine.run("pkill", "-KILL", "-f", "asking_passwords", check=False)
        self._reader.join(5)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


def uid_of(machine: Machine, name: str) -> int:
    return int(machine.run("id", "-u", name).stdout)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("machine")) as made:
        made.run("sh", "-c", "cat > /etc/pam.d/remit", stdin=QUICK)
        made.run("chpasswd", stdin="root:the root of it\n")
        yield made


@pytest.fixture
def asked(here: Machine) -> Iterator[Asked]:
    """A checker of its own for each test: none remembers another's wrong passwords."""
    asking = Asked(here)
    try:
        yield asking
    finally:
        asking.stop()


def add_account(machine: Machine, name: str, password: str, *then: str) -> None:
    machine.run("useradd", name)
    machine.run("chpasswd", stdin=f"{name}:{password}\n")
    if then:
        machine.run(*then)


def test_the_right_password_is_right_and_nothing_else_is(asked: Asked) -> None:
    right = PASSWORDS["ada"]
    assert asked.check("ada", right) == {"key": 1, "ok": True, "why": "", "wait": 0.0}
    for wrong in ("", right + "\0", right + "\n", right + "x", "\0", "a" * 600, "a" * 1_000_000, right * 30):
        refused = asked.check("ada", wrong)
        assert not refused["ok"], wrong[:40]
        assert refused["why"]
    assert asked.check("ada", right)["ok"]


def test_a_password_counts_for_its_own_account_alone(asked: Asked) -> None:
    ada, bob = uid_of(asked.machine, "ada"), uid_of(asked.machine, "bob")
    assert not asked.check("ada", PASSWORDS["bob"])["ok"]
    assert not asked.check("bob", PASSWORDS["bob"], ada)["ok"], "bob's, for ada's uid"
    assert not asked.check("root", "the root of it", ada)["ok"], "root's, for ada's uid"
    assert not asked.check("ada", PASSWORDS["ada"], 0)["ok"], "ada's, for root's uid"
    assert not asked.check("ada", "the root of it")["ok"]
    assert not asked.check("nobody-here", "x", 4242)["ok"]
    assert asked.check("root", "the root of it", 0)["ok"]
    assert asked.check("bob", PASSWORDS["bob"], bob)["ok"]


def test_accounts_that_may_not_log_in_are_refused(asked: Asked) -> None:
    add_account(asked.machine, "locked", "right", "passwd", "-l", "locked")
    add_account(asked.machine, "expired", "right", "usermod", "-e", "1", "expired")
    add_account(asked.machine, "stale", "right", "chage", "-d", "0", "stale")
    add_account(asked.machine, "blank", "right", "passwd", "-d", "blank")
    add_account(asked.machine, "fine", "right")
    refused = {name: asked.check(name, "right") for name in ("locked", "expired", "stale", "blank")}
    assert not any(one["ok"] for one in refused.values()), refused
    assert "has expired" in refused["expired"]["why"]
    assert "`passwd`" in refused["stale"]["why"]
    assert asked.check("fine", "right")["ok"]


def test_a_stack_that_asks_for_no_password_proves_nothing(asked: Asked) -> None:
    stack = asked.machine.path("/etc/pam.d/remit")
    for module in ("pam_rootok.so", "pam_permit.so"):
        stack.write_text(f"auth sufficient {module}\naccount required pam_permit.so\n")
        try:
            refused = asked.check("ada", "anything")
        finally:
            stack.write_text(QUICK)
        assert not refused["ok"]
        assert "asks for no password" in refused["why"]


def test_the_checker_reads_no_file_but_those_it_is_for(asked: Asked) -> None:
    """Told by a stack that lets in only whom a file lists: it is in /etc, or elsewhere."""
    stack = asked.machine.path("/etc/pam.d/remit")
    lists = "auth requisite pam_listfile.so onerr=fail item=user sense=allow file={}\n" + QUICK
    for file, read in (("/etc/people", True), ("/home/people", False), ("/var/lib/people", False)):
        asked.machine.run("sh", "-c", f"echo ada > {file} && chmod 600 {file}")
        stack.write_text(lists.format(file))
        try:
            answer = asked.check("ada", PASSWORDS["ada"])
        finally:
            stack.write_text(QUICK)
            asked.machine.run("rm", file)
        assert answer["ok"] == read, file


def test_two_at_once_are_each_answered_rightly(asked: Asked) -> None:
    keys = [asked.begin("ada", PASSWORDS["ada"]), asked.begin("bob", "wrong"), asked.begin("ada", "wrong")]
    keys += [asked.begin("bob", PASSWORDS["bob"]), asked.begin("root", "the root of it", 0)]
    assert [asked.answer(key)["ok"] for key in keys] == [True, False, False, True, True]


def test_twenty_wrong_ones_make_the_account_wait_and_no_other(asked: Asked) -> None:
    answers = [asked.check("ada", f"wrong {number}") for number in range(20)]
    assert not any(one["ok"] for one in answers)
    assert [one["wait"] > 0 for one in answers] == [False] * 2 + [True] * 18
    looked_at = [one for one in answers if one["why"].startswith("this is not")]
    assert len(looked_at) <= 4, "the others were not looked at"
    assert not asked.check("ada", PASSWORDS["ada"])["ok"], "nor is the right one"
    assert asked.check("bob", PASSWORDS["bob"])["ok"]
    recorded = [one for one in asked.heard if "recorded" in one]
    assert len(recorded) == len([one for one in looked_at if one["wait"]]), "a line for each wait, not for each try"


def test_a_control_that_was_taken_over_can_guess_no_faster(asked: Asked) -> None:
    """It keeps no account of wrong ones itself, and asks as much as it likes."""
    uid = uid_of(asked.machine, "ada")
    for number in range(60):
        asked.tell(do="raw", uid=uid, name="ada", password=f"wrong {number}")
        time.sleep(0.02)
    late = asked.check("ada", PASSWORDS["ada"])
    assert not late["ok"]
    assert late["wait"] > 0


@pytest.mark.parametrize(
    "message",
    [
        {"said": "no question"},
        {"said": '{"id": 1, "uid": "0", "name": "root"}'},
        {"said": '{"id": 1, "uid": 0, "name": "root", "service": "su"}'},
        {"said": '{"id": 1, "uid": -1, "name": "root"}'},
        {"said": "[" * 2000},
        {"name": "ada", "fds": 0},
        {"name": "ada", "fds": 2},
    ],
)
def test_what_is_no_question_ends_the_checker(asked: Asked, message: dict[str, Any]) -> None:
    asked.tell(do="raw", **message)
    assert asked.hear(lambda said: "ended" in said)
    assert not asked.check("ada", PASSWORDS["ada"])["ok"]


def test_a_password_comes_from_no_file(asked: Asked) -> None:
    """The checker reads as root: a file that somebody else handed over is none of its business."""
    asked.machine.run("sh", "-c", "cat > /etc/right && chmod 644 /etc/right", stdin=PASSWORDS["ada"])
    refused = asked.answer(asked.begin("ada", "", file="/etc/right"))
    assert not refused["ok"]
    assert asked.check("ada", PASSWORDS["ada"])["ok"]


def test_the_checker_holds_its_uid_and_nothing_else(asked: Asked) -> None:
    asked.check("ada", PASSWORDS["ada"])  # it answers, so it has given up what it will
    status = asked.machine.path(f"/proc/{asked.checker}/status").read_text()
    rows = {name: value.split() for name, value in (line.split(":", 1) for line in status.splitlines())}
    assert rows["Uid"] == ["0"] * 4
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(rows[name][0], 16) == 0, name
    assert (rows["NoNewPrivs"], rows["Seccomp"]) == (["1"], ["2"])
    limits = asked.machine.path(f"/proc/{asked.checker}/limits").read_text()
    for limit in ("Max core file size", "Max file size"):
        line = next(one for one in limits.splitlines() if one.startswith(limit))
        assert line.removeprefix(limit).split()[:2] == ["0", "0"], line
    open_files = asked.machine.run("ls", f"/proc/{asked.checker}/fd").stdout.split()
    assert len(open_files) <= 5, open_files


def test_what_asks_could_not_read_what_it_is_checked_against(asked: Asked) -> None:
    refused = asked.machine.run("cat", "/etc/shadow", user="nobody", check=False)
    assert refused.returncode != 0
    assert asked.check("ada", PASSWORDS["ada"])["ok"], "and the checker does"


def test_when_it_is_killed_nothing_is_right(asked: Asked) -> None:
    under_way = asked.begin("ada", PASSWORDS["ada"], stays_open=True)
    asked.machine.run("kill", "-KILL", str(asked.checker))
    assert not asked.answer(under_way)["ok"]
    assert asked.hear(lambda said: "ended" in said)
    assert not asked.check("ada", PASSWORDS["ada"])["ok"]


def test_a_check_stands_behind_walls_of_its_own_and_killing_it_proves_nothing(asked: Asked) -> None:
    under_way = asked.begin("ada", PASSWORDS["ada"], stays_open=True)
    children: list[str] = []
    while not children:
        children = asked.machine.run("pgrep", "-P", str(asked.checker), check=False).stdout.split()
    assert len(children) == 1
    status = asked.machine.path(f"/proc/{children[0]}/status")
    deadline = time.monotonic() + 5
    while "Seccomp_filters:\t2\n" not in status.read_text():
        assert time.monotonic() < deadline, status.read_text()
    asked.machine.run("kill", "-KILL", children[0])
    answer = asked.answer(under_way)
    assert not answer["ok"]
    assert "could not check" in answer["why"]
    assert asked.check("ada", PASSWORDS["ada"])["ok"]


@pytest.mark.long
def test_who_types_nothing_is_not_waited_for_and_holds_up_nobody(asked: Asked) -> None:
    silent = asked.begin("ada", PASSWORDS["ada"], stays_open=True)
    assert asked.check("bob", PASSWORDS["bob"])["ok"]
    assert asked.answer(silent)["why"] == "no password was typed"
    assert asked.check("ada", PASSWORDS["ada"])["ok"]


def test_what_was_given_up_leaves_the_line_usable(asked: Asked) -> None:
    given_up = asked.begin("bob", "wrong")
    asked.tell(do="cancel", key=given_up)
    assert asked.check("ada", PASSWORDS["ada"])["ok"]
    assert asked.check("bob", PASSWORDS["bob"])["ok"]


def test_passwords_are_nowhere_to_be_seen(asked: Asked) -> None:
    """Neither in what the checker says, nor in its arguments or environment, nor in its own memory after."""
    asked.check("ada", PASSWORDS["ada"])
    asked.check("bob", "an awful secret")
    secrets = (PASSWORDS["ada"].encode(), b"an awful secret")
    for name in ("cmdline", "environ"):
        said = asked.machine.path(f"/proc/{asked.checker}/{name}").read_bytes()
        assert not any(one in said for one in secrets)
    memory = memory_of(asked.machine, asked.checker)
    assert b"remit" in memory, "it was read"
    assert not any(one in memory for one in secrets)


def memory_of(machine: Machine, pid: int) -> bytes:
    """What is in its heap and other anonymous memory, read as real root."""
    seen = b""
    proc = machine.path(f"/proc/{pid}")
    with (proc / "mem").open("rb", buffering=0) as memory:
        for line in (proc / "maps").read_text().splitlines():
            extent, modes, *_ = line.split()
            start, end = (int(one, 16) for one in extent.split("-"))
            if modes.startswith("rw") and end - start < 64 << 20:
                memory.seek(start)
                seen += memory.read(end - start)
    return seen
