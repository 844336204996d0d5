"""What an edit of the policies does to the calls under way."""

from types import SimpleNamespace
from typing import Any

import pytest

from remit.gateway.call import Call
from remit.gateway.zone import Zone
from remit.policy import Engine
from tests.policy.worlds import LLAMA, NOW, intent, snapshot

PERMIT = '@id("use") {} permit(principal, action, resource);'
LETS = PERMIT.format('@on_internal("allow")')


def zone(policy: str) -> Zone:
    """A zone that decides by this policy and does nothing else."""
    unused: Any = SimpleNamespace()
    return Zone(
        name="inference",
        engine=Engine(snapshot(policy)),
        audit=unused,
        digests=unused,
        scrubber=unused,
        broker=unused,
        upstream=unused,
        timeouts=unused,
        executor=unused,
        clock=lambda: NOW,
        monotonic=lambda: 0.0,
        cache_key=b"",
        told=lambda _: None,
    )


@pytest.mark.parametrize(
    ("before", "after", "goes_on"),
    [
        (LETS, LETS + " // a comment", True),
        (LETS, PERMIT.format('@on_internal("mask")'), False),
        (LETS, PERMIT.format('@on_internal("refuse")'), False),
        (LETS, PERMIT.format('@on_internal("allow") @on_confidential("allow")'), True),
        (PERMIT.format(""), LETS, True),
        (LETS, '@id("no") forbid(principal, action, resource);', False),
    ],
)
def test_a_call_goes_on_if_it_could_begin_now_and_lets_no_more_through(
    before: str, after: str, goes_on: bool
) -> None:
    here = zone(before)
    cuts: list[str] = []
    call = Call.begin(LLAMA, NOW, 0.0, cuts.append)
    here.live.add(call)
    call.may(here.engine.decide(call.asks(intent()), NOW, call.id))
    call.recorded = True
    here.put(snapshot(after, epoch=2))
    assert (cuts == []) is goes_on
