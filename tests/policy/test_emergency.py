"""Break-glass in the engine: whose calls it covers, what it does not change, and when it is over."""

from dataclasses import replace

import pytest

from remit.detect import Label
from remit.identity import Caller
from remit.identity.process import Ancestor
from remit.inventory import LifeState
from remit.inventory.selectors import REGISTERED
from remit.policy import Action, Engine, RefusedError, Snapshot, Treatment
from remit.policy.emergency import BREAK_GLASS, Emergency, by_break_glass
from remit.policy.intent import SERVER
from remit.policy.load import load
from remit.policy.permit import PolicyRef
from remit.policy.snapshot import PolicyFile
from tests.policy.worlds import LLAMA, NOW, WORKLOADS, bot, curl, intent, snapshot, task

NOBODY = '@id("locked-out") forbid (principal, action, resource);'
OPEN = Emergency("bg-1", "ada", NOW + 60, "ada until 14:32:10: the policies lock everybody out")


def broken(**other: object) -> Snapshot:
    return replace(snapshot(NOBODY, **other), emergency=OPEN)  # type: ignore[arg-type]


def refused(snap: Snapshot, caller: Caller, now: float = NOW) -> str:
    with pytest.raises(RefusedError) as caught:
        Engine(snap).decide(intent(caller=caller), now, "d-1")
    return caught.value.rule


@pytest.mark.parametrize("action", SERVER)
def test_it_stands_in_the_place_of_the_files_for_one_person(action: Action) -> None:
    permit = Engine(broken()).decide(intent(action), NOW, "d-1")
    assert permit.policies == (PolicyRef(BREAK_GLASS, "built in", 1, OPEN.said),)
    assert permit.expires == OPEN.until
    assert by_break_glass(permit.policies)
    assert refused(broken(), curl("bob")) == "locked-out"
    assert refused(snapshot(NOBODY), curl()) == "locked-out"


@pytest.mark.parametrize("action", sorted(set(Action) - set(SERVER)))
def test_it_opens_model_servers_and_nothing_else(action: Action) -> None:
    with pytest.raises(RefusedError) as caught:
        Engine(broken()).decide(intent(action), NOW, "d-1")
    assert caught.value.rule == "locked-out"


def test_it_is_over_at_its_limit() -> None:
    assert refused(broken(), curl(), OPEN.until) == "locked-out"


def test_a_workload_of_that_person_is_not_that_person() -> None:
    own = replace(bot(), human="ada")
    assert refused(broken(), own) == "locked-out"


def test_who_is_not_known_beyond_doubt_is_not_that_person() -> None:
    assert refused(broken(), curl(exhaustive=False)) == "locked-out"
    assert refused(broken(), replace(curl(), process=None)) == "locked-out"


def test_a_task_narrows_as_ever() -> None:
    snap = broken(tasks=[task("infer")])
    assert refused(snap, curl(task="t1")) == "locked-out"


def test_what_runs_under_a_workload_is_not_that_person() -> None:
    under = curl()
    assert under.process is not None
    agent = replace(WORKLOADS[2], pid=77, start=5)
    ancestors = (Ancestor(90, "bash"), Ancestor(77, "agent"))
    child = replace(under, process=replace(under.process, parents=ancestors))
    assert refused(broken(workloads=(*WORKLOADS[:2], agent)), child) == "locked-out"
    registered = replace(WORKLOADS[2], found=REGISTERED, selectors=("unix:path:/opt/agent",))
    nested = (Ancestor(90, "bash"), Ancestor(88, "agent", "/opt/agent"))
    child = replace(under, process=replace(under.process, parents=nested))
    assert refused(broken(workloads=(*WORKLOADS[:2], registered)), child) == "locked-out"
    Engine(broken()).decide(intent(caller=child), NOW, "d-1")


def test_a_program_under_the_interpreter_of_a_found_server_is_still_that_person() -> None:
    own, python = curl(), "/usr/bin/python3"
    assert own.process is not None
    server = replace(WORKLOADS[0], found="discovered", pid=77, start=5, selectors=(f"unix:path:{python}",))
    under = replace(
        own, process=replace(own.process, parents=(Ancestor(90, "python3", python), Ancestor(80, "bash")))
    )
    Engine(broken(workloads=(server, *WORKLOADS[1:]))).decide(intent(caller=under), NOW, "d-1")


def test_what_is_found_is_masked_and_what_is_withheld_stays_so() -> None:
    permit = Engine(broken()).decide(intent(found=(("aws", Label.RESTRICTED),)), NOW, "d-1")
    assert permit.treatment(Label.RESTRICTED) is Treatment.MASK
    idle = tuple(replace(one, state=LifeState.SUSPENDED) if one.spiffe_id == LLAMA else one for one in WORKLOADS)
    assert refused(broken(workloads=idle), curl()) == "remit:not-active"


def test_no_file_can_take_its_name() -> None:
    with pytest.raises(Exception, match="id"):
        load([PolicyFile("x.cedar", f'@id("{BREAK_GLASS}") permit (principal, action, resource);')])


def test_it_travels_with_the_snapshot() -> None:
    assert Snapshot.from_dict(broken().to_dict()).emergency == OPEN
    assert Snapshot.from_dict(snapshot().to_dict()).emergency is None
