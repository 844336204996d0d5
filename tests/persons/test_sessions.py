"""A proof that holds for a while: where it began, no longer, and for nobody else."""

import dataclasses

from remit.persons.sessions import CODE_LETTERS, MAX_OPEN, SECONDS, ProofSessions, new_code
from remit.persons.terminals import Device, Leader

HERE = Leader(1001, Device(136, 3), 500, 50)


def test_it_holds_where_it_began_until_its_time_is_over() -> None:
    sessions = ProofSessions()
    sessions.begin(HERE, "e1", 100.0)
    held = sessions.held(HERE, 100.0 + SECONDS - 0.1)
    assert held is not None
    assert held.evidence == "e1"
    assert sessions.held(HERE, 100.0 + SECONDS) is None
    assert SECONDS <= 15 * 60


def test_to_use_it_does_not_make_it_longer() -> None:
    sessions = ProofSessions()
    sessions.begin(HERE, "e1", 0.0)
    for now in range(0, int(SECONDS), 60):
        assert sessions.held(HERE, now)
    assert sessions.held(HERE, SECONDS) is None


def test_another_account_terminal_or_shell_has_none() -> None:
    sessions = ProofSessions()
    sessions.begin(HERE, "e1", 0.0)
    for other in (
        dataclasses.replace(HERE, uid=1002),
        dataclasses.replace(HERE, terminal=Device(136, 4)),
        dataclasses.replace(HERE, pid=501),
        dataclasses.replace(HERE, start=51),
    ):
        assert sessions.held(other, 1.0) is None


def test_it_ends_when_told_and_the_oldest_gives_way() -> None:
    sessions = ProofSessions()
    sessions.begin(HERE, "e1", 0.0)
    sessions.end(HERE)
    assert sessions.held(HERE, 1.0) is None
    sessions.begin(HERE, "e1", 0.0)
    for number in range(MAX_OPEN):
        sessions.begin(dataclasses.replace(HERE, pid=1000 + number), "e", 1.0)
    assert sessions.held(HERE, 2.0) is None


def test_codes_are_short_and_not_the_same() -> None:
    codes = {new_code() for _ in range(200)}
    assert len(codes) > 190
    assert all(len(code) == CODE_LETTERS and code.isalpha() and code.islower() for code in codes)
