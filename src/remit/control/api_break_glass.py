"""Break-glass on the control API: opened, closed, listed, reviewed and sealed anew."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field

from remit.control.desk import Desk
from remit.control.visitor import Visitor
from remit.persons.break_glass import MAX_REASON


class OpenAsked(BaseModel):
    """What it is opened for, and how long. `code` is the recovery code; empty: another proof."""

    model_config = ConfigDict(extra="forbid")
    reason: str = Field(max_length=4 * MAX_REASON)
    seconds: float
    code: str = Field(default="", max_length=128)


class Reviewed(BaseModel):
    """Who reviews says what they saw."""

    model_config = ConfigDict(extra="forbid")
    opening: str = Field(max_length=64)
    note: str = Field(max_length=4 * MAX_REASON)


def about_break_glass(api: FastAPI, desk: Desk, visitor: Callable[[Request], Awaitable[Visitor]]) -> None:
    """Its routes."""

    @api.get("/break-glass")
    async def listed(who: Annotated[Visitor, Depends(visitor)]) -> dict[str, Any]:
        return desk.break_glass.listed(who.reach)

    @api.post("/break-glass")
    async def opened(body: OpenAsked, who: Annotated[Visitor, Depends(visitor)]) -> dict[str, Any]:
        return await desk.break_glass.open(who, body.reason, body.seconds, body.code)

    @api.post("/break-glass/close")
    async def closed(who: Annotated[Visitor, Depends(visitor)]) -> dict[str, Any]:
        return await desk.break_glass.close(who)

    @api.post("/break-glass/review")
    async def reviewed(body: Reviewed, who: Annotated[Visitor, Depends(visitor)]) -> dict[str, Any]:
        return await desk.break_glass.review(who, body.opening, body.note)

    @api.post("/break-glass/seal")
    async def seal(who: Annotated[Visitor, Depends(visitor)]) -> dict[str, Any]:
        return await desk.break_glass.seal(who)
