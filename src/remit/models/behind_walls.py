"""Who reads strangers' files for this process: chosen once, by whoever stands high enough to start a child for it."""

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from remit.errors import ModelError
from remit.models.digest import SETTLED_NS, FileState

Reader = Callable[[str, str], Any]  # name of a parser, path; raises ModelError
MANIFEST: Final = "ollama-manifest"
INDEX: Final = "shards-index"
REMEMBERED: Final = 4096


def _nobody(name: str, path: str) -> Any:
    raise ModelError(f"`{path}` is not read in this process: it has no parser `{name}`")


class _Chosen:
    """A child takes 40 ms, and an Ollama may have a hundred models: what is still the same file is not read again."""

    def __init__(self) -> None:
        self.reader: Reader = _nobody
        self._said: dict[tuple[str, FileState], Any] = {}
        self._lock = threading.Lock()

    def read(self, name: str, path: str) -> Any:
        state = FileState.at(path)
        with self._lock:
            known = self._said.get((name, state)) if state is not None else None
        if state is None or known is not None:
            return known if known is not None else self.reader(name, path)
        said = self.reader(name, path)
        if FileState.at(path) == state and time.time_ns() - max(state.changed_ns, state.modified_ns) >= SETTLED_NS:
            with self._lock:
                while len(self._said) >= REMEMBERED:
                    self._said.pop(next(iter(self._said)))
                self._said[name, state] = said
        return said


_CHOSEN: Final = _Chosen()


def read_through(reader: Reader) -> None:
    """From now on this process reads strangers' files through `reader` (remit.sandbox.parsing.parsed)."""
    _CHOSEN.reader = reader


def read(name: str, path: str) -> Any:
    """What parser `name` says of the file at `path`, any JSON; raises ModelError. Blocks while a child reads."""
    return _CHOSEN.read(name, path)
