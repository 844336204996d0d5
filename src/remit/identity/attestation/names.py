"""The path of a file that a process has open, as far as it can be believed."""

# As in procfs.py, a Path object costs more than the call itself.
# ruff: noqa: PTH115, PTH116

import os
from dataclasses import dataclass
from typing import Final

_DELETED: Final = b" (deleted)"  # d_path() appends it to a path that has been unlinked

Node = tuple[int, int]  # device, inode


@dataclass(frozen=True, slots=True)
class Link:
    """Where the kernel's `link` leads here: to the file `at`, to none, or `hidden` from who looked. `namespace` is
    the mount namespace of the process, empty where it can't be read.
    """

    link: bytes
    at: Node | None
    hidden: bool
    namespace: str


def path_of(link: bytes, node: Node, namespace: str) -> tuple[str | None, bool]:
    """(path, deleted) of the file `node` that the kernel's `link` leads to. The path is None when it is not UTF-8,
    or can't be checked. `namespace` is the link to the name of the process's mount namespace.
    """
    try:
        at = _node(link)
        if at == node:
            return _text(link), False
        return path_told(Link(link, at, False, _read(namespace)), node)
    except PermissionError:
        return path_told(Link(link, None, True, _read(namespace)), node)


def path_told(told: Link, node: Node) -> tuple[str | None, bool]:
    """As `path_of`, of what somebody saw.

    In a mount namespace of one's own anything can lie at `/usr/bin/curl`, and the link says no more than that: where
    the path names another file here, it is returned behind that namespace's name. A file may really be called
    `x (deleted)`: it is taken as deleted only when that name isn't this file.
    """
    if told.at == node:
        return _text(told.link), False
    if told.hidden and told.namespace and told.namespace == _read("/proc/self/ns/mnt"):
        return _text(told.link), False  # not checked: its directory can't be searched from here
    if told.link.endswith(_DELETED):
        return _text(told.link[: -len(_DELETED)]), True
    path = _text(told.link)
    return None if path is None or not told.namespace else f"{told.namespace}{path}", False


def _read(namespace: str) -> str:
    try:
        return os.readlink(namespace)
    except OSError:
        return ""


def _text(path: bytes) -> str | None:
    try:
        return path.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _node(path: bytes) -> Node | None:
    try:
        status = os.stat(path)
    except PermissionError:
        raise
    except OSError:
        return None
    return status.st_dev, status.st_ino
