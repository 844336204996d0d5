"""What fails is tried again, and told; what goes on failing ends no guard."""

import asyncio
import errno
import os

import pytest

from remit.control.patience import Patience
from remit.errors import AttestationError, AuditError, DiscoveryError

GONE = AttestationError("process 7 has exited")


async def look(error: Exception | None) -> None:
    if error is not None:
        raise error


@pytest.mark.parametrize(
    "error", [GONE, DiscoveryError("can't see what listens"), OSError(errno.EMFILE, os.strerror(errno.EMFILE))]
)
def test_a_look_that_fails_is_noted_once_and_tried_again(error: Exception) -> None:
    notes: list[str] = []
    patience = Patience(notes.append)

    async def scene() -> list[bool]:
        return [await patience.tried(look(one)) for one in (error, error, None, error, error, None)]

    assert asyncio.run(scene()) == [False, False, True, False, False, True]
    assert [str(error) in note for note in notes] == [True, True]


def test_what_goes_on_failing_is_told_again_and_ends_nothing() -> None:
    notes: list[str] = []
    patience = Patience(notes.append, every=20)

    async def scene() -> list[bool]:
        return [await patience.tried(look(GONE)) for _ in range(41)]

    assert asyncio.run(scene()) == [False] * 41
    assert len(notes) == 3


def test_what_no_look_may_meet_is_raised_at_once() -> None:
    with pytest.raises(AuditError):
        asyncio.run(Patience(lambda _: None).tried(look(AuditError("full"))))
