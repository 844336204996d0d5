"""A task's flow: its mark only rises, what was done stays done, and each argument has one standing."""

import itertools

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remit.detect import Label
from remit.flow import ArgumentClass, Flow, Mark, Origin, standings
from remit.flow.flow import EVERYTHING, MOST_DONE


@given(st.lists(st.sampled_from(Label), max_size=6))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_mark_only_rises_and_in_any_order(labels: list[Label]) -> None:
    mark = Mark()
    for label in labels:
        higher = mark.raised(label)
        assert higher.rank >= mark.rank
        assert higher.untrusted >= mark.untrusted
        assert higher.raised(label) == higher == higher.raised(mark)
        mark = higher
    assert mark.untrusted == (Label.UNTRUSTED in labels)
    for other in itertools.islice(itertools.permutations(labels), 4):
        again = Mark()
        for label in other:
            again = again.raised(label)
        assert again == mark


def test_what_came_from_outside_marks_the_task() -> None:
    flow = Flow()
    flow.heard("do it", Origin.HUMAN)
    flow.heard("the file", Origin.TRUSTED, Label.CONFIDENTIAL)
    assert (flow.mark.rank, flow.mark.untrusted) == (2, False)
    flow.heard("a page", Origin.UNTRUSTED)
    flow.heard("more", Origin.TRUSTED, Label.INTERNAL)
    assert (flow.mark.rank, flow.mark.untrusted) == (2, True)


def test_what_was_done_is_bounded_and_then_everything_was() -> None:
    flow = Flow()
    flow.did("call_tool", "send_mail")
    assert flow.done == {"call_tool", "send_mail"}
    flow.did(*(f"tool{number}" for number in range(MOST_DONE * 2)))
    assert len(flow.done) == MOST_DONE + 1
    assert EVERYTHING in flow.done


def test_a_call_is_told_by_its_classes_and_standings() -> None:
    flow = Flow()
    flow.heard("mail it to bob@x.example", Origin.HUMAN)
    flow.heard("also to eve@x.example", Origin.UNTRUSTED)
    flow.heard("and carl@x.example", Origin.CLAIMED)
    kinds = {"/to": ArgumentClass.RECIPIENT, "/body": ArgumentClass.TEXT}
    told = flow.arguments(
        {"to": ["bob@x.example", "eve@x.example", "carl@x.example", "new@x.example"], "body": "mail it"}, kinds
    )
    sets = standings(told)
    assert sets[Origin.HUMAN] == {ArgumentClass.RECIPIENT, ArgumentClass.TEXT}
    for origin in (Origin.CLAIMED, Origin.UNTRUSTED, Origin.UNSEEN):
        assert sets[origin] == {ArgumentClass.RECIPIENT}
    assert sets[Origin.TRUSTED] == frozenset()
