"""Which terminals are fit for a password, and whose sessions: by facts alone."""

import dataclasses

import pytest

from remit.persons.terminals import (
    Device,
    Holder,
    Leader,
    Place,
    TerminalRefusedError,
    check_readers,
    check_typists,
    leader_of,
)

ADA, BOB, REMIT = 1001, 1002, 990
PTS3 = Device(136, 3)
SHELL = Place(500, 50, ADA, "bash", 400, 500, 500, PTS3, 700)
COMMAND = Place(700, 70, ADA, "remit", 500, 700, 500, PTS3, 700)
LEADER = Leader(ADA, PTS3, 500, 50)
SSHD = Holder(400, ADA, "sshd", 400, has_terminal=False, program="/usr/sbin/sshd", guarded=True)
ROOTS = dataclasses.replace(SSHD, pid=399, uid=0, guarded=False)


def holder(**facts: object) -> Holder:
    return dataclasses.replace(SSHD, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (0x8803, "/dev/pts/3"),
        (0x108800 | 0x2C, "/dev/pts/300"),
        (0x401, "/dev/tty1"),
        (0x440, "/dev/ttyS0"),
        (0xE500, "device 229:0"),
    ],
)
def test_a_terminals_number_has_a_name(number: int, name: str) -> None:
    assert str(Device.of_stat(number)) == name


@pytest.mark.parametrize(("device", "pastes"), [((4, 1), True), ((4, 63), True), ((4, 64), False), ((136, 3), False)])
def test_what_a_screen_of_the_kernels_shows_can_be_pasted_there(device: tuple[int, int], pastes: bool) -> None:
    assert Device(*device).pastes is pastes


def test_no_terminal_is_none() -> None:
    assert Device.of_stat(0) is None


def test_a_session_is_known_by_its_leader() -> None:
    assert leader_of(ADA, PTS3, ADA, [COMMAND, SHELL]) == LEADER
    assert leader_of(ADA, PTS3, 0, [SHELL_ALONE]) == LEADER


SHELL_ALONE = dataclasses.replace(SHELL, foreground_group=500)


@pytest.mark.parametrize(
    ("file", "owner", "chain", "why"),
    [
        (Device(136, 4), ADA, [COMMAND, SHELL], "is not the terminal of process"),
        (PTS3, ADA, [dataclasses.replace(COMMAND, terminal=None), SHELL], "is not the terminal of process"),
        (PTS3, BOB, [COMMAND, SHELL], "belongs to uid 1002"),
        (PTS3, ADA, [dataclasses.replace(COMMAND, foreground_group=701), SHELL], "not in the foreground"),
        (PTS3, ADA, [dataclasses.replace(COMMAND, parent=1), SHELL], "has lost its parent"),
        (PTS3, ADA, [COMMAND, dataclasses.replace(SHELL, start=71)], "has lost its parent"),
        (PTS3, ADA, [COMMAND, dataclasses.replace(SHELL, session=1)], "has lost its parent"),
        (PTS3, ADA, [COMMAND, dataclasses.replace(SHELL, uid=BOB)], "runs as uid 1002"),
        (PTS3, ADA, [COMMAND], "does not descend from the session"),
    ],
)
def test_what_stands_elsewhere_is_refused(file: Device, owner: int, chain: list[Place], why: str) -> None:
    with pytest.raises(TerminalRefusedError, match=why) as refused:
        leader_of(ADA, file, owner, chain)
    assert refused.value.hint
    assert refused.value.exit_code == 3


@pytest.mark.parametrize("device", [Device(4, 1), Device(4, 64)])
def test_a_console_has_no_other_end(device: Device) -> None:
    check_typists(device, [], ())


@pytest.mark.parametrize(
    "masters",
    [
        [ROOTS],
        [SSHD, ROOTS],
        [holder(pid=900, program="/usr/bin/tmux", guarded=False)],
    ],
)
def test_sshd_and_what_root_named_may_type(masters: list[Holder]) -> None:
    check_typists(PTS3, masters, {"/usr/bin/tmux"})


@pytest.mark.parametrize(
    ("device", "masters", "why"),
    [
        (PTS3, [], "nobody knows who can type"),
        (PTS3, [ROOTS, SSHD, holder(pid=9, name="sh", program="/usr/bin/dash")], r"process 9 \(sh\) can type"),
        (PTS3, [SSHD], "can type"),
        (PTS3, [ROOTS, holder(guarded=False)], "can type"),
        (PTS3, [ROOTS, holder(program=None)], "can type"),
        (PTS3, [holder(program="/usr/bin/screen")], "can type"),
        (Device(229, 0), [ROOTS], "neither a console nor"),
    ],
)
def test_anybody_else_may_not(device: Device, masters: list[Holder], why: str) -> None:
    with pytest.raises(TerminalRefusedError, match=why):
        check_typists(device, masters, {"/usr/bin/tmux"})


def test_who_reads_from_outside_the_session_is_refused() -> None:
    inside = holder(session=500, program=None)
    check_readers(LEADER, [inside, holder(uid=0, program=None), holder(uid=REMIT, program=None)], (), REMIT)
    check_readers(LEADER, [holder(program="/usr/bin/tmux")], {"/usr/bin/tmux"}, REMIT)
    for uid in (ADA, BOB):
        with pytest.raises(TerminalRefusedError, match="open from outside its session"):
            check_readers(LEADER, [inside, holder(uid=uid, program=None, session=800)], (), REMIT)
