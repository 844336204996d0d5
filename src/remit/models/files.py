"""Which model files a process really has loaded: from its memory map and open files, told by their first bytes."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from remit.models import hidden

MAP_BYTES: Final = (
    16 << 20
)  # a map line is about 100 bytes: 160,000 mappings, above the kernel's 65,530 (vm.max_map_count)
OPEN_FILES: Final = 65_536
CANDIDATES: Final = 4096
ROLES: Final = ("weights", "template", "adapter", "setting", "watched")
_DELETED: Final = " (deleted)"
_OCTAL = re.compile(r"\\([0-7]{3})")
_CODE = (".so", ".py", ".pyc")


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One model file that process `pid` has mapped or open.

    `path` is its name as that process sees it; `reading` is a path through which its very bytes can be read here
    (also from another mount namespace). `node` is (device, inode). `current` is false when the name now stands for
    another file: the process still uses the old weights, and that path is not them (device 0: unreadable).
    `role` is what it is to its model: one of ROLES. `claims` is the digest that its name promises, if it does.
    `loaded` is false when only a name led to it: the kernel doesn't show that the process has it.
    """

    path: str
    reading: str
    node: tuple[int, int]
    format: str
    current: bool
    role: str = "weights"
    claims: str | None = None
    loaded: bool = True


def format_of(head: bytes, name: str = "") -> str | None:
    """The model format that a file's first 16 bytes show (`gguf`, `ggml`, `safetensors`, `pytorch`), else None.

    GGUF: magic `GGUF` (ggml's gguf.md). GGML of old: `lmgg`, `tjgg`, `algg`, `fmgg` (llama.cpp's loaders up to 2023).
    safetensors: a little-endian u64 length, then JSON. PyTorch: a ZIP or a pickle, told from others by name only.
    """
    if head.startswith(b"GGUF"):
        return "gguf"
    if head[:4] in {b"lmgg", b"tjgg", b"algg", b"fmgg"}:
        return "ggml"
    if len(head) > 8 and head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= 100_000_000:
        return "safetensors"
    if name.endswith((".bin", ".pt", ".pth")) and head.startswith((b"PK\x03\x04", b"\x80\x02")):
        return "pytorch"
    return None


def mapped_model_files(pid: int) -> tuple[ModelFile, ...] | None:
    """Every model file that `pid` has open or mapped, by path; None when the kernel doesn't show us: unknown."""
    try:
        found = [*_open(pid), *_mapped(pid)]
    except OSError:
        return None
    once: dict[tuple[str, int], ModelFile] = {}
    for file in found:
        once.setdefault((file.path, file.node[1]), file)
    return tuple(sorted(once.values(), key=lambda file: file.path))


def model_file_at(path: str, pid: int | None = None) -> ModelFile | None:
    """The model file at `path` (as process `pid` sees it, when given); None when there is none that can be read."""
    reading = reading_of(path, pid)
    node, head = _peek(reading)
    kind = format_of(head, path)
    if node is None or kind is None:
        return None
    return ModelFile(path, reading, node, kind, current=True, loaded=False)


def named_file(path: str, pid: int | None, role: str, claims: str | None = None) -> ModelFile | None:
    """Any regular file at `path` (as `pid` sees it), whatever its format; None when it can't be read."""
    reading = reading_of(path, pid)
    node, head = _peek(reading)
    if node is None:
        return None
    return ModelFile(path, reading, node, format_of(head, path) or "", True, role, claims, loaded=False)


def reading_of(path: str, pid: int | None) -> str:
    """Where the file that `pid` sees at `path` can be read here. What it alone may show us may lie open to all."""
    if pid is None:
        return path
    inside = f"/proc/{pid}/root{path}"
    try:
        os.stat(inside)  # noqa: PTH116
    except PermissionError:
        return path if _is_open_to_us(path, pid) else inside
    except (OSError, ValueError):
        pass
    return inside


def _is_open_to_us(path: str, pid: int) -> bool:
    try:
        ours = os.stat(path)  # noqa: PTH116
        return os.access(path, os.R_OK) and hidden.sight().look(pid, path).state[:2] == (ours.st_dev, ours.st_ino)
    except OSError:
        return False


def _mapped(pid: int) -> Iterator[ModelFile]:
    with Path(f"/proc/{pid}/maps").open("rb") as maps:
        lines = maps.read(MAP_BYTES).decode("utf-8", "surrogateescape").split("\n")
    seen: set[tuple[str, int]] = set()
    for line in lines:
        fields = line.split(None, 5)  # address perms offset dev inode path: proc_pid_maps(5)
        if len(fields) < 6 or fields[4] == "0" or not fields[5].startswith("/"):
            continue
        key = (_unescaped(fields[5]), int(fields[4]))
        if key in seen or len(seen) >= CANDIDATES:
            continue
        seen.add(key)
        file = _at(pid, *key)
        if file is not None:
            yield file


def _at(pid: int, path: str, inode: int) -> ModelFile | None:
    """The mapped file `path`, if what lies there now still is that file and is a model.

    Compared by inode alone: btrfs and overlayfs show another device in maps than in stat.
    """
    name = path.removesuffix(_DELETED)
    if name.endswith(_CODE) or ".so." in name:
        return None
    reading = f"/proc/{pid}/root{name}"
    node, head = _peek(reading)
    kind = format_of(head, name)
    if node is None or kind is None:
        return None
    current = node[1] == inode and name == path
    return ModelFile(name, reading, node if current else (0, inode), kind, current)


def _open(pid: int) -> Iterator[ModelFile]:
    with os.scandir(f"/proc/{pid}/fd") as entries:
        for count, entry in enumerate(entries):
            if count >= OPEN_FILES:
                return
            node, head = _peek(entry.path)
            name = _link(entry.path) if node is not None else ""
            kind = format_of(head, name.removesuffix(_DELETED))
            if node is not None and kind is not None:
                yield ModelFile(name.removesuffix(_DELETED), entry.path, node, kind, not name.endswith(_DELETED))


def _link(path: str) -> str:
    try:
        return str(Path(path).readlink())
    except OSError:
        return ""


def _peek(path: str) -> tuple[tuple[int, int] | None, bytes]:
    """(device, inode) and first bytes of a regular file; nothing else is ever opened (a FIFO would block)."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116
            return None, b""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except PermissionError:
        return _peek_hidden(path)
    except (OSError, ValueError):  # a server may name what is no path at all
        return None, b""
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return None, b""
        return (status.st_dev, status.st_ino), os.pread(descriptor, 16, 0)
    except OSError:
        return None, b""
    finally:
        os.close(descriptor)


def _peek_hidden(path: str) -> tuple[tuple[int, int] | None, bytes]:
    try:
        seen = hidden.sight().look(*hidden.inside(path))
    except OSError:
        return None, b""
    return (seen.state[:2], seen.head) if seen.regular else (None, b"")


def _unescaped(path: str) -> str:
    """The kernel writes a newline in a mapped path as \\012."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), path)
