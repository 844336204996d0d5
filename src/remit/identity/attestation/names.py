"""The path of a file that a process has open, as far as it can be believed."""

# As in procfs.py, a Path object costs more than the call itself.
# ruff: noqa: PTH115, PTH116

import os
from typing import Final

_DELETED: Final = b" (deleted)"  # d_path() appends it to a path that has been unlinked

Node = tuple[int, int]  # device, inode


def path_of(link: bytes, node: Node, namespace: str) -> tuple[str | None, bool]:
    """(path, deleted) of the file `node` that the kernel's `link` leads to. The path is None when it is not UTF-8,
    or can't be checked.

    In a mount namespace of one's own anything can lie at `/usr/bin/curl`, and the link says no more than that: where
    the path names another file here, it is returned behind that namespace's name, read from the link `namespace`.
    A file may really be called `x (deleted)`: it is taken as deleted only when that name isn't this file.
    """
    try:
        if _node(link) == node:
            return _text(link), False
    except PermissionError:
        if _same(namespace):
            return _text(link), False  # not checked: its directory can't be searched from here
    if link.endswith(_DELETED):
        return _text(link[: -len(_DELETED)]), True
    return _behind(namespace, _text(link)), False


def _behind(namespace: str, path: str | None) -> str | None:
    try:
        return None if path is None else f"{os.readlink(namespace)}{path}"
    except OSError:
        return None


def _same(namespace: str) -> bool:
    try:
        return os.readlink(namespace) == os.readlink("/proc/self/ns/mnt")
    except OSError:
        return False


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
