"""What this machine lets processes do to one another and to a person's terminal; no grade rests on it."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from remit.posture import Fact

TRACING: Final = "tracing restricted"
CORES: Final = "no cores of protected processes"
TYPING: Final = "no typing into terminals"
SUDO: Final = "sudo asks each time"
SYS: Final = Path("/proc/sys")
ETC: Final = Path("/etc")
_TIMEOUT: Final = re.compile(r"^\s*Defaults(\S*)\s(?:.*[\s,])?timestamp_timeout\s*=\s*(-?[\d.]+)", re.MULTILINE)


def machine_facts(sys: Path = SYS, etc: Path = ETC) -> list[Fact]:
    """As files under `sys` and `etc` say; what can't be read is unknown."""
    return [_tracing(sys), _cores(sys), _typing(sys), _sudo(etc)]


def _tracing(sys: Path) -> Fact:
    said = _read(sys / "kernel/yama/ptrace_scope")
    step = "set the sysctl `kernel.yama.ptrace_scope` to 1 or more"
    return Fact(TRACING, _number(said, lambda scope: scope >= 1), f"kernel.yama.ptrace_scope: {_word(said)}", step)


def _cores(sys: Path) -> Fact:
    """Remit's processes are not dumpable: they leave a core only where 1 is set (proc(5), suid_dumpable)."""
    said, pattern = _read(sys / "fs/suid_dumpable"), _read(sys / "kernel/core_pattern")
    evidence = f"fs.suid_dumpable: {_word(said)}; kernel.core_pattern: {_word(pattern)}"
    return Fact(CORES, _number(said, lambda kind: kind != 1), evidence, "set the sysctl `fs.suid_dumpable` to 0")


def _typing(sys: Path) -> Fact:
    said = _read(sys / "dev/tty/legacy_tiocsti")
    step = "set the sysctl `dev.tty.legacy_tiocsti` to 0"
    return Fact(TYPING, _number(said, lambda allowed: allowed == 0), f"dev.tty.legacy_tiocsti: {_word(said)}", step)


def _sudo(etc: Path) -> Fact:
    step = "write `Defaults timestamp_timeout=0` in a file of `/etc/sudoers.d`"
    if not (etc / "sudoers").exists():
        return Fact(SUDO, True, "there is no sudo here")
    try:
        parts = sorted(one for one in (etc / "sudoers.d").iterdir() if "." not in one.name and one.name[-1] != "~")
        texts = [one.read_text(encoding="utf-8", errors="replace") for one in (etc / "sudoers", *parts)]
    except OSError as error:
        return Fact(SUDO, None, f"`{etc}/sudoers`: {error.strerror}", step)
    return Fact(SUDO, *sudo_asks(texts), step)


def sudo_asks(texts: Iterable[str]) -> tuple[bool, str]:
    """Whether no one's proof is kept, and by what that is seen. The last setting counts (sudoers(5)).

    A setting for some people or hosts can only make it worse here.
    """
    found = [(to, float(minutes)) for text in texts for to, minutes in _TIMEOUT.findall(text)]
    everybody = [minutes for to, minutes in found if not to]
    if not everybody:
        return False, "timestamp_timeout: not set, some minutes"
    kept = [minutes for to, minutes in found if to and minutes != 0] + everybody[-1:]
    return not any(kept), f"timestamp_timeout: {kept[0]:g} minutes"


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _word(said: str | None) -> str:
    return "can't be read" if said is None else f"`{said}`"


def _number(said: str | None, holds: Callable[[int], bool]) -> bool | None:
    return holds(int(said)) if said is not None and said.isdecimal() else None
