"""The control API's routes about approvals."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Request
from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict, Field

from remit.control.desk import Desk
from remit.control.visitor import Visitor
from remit.tasks.approval_request import Extent
from remit.tasks.four_eyes import MAX_REASON

MAX_ID: Final = 64
Named = Annotated[str, PathParameter(max_length=MAX_ID)]


class Yes(BaseModel):
    """To exactly what was shown: its `digest`, and how many `calls` were seen waiting."""

    model_config = ConfigDict(extra="forbid")
    digest: str = Field(max_length=128)
    extent: Extent = Extent.ONCE
    calls: int = Field(default=1, ge=1, le=1000)
    why: str = Field(default="", max_length=MAX_REASON)


class No(BaseModel):
    """Whoever says no may say why."""

    model_config = ConfigDict(extra="forbid")
    why: str = Field(default="", max_length=MAX_REASON)


def about_approvals(api: FastAPI, desk: Desk, visitor: Callable[[Request], Awaitable[Visitor]]) -> None:
    """Its routes."""

    @api.get("/approvals")
    async def listed(who: Annotated[Visitor, Depends(visitor)]) -> list[dict[str, Any]]:
        return desk.approvals.listed(who)

    @api.get("/approvals/{approval_id}")
    async def shown(approval_id: Named, who: Annotated[Visitor, Depends(visitor)]) -> dict[str, Any]:
        return desk.approvals.shown(who, approval_id)

    @api.post("/approvals/{approval_id}/approve")
    async def approve(approval_id: Named, body: Yes, who: Annotated[Visitor, Depends(visitor)]) -> dict[str, Any]:
        return await desk.approvals.approve(
            who, approval_id, extent=body.extent, digest=body.digest, calls=body.calls, why=body.why
        )

    @api.post("/approvals/{approval_id}/deny")
    async def deny(approval_id: Named, body: No, who: Annotated[Visitor, Depends(visitor)]) -> dict[str, Any]:
        return await desk.approvals.deny(who, approval_id, body.why)
