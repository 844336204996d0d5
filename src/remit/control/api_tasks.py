"""The control API's routes about tasks."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from remit.control.api_workloads import MAX_NAME, PURPOSE_LENGTH
from remit.control.desk import Desk
from remit.control.task_desk import Beginning
from remit.control.visitor import Visitor
from remit.control.words import MOST_CHARACTERS
from remit.tasks.asked import budget_of, narrowing_of

MAX_TASK_ID: Final = 64
LISTS: Final = frozenset({"tools", "ceiling", "destinations", "budget", "present"})

TaskId = Annotated[str, Path(max_length=MAX_TASK_ID)]


class TaskStart(BaseModel):
    """What a task is started with. `seconds` is its life; `human`: whom it is for, if not the caller.

    `launched`: it is for the process that asks; `pid`: it ends with that process. What isn't said is as in `profile`.
    `tools`, `ceiling`, `destinations`, `budget` and `present` are read by `remit.tasks.asked`.
    """

    model_config = ConfigDict(extra="forbid")
    on: str
    actions: list[str] = Field(default=[], max_length=16)
    seconds: float | None = None
    purpose: str = Field(default="", max_length=PURPOSE_LENGTH)
    human: str = Field(default="", max_length=MAX_NAME)
    launched: bool = False
    profile: str = Field(default="", max_length=PURPOSE_LENGTH)
    tools: list[Any] | None = None
    ceiling: Any = None
    destinations: list[Any] | None = None
    budget: dict[str, Any] | None = None
    present: Any = None
    agent: str = Field(default="", max_length=MAX_NAME)
    pid: int = Field(default=0, ge=0, lt=1 << 22)  # PID_MAX_LIMIT

    def beginning(self) -> Beginning:
        """As it is asked for; raises UsageError for what can't be read."""
        said = self.model_dump(exclude_none=True, include=set(LISTS))
        part = replace(narrowing_of(said), actions=tuple(dict.fromkeys(self.actions)) or None)
        same = {"on", "seconds", "purpose", "profile", "human", "agent", "pid", "launched"}
        return Beginning(part=part, **self.model_dump(include=same))


class TaskExtension(BaseModel):
    """How long a task is to last from now, and what it may spend in all, of those kinds that have a limit."""

    model_config = ConfigDict(extra="forbid")
    seconds: float | None = None
    budget: dict[str, Any] = {}


class Said(BaseModel):
    """A person's words."""

    model_config = ConfigDict(extra="forbid")
    text: str = Field(max_length=MOST_CHARACTERS)


class Ended(BaseModel):
    """Why a task is ended."""

    model_config = ConfigDict(extra="forbid")
    why: str = Field(default="ended by its owner", max_length=PURPOSE_LENGTH)


def about_tasks(api: FastAPI, desk: Desk, visitor: Callable[[Request], Awaitable[Visitor]]) -> None:
    """Tasks: those that run, and one; started, extended, spoken to and ended."""

    @api.get("/tasks")
    async def tasks(who: Annotated[Visitor, Depends(visitor)]) -> list[dict[str, Any]]:
        return desk.tasks.running(who.reach)

    @api.post("/tasks")
    async def start(body: TaskStart, who: Annotated[Visitor, Depends(visitor)]) -> dict[str, Any]:
        return await desk.tasks.start(who, body.beginning())

    @api.get("/tasks/{task_id}")
    async def show(task_id: TaskId, who: Annotated[Visitor, Depends(visitor)]) -> dict[str, Any]:
        return desk.tasks.show(who, task_id)

    @api.post("/tasks/{task_id}/extend")
    async def extend(
        task_id: TaskId, body: TaskExtension, who: Annotated[Visitor, Depends(visitor)]
    ) -> dict[str, Any]:
        return await desk.tasks.extend(who, task_id, body.seconds, budget_of(body.budget))

    @api.post("/tasks/{task_id}/say")
    async def say(task_id: TaskId, body: Said, who: Annotated[Visitor, Depends(visitor)]) -> dict[str, Any]:
        return await desk.tasks.say(who, task_id, body.text)

    @api.delete("/tasks/{task_id}")
    async def end(task_id: TaskId, body: Ended, who: Annotated[Visitor, Depends(visitor)]) -> dict[str, Any]:
        return await desk.tasks.end(who, task_id, body.why)
