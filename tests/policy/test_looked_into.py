"""A recorded decision looked into: what kept it from being allowed, and what can't be told of it."""

import dataclasses
from typing import Any

from remit.policy import Action, Engine, explain, explain_json
from remit.policy.in_force import InForce
from remit.policy.looked_into import LookedInto, bundle_of, look_into
from tests.policy.test_replay import ALL, NAMES, NO_BOB, decided, old
from tests.policy.worlds import curl, intent, snapshot

OWN = '@id("own")\npermit (principal, action, resource is Workload)\nwhen { principal.owner == resource.owner };'
HERE = '@id("here")\npermit (principal, action, resource is Workload)\nwhen { context.presence == "here" };'


def refused(*policies: str, by: str = "bob") -> dict[str, Any]:
    snap = snapshot(*policies)
    return {**decided(Engine(snap), intent(Action.LIST, curl(by))), "policy_set": snap.policy_set}


def looked(record: dict[str, Any], *policies: str) -> LookedInto:
    return look_into(record, InForce(snapshot(*policies)), NAMES)


def test_a_refusal_names_each_condition_that_failed_with_its_place_and_what_then_came_out() -> None:
    record = refused(OWN)
    text = explain(record, NAMES, None, looked(record, OWN))
    assert (
        "  own (p0.cedar:2) would permit it if this were so; it would then be allowed:\n"
        "      principal.owner == resource.owner   p0.cedar:3" in text
    )
    assert "asked again" not in text
    said = explain_json(record, NAMES, None, looked(record, OWN))["looked_into"]
    assert said["permits"][0]["conditions"] == [{"text": "principal.owner == resource.owner", "line": 3}]
    assert said["permits"][0]["then"]["outcome"] == "allowed"


def test_a_forbid_is_told_with_what_comes_out_without_it() -> None:
    record = refused(ALL, NO_BOB)
    text = explain(record, NAMES, None, looked(record, ALL, NO_BOB))
    assert "  no-bob (p1.cedar:2) forbids it as this is so; without it: allowed\n" in text
    assert '      context.human == Human::"bob"   p1.cedar:2' in text


def test_where_the_policies_are_others_now_it_is_told_what_they_say() -> None:
    record = refused(OWN)
    text = explain(record, NAMES, None, looked(record, ALL))
    assert "asked again, of today's policies, workloads and catalogue: allowed" in text
    assert not looked(record, ALL).same_set


def test_what_was_not_kept_is_not_guessed() -> None:
    record = old(refused(HERE))
    assert looked(record, HERE) == LookedInto(same_set=True, unknown="presence")
    assert "not told     what was not kept decides it: presence" in explain(record, NAMES, None, looked(record, HERE))
    both = refused(OWN, HERE)
    assert looked(both, OWN, HERE).distance is not None
    unsure = looked(
        old(refused(OWN.replace(" };", ' && context.presence == "here" };'))),
        OWN.replace(" };", ' && context.presence == "here" };'),
    )
    assert (unsure.distance, unsure.unknown) == (None, "presence")
    assert looked({**refused(OWN), "resource": "nonsense"}, OWN).unknown == "the record can't be read"
    assert looked({**refused(OWN), "person": "p-nobody"}, OWN).unknown == "who asked"


def test_what_a_built_in_rule_refused_is_not_asked_of_policies() -> None:
    record = {**refused(ALL, by="ada"), "outcome": "refused", "rule": "remit:outside-task"}
    assert looked(record, ALL) == LookedInto(same_set=True)
    assert "asked again" not in explain(record, NAMES, None, looked(record, ALL))


def test_what_went_through_though_policies_refused_it_is_no_other_outcome() -> None:
    record = refused(OWN)
    facts = {**record["facts"], "observing": True, "observed": ["default-deny"]}
    through = {**record, "outcome": "allowed", "rule": "remit:only-observed", "facts": facts}
    assert "asked again" not in explain(through, NAMES, None, looked(through, OWN))
    assert "own (p0.cedar:2) would permit it" in explain(through, NAMES, None, looked(through, OWN))


def test_who_may_not_read_the_policies_is_told_the_places() -> None:
    record = refused(OWN)
    text = explain(record, NAMES, None, looked(record, OWN).without_texts())
    assert "principal.owner" not in text
    assert "      p0.cedar:3" in text


def test_who_signed_the_set_is_told_by_the_newest_act_that_put_it_in_force() -> None:
    signed = {"signer": "house", "serial": 7, "sha256": "sha256:" + "ab" * 32}
    acts = [
        {"kind": "act", "what": "policy.loaded", "t": 2.0, "facts": {"bundle": signed}},
        {"kind": "act", "what": "policy.rejected", "t": 3.0, "facts": {"bundle": {"signer": "stranger"}}},
        {"kind": "act", "what": "policy.loaded", "t": 1.0, "facts": {"bundle": {}}},
    ]
    record = refused(OWN)
    so = dataclasses.replace(looked(record, OWN), bundle=bundle_of(acts))
    assert "signed by    house, serial 7, bundle sha256:abababababab…" in explain(record, NAMES, None, so)
    nobody = dataclasses.replace(so, bundle=bundle_of(acts[2:]))
    assert "signed by    nobody: it was read from the policy directory" in explain(record, NAMES, None, nobody)
    assert bundle_of(acts[1:2]) is None
    assert bundle_of([{"kind": "act", "what": "policy.loaded", "facts": {"why": ""}}]) is None
