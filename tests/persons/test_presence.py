"""Whether somebody is there: by what is seen of their sessions and terminals, look by look."""

import dataclasses
import struct

import pytest

from remit.persons.logins import (
    HINTS,
    UnreadableError,
    hinted,
    loginctl_hints,
    logind_session,
    utmp_logins,
)
from remit.persons.presence import AWAY, HERE, SETTLED, UNKNOWN, Attendance, Login, Stamp

ADA, BOB = 1001, 1002
SHELL = Login("4", ADA, "pts/3")
DESKTOP = Login("2", ADA, graphical=True, locked=False, idle=False)
PTS3 = Stamp((23, 6), ADA, accessed=100, changed=90, at=90 + SETTLED)
TYPED = dataclasses.replace(PTS3, accessed=108)


def watching(*logins: Login, stamp: Stamp = PTS3, idle: float = 300.0) -> Attendance:
    """Somebody has looked once, at 0 seconds."""
    attendance = Attendance(idle)
    attendance.look(logins, {"pts/3": stamp}, 0.0)
    return attendance


def test_nobody_is_known_to_be_there_before_anything_was_seen() -> None:
    assert Attendance(300).of([ADA], 0.0) == UNKNOWN
    assert watching(SHELL).of([ADA], 0.0) == UNKNOWN


def test_who_types_is_there_for_as_long_as_that_counts() -> None:
    attendance = watching(SHELL)
    attendance.look([SHELL], {"pts/3": TYPED}, 1.0)
    assert attendance.of([ADA], 1.0) == HERE
    assert attendance.of([ADA], 300.9) == HERE
    assert attendance.of([ADA], 301.1) == AWAY
    assert attendance.of([BOB], 1.0) == AWAY


@pytest.mark.parametrize(
    "forged",
    [
        dataclasses.replace(TYPED, changed=109),  # utimensat sets the change time, whatever else it sets
        dataclasses.replace(TYPED, accessed=10**12, changed=109),
        dataclasses.replace(TYPED, node=(23, 7)),  # another terminal of the same number
        dataclasses.replace(TYPED, uid=BOB),
    ],
)
def test_a_time_that_whoever_owns_the_terminal_has_set_is_no_sign(forged: Stamp) -> None:
    attendance = watching(SHELL)
    attendance.look([SHELL], {"pts/3": forged}, 1.0)
    assert attendance.of([ADA], 1.0) == UNKNOWN
    attendance.look([SHELL], {"pts/3": forged}, 301.0)
    assert attendance.of([ADA], 301.0) != HERE


def test_what_was_changed_within_a_tick_of_the_look_before_is_no_sign() -> None:
    """Set twice within one tick, once before a look and once after it, a file has the same change time twice."""
    for at, presence in ((90 + SETTLED - 1, UNKNOWN), (80, UNKNOWN), (90 + SETTLED, HERE)):
        attendance = watching(SHELL, stamp=dataclasses.replace(PTS3, at=at))
        attendance.look([SHELL], {"pts/3": dataclasses.replace(TYPED, at=at + SETTLED)}, 1.0)
        assert attendance.of([ADA], 1.0) == presence


def test_what_is_typed_counts_again_once_the_terminal_is_left_alone() -> None:
    attendance = watching(SHELL)
    changed = dataclasses.replace(PTS3, changed=109, at=109 + SETTLED)  # `mesg y`
    attendance.look([SHELL], {"pts/3": changed}, 1.0)
    attendance.look([SHELL], {"pts/3": dataclasses.replace(changed, accessed=116)}, 2.0)
    assert attendance.of([ADA], 2.0) == HERE


def test_who_logs_in_is_there_and_who_was_logged_in_before_is_not_known_to_be() -> None:
    attendance = watching()
    attendance.look([SHELL], {}, 10.0)
    assert attendance.of([ADA], 10.0) == HERE
    attendance.look([SHELL], {}, 311.0)
    assert attendance.of([ADA], 311.0) == UNKNOWN  # its terminal can't be seen


