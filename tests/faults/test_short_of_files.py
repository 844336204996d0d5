"""A gateway that may open no more files: nobody is let in unknown, it is said, and it passes."""

import itertools
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.conftest import Remit
from tests.faults.world import CHAT, Reply, ask, chat_body, status_of, until

PORT = 28900
MOST = 14  # descriptors that a call takes at most, one after the other


@contextmanager
def no_more_than(pid: int, more: int) -> Iterator[None]:
    """`pid` may open `more` files beside those that it has."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    free = (number for number in itertools.count() if number not in used)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (next(itertools.islice(free, more, None)), before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def one_call(port: int) -> Reply | None:
    """A chat, if anything comes back within a second."""
    try:
        return ask(port, "POST", CHAT, chat_body("hello"))
    except (TimeoutError, OSError):
        return None


def test_a_gateway_without_descriptors_refuses_in_words_and_recovers(
    remit: Remit, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.faults.world.PATIENCE_SECONDS", 1.0)
    worker = status_of(remit)["workers"]["inference"]
    assert ask(port).status == 200
    seen: dict[str, int] = {}
    for more in range(MOST):
        with no_more_than(worker, more):
            reply = one_call(port)
        told = "nothing" if reply is None else "served" if reply.status == 200 else reply.json["error"]["message"]
        seen[told] = seen.get(told, 0) + 1
    short = {told for told in seen if "who is calling can't be found out now: Too many open files" in told}
    assert short, seen
    assert set(seen) - short <= {"served", "nothing"}, seen
    assert until(lambda: one_call(port), "it serves again").status == 200
