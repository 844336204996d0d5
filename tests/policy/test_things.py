"""Decisions on tools, sources and destinations: by catalogue, arguments, flow; approvals; what is only observed."""

import dataclasses
import hashlib
from typing import Any

import pytest

from remit.errors import PolicyError
from remit.policy import Action, Engine, Intent, Permit, PolicyFile, RefusedError
from remit.policy.approval import Approval
from remit.policy.catalogue import NAME
from remit.policy.circumstances import Arguments, Circumstances, FlowFacts, Moment
from remit.policy.load import load
from remit.policy.mode import Approver
from remit.policy.permit import ApprovalNeededError
from remit.policy.thing import Thing, ThingKind
from tests.policy.worlds import LLAMA, NOW, STARTER, curl, intent, sid, snapshot

CATALOGUE = """
[tool."mail/send"]
owner = "ada"
label = "internal"
[destination."maple.local"]
clearance = "confidential"
[source.wiki]
owner = "ada"
trusted = true
"""
SENDS = """
@id("sends")
permit (principal, action == Action::"call_tool", resource == Tool::"mail/send")
when { context has args && context has destination && context has flow };
@id("nothing-from-outside-chooses-who-gets-it")
forbid (principal, action == Action::"call_tool", resource)
when { context has args && context.args.untrusted.contains("recipient") };
@id("no-more-than-it-is-cleared-for")
forbid (principal, action == Action::"call_tool", resource)
when { context has flow && context has destination && context.flow.high > context.destination.clearance };
"""
PLACE = sid()
OVERFLOW = "9223372036854775807 + 1 == 0"


def engine(*texts: str, catalogue: str = CATALOGUE) -> Engine:
    files = [PolicyFile(NAME, catalogue), *(PolicyFile(f"p{at}.cedar", text) for at, text in enumerate(texts))]
    return Engine(snapshot(files=[*files]))


def asked(thing: Thing, action: Action = Action.CALL_TOOL, body: bytes = b"{}", **more: Any) -> Intent:
    made = intent(action, curl(), PLACE, model=None, digest="unknown", route="call mail/send")
    circumstances = Circumstances(**more)
    return dataclasses.replace(
        made, thing=thing, circumstances=circumstances, body_sha256=hashlib.sha256(body).digest()
    )


def call(decides: Engine, high: int = 0, untrusted: tuple[str, ...] = (), to: str = "maple.local") -> Permit:
    thing = decides.thing(ThingKind.TOOL, "mail/send")
    args = Arguments(classes=("recipient",), untrusted=untrusted)
    return decides.decide(asked(thing, args=args, flow=FlowFacts(high), destination=to), NOW, "d")


def approval_of(sends: Intent, decides: Engine) -> Approval:
    policies, requester = decides.policies.digest, sends.caller.human
    return Approval("a1", sends.binding, policies, Approver.APPROVER, "bob", requester, NOW + 60)


def test_a_tool_is_called_within_what_its_arguments_and_the_flow_allow() -> None:
    decides = engine(SENDS)
    assert [ref.id for ref in call(decides).policies] == ["sends"]
    for refused, rule in (
        ({"untrusted": ("recipient",)}, "nothing-from-outside-chooses-who-gets-it"),
        ({"high": 3}, "no-more-than-it-is-cleared-for"),
        ({"high": 1, "to": "unknown"}, "no-more-than-it-is-cleared-for"),
    ):
        with pytest.raises(RefusedError) as caught:
            call(decides, **refused)
        assert caught.value.rule == rule


def test_a_thing_is_as_the_catalogue_has_it_or_refused() -> None:
    decides = engine(SENDS)
    forged = Thing(ThingKind.TOOL, "mail/send", owner="eve", attributes={"known": True})
    with pytest.raises(RefusedError) as caught:
        decides.decide(asked(forged), NOW, "d")
    assert caught.value.rule == "remit:not-listed"
    unknown = decides.thing(ThingKind.TOOL, "mail/delete")
    assert (unknown.id, unknown.owner) == ("unknown", "")
    with pytest.raises(RefusedError) as caught:
        decides.decide(asked(unknown), NOW, "d")
    assert caught.value.rule == "default-deny"


def test_a_context_that_lacks_what_a_policy_needs_is_no_allow() -> None:
    permissive = '@id("p")\npermit (principal, action, resource) when { context has args && true };'
    failing = f'@id("f")\nforbid (principal, action, resource) when {{ context has args && {OVERFLOW} }};'
    decides = engine(permissive, failing)
    with pytest.raises(RefusedError):
        decides.decide(asked(decides.thing(ThingKind.TOOL, "mail/send")), NOW, "d")
    with pytest.raises(RefusedError) as caught:
        decides.decide(asked(decides.thing(ThingKind.TOOL, "mail/send"), args=Arguments()), NOW, "d")
    assert caught.value.rule == "remit:policy-error"


