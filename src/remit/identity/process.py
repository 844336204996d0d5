"""What the kernel says of one process; never what the process says of itself."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Ancestor:
    """One process in the chain of parents, nearest first. `exe` and `exe_sha256` are told of the nearest few.

    `start` is clock ticks since boot.
    """

    pid: int
    name: str
    exe: str | None = None
    exe_sha256: str | None = None
    start: int | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """What an interpreter was told to run, by its command line: weaker than an executable, for the process itself
    can rewrite that. `path` and `sha256` are None where it can't be told (`-c`, `-m`, standard input, an option that
    is not known here).
    """

    interpreter: str
    path: str | None = None
    sha256: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {"interpreter": self.interpreter, "path": self.path, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Process:
    """The kernel's facts about one process. `None` means unknown, never "not there".

    `start` is clock ticks since boot (field 22 of `/proc/PID/stat`): with `pid` it names the process once.
    `exe_sha256` is lower-case hex. `exe_node` is (device, inode) of the executable that runs now,
    `exe_stamp` its size, mtime and ctime (ns): they change when its file is written to, replaced or removed.
    `login_uid` is the kernel's audit login uid. `terminal` is the controlling terminal's device number, if any.
    `exe_deleted` is true when the executable runs on though its path is gone or names another file. An `exe` that is
    not what that path names here begins with its mount namespace: `mnt:[4026532198]/usr/bin/sleep`.
    `user`, `home` and `group` are what the account database says of `uid` and `gid`; `groups` are the supplementary
    ones. `cgroups` pairs a v1 hierarchy's controllers with the path in it; those of v2 are empty. `unit` is
    systemd's, a user's own unit behind the one of their manager (`user@1000.service/ollama.service`). `script` is
    None where no interpreter runs. `nested` is true in a pid namespace below this one. `task` is the one Remit
    launched it for, or one of its ancestors.
    """

    pid: int
    start: int
    uid: int
    gid: int
    name: str
    exe: str | None
    exe_sha256: str | None
    exe_node: tuple[int, int] | None
    login_uid: int | None
    terminal: int | None
    foreground: bool
    parents: tuple[Ancestor, ...] = ()
    exe_deleted: bool = False
    user: str | None = None
    group: str | None = None
    groups: tuple[int, ...] | None = None
    cgroups: tuple[tuple[str, str], ...] | None = None
    unit: str | None = None
    script: Script | None = None
    nested: bool = False
    task: str | None = None
    exe_stamp: tuple[int, int, int] | None = None
    home: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "pid": self.pid,
            "start": self.start,
            "uid": self.uid,
            "gid": self.gid,
            "name": self.name,
            "exe": self.exe,
            "exe_sha256": self.exe_sha256,
            "exe_deleted": self.exe_deleted,
            "login_uid": self.login_uid,
            "user": self.user,
            "group": self.group,
            "groups": None if self.groups is None else list(self.groups),
            "unit": self.unit,
            "script": None if self.script is None else self.script.to_dict(),
            "nested": self.nested,
            "task": self.task,
            "parents": [{"pid": parent.pid, "name": parent.name} for parent in self.parents],
        }
