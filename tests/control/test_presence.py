"""Who is at the machine: real terminals that are typed on, and sessions as logind writes them down."""

import asyncio
import os
import pty
import pwd
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from remit.control import logged_in as reading
from remit.control.logged_in import LoginPlaces, logged_in, stamps
from remit.control.presence import Presence
from remit.persons.presence import Login
from remit.policy import Snapshot
from tests.control.test_realm import World
from tests.persons.test_presence import entry

ME = os.getuid()


class Terminal:
    """A pseudo-terminal of ours, with something that reads what is typed on it."""

    def __init__(self) -> None:
        self.keyboard, self.shell = pty.openpty()
        self.path = os.ttyname(self.shell)
        self.line = self.path.removeprefix("/dev/")
        os.utime(self.path, (0, 0))  # the kernel notes what is read in steps of 8 s: the next is another one

    def type(self, text: bytes = b"ls\n") -> None:
        os.write(self.keyboard, text)
        assert os.read(self.shell, 100) == text

    def close(self) -> None:
        os.close(self.keyboard)
        os.close(self.shell)


class Machine:
    """Where logins are written down, a desktop that answers `loginctl`, and the gateways that are told."""

    def __init__(self, directory: Path, world: World) -> None:
        self.places = LoginPlaces(
            directory / "sessions",
            directory / "booted",
            directory / "utmp",
            loginctl=directory / "loginctl",
        )
        self.places.sessions.mkdir()
        self.places.booted.mkdir()
        self.realm = world.realm
        self.now = 0.0
        self.told: list[str] = []
        self.presence = Presence(self.realm, self._push, 300.0, self.places, lambda: self.now)

    def _push(self, snapshot: Snapshot) -> None:
        self.told.append(snapshot.presence["ada"])

    def login(self, name: str, **facts: Any) -> None:
        said = {"UID": ME, "ACTIVE": 1, "STATE": "active", "TYPE": "tty", "CLASS": "user", **facts}
        (self.places.sessions / name).write_text("".join(f"{key}={value}\n" for key, value in said.items()))

    def logout(self, name: str) -> None:
        (self.places.sessions / name).unlink()

    def desktop_says(self, **said: str) -> None:
        lines = "\n".join(f"{key}={value}" for key, value in said.items())
        self.answers(f"cat <<'END'\n{lines}\nEND\n")

    def answers(self, script: str) -> None:
        self.places.loginctl.write_text("#!/bin/sh\nexec 2>&-\n" + script)
        self.places.loginctl.chmod(0o700)

    def look(self, after: float = 1.0) -> str:
        """Ada's presence, after another look."""
        self.now += after
        asyncio.run(self.presence.look())
        return self.realm.presence["ada"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.meet("ada", ME)
    yield made
    made.store.close()


@pytest.fixture
def machine(tmp_path: Path, world: World) -> Machine:
    return Machine(tmp_path, world)


@pytest.fixture(scope="module")
def terminals() -> Iterator[list[Terminal]]:
    """One for each test that types: what was just changed tells nothing."""
    made = [Terminal() for _ in range(12)]
    time.sleep(1.1)
    yield list(made)
    for one in made:
        one.close()


@pytest.fixture
def terminal(terminals: list[Terminal]) -> Terminal:
    return terminals.pop()


def test_who_types_on_the_terminal_of_their_login_is_here_until_that_is_long_ago(
    machine: Machine, terminal: Terminal
) -> None:
    machine.login("4", TTY=terminal.line)
    assert machine.look() == "unknown"
    terminal.type()
    assert machine.look() == "here"
    assert machine.look(after=299) == "here"
    assert machine.look(after=2) == "away"
    assert machine.told == ["unknown", "here", "away"]


def test_what_programs_write_on_a_terminal_is_nobody_s_sign(machine: Machine, terminal: Terminal) -> None:
    machine.login("4", TTY=terminal.line)
    machine.look()
    os.write(terminal.shell, b"an agent is at work\n")
    assert machine.look() == "unknown"


@pytest.mark.parametrize("when", [lambda now: now, lambda now: now + 5, lambda now: now + 3600])
def test_an_agent_that_sets_the_terminal_s_times_makes_nobody_be_there(
    machine: Machine, terminal: Terminal, when: Callable[[float], float]
) -> None:
    machine.login("4", TTY=terminal.line)
    machine.look()
    now = os.stat(terminal.path).st_ctime
    os.utime(terminal.path, (when(now), now))
    for _ in range(3):
        assert machine.look() == "unknown"
    os.utime(terminal.path, (when(now) + 1, now))
    assert machine.look(after=400) != "here"


def test_an_agent_that_sets_them_all_the_time_makes_nobody_be_there(machine: Machine, terminal: Terminal) -> None:
    """Also within one tick of the clock that the kernel stamps files by, before and after a look."""
    machine.login("4", TTY=terminal.line)
    machine.look()
    for number in range(300):
        os.utime(terminal.path, (number, 0))
        if number % 10 == 0:
            assert machine.look(after=0.5) == "unknown"


def test_typing_on_a_terminal_that_is_nobody_s_login_makes_nobody_be_there(
    machine: Machine, terminal: Terminal, terminals: list[Terminal]
) -> None:
    machine.login("4", TTY=terminal.line)
    machine.look()
    terminals.pop().type(b"I am ada\n")
    assert machine.look() == "unknown"


def test_a_line_that_leads_out_of_the_devices_is_no_terminal(
    machine: Machine, terminal: Terminal, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    lines = [f"../{tmp_path}/file", str(tmp_path / "file"), "../../etc/hostname", "", "no/such\0thing"]
    lines += [terminal.path, f"../dev/{terminal.line}"]
    assert stamps(machine.places, [Login(str(number), ME, line) for number, line in enumerate(lines)]) == {}


def test_who_logs_in_is_here_and_who_logs_out_is_away(machine: Machine, terminal: Terminal) -> None:
    assert machine.look() == "away"
    machine.login("4", TTY=terminal.line)
    assert machine.look() == "here"
    machine.logout("4")
    assert machine.look() == "away"


@pytest.mark.parametrize(
    ("said", "presence"),
    [
        ({"LockedHint": "no", "IdleHint": "no", "IdleSinceHint": "1795287903508"}, "here"),
        ({"LockedHint": "yes", "IdleHint": "no", "IdleSinceHint": "1795287903508"}, "away"),
        ({"LockedHint": "no", "IdleHint": "yes", "IdleSinceHint": "1795287903508"}, "away"),
        ({"LockedHint": "no", "IdleHint": "no", "IdleSinceHint": "0"}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_a_desktop_says_whether_it_is_locked_or_idle(machine: Machine, said: dict[str, str], presence: str) -> None:
    machine.login("2", TYPE="wayland", TTY="tty2")
    machine.desktop_says(Id="2", **said)
    assert machine.look() == presence


def test_who_locks_the_screen_is_away_and_who_unlocks_it_is_here(machine: Machine) -> None:
    machine.login("2", TYPE="x11")
    told = {"Id": "2", "IdleHint": "no", "IdleSinceHint": "0"}
    machine.desktop_says(**told, LockedHint="no")
    assert machine.look() == "unknown"
    machine.desktop_says(**told, LockedHint="yes")
    assert machine.look() == "away"
    machine.desktop_says(**told, LockedHint="no")
    assert machine.look() == "here"


@pytest.mark.parametrize(
    "script", ["exec sleep 30", "exit 1", "printf 'Id=2\\nLockedHint=no'", "head -c 100000 /dev/zero"]
)
def test_a_desktop_that_cannot_be_asked_says_nothing(
    machine: Machine, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "HINT_SECONDS", 0.2)
    machine.login("2", TYPE="wayland")
    machine.answers(script)
    assert machine.look() == "unknown"


def test_without_logind_utmp_tells_who_is_logged_in(machine: Machine, terminal: Terminal) -> None:
    machine.places.sessions.rmdir()
    me = pwd.getpwuid(ME).pw_name
    machine.places.utmp.write_bytes(entry(2, 0, "~", "reboot") + entry(7, 40, terminal.line, me))
    assert machine.look() == "unknown"
    terminal.type()
    assert machine.look() == "here"
    machine.places.utmp.write_bytes(entry(2, 0, "~", "reboot") + entry(8, 40, terminal.line, me))
    assert machine.look() == "away"
    machine.places.utmp.write_bytes(b"another machine's")
    assert machine.look() == "unknown"


def test_without_logind_nothing_is_known(machine: Machine) -> None:
    machine.places.booted.rmdir()
    assert machine.look() == "unknown"
    machine.places.sessions.rmdir()
    assert machine.look() == "unknown"


def test_a_session_that_is_not_as_logind_writes_one_leaves_all_unknown(machine: Machine) -> None:
    machine.login("2", UID="root")
    assert logged_in(machine.places) is None
    assert machine.look() == "unknown"


def test_a_proof_is_a_sign_of_the_person_who_gave_it(machine: Machine) -> None:
    machine.places.booted.rmdir()
    machine.presence.proved(ME + 1)
    assert machine.look() == "unknown"
    machine.presence.proved(ME)
    assert machine.look() == "here"
    assert machine.look(after=301) == "unknown"


def test_the_kernel_changes_no_change_time_when_a_terminal_is_read(terminal: Terminal) -> None:
    """On which all of this rests."""
    before = os.stat(terminal.path)
    terminal.type()
    after = os.stat(terminal.path)
    assert stat.S_ISCHR(after.st_mode)
    assert after.st_ctime_ns == before.st_ctime_ns
    assert after.st_atime_ns > before.st_atime_ns
