"""Proofs on the control API: how far one is, and a person's own passkeys."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict, Field

from remit.control.desk import Desk
from remit.control.passkey_desk import MAX_LABEL
from remit.control.visitor import Visitor
from remit.persons.passkeys import MAX_CREDENTIAL_BYTES

MAX_PROOF_ID = 128


class Added(BaseModel):
    """What the passkey that is to be added is called."""

    model_config = ConfigDict(extra="forbid")
    label: str = Field(max_length=4 * MAX_LABEL)


class Removed(BaseModel):
    """Which one is removed, by its label or id."""

    model_config = ConfigDict(extra="forbid")
    passkey: str = Field(max_length=2 * MAX_CREDENTIAL_BYTES)


def about_proofs_of_persons(api: FastAPI, desk: Desk, visitor: Callable[[Request], Awaitable[Visitor]]) -> None:
    """Their routes."""

    @api.get("/proofs/{proof_id}")
    async def standing(
        proof_id: Annotated[str, PathParameter(max_length=MAX_PROOF_ID)], who: Annotated[Visitor, Depends(visitor)]
    ) -> dict[str, Any]:
        return desk.proofs.standing(who, proof_id)

    @api.get("/passkeys")
    async def listed(who: Annotated[Visitor, Depends(visitor)]) -> dict[str, Any]:
        return desk.proofs.listed(who)

    @api.post("/passkeys")
    async def add(body: Added, who: Annotated[Visitor, Depends(visitor)]) -> dict[str, Any]:
        return await desk.proofs.add(who, body.label)

    @api.delete("/passkeys")
    async def remove(body: Removed, who: Annotated[Visitor, Depends(visitor)]) -> dict[str, Any]:
        return await desk.proofs.remove(who, body.passkey)
