"""What an installation would change here, in order: shown before anything is done, then done step by step."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from remit.config import Places
from remit.config.places import SYSTEM_ACCOUNT
from remit.install import contents, places
from remit.install.account import find_account
from remit.install.code_copy import name_of_copy
from remit.install.standing import look

Owner = Literal["root", "remit", "root:remit"]


@dataclass(frozen=True, slots=True)
class Options:
    """What the person who installs leaves out."""

    sudo_cache: bool = False  # True: sudo goes on remembering passwords
    tiocsti: bool = False  # True: the kernel goes on letting processes type into terminals
    code: bool = True


@dataclass(frozen=True, slots=True)
class Account:
    """The system account."""

    why: str = "the uid that state, keys and log belong to"


@dataclass(frozen=True, slots=True)
class Directory:
    path: Path
    mode: int
    owner: Owner
    why: str


@dataclass(frozen=True, slots=True)
class File:
    """A text file. `once`: it is the user's from then on, and an existing one is left as it is."""

    path: Path
    text: str
    mode: int
    owner: Owner
    why: str
    once: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    path: Path
    target: str
    why: str


@dataclass(frozen=True, slots=True)
class Code:
    path: Path
    why: str = "the code that runs, and its interpreter"


@dataclass(frozen=True, slots=True)
class Kernel:
    """A value of the running kernel."""

    path: Path
    value: str
    why: str


Step = Account | Directory | File | Link | Code | Kernel


def plan(options: Options) -> tuple[Step, ...]:
    """Every change, whether or not it is made already; reads the machine, changes nothing.

    Raises StateError when the account's name is a person's.
    """
    find_account()
    steps: list[Step] = [Account(), *_directories(), *_files()]
    if contents.has_systemd():
        steps += _for_systemd()
    if contents.has_sudo() and not options.sudo_cache:
        steps.append(File(places.SUDOERS, contents.SUDOERS, 0o440, "root", "sudo forgets a password at once"))
    if places.TIOCSTI.exists() and not options.tiocsti:
        steps.append(File(places.SYSCTL, contents.SYSCTL, 0o644, "root", "no process types into a person's terminal"))
        steps.append(Kernel(places.TIOCSTI, "0", "the same, from now on"))
    if options.code:
        steps += _code()
    return tuple(steps)


def text(step: Step) -> str:
    """One line for the person who installs."""
    match step:
        case Account():
            state = "is there" if find_account() else "is made"
            return f"account {SYSTEM_ACCOUNT} ({state}): {step.why}"
        case Link():
            return f"{step.path} -> {step.target}: {step.why}"
        case Kernel():
            return f"{step.path} = {step.value}: {step.why}"
    return f"{step.path}: {step.why}"


def _directories() -> list[Step]:
    at = Places.system()
    return [
        Directory(at.state, 0o700, "remit", "state, keys and the log"),
        Directory(at.config.parent, 0o750, "root:remit", "settings"),
        Directory(at.policies, 0o750, "root:remit", "policies"),
        Directory(at.run, 0o755, "remit", "sockets"),
    ]


def _files() -> list[Step]:
    at = Places.system()
    steps: list[Step] = [
        File(at.config, contents.CONFIG, 0o640, "root:remit", "settings, if there are none", once=True)
    ]
    if not any(at.policies.glob("*.cedar")):
        starter = at.policies / "starter.cedar"
        steps.append(File(starter, contents.STARTER, 0o640, "root:remit", "policies, if there are none", once=True))
    steps.append(File(places.TMPFILES, contents.RUN_DIRECTORY, 0o644, "root", "makes /run/remit at each boot"))
    steps.append(File(places.PAM, contents.pam(), 0o644, "root", "how a person's password is checked"))
    return _with_parents(steps)


def _for_systemd() -> list[Step]:
    why = "starts Remit with the machine"
    unit = File(places.UNIT, contents.UNIT, 0o644, "root", why)
    return _with_parents([unit, Link(places.WANTED, str(places.UNIT), why)])


def _code() -> list[Step]:
    name = name_of_copy()
    return _with_parents([
        Directory(places.OPT, 0o755, "root", "the code's place"),
        Code(places.OPT / name),
        Link(places.CURRENT, name, "the version that runs"),
        Link(places.COMMAND, str(places.CURRENT / "bin" / "remit"), "the command"),
    ])  # fmt: skip


def _with_parents(steps: list[Step]) -> list[Step]:
    """With each directory of the machine's own that is missing, before what stands in it."""
    known = {step.path for step in steps if isinstance(step, Directory)} | {
        Places.system().config.parent,
        Places.system().policies,
    }
    complete: list[Step] = []
    for step in steps:
        missing = (
            []
            if isinstance(step, Account)
            else [p for p in reversed(step.path.parents) if p not in known and look(p).kind == "nothing"]
        )
        known.update(missing)
        complete += [Directory(path, 0o755, "root", "it is missing here") for path in missing]
        complete.append(step)
    return complete


Say = Callable[[str], None]
