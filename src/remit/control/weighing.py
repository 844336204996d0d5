"""The digests of guarded models: hashed in the background, and anew when a file is no longer what was hashed."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from remit.errors import ModelError
from remit.identity import SpiffeId
from remit.inventory import Found
from remit.models import FileState, Hasher

Of = tuple[SpiffeId, str]  # a workload's model, by the name its server uses


@dataclass(frozen=True, slots=True, eq=False)
class Weighing:
    """One hashing of one file. `state` is the file's just before: what is written to it later differs from it."""

    of: Of
    state: FileState | None


class Scales:
    """The newest weighing of each guarded model. `known` and `failed` are called on control's event loop.

    A digest that comes back after its workload was enrolled anew may be of another file: it doesn't `stand`.
    """

    def __init__(
        self,
        hasher: Hasher,
        known: Callable[[Weighing, str], None],
        failed: Callable[[Weighing, ModelError], None],
    ) -> None:
        self._hasher, self._known, self._failed = hasher, known, failed
        self._loop = asyncio.get_running_loop()
        self._newest: dict[Of, Weighing] = {}

    def weigh(self, spiffe_id: SpiffeId, model: str, path: str, node: tuple[int, int] | None = None) -> None:
        """Hash a model's weights; until then its digest is `unknown (hashing)`. `node` as for `digest_file`."""
        weighing = Weighing((spiffe_id, model), FileState.at(path))
        self._newest[weighing.of] = weighing

        def done(digest: str) -> None:
            self._loop.call_soon_threadsafe(self._known, weighing, digest)

        def failed(error: ModelError) -> None:
            self._loop.call_soon_threadsafe(self._failed, weighing, error)

        self._hasher.submit(path, done, failed, node=node)

    def stands(self, weighing: Weighing) -> bool:
        """Whether nothing took its place."""
        return self._newest.get(weighing.of) is weighing

    def forget(self, spiffe_id: SpiffeId) -> None:
        """This workload's models are others now, or it is no longer guarded."""
        for of in [one for one in self._newest if one[0] == spiffe_id]:
            del self._newest[of]

    def changed(self, spiffe_id: SpiffeId, found: Found) -> list[str]:
        """The models whose file is no longer what was hashed. Blocks for a look at each file."""
        return [
            name
            for name, file in found.weights
            if (last := self._newest.get((spiffe_id, name))) is None or last.state != FileState.at(file.reading)
        ]
