"""What the kernel says of one process; never what the process says of itself."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Ancestor:
    """One process in the chain of parents, nearest first."""

    pid: int
    name: str


@dataclass(frozen=True, slots=True)
class Process:
    """The kernel's facts about one process. `None` means unknown, never "not there".

    `start` is clock ticks since boot (field 22 of `/proc/PID/stat`): with `pid` it names the process once.
    `exe_sha256` is lower-case hex. `exe_node` is (device, inode) of the executable that runs now.
    `login_uid` is the kernel's audit login uid. `terminal` is the controlling terminal's device number, if any.
    `exe_deleted` is true when the executable runs on though its path is gone or names another file.
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
            "parents": [{"pid": parent.pid, "name": parent.name} for parent in self.parents],
        }
