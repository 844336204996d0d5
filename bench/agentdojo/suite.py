"""AgentDojo's suites without a model: its tools, its users' tasks, its injections, and what environments answer.

The package imports the clients of five model providers, which nothing here needs: what holds them is left out.
"""

import copy
import functools
import importlib.util
import json
import sys
import types
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

VERSION: Final = "v1.2.2"
_LEFT_OUT: Final = ("agent_pipeline", "agent_pipeline.llms")


@dataclass(frozen=True, slots=True)
class Call:
    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    description: str
    schema: Mapping[str, Any]


def there() -> bool:
    """Whether AgentDojo is installed here."""
    return importlib.util.find_spec("agentdojo") is not None


def suites() -> dict[str, Any]:
    """Each by its name, as AgentDojo has it."""
    spec = importlib.util.find_spec("agentdojo")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("agentdojo")
    root = Path(spec.submodule_search_locations[0])
    for name in _LEFT_OUT:
        bare = types.ModuleType(f"agentdojo.{name}")
        bare.__path__ = [str(root / name.replace(".", "/"))]
        sys.modules.setdefault(bare.__name__, bare)
    google = types.ModuleType("agentdojo.agent_pipeline.llms.google_llm")
    vars(google)["EMPTY_FUNCTION_NAME"] = "<empty-function-name>"
    sys.modules.setdefault(google.__name__, google)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dict(import_module("agentdojo.task_suite.load_suites").get_suites(VERSION))


def tools(suite: Any) -> list[Tool]:
    return [Tool(one.name, one.description, one.parameters.model_json_schema()) for one in suite.tools]


class World:
    """One environment, in which calls are played. `goal` stands wherever an attacker can write."""

    def __init__(self, suite: Any, goal: str = "") -> None:
        self._environment = copy.deepcopy(_planted(suite, goal))
        self._runtime = import_module("agentdojo.functions_runtime").FunctionsRuntime(suite.tools)

    def calls(self, task: Any) -> list[Call]:
        """What solves a task: AgentDojo's own ground truth, of this world."""
        return [Call(one.function, dict(one.args)) for one in task.ground_truth(copy.deepcopy(self._environment))]

    def run(self, call: Call) -> tuple[Any, str]:
        """What the call answers: as data, and as the text that a model would read."""
        as_text = import_module("agentdojo.agent_pipeline.tool_execution").tool_result_to_str
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result, error = self._runtime.run_function(self._environment, call.tool, dict(call.arguments))
            return _data(result), error or str(as_text(result))

    @property
    def environment(self) -> Any:
        return self._environment


@functools.lru_cache(maxsize=32)
def _planted(suite: Any, goal: str) -> Any:
    text = json.dumps(goal.replace("\n", " ").replace('"', "'"), ensure_ascii=False)[1:-1]
    where = suite.get_injection_vector_defaults() if goal else {}
    return suite.load_and_inject_default_environment(dict.fromkeys(where, text))


def _data(result: Any) -> Any:
    if hasattr(result, "model_dump"):
        return result.model_dump(mode="json")
    if isinstance(result, Mapping):
        return {str(key): _data(value) for key, value in result.items()}
    if isinstance(result, Sequence) and not isinstance(result, str):
        return [_data(one) for one in result]
    return result