def test_who_logs_out_is_away() -> None:
    attendance = watching()
    attendance.look([SHELL], {"pts/3": PTS3}, 1.0)
    attendance.look([], {}, 2.0)
    assert attendance.of([ADA], 2.0) == AWAY


def test_when_nothing_tells_who_is_logged_in_nobody_is_known_to_be_away_or_here() -> None:
    attendance = watching(SHELL)
    attendance.look([SHELL], {"pts/3": TYPED}, 1.0)
    attendance.look(None, {}, 2.0)
    assert attendance.of([ADA], 2.0) == UNKNOWN
    attendance.look([SHELL], {"pts/3": TYPED}, 3.0)
    assert attendance.of([ADA], 3.0) == UNKNOWN  # what happened meanwhile was not seen


def test_a_session_is_not_taken_for_anothers_of_the_same_id() -> None:
    attendance = watching(SHELL)
    bobs = dataclasses.replace(SHELL, uid=BOB)
    attendance.look([bobs], {"pts/3": TYPED}, 1.0)
    assert attendance.of([ADA], 1.0) == AWAY
    attendance.look([SHELL], {"pts/3": TYPED}, 500.0)
    assert attendance.of([ADA], 500.0) == HERE, "she has logged in"


@pytest.mark.parametrize(
    ("facts", "presence"),
    [
        ({}, HERE),
        ({"locked": True}, AWAY),
        ({"idle": True}, AWAY),
        ({"front": False}, AWAY),
        ({"idle": None}, UNKNOWN),  # a desktop that never says it is idle
        ({"locked": None}, UNKNOWN),
        ({"locked": None, "idle": None}, UNKNOWN),
    ],
)
def test_a_desktop_tells_by_its_lock_and_by_being_idle(facts: dict[str, bool | None], presence: str) -> None:
    assert watching(dataclasses.replace(DESKTOP, **facts)).of([ADA], 0.0) == presence  # type: ignore[arg-type]


def test_who_unlocks_a_screen_is_there() -> None:
    locked = dataclasses.replace(DESKTOP, locked=True, idle=None)
    attendance = watching(locked)
    attendance.look([dataclasses.replace(locked, locked=False)], {}, 1.0)
    assert attendance.of([ADA], 1.0) == HERE


def test_a_shell_in_another_room_is_enough_and_so_is_one_of_several_accounts() -> None:
    other = Login("5", BOB, "pts/3")
    attendance = watching(dataclasses.replace(DESKTOP, locked=True), other, stamp=dataclasses.replace(PTS3, uid=BOB))
    typed = {"pts/3": dataclasses.replace(TYPED, uid=BOB)}
    attendance.look([dataclasses.replace(DESKTOP, locked=True), other], typed, 1.0)
    assert attendance.of([ADA, BOB], 1.0) == HERE
    assert attendance.of([ADA], 1.0) == AWAY


def test_a_terminal_that_is_another_s_tells_nothing_of_this_person() -> None:
    stranger = dataclasses.replace(PTS3, uid=BOB)
    attendance = watching(SHELL, stamp=stranger)
    attendance.look([SHELL], {"pts/3": dataclasses.replace(stranger, accessed=108)}, 1.0)
    assert attendance.of([ADA], 1.0) == UNKNOWN


def test_who_gives_a_proof_is_there_also_where_nothing_tells_of_logins() -> None:
    attendance = Attendance(300.0)
    attendance.proved(ADA, 5.0)
    assert attendance.of([ADA], 6.0) == HERE
    assert attendance.of([ADA], 305.1) == UNKNOWN


def test_a_locked_screen_counts_more_than_an_earlier_proof() -> None:
    attendance = watching(dataclasses.replace(DESKTOP, locked=True))
    attendance.proved(ADA, 1.0)
    assert attendance.of([ADA], 2.0) == AWAY


