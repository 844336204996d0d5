"""Asking without acting, within a task: it is told what the gateway would do, by what the task lists."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remit.control.realm import PoliciesInForce
from remit.control.roles import Reach, Role
from remit.control.supposing import can
from remit.detect import Label
from remit.policy import Engine, PolicyFile, policy_set_digest
from remit.policy.supposed import Supposed
from remit.tasks import Constraint, ToolGrant
from remit.tasks import Reach as Lists
from tests.control.test_realm import LLAMA, World, a_server

CATALOGUE = """
[tool."git/log"]
owner = "ada"
[tool."files/read"]
owner = "ada"
[tool."mail/send"]
owner = "ada"
[source.wiki]
owner = "ada"
label = "confidential"
"""
ANY = """
@id("any")
permit (principal, action, resource) when { resource.owner == principal.owner };
"""
READ = ToolGrant("files/read", (("path", Constraint(beneath=("/home",))),))
LISTS = Lists((), (ToolGrant("git/*"), READ), Label.INTERNAL)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    ada = world.meet("ada", 1000)
    world.run(lambda: world.realm.lives.enrol(a_server()))
    files = (PolicyFile("any.cedar", ANY), PolicyFile("catalogue.toml", CATALOGUE))
    world.realm.policies = PoliciesInForce(files, policy_set_digest(files))
    said: dict[str, Any] = {"purpose": "", "seconds": 60.0, "proof": "uid", "reach": LISTS}
    world.run(lambda: world.realm.tasking.start(ada, LLAMA, ("infer", "call_tool", "retrieve"), **said))
    yield world
    world.store.close()


def outcome(world: World, action: str, what: str, **given: Any) -> tuple[str, str]:
    *_, task = world.realm.tasks
    in_force = Engine(world.realm.current()).in_force
    reach = Reach("ada", Role.PERSON, (1000,))
    answer = can(world.realm, in_force, reach, Supposed("ada", action, what, given), task, world.now)
    assert not answer["would"] or not answer["rule"].startswith("remit:"), "no fact that policies read would help"
    return answer["outcome"], answer["rule"]


def test_what_the_task_lists_is_as_policies_say(world: World) -> None:
    assert outcome(world, "infer", "llama-8080") == ("allowed", "any")
    assert outcome(world, "call_tool", "git/log") == ("allowed", "any")


def test_what_it_does_not_list_is_refused_whatever_policies_say(world: World) -> None:
    for action, what in (("call_tool", "mail/send"), ("call_tool", "files/read"), ("retrieve", "wiki")):
        assert outcome(world, action, what) == ("refused", "remit:outside-task"), what
    assert outcome(world, "infer", "llama-8080", flow={"high": "confidential"}) == ("refused", "remit:outside-task")


def test_an_action_that_it_does_not_name_is_none_of_it(world: World) -> None:
    assert outcome(world, "read_resource", "wiki") == ("refused", "remit:outside-task")
    assert outcome(world, "disclose", "llama-8080") == ("refused", "remit:outside-task")


def test_what_takes_its_person_there_is_refused_without(world: World) -> None:
    [before] = world.realm.tasks
    world.run(lambda: world.realm.tasking.end(before, "it is over"))
    ada = world.meet("ada", 1000)
    said: dict[str, Any] = {"purpose": "", "seconds": 60.0, "proof": "uid", "reach": Lists(present=True)}
    world.run(lambda: world.realm.tasking.start(ada, LLAMA, ("infer",), **said))
    assert outcome(world, "infer", "llama-8080") == ("refused", "remit:nobody-there")
    assert outcome(world, "infer", "llama-8080", presence="here") == ("allowed", "any")
