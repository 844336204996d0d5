"""What is allowed, what is refused, and what a refused caller is told."""

import dataclasses
import re

import pytest

from remit.detect import Label
from remit.errors import PolicyError
from remit.identity import Proof, SpiffeId
from remit.inventory import LifeState, Model
from remit.policy import Action, Engine, Intent, Permit, RefusedError, Snapshot, Treatment
from remit.policy.in_force import InForce
from remit.policy.permissions import permissions
from tests.policy.worlds import BOT, LLAMA, NOW, PROD, STARTER, WORKLOADS, bot, curl, intent, sid, snapshot, task

ALL = '@id("all") permit(principal, action, resource);'


def refused(snap: Snapshot, asked: Intent, now: float = NOW) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        Engine(snap).decide(asked, now, "d-1")
    assert caught.value.decision_id == "d-1"
    return caught.value


def allowed(snap: Snapshot, asked: Intent, now: float = NOW) -> Permit:
    return Engine(snap).decide(asked, now, "d-1")


# --- who may do what with the starter policies ---


@pytest.mark.parametrize("action", [Action.INFER, Action.EMBED, Action.LIST, Action.HEALTH])
def test_owners_use_what_they_own(action: Action) -> None:
    asked = intent(action)
    permit = allowed(snapshot(), asked)
    assert permit.intent_digest == asked.digest
    assert [policy.file for policy in permit.policies] == ["starter.cedar"]
    assert permit.policy_set == snapshot().policy_set
    assert permit.epoch == 1
    assert permit.expires == NOW + 290
    assert refused(snapshot(), intent(action, curl("bob"))).rule == "default-deny"


@pytest.mark.parametrize("action", [Action.ADMINISTER, Action.DISCLOSE])
def test_the_rest_takes_a_task_that_names_it_on_this_server(action: Action) -> None:
    snap = snapshot(tasks=[task(action.value)])
    assert refused(snap, intent(action)).rule == "default-deny"
    permit = allowed(snap, intent(action, curl(task="t1")))
    assert permit.policies[0].id == f"{action.value}-in-a-task"
    assert refused(snap, intent(action, curl(task="t1"), PROD)).rule == "remit:outside-task"


def test_in_production_a_model_is_known_by_its_digest() -> None:
    error = refused(snapshot(), intent(resource=PROD, digest="unknown (hashing)"))
    assert error.rule == "no-unknown-model-in-prod"
    assert error.policies[0].line == 77
    assert error.missing.startswith("the digest of model `smol` were known")
    allowed(snapshot(), intent(resource=PROD))
    allowed(snapshot(), intent(digest="unknown"))


# --- the built-in rules ---


def test_nothing_is_decided_after_the_snapshots_lifetime() -> None:
    allowed(snapshot(), intent(), NOW + 289)
    error = refused(snapshot(), intent(), NOW + 290)
    assert error.rule == "remit:snapshot-expired"
    assert error.status == 503
    assert refused(snapshot(), intent(), NOW - 1000).rule == "remit:snapshot-expired"  # the clock was set back


def test_what_is_not_enrolled_is_not_decided_on() -> None:
    assert refused(snapshot(ALL), intent(resource=sid("inference", "gone"))).rule == "remit:not-enrolled"
    assert refused(snapshot(ALL, workloads=WORKLOADS[:2]), intent(caller=bot())).rule == "remit:unknown-caller"


@pytest.mark.parametrize("state", sorted(set(LifeState) - {LifeState.ACTIVE}))
def test_what_is_not_active_is_neither_called_nor_calls(state: LifeState) -> None:
    def idle(spiffe_id: SpiffeId) -> Snapshot:
        rows = [dataclasses.replace(one, state=state) if one.spiffe_id == spiffe_id else one for one in WORKLOADS]
        return snapshot(ALL, workloads=tuple(rows))

    allowed(snapshot(ALL), intent(caller=bot()))
    for snap, asked in ((idle(LLAMA), intent()), (idle(BOT), intent(caller=bot()))):
        error = refused(snap, asked)
        assert (error.rule, error.status) == ("remit:not-active", 403)
        assert f"is {state}" in str(error)
    nothing = permissions(InForce(idle(LLAMA)), sid("user", "ada"), "ada", LLAMA, NOW)
    assert {one.answer for one in nothing.values()} == {"no"}


def test_a_caller_who_is_neither_enrolled_nor_a_person_here_is_refused() -> None:
    for other in (SpiffeId.of("elsewhere.local", "user", "ada"), sid("agent", "x"), LLAMA):
        caller = dataclasses.replace(curl(), spiffe_id=other)
        assert refused(snapshot(ALL), intent(caller=caller)).rule == "remit:unknown-caller"
    stale = dataclasses.replace(bot(), enrolled=False)
    assert refused(snapshot(ALL), intent(caller=stale)).rule == "remit:unknown-caller"


