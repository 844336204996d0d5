"""AgentDojo's attacks and users without a model, through flow and Cedar: what `python -m bench agentdojo` tells."""

import json
import tomllib
from typing import Any

import pytest
from bench.agentdojo import play, suite
from bench.agentdojo.measure import Measured, measure, through
from bench.agentdojo.play import Guard, Outcome
from bench.agentdojo.report import LEAST_BLOCKED, MOST_ASKED, MOST_REFUSED, total
from bench.agentdojo.twists import TWISTS

from tests.interop.peers import absent


@pytest.fixture(scope="module")
def suites() -> dict[str, Any]:
    if not suite.there():
        absent("AgentDojo", "`make test` installs requirements/peers.txt")
    return suite.suites()


def reached(found: Measured) -> None:
    calls = found.calls.total()
    assert found.blocked >= LEAST_BLOCKED * found.pairs, found.through
    assert found.calls[Outcome.REFUSED] <= MOST_REFUSED * calls, found.held_up
    assert found.calls[Outcome.APPROVAL] <= MOST_ASKED * calls, found.held_up


def test_a_bank_s_assistant_pays_nobody_that_a_stranger_named(suites: dict[str, Any]) -> None:
    found = measure("banking", suites["banking"], Guard())
    assert (found.pairs, found.blocked) == (144, 144)
    reached(found)


@pytest.mark.parametrize("twist", TWISTS[1:5], ids=lambda twist: twist.name)
def test_knowing_the_policies_pays_nobody_else(suites: dict[str, Any], twist: Any) -> None:
    assert measure("banking", suites["banking"], Guard(), twist).through == []


def test_without_provenance_the_tools_of_a_task_are_not_enough(suites: dict[str, Any]) -> None:
    found = measure("banking", suites["banking"], Guard(provenance=False))
    assert found.blocked == found.refused_pairs
    assert 50 < found.blocked < 100


@pytest.mark.long
def test_all_suites_reach_what_was_to_be_reached(suites: dict[str, Any]) -> None:
    whole = total({name: measure(name, one, Guard()) for name, one in suites.items()})
    assert (whole.pairs, whole.calls.total()) == (929, 339)
    reached(whole)


@pytest.mark.long
def test_asked_of_the_decision_point_it_is_the_same_call_for_call(suites: dict[str, Any]) -> None:
    asked, played = through("banking", suites["banking"]), measure("banking", suites["banking"], Guard())
    assert asked == played


def test_no_policy_or_profile_has_a_word_that_only_a_task_or_an_injection_says(suites: dict[str, Any]) -> None:
    """Every literal of a profile and a policy is one of the schema or of the tools."""
    for name, one in suites.items():
        tools = suite.tools(one)
        words = json.dumps([[tool.name, tool.description, tool.schema] for tool in tools])
        said = tomllib.loads((play.HERE / f"suites/{name}.toml").read_text())
        for place in said.get("classes", {}):
            assert all(f'"{part}"' in words for part in place.split("/")), place
        for tool, fields in said["listed"].items():
            assert f'"{tool}"' in words, tool
            assert set(fields) <= {"*", "email", "name", "participants", "recipient", "sender"}
    policies = "".join((play.HERE / file).read_text() for file in ("tools.cedar", "provenance.cedar"))
    assert "Tool::" not in policies
    assert "like" not in policies.split()