def test_an_approval_is_of_this_intent_under_these_policies_by_somebody_who_may() -> None:
    decides = engine('@id("asks")\n@approval("approver")\npermit (principal, action, resource);')
    sends = asked(decides.thing(ThingKind.TOOL, "mail/send"), body=b'{"to": "bob"}')
    with pytest.raises(ApprovalNeededError) as caught:
        decides.decide(sends, NOW, "d")
    assert (caught.value.approver, caught.value.policies[0].id) == ("approver", "asks")
    good = approval_of(sends, decides)
    assert decides.decide(sends, NOW, "d", good).decision_id == "d"
    edited = asked(decides.thing(ThingKind.TOOL, "mail/send"), body=b'{"to": "eve"}')
    for of, approval in (
        (edited, good),
        (sends, dataclasses.replace(good, policy_set="sha256:00")),
        (sends, dataclasses.replace(good, level=Approver.OWNER)),
        (sends, dataclasses.replace(good, expires=NOW)),
        (sends, dataclasses.replace(good, by=good.requester)),
        (sends, dataclasses.replace(good, requester="carol")),
    ):
        with pytest.raises(ApprovalNeededError):
            decides.decide(of, NOW, "d", approval)


def test_an_approval_holds_while_the_hour_goes_by_and_not_once_something_came_from_outside() -> None:
    decides = engine('@id("asks")\n@approval("approver")\npermit (principal, action, resource);')
    tool = decides.thing(ThingKind.TOOL, "mail/send")
    sends = asked(tool, flow=FlowFacts(1), moment=Moment(9, 1))
    good = approval_of(sends, decides)
    later = asked(tool, flow=FlowFacts(1, did=("retrieve",)), moment=Moment(10, 1), presence="away")
    assert decides.decide(later, NOW, "d", good).decision_id == "d"
    own = dataclasses.replace(good, by=good.requester, self_confirmed=True)
    assert decides.decide(later, NOW, "e", own).decision_id == "e"
    for flow in (FlowFacts(2), FlowFacts(1, untrusted=True), None):
        with pytest.raises(ApprovalNeededError):
            decides.decide(asked(tool, flow=flow, moment=Moment(9, 1)), NOW, "d", good)


def test_an_approval_opens_nothing_that_is_forbidden() -> None:
    decides = engine(
        '@id("asks")\n@approval("owner")\npermit (principal, action, resource);',
        '@id("never")\nforbid (principal, action, resource);',
    )
    sends = asked(decides.thing(ThingKind.TOOL, "mail/send"))
    approval = approval_of(sends, decides)
    with pytest.raises(RefusedError) as caught:
        decides.decide(sends, NOW, "d", approval)
    assert caught.value.rule == "never"


def test_the_strictest_of_the_permits_says_who_approves() -> None:
    decides = engine(
        '@id("free")\npermit (principal, action, resource);',
        '@id("asks")\n@approval("owner")\npermit (principal, action, resource);',
    )
    with pytest.raises(ApprovalNeededError):
        decides.decide(asked(decides.thing(ThingKind.TOOL, "mail/send")), NOW, "d")


def test_what_is_observed_refuses_nothing_and_is_told() -> None:
    decides = engine(
        '@id("free")\npermit (principal, action, resource);',
        '@id("later")\n@mode("observe")\nforbid (principal, action, resource);',
        f'@id("broken")\n@mode("observe")\nforbid (principal, action, resource) when {{ {OVERFLOW} }};',
    )
    permit = decides.decide(asked(decides.thing(ThingKind.SOURCE, "wiki"), Action.RETRIEVE), NOW, "d")
    assert [ref.id for ref in permit.observed] == ["later"]
    assert [ref.id for ref in permit.policies] == ["free"]


def test_a_tool_is_offered_by_the_server_that_the_catalogue_names() -> None:
    listed = '[tool."mail/send"]\nserver = "{}"\n'
    for server, offered in ((LLAMA, True), (sid("inference", "prod-1"), False)):
        decides = engine('@id("free")\npermit (principal, action, resource);', catalogue=listed.format(server))
        asks = dataclasses.replace(asked(decides.thing(ThingKind.TOOL, "mail/send")), resource=LLAMA)
        if offered:
            assert decides.decide(asks, NOW, "d").decision_id == "d"
        else:
            with pytest.raises(RefusedError) as caught:
                decides.decide(asks, NOW, "d")
            assert caught.value.rule == "remit:not-listed"


@pytest.mark.parametrize(
    ("note", "said"),
    [
        ('@approval("boss")\npermit', "`@approval` can't be `boss`"),
        ('@approval("owner")\nforbid', "means nothing on a `forbid`"),
        ('@mode("observ")\nforbid', "`@mode` can't be `observ`"),
        ('@mode("observe")\npermit', "can't be observed"),
    ],
)
def test_an_annotation_that_means_nothing_is_an_error(note: str, said: str) -> None:
    with pytest.raises(PolicyError, match=r"p\.cedar:2") as caught:
        load([PolicyFile("p.cedar", f'@id("x")\n{note} (principal, action, resource);')])
    assert said in str(caught.value)


def test_what_a_server_may_be_asked_is_as_it_was() -> None:
    assert Engine(snapshot(files=[STARTER])).decide(intent(Action.INFER, curl(), LLAMA), NOW, "d").policies
