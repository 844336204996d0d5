"""What is known of guarded models: hashed when they are met, out of force when their files are not what was read."""

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from remit.control.pace import Pace
from remit.control.realm import Realm
from remit.control.weighing import MisnamedError, Scales, Weighing
from remit.errors import ModelError
from remit.identity import SpiffeId
from remit.inventory import DIGEST_UNKNOWN, Found, Workload
from remit.inventory.binding import Standing, binding
from remit.models import Hasher, ModelIdentity, unchanged
from remit.models.files import named_file
from remit.models.identity import UNKNOWN
from remit.models.launched import launch_flags
from remit.policy import Snapshot

Event = dict[str, Any]


class GuardedModels:
    """The models of all guarded servers. `one_change` is held by whoever changes what is guarded."""

    def __init__(
        self,
        realm: Realm,
        hasher: Hasher,
        one_change: asyncio.Lock,
        pace: Pace,
        *,
        deliver: Callable[[Snapshot], Awaitable[bool]],
        say: Callable[[Event], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._realm, self._one_change, self._pace = realm, one_change, pace
        self._deliver, self._say = deliver, say
        self._scales = Scales(
            hasher,
            lambda weighing, identity: spawn(self._known(weighing, identity)),
            lambda weighing, error: spawn(self._not_hashed(weighing, error)),
        )

    def weigh(self, workload: Workload, found: Found) -> None:
        """Hash the models of a server as it was found."""
        for name in dict(found.weights):
            files = [file for of, file in found.weights if of == name]
            self._scales.weigh(workload.spiffe_id, name, files, runtime=found.exe_sha256, flags=found.flags)

    def weigh_demo(self, workload: Workload) -> None:
        """The demonstration server's weights: whatever lies under the name that it was started with."""
        model = workload.models[0]
        file = named_file(str(model.path), None, "weights")
        flags = launch_flags(workload.pid) if workload.pid is not None else UNKNOWN
        if file is not None:
            runtime = workload.exe_sha256
            self._scales.weigh(workload.spiffe_id, model.name, [file], runtime=runtime, flags=flags)

    def forget(self, workload: Workload) -> None:
        """It is guarded no more."""
        self._scales.forget(workload.spiffe_id)

    async def rewritten(self, workload: Workload, found: Found) -> list[str]:
        """The models one of whose files is no longer what was hashed."""
        return await asyncio.to_thread(self._scales.changed, workload.spiffe_id, found)

    async def lost(self, spiffe_id: SpiffeId) -> None:
        """A gateway saw that a model's files are not what was read: no identity, and a new look at them soon."""
        async with self._one_change:
            workload = self._realm.workloads.get(spiffe_id)
            if workload is None:
                return
            gone = [one.name for one in workload.models if one.identity is not None and not unchanged(one.watched)]
            for name in gone:
                await self._realm.bindings.model_lost(spiffe_id, name)
                self._note(f"`{name}` of {workload.name} is not the file that was read")
            if gone:
                await self._deliver(self._realm.snapshot())
                self._pace.hurry()
                if workload.demonstration:
                    self.weigh_demo(workload)

    async def _known(self, weighing: Weighing, identity: ModelIdentity) -> None:
        spiffe_id, model = weighing.of
        async with self._one_change:
            if not self._scales.stands(weighing):
                return
            standing = await self._realm.bindings.digest_known(
                spiffe_id, model, identity.weights, identity, weighing.watched
            )
            await self._deliver(self._realm.snapshot())
        self._say({"event": "digest", "spiffe_id": str(spiffe_id), "model": model, "digest": identity.weights})
        if standing is Standing.CHANGED:
            workload = self._realm.workloads[spiffe_id]
            self._say(_changed_event(workload, model, identity))

    async def _not_hashed(self, weighing: Weighing, error: ModelError) -> None:
        spiffe_id, model = weighing.of
        async with self._one_change:
            if not self._scales.stands(weighing):
                return
            if isinstance(error, MisnamedError):
                await self._realm.act("model.misnamed", str(spiffe_id), {"model": model, "why": str(error)})
            await self._realm.bindings.digest_known(spiffe_id, model, DIGEST_UNKNOWN)
            await self._deliver(self._realm.snapshot())
        self._note(f"the digest of `{model}` can't be had: {error}")

    def _note(self, text: str) -> None:
        self._say({"event": "note", "text": text})


def _changed_event(workload: Workload, model: str, identity: ModelIdentity) -> Event:
    """For the owner's terminal, with the way to approve it: never for a caller."""
    bound = binding(workload, model)
    parts = ", ".join(bound.identity.differing(identity)) if bound is not None else "another model"
    return {
        "event": "model_changed",
        "spiffe_id": str(workload.spiffe_id),
        "model": model,
        "digest": identity.weights,
        "message": f"{workload.name} lost its identity for `{model}`: it is not what it was bound to ({parts})",
        "approve": f"remit model approve {shlex.quote(model)} --on {workload.name}",
    }