def test_a_task_narrows_to_what_it_names() -> None:
    snap = snapshot(tasks=[task("list")])
    error = refused(snap, intent(Action.INFER, curl(task="t1")))
    assert error.rule == "remit:outside-task"
    assert "t1 does not cover this" in str(error)
    assert error.missing == "the caller's task covered `infer` on llama-4121 (starter.cedar:23)"
    allowed(snap, intent(Action.LIST, curl(task="t1")))


@pytest.mark.parametrize(
    ("held", "says"),
    [
        (task("infer", ended=NOW - 1), "has ended"),
        (dataclasses.replace(task("infer"), expires=NOW), "has ended"),
        (task("infer", human="bob"), "not one of this caller's"),
        (task("infer", named="t2"), "not one of this caller's"),
        (task("infer", on=PROD), "does not cover this"),
    ],
)
def test_a_task_that_is_over_or_anothers_covers_nothing(held: object, says: str) -> None:
    error = refused(snapshot(tasks=[held]), intent(caller=curl(task="t1")))  # type: ignore[list-item]
    assert error.rule == "remit:outside-task"
    assert says in str(error)


def test_a_cached_decision_still_ends_with_its_task_and_snapshot() -> None:
    short = dataclasses.replace(task("disclose"), expires=NOW + 5)
    engine = Engine(snapshot(tasks=[short]))
    asked = intent(Action.DISCLOSE, curl(task="t1"))
    assert engine.decide(asked, NOW, "d-1").expires == NOW + 5
    with pytest.raises(RefusedError, match="has ended"):
        engine.decide(asked, NOW + 5, "d-2")


# --- Cedar: default deny, forbid beats permit, an error never allows ---


def test_forbid_beats_permit() -> None:
    forbid = '@id("no") @hint("not on Sundays") forbid(principal, action == Action::"infer", resource);'
    error = refused(snapshot(ALL, forbid), intent())
    assert error.rule == "no"
    assert error.hint == "not on Sundays; ask the owner, ada"
    assert error.missing == ""
    allowed(snapshot(ALL, forbid), intent(Action.LIST))


OVERFLOW = "9223372036854775807 + 1 == 0"


@pytest.mark.parametrize(
    "broken",
    [
        f'@id("e") permit(principal, action, resource) when {{ {OVERFLOW} }};',
        f'@id("e") forbid(principal, action, resource) when {{ {OVERFLOW} }};',
        f'@id("e") permit(principal, action, resource) when {{ context.human == Human::"ada" && {OVERFLOW} }};',
    ],
)
def test_an_evaluation_error_never_allows_though_others_permit(broken: str) -> None:
    error = refused(snapshot(ALL, broken), intent())
    assert error.rule == "remit:policy-error"
    assert error.policies == ()


def test_text_that_is_no_unicode_is_an_error_and_never_an_allow() -> None:
    snap = snapshot(ALL)
    assert refused(snap, intent(found=(("\ud800", Label.INTERNAL),))).rule == "remit:policy-error"
    assert refused(snap, intent(model="\ud800")).rule == "remit:policy-error"


# --- masking ---


def plan(*policies: str) -> dict[Label, Treatment]:
    return dict(allowed(snapshot(*policies), intent(found=(("github-pat", Label.INTERNAL),))).plan)


def test_unsaid_is_mask_and_the_strictest_of_all_permits_wins() -> None:
    lax = '@id("lax") @on_internal("allow") @on_restricted("allow") permit(principal, action, resource);'
    strict = '@id("strict") @on_internal("allow") @on_confidential("refuse") permit(principal, action, resource);'
    assert plan(ALL) == dict.fromkeys((Label.RESTRICTED, Label.CONFIDENTIAL, Label.INTERNAL), Treatment.MASK)
    assert plan(lax)[Label.INTERNAL] is Treatment.ALLOW
    both = plan(lax, strict)
    assert both[Label.INTERNAL] is Treatment.ALLOW
    assert both[Label.RESTRICTED] is Treatment.MASK
    assert both[Label.CONFIDENTIAL] is Treatment.REFUSE
    permit = allowed(snapshot(lax), intent())
    assert permit.treatment(Label.UNTRUSTED) is Treatment.MASK


