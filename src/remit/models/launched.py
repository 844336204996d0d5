"""How a model server was launched, by the kernel's word: its arguments, and where they say its models lie."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from remit.models import hidden
from remit.models.identity import UNKNOWN, flags_digest

ARGUMENT_BYTES: Final = 2 << 20  # the kernel's own limit for all arguments at an 8 MiB stack (execve(2))
# Options of llama.cpp's server and what is built on it that name files which change what a model answers.
ADAPTERS: Final = ("--lora", "--lora-scaled", "--control-vector", "--control-vector-scaled", "--mmproj", "-mm")
TEMPLATES: Final = ("--chat-template-file",)
MODELS: Final = ("--model", "--model-path", "-m")


def arguments(pid: int) -> tuple[str, ...] | None:
    """The arguments of `pid` after its own name; None when the kernel doesn't show them, or they are too long."""
    data = _read(f"/proc/{pid}/cmdline")
    if not data or len(data) > ARGUMENT_BYTES:
        return None
    return tuple(part.decode("utf-8", "surrogateescape") for part in data.removesuffix(b"\0").split(b"\0"))[1:]


def launch_flags(pid: int) -> str:
    """The digest of the launch flags of `pid`, or `unknown`."""
    given = arguments(pid)
    return UNKNOWN if given is None else flags_digest(given)


def environment(pid: int, names: Iterable[str]) -> dict[str, str]:
    """These variables of `pid`'s environment, as it was started with; no others: they may be secret."""
    wanted, found = {name.encode() for name in names}, {}
    for line in (_read(f"/proc/{pid}/environ") or b"").split(b"\0"):
        name, equals, value = line.partition(b"=")
        if equals and name in wanted and value:
            found[name.decode()] = value.decode("utf-8", "surrogateescape")
    return found


def values(given: Sequence[str], options: Sequence[str]) -> list[str]:
    """The values of these options: `--option VALUE`, `--option=VALUE`, each may be several apart by commas."""
    found = []
    for at, one in enumerate(given):
        name, equals, value = one.partition("=")
        if name in options:
            value = value if equals else given[at + 1] if at + 1 < len(given) else ""
            found += [part for part in value.split(",") if part]
    return found


def standing_at(pid: int) -> str | None:
    """The directory from which `pid` takes relative paths."""
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except PermissionError:
        return _standing_hidden(pid)
    except OSError:
        return None


def _standing_hidden(pid: int) -> str | None:
    try:
        path = hidden.sight().look(pid, ".").path
    except OSError:
        return None
    return path if path is not None and path.startswith("/") else None  # not in a mount namespace of its own


def _read(path: str) -> bytes | None:
    try:
        with Path(path).open("rb") as file:
            return file.read(ARGUMENT_BYTES + 1)
    except OSError:
        return None
