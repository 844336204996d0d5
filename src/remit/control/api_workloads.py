"""The control API's routes about workloads."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from remit.control.desk import Desk
from remit.control.visitor import Visitor
from remit.inventory.lifecycle import Verb
from remit.inventory.registration import MAX_MANY

PURPOSE_LENGTH: Final = 200
MAX_NAME: Final = 2048  # of a workload: SPIFFE-ID, section 2.3
LATEST: Final = 253402300799.0  # Unix seconds: the end of the year 9999


class Facts(BaseModel):
    """What is declared of a workload: what is left out stays as it is. `review_due` is Unix seconds, or null."""

    model_config = ConfigDict(extra="forbid")
    purpose: str = Field(default="", max_length=PURPOSE_LENGTH)
    vendor: str = Field(default="", max_length=PURPOSE_LENGTH)
    data_sets: list[str] = Field(default=[], max_length=MAX_MANY)
    environment: str = Field(default="", max_length=PURPOSE_LENGTH)
    zone: str = Field(default="", max_length=PURPOSE_LENGTH)
    label: str = Field(default="", max_length=PURPOSE_LENGTH)
    review_due: float | None = Field(default=None, ge=0, le=LATEST)


class Registration(BaseModel):
    """A workload that is registered by its selectors. The caller is its owner unless one is named."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=MAX_NAME)
    kind: str = Field(max_length=PURPOSE_LENGTH)
    selectors: list[str] = Field(max_length=MAX_MANY)
    owner: str | None = Field(default=None, max_length=MAX_NAME)
    facts: Facts = Facts()


def about_workloads(api: FastAPI, desk: Desk, visitor: Callable[[Request], Awaitable[Visitor]]) -> None:
    """The workloads, and their moves. Names come in the query: a SPIFFE ID has slashes."""

    @api.get("/workloads")
    async def workloads(who: Annotated[Visitor, Depends(visitor)]) -> list[dict[str, Any]]:
        return desk.registry.workloads(who.reach)

    @api.get("/workload")
    async def workload(
        name: Annotated[str, Query(max_length=MAX_NAME)], who: Annotated[Visitor, Depends(visitor)]
    ) -> dict[str, Any]:
        return desk.registry.workload(who.reach, name)

    @api.post("/workloads")
    async def register(body: Registration, who: Annotated[Visitor, Depends(visitor)]) -> dict[str, Any]:
        owner = who.human.name if body.owner is None else body.owner
        said = body.facts.model_dump(exclude_unset=True)
        return await desk.registry.register(who, body.name, body.kind, body.selectors, owner, said)

    @api.post("/workload/facts")
    async def declare(
        body: Facts, name: Annotated[str, Query(max_length=MAX_NAME)], who: Annotated[Visitor, Depends(visitor)]
    ) -> dict[str, Any]:
        return await desk.registry.declare(who, name, body.model_dump(exclude_unset=True))

    @api.post("/workload/{verb}")
    async def move(
        verb: Verb,
        name: Annotated[str, Query(max_length=MAX_NAME)],
        who: Annotated[Visitor, Depends(visitor)],
        to: Annotated[str, Query(max_length=MAX_NAME)] = "",
    ) -> dict[str, Any]:
        return await desk.registry.move(who, name, verb, to)
