"""What flowed through a task, as the circumstances that policies read."""

from collections.abc import Iterable

from remit.flow import Argument, ArgumentClass, Flow, Origin, standings
from remit.policy.circumstances import Arguments, FlowFacts


def flow_facts(flow: Flow) -> FlowFacts:
    """`context.flow`."""
    return FlowFacts(flow.mark.rank, flow.mark.untrusted, tuple(sorted(flow.done)))


def arguments(told: list[Argument]) -> Arguments:
    """`context.args`: each class stands in the set of every standing that one of its values has."""
    of = standings(told)
    return Arguments(
        classes=_sorted(one.value.kind for one in told),
        human=_sorted(of[Origin.HUMAN]),
        trusted=_sorted(of[Origin.TRUSTED]),
        claimed=_sorted(of[Origin.CLAIMED]),
        untrusted=_sorted(of[Origin.UNTRUSTED]),
        unseen=_sorted(of[Origin.UNSEEN]),
    )


def _sorted(kinds: Iterable[ArgumentClass]) -> tuple[str, ...]:
    return tuple(sorted({kind.value for kind in kinds}))