def test_a_label_that_is_refused_refuses_the_request_and_names_the_rules_found() -> None:
    strict = '@id("strict") @on_restricted("refuse") permit(principal, action, resource);'
    found = (("github-pat", Label.RESTRICTED), ("aws-key", Label.RESTRICTED), ("e-mail", Label.INTERNAL))
    error = refused(snapshot(ALL, strict), intent(found=found))
    assert error.rule == "strict"
    assert "github-pat, aws-key" in str(error)
    assert "e-mail" not in str(error) + error.missing + error.hint
    assert error.missing == "the request held none of: github-pat, aws-key (p1.cedar:1)"
    allowed(snapshot(ALL, strict), intent(found=found[2:]))


def test_policies_may_forbid_by_what_was_found() -> None:
    forbid = '@id("clean") forbid(principal, action, resource) when { context.found.contains("github-pat") };'
    error = refused(snapshot(ALL, forbid), intent(found=(("github-pat", Label.RESTRICTED),)))
    assert error.rule == "clean"
    assert error.missing.startswith("the request held none of: github-pat")


# --- what the refused are told ---


def test_a_refusal_names_action_caller_and_resource_and_whom_to_ask() -> None:
    error = refused(snapshot(), intent(Action.DISCLOSE, route="GET /props"))
    assert str(error) == (
        "`GET /props` discloses what the server holds; "
        "no policy permits curl (pid 5120, uid 1000) to disclose on llama-4121"
    )
    assert error.missing == "the caller had a task that allows `disclose` on llama-4121 (starter.cedar:61)"
    assert error.hint == "the owner, ada, can allow it for a task"


def test_what_is_missing_is_decided_not_guessed() -> None:
    not_owner = refused(snapshot(), intent(caller=bot()))
    assert not_owner.missing == "the caller acted for the owner of llama-4121 (starter.cedar:23)"
    assert not_owner.hint == "only the owner, ada, may; ask ada"
    both = """@id("both") permit(principal, action, resource)
        when { principal.owner == resource.owner && context has task };"""
    assert "in a task that allows `infer`" in refused(snapshot(both), intent(caller=bot())).missing
    surely = '@id("surely") permit(principal, action, resource) when { context.exhaustive };'
    error = refused(snapshot(surely), intent(caller=curl(exhaustive=False)))
    assert error.missing.startswith("every holder of the caller's connection were known")
    never = '@id("never") permit(principal, action, resource) when { context.proof == "telepathy" };'
    error = refused(snapshot(never), intent())
    assert error.missing == ""
    assert error.hint == "no single change would allow it; ask the owner, ada"


def test_no_hint_is_a_command() -> None:
    snap = snapshot(tasks=[task("list")])
    for asked in (
        intent(Action.DISCLOSE),
        intent(caller=bot()),
        intent(resource=PROD, digest="unknown"),
        intent(caller=curl(task="t1")),
        intent(resource=sid("nobody")),
    ):
        error = refused(snap, asked)
        assert not re.search(r"`|\bremit (task|policy)|\bsudo\b|--", error.hint), error.hint
        assert "ada" in error.hint or "ask" in error.hint


# --- whois ---


def answers(snap: Snapshot, principal: SpiffeId, human: str) -> dict[str, str]:
    return {
        action.value: permission.answer
        for action, permission in permissions(InForce(snap), principal, human, LLAMA, NOW).items()
    }


def test_permissions_say_yes_no_or_needs_approval_and_by_which_policy() -> None:
    mine = {"infer": "yes", "embed": "yes", "list": "yes", "health": "yes"}
    task_only = {"administer": "within a task", "disclose": "within a task"}
    assert answers(snapshot(), sid("user", "ada"), "ada") == {**mine, **task_only}
    assert answers(snapshot(), BOT, "bob") == {**dict.fromkeys(mine, "no"), **task_only}
    assert set(answers(snapshot(), sid("agent", "gone"), "ada").values()) == {"no"}
    said = permissions(InForce(snapshot()), sid("user", "ada"), "ada", LLAMA, NOW)
    assert said[Action.INFER].policies[0].id == "owners-use"
    assert set(permissions(InForce(snapshot()), sid("user", "ada"), "ada", LLAMA, NOW + 999).values()) == {
        said[Action.INFER].__class__("no", ())
    }


# --- snapshots come and go ---


