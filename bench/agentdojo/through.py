"""The same, asked of the decision point: what is heard and each call goes through AuthZEN over a real socket."""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from tests.decisions.world import ME, World, files, snapshot, world
from tests.policy.worlds import sid

from bench.agentdojo.play import Guard, Outcome, Profile, entries
from bench.agentdojo.suite import Call
from bench.agentdojo.suite import World as Environment
from bench.agentdojo.tool_list import changes, tools_of
from remit.policy.link import AskPeople
from remit.tasks import Task, ToolGrant

HEARD: Final = "/remit/v1/heard"
SOURCES: Final = '[source."books"]\ntrusted = true\nlabel = "public"\n[source."outside"]\nlabel = "public"\n'


@contextmanager
def decision_point(about: Profile) -> Iterator[World]:
    """A zone of decisions by this suite's policies. Nobody answers what people are asked."""
    written = {file.name.replace(".", "_"): file.text for file in about.decides.snapshot.policy_files}
    written["catalogue_toml"] = catalogue(about)
    shot = replace(snapshot(), **files(**written))
    with tempfile.TemporaryDirectory() as place, world(Path(place), shot, (ME,)) as here:
        here.answers[AskPeople] = lambda _: {"pending": "a-nobody"}
        yield here


def catalogue(about: Profile) -> str:
    """The suite's tools with the classes of their arguments, and where answers come from."""
    rows = SOURCES
    for name, tool in about.tools.items():
        classes = ", ".join(
            f"{json.dumps(at)} = {json.dumps(kind.value)}" for at, kind in about.classes[name].items()
        )
        rows += f"[tool.{json.dumps(name)}]\nside_effects = {str(changes(tool)).lower()}\nclasses = {{ {classes} }}\n"
    return rows


class Asking:
    """One task of one person, in the hands of an enforcement point."""

    def __init__(self, here: World, about: Profile, prompt: str, guard: Guard) -> None:
        assert guard == Guard(), "only both guards together are asked for here"
        self._here, self._about = here, about
        self._task = f"t-{time.monotonic_ns()}"
        tools = tuple(ToolGrant(tool) for tool in sorted(tools_of(prompt, about.tools.values())))
        now = time.time()
        task = Task(
            self._task, "ada", sid(), ("call_tool",), prompt, now, now + 600, "00" * 32, "terminal", tools=tools
        )
        here.put(tasks=(task,))
        here.decisions.sweep()

    def decide(self, call: Call) -> Outcome:
        asked = {
            "subject": {"type": "human", "id": "ada"},
            "action": {"name": "call_tool"},
            "resource": {"type": "tool", "id": call.tool},
            "context": {"task": self._task, "arguments": json.loads(json.dumps(call.arguments, default=str))},
        }
        reply = self._here.post("/access/v1/evaluation", asked)
        assert reply.status == 200, reply.body
        if reply.body["decision"]:
            return Outcome.ALLOWED
        return Outcome.APPROVAL if "approval" in reply.body["context"] else Outcome.REFUSED

    def hear(self, call: Call, environment: Environment) -> None:
        """Run it, and tell what it answers."""
        data, text = environment.run(call)
        fields = self._about.listed.get(call.tool, ())
        names = sorted(set(entries(data, fields)))
        if names:
            self._tell(source="books", entries=names)
        if "*" not in fields and text:
            self._tell(source="outside", text=text)

    def _tell(self, **said: Any) -> None:
        reply = self._here.post(HEARD, {"task": self._task, **said})
        assert reply.status == 200, reply.body