def test_of_a_person_without_an_account_nothing_is_known() -> None:
    assert watching(SHELL).of([], 0.0) == UNKNOWN


SSH = """# This is private data. Do not parse.
UID=1001
USER=ada
ACTIVE=1
STATE=active
REMOTE=1
TYPE=tty
CLASS=user
TTY=pts/3
"""


def test_logind_tells_of_a_session_over_ssh() -> None:
    assert logind_session("4", SSH) == SHELL


def test_a_desktop_that_is_switched_away_from_is_not_in_front() -> None:
    said = "UID=1001\nACTIVE=0\nSTATE=online\nTYPE=wayland\nCLASS=user\nSEAT=seat0\nVTNR=2\nTTY=tty2\n"
    assert logind_session("2", said) == Login("2", ADA, "tty2", graphical=True, front=False)


@pytest.mark.parametrize("other", ["CLASS=greeter", "CLASS=background", "CLASS=manager", "STATE=closing"])
def test_no_person_s_login(other: str) -> None:
    assert logind_session("4", SSH + other + "\n") is None


@pytest.mark.parametrize("other", ["UID=ada", "UID=-1", "ACTIVE=perhaps", "UID=", "UID=" + "9" * 5000, "UID=٣"])
def test_what_logind_does_not_write_tells_nothing(other: str) -> None:
    with pytest.raises(UnreadableError):
        logind_session("4", SSH + other + "\n")


def answered(**said: str) -> str:
    return "\n".join(f"{name}={value}" for name, value in said.items())


@pytest.mark.parametrize(
    ("locked", "idle", "since", "found"),
    [
        ("yes", "no", "1795287903508", (True, False)),
        ("no", "no", "1795287903508", (False, False)),
        ("no", "yes", "1795287903508", (False, True)),
        ("no", "no", "0", (False, None)),  # it never said that it was idle
        ("no", "no", "n/a", (False, None)),
        ("no", "no", "", (False, None)),
        ("", "", "", (None, None)),
        ("maybe", "maybe", "5", (None, None)),
    ],
)
def test_a_desktop_s_hints(locked: str, idle: str, since: str, found: tuple[bool | None, bool | None]) -> None:
    answer = answered(Id="2", LockedHint=locked, IdleHint=idle, IdleSinceHint=since)
    assert set(HINTS) == {line.partition("=")[0] for line in answer.splitlines()}
    login = hinted(
        Login("2", ADA, graphical=True), loginctl_hints(answered(Id="1", LockedHint="yes") + "\n\n" + answer)
    )
    assert (login.locked, login.idle) == found


def test_without_an_answer_a_desktop_says_nothing() -> None:
    login = hinted(Login("2", ADA, graphical=True), loginctl_hints(""))
    assert (login.locked, login.idle) == (None, None)


def entry(kind: int, pid: int, line: str, user: str) -> bytes:
    head = struct.pack("=hxxi32s4s32s256s", kind, pid, line.encode(), b"", user.encode(), b"")
    return head + struct.pack("=hhiii16s20x", 0, 0, 0, 5, 0, b"")


def test_utmp_tells_of_shells_and_no_more_than_that_of_a_display() -> None:
    rows = [(2, 0, "~", "reboot"), (7, 40, "pts/3", "ada"), (7, 41, ":0", "ada"), (8, 42, "pts/4", "ada")]
    rows.append((7, 43, "pts/9", "nobody-here"))
    found = utmp_logins(b"".join(entry(*row) for row in rows), {"ada": ADA}.get)
    assert found == [Login("pts/3 40 5", ADA, "pts/3"), Login(":0 41 5", ADA, "", graphical=True)]


@pytest.mark.parametrize("data", [b"\0" * 383, entry(40, 1, "pts/3", "ada"), b"x" * 400])
def test_another_machine_s_utmp_tells_nothing(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        utmp_logins(data, {"ada": ADA}.get)
