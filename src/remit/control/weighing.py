"""The identities of guarded models: their files hashed in the background, anew when one is not what was hashed."""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePath
from typing import Final

from remit.errors import ModelError
from remit.identity import SpiffeId
from remit.inventory import Found
from remit.models import FileState, Hasher, ModelFile, ModelIdentity
from remit.models.identity import NONE, UNKNOWN, list_digest
from remit.sandbox.parsing import parsed

Of = tuple[SpiffeId, str]  # a workload's model, by the name its server uses
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}|none")
OPTIONAL: Final = {"template", "adapter"}  # what can't be read of these is unknown, and the rest is known still


class MisnamedError(ModelError):
    """A file whose name is a digest holds something else."""


@dataclass(frozen=True, slots=True, eq=False)
class Weighing:
    """One hashing of a model's files. Each state is the file's just before: what is written to it later differs."""

    of: Of
    files: tuple[ModelFile, ...]
    states: tuple[FileState | None, ...]
    runtime: str
    flags: str
    digests: list[str] = field(default_factory=list)

    @property
    def watched(self) -> tuple[tuple[str, FileState], ...]:
        pairs = zip(self.files, self.states, strict=True)
        return tuple((file.reading, state) for file, state in pairs if state is not None)

    def identity(self) -> ModelIdentity:
        """What was found, once every file has its digest. Reads the header of GGUF weights."""
        by_role: dict[str, list[tuple[ModelFile, str]]] = {}
        for file, digest in zip(self.files, self.digests, strict=True):
            by_role.setdefault(file.role, []).append((file, digest))
        weights = by_role.get("weights", [])
        return ModelIdentity(
            weights=list_digest([(PurePath(file.path).name, digest) for file, digest in weights]),
            template=_template(weights, by_role.get("template", [])),
            adapters=tuple(digest for _, digest in by_role.get("adapter", ())),
            settings=tuple(digest for _, digest in by_role.get("setting", ())),
            runtime=self.runtime,
            flags=self.flags,
        )


class Scales:
    """The newest weighing of each guarded model. `known` and `failed` are called on control's event loop.

    A digest that comes back after its workload was enrolled anew may be of another file: it doesn't `stand`.
    """

    def __init__(
        self,
        hasher: Hasher,
        known: Callable[[Weighing, ModelIdentity], None],
        failed: Callable[[Weighing, ModelError], None],
    ) -> None:
        self._hasher, self._known, self._failed = hasher, known, failed
        self._loop = asyncio.get_running_loop()
        self._newest: dict[Of, Weighing] = {}

    def weigh(
        self, spiffe_id: SpiffeId, model: str, files: Sequence[ModelFile], *, runtime: str | None, flags: str
    ) -> None:
        """Hash a model's files, one after the other; until then its digest is `unknown (hashing)`."""
        states = tuple(FileState.at(file.reading) for file in files)
        weighing = Weighing((spiffe_id, model), tuple(files), states, _as_digest(runtime), flags)
        self._newest[weighing.of] = weighing
        self._next(weighing)

    def _next(self, weighing: Weighing) -> None:
        """Hash the first file without a digest, or tell what the model is; on the loop or the hasher's thread."""
        at = len(weighing.digests)
        if at == len(weighing.files):
            self._loop.call_soon_threadsafe(self._known, weighing, weighing.identity())
            return
        file = weighing.files[at]
        node = file.node if any(file.node) else None
        try:
            self._hasher.submit(
                file.reading, partial(self._hashed, weighing), partial(self._unread, weighing), node=node
            )
        except ModelError as error:  # it is being closed, or too much is queued
            self._loop.call_soon_threadsafe(self._failed, weighing, error)

    def _hashed(self, weighing: Weighing, digest: str) -> None:
        file = weighing.files[len(weighing.digests)]
        if file.claims is not None and file.claims != digest:
            error = MisnamedError(
                f"`{PurePath(file.path).name}` holds `{digest}`, not what its name says",
                hint="it was damaged or replaced: pull the model again",
            )
            self._loop.call_soon_threadsafe(self._failed, weighing, error)
            return
        weighing.digests.append(digest)
        self._next(weighing)

    def _unread(self, weighing: Weighing, error: ModelError) -> None:
        if weighing.files[len(weighing.digests)].role in OPTIONAL:
            weighing.digests.append(UNKNOWN)
            self._next(weighing)
        else:
            self._loop.call_soon_threadsafe(self._failed, weighing, error)

    def stands(self, weighing: Weighing) -> bool:
        """Whether nothing took its place."""
        return self._newest.get(weighing.of) is weighing

    def forget(self, spiffe_id: SpiffeId) -> None:
        """This workload's models are others now, or it is no longer guarded."""
        for of in [one for one in self._newest if one[0] == spiffe_id]:
            del self._newest[of]

    def changed(self, spiffe_id: SpiffeId, found: Found) -> list[str]:
        """The models one of whose files is no longer what was hashed. Blocks for a look at each file."""
        files: dict[str, list[ModelFile]] = {}
        for name, file in found.weights:
            files.setdefault(name, []).append(file)
        return [name for name, ones in files.items() if self._differs((spiffe_id, name), ones)]

    def _differs(self, of: Of, files: list[ModelFile]) -> bool:
        last = self._newest.get(of)
        now = [(file.reading, FileState.at(file.reading)) for file in files]
        return last is None or now != [
            (file.reading, state) for file, state in zip(last.files, last.states, strict=True)
        ]


def _template(weights: list[tuple[ModelFile, str]], files: list[tuple[ModelFile, str]]) -> str:
    """The chat template's digest: of the file that was named for it, else of the GGUF header's."""
    if files:
        return list_digest([(PurePath(file.path).name, digest) for file, digest in files])
    first = weights[0][0]
    try:
        return _digest(parsed("gguf-template", first.reading)) if first.format == "gguf" else NONE
    except ModelError:
        return UNKNOWN


def _digest(said: object) -> str:
    """What a parser of a stranger's bytes said, if it has a digest's form."""
    return said if isinstance(said, str) and _DIGEST.fullmatch(said) else UNKNOWN


def _as_digest(hexes: str | None) -> str:
    return f"sha256:{hexes}" if hexes else UNKNOWN