def test_a_new_snapshot_takes_over_what_did_not_change_and_nothing_else() -> None:
    first = Engine(snapshot(tasks=[task("disclose")]))
    asked = intent(Action.DISCLOSE, curl(task="t1"))
    first.decide(asked, NOW, "d-1")
    revoked = Engine(snapshot(tasks=[task("disclose", ended=NOW - 1)], epoch=2), after=first)
    assert revoked.policies is first.policies
    with pytest.raises(RefusedError):
        revoked.decide(asked, NOW, "d-2")
    sold = tuple(dataclasses.replace(row, owner="bob") for row in WORKLOADS)
    first.decide(intent(), NOW, "d-3")
    with pytest.raises(RefusedError):
        Engine(snapshot(workloads=sold, epoch=3), after=first).decide(intent(), NOW, "d-4")
    with pytest.raises(RefusedError):
        Engine(snapshot('@id("x") forbid(principal, action, resource);', epoch=4), after=first).decide(
            intent(), NOW, "d-5"
        )


def test_a_snapshot_whose_policies_are_not_those_it_names_is_refused() -> None:
    with pytest.raises(PolicyError, match="the snapshot says"):
        Engine(dataclasses.replace(snapshot(), policy_set="sha256:" + "0" * 64))
    with pytest.raises(PolicyError, match="no policy"):
        Engine(dataclasses.replace(snapshot(), policy_files=()))


def test_the_decision_survives_the_link() -> None:
    sent = snapshot(tasks=[task("infer")])
    assert Engine(Snapshot.from_dict(sent.to_dict())).decide(intent(), NOW, "d").policies[0].id == "owners-use"


def test_the_cache_keeps_apart_whatever_a_decision_depends_on() -> None:
    """Each variant is decided by an engine that has every other one cached."""
    policy = """@id("one") permit(principal, action, resource) when {
        context.proof == "loopback" && context.exhaustive && context.model.name == "smol" && context.model.known &&
        !context.stream && context.asked == "POST /v1/chat/completions" && context.found == ["r"] &&
        context.found_labels == ["internal"] && context.human == Human::"ada" };"""
    engine = Engine(snapshot(policy))
    base = intent(found=(("r", Label.INTERNAL),))
    variants = [
        dataclasses.replace(base, caller=dataclasses.replace(base.caller, proof=Proof.UNIX)),
        dataclasses.replace(base, caller=curl(exhaustive=False)),
        dataclasses.replace(base, caller=curl("bob")),
        dataclasses.replace(base, caller=bot()),
        dataclasses.replace(base, model="other"),
        dataclasses.replace(base, model=None),
        dataclasses.replace(base, model_digest="unknown"),
        dataclasses.replace(base, stream=True),
        dataclasses.replace(base, route="GET /x"),
        dataclasses.replace(base, found=(("r", Label.RESTRICTED),)),
        dataclasses.replace(base, found=(("s", Label.INTERNAL),)),
    ]
    for _ in range(2):
        engine.decide(base, NOW, "d")
        for variant in variants:
            with pytest.raises(RefusedError):
                engine.decide(variant, NOW, "d")


def test_the_cache_keeps_a_request_with_a_task_apart_from_one_without() -> None:
    engine = Engine(snapshot(tasks=[task("disclose"), task("disclose", "infer", named="t2")]))
    engine.decide(intent(Action.DISCLOSE, curl(task="t1")), NOW, "d")
    with pytest.raises(RefusedError):
        engine.decide(intent(Action.DISCLOSE, curl()), NOW, "d")
    forbid = """@id("all") permit(principal, action, resource);
        @id("not-t1") forbid(principal, action, resource)
        when { context has task && context.task.id == Task::"t1" };"""
    engine = Engine(snapshot(forbid, tasks=[task("infer"), task("infer", named="t2")]))
    engine.decide(intent(caller=curl(task="t2")), NOW, "d")
    with pytest.raises(RefusedError):
        engine.decide(intent(caller=curl(task="t1")), NOW, "d")


def test_the_cache_is_bounded() -> None:
    from remit.policy import engine as module

    engine = Engine(snapshot())
    for number in range(module.CACHED + 50):
        engine.decide(intent(model=f"m{number}"), NOW, "d")
    engine.decide(intent(model="x" * 10_000), NOW, "d")
    assert len(engine._decided) == module.CACHED


def test_two_intents_share_no_digest_though_their_parts_run_together() -> None:
    assert intent(model="a\x00b").digest != intent(model="a", digest="b\x00" + "sha256:" + "ab" * 32).digest
    assert intent(model="1", route="GET /2").digest != intent(model="21", route="GET /").digest


def test_a_workload_without_models_can_be_asked_about() -> None:
    bare = tuple(dataclasses.replace(row, models=(Model("m"),) if row.name == "x" else ()) for row in WORKLOADS)
    assert answers(snapshot(workloads=bare), sid("user", "ada"), "ada")["infer"] == "yes"
    assert STARTER.name == "starter.cedar"
