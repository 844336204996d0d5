"""What the models of a server are, and its owner's word for them; each on record before it is in force."""

import dataclasses

from remit.control.book import Book
from remit.errors import UsageError
from remit.identity import SpiffeId
from remit.inventory import Binding, Human, binding
from remit.inventory.binding import Standing, bound_to, established, standing_of, unproven
from remit.inventory.model import Watched
from remit.models import ModelIdentity


class Bindings:
    """Acts on what the workloads in `book` are bound to."""

    def __init__(self, book: Book) -> None:
        self._book = book

    async def digest_known(
        self,
        spiffe_id: SpiffeId,
        name: str,
        digest: str,
        identity: ModelIdentity | None = None,
        watched: Watched = (),
    ) -> Standing | None:
        """What a model is was established, or can't be; how it stands to what its server is bound to."""
        async with self._book.one_act:
            workload = self._book.workloads.get(spiffe_id)
            known = next((one for one in workload.models if one.name == name), None) if workload else None
            if workload is None or known is None:
                return None
            model = dataclasses.replace(known, digest=digest, identity=identity, watched=watched)
            workload = established(workload, model)
            facts = {"model": name, "digest": digest}
            whole = {"identity": identity.digest} if identity is not None else {}
            await self._book.acts("model.digest", str(spiffe_id), None, {**facts, **whole})
            now = standing_of(workload, model)
            if now is Standing.CHANGED:
                await self._book.acts(
                    "model.changed", str(spiffe_id), None, {**facts, **whole, "was": bound_to(workload, name)}
                )
            self._book.keep_workload(workload)
            return now

    async def model_lost(self, spiffe_id: SpiffeId, name: str) -> None:
        """A file of a model is no longer what was read: its server lost its identity, until it is read anew."""
        async with self._book.one_act:
            workload = self._book.workloads.get(spiffe_id)
            if workload is not None:
                await self._book.acts("model.lost", str(spiffe_id), None, {"model": name})
                self._book.keep_workload(unproven(workload, name))

    async def approve(
        self, human: Human, spiffe_id: SpiffeId, name: str, digest: str | None, proof: str, *, deployer: bool = False
    ) -> Binding:
        """Bind a server to its model as it is now, by the word of its owner, or of a deployer; raises UsageError."""
        async with self._book.one_act:
            workload = self._book.workloads[spiffe_id]
            if workload.owner != human.name and not deployer:
                raise UsageError(f"`{workload.name}` is not a workload that {human.name} owns", hint="its owner can")
            approved = binding.approve(workload, name, digest)
            bound = approved.bindings[-1]
            facts = {"model": name, "digest": bound.identity.weights, "identity": bound.identity.digest}
            await self._book.acts("model.approved", str(spiffe_id), human.person, {**facts, "proof": proof})
            self._book.keep_workload(approved)
            return bound
