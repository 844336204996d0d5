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
from remit.install.move import Move
from remit.tasks.profile import DIRECTORY as PROFILES

Owner = Literal["root", "remit", "root:remit"]


@dataclass(frozen=True, slots=True)
class Options:
    """What the person who installs leaves out, and who they are."""

    sudo_cache: bool = False  # True: sudo goes on remembering passwords
    tiocsti: bool = False  # True: the kernel goes on letting processes type into terminals
    code: bool = True
    administrator: str = ""  # the person who installs, by their account; empty: root's alone


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


@dataclass(frozen=True, slots=True)
class Do:
    """One step of a move; `path` is what it is about."""

    path: Path
    why: str
    act: Callable[[], None]


Step = Account | Directory | File | Link | Code | Kernel | Do


@dataclass(frozen=True, slots=True)
class Here:
    """What of this machine a plan depends on."""

    systemd: bool
    sudo: bool
    tiocsti: bool  # the kernel has that switch
    policies: bool  # there are some
    code: str  # the name of the copy of this very code


def plan(options: Options, move: Move | None = None) -> tuple[Step, ...]:
    """Every change, whether or not it is made already; reads the machine, changes nothing.

    `move`: with what a user's own instance holds. Raises StateError when the account's name is a person's.
    """
    find_account()
    policies = any(Places.system().policies.glob("*.cedar"))
    sudo, tiocsti = contents.has_sudo(), places.TIOCSTI.exists()
    if sudo and not options.sudo_cache:
        contents.check_sudoers()
    here = Here(contents.has_systemd(), sudo, tiocsti, policies, name_of_copy())
    return _with_parents(steps(here, options) if move is None else _moving(steps(here, options), move))


def steps(here: Here, options: Options) -> list[Step]:
    """What is changed on such a machine."""
    planned: list[Step] = [Account(), *_directories(), *_files(here, options)]
    if here.systemd:
        why = "starts Remit with the machine"
        planned.append(File(places.UNIT, contents.UNIT, 0o644, "root", why))
        planned.append(Link(places.WANTED, str(places.UNIT), why))
    if here.sudo and not options.sudo_cache:
        planned.append(File(places.SUDOERS, contents.SUDOERS, 0o440, "root", "sudo forgets a password at once"))
    if here.tiocsti and not options.tiocsti:
        planned.append(File(places.SYSCTL, contents.SYSCTL, 0o644, "root", "no process types into your terminal"))
        planned.append(Kernel(places.TIOCSTI, "0", "the same, from now on"))
    return planned + (_code(here.code) if options.code else [])


Say = Callable[[str], None]


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
        Directory(at.policies / PROFILES, 0o750, "root:remit", "profiles of tasks"),
        Directory(at.run, 0o755, "remit", "sockets"),
    ]


def _files(here: Here, options: Options) -> list[Step]:
    at = Places.system()
    ours: Owner = "root:remit"
    starter = at.policies / "starter.cedar"
    first = contents.config(options.administrator)
    settings = File(at.config, first, 0o640, ours, "settings, if there are none", once=True)
    policies = [
        File(starter, contents.STARTER, 0o640, ours, "policies, if there are none", once=True),
        *(File(path, text, 0o640, ours, "a profile, likewise", once=True) for path, text in _profiles().items()),
    ]
    return [
        settings,
        *([] if here.policies else policies),
        File(places.TMPFILES, contents.RUN_DIRECTORY, 0o644, "root", "makes /run/remit at each boot"),
        File(places.PAM, contents.pam(), 0o644, "root", "how a person's password is checked"),
    ]


def _profiles() -> dict[Path, str]:
    """Those that come with Remit, by where they go."""
    at = Places.system().policies / PROFILES
    return {at / name: text for name, text in contents.PROFILES.items()}


def _moving(planned: list[Step], move: Move) -> list[Step]:
    """The same with a user's settings and policies; their state last, Remit's own only when all of it is there."""
    at, user = Places.system(), move.own.person.pw_name
    policies = [
        File(at.policies / one.name, one.text, 0o640, "root:remit", f"policies, {user}'s")
        for one in move.what.policies
    ]
    files: dict[Path, list[Step]] = {
        at.state: [Directory(at.state, 0o700, "root", "state, keys and the log, to be filled")],
        at.config: [File(at.config, move.what.config, 0o640, "root:remit", f"settings, {user}'s"), *policies],
        at.policies / "starter.cedar": [],
        **{path: [] for path in _profiles()},
    }
    same = [one for step in planned for one in files.get(getattr(step, "path", Path()), [step])]
    return [
        Do(move.own.places.state, "is moved: said in the journal first", move.begin),
        *same,
        Do(at.state, f"{user}'s workloads, keys and log are copied, and verified", move.fill),
        Do(move.own.aside, f"{user}'s own is set aside, in its home", move.finish),
        Directory(at.state, 0o700, "remit", "state, keys and the log"),
    ]


def _code(name: str) -> list[Step]:
    return [
        Directory(places.OPT, 0o755, "root", "the code's place"),
        Code(places.OPT / name),
        Link(places.CURRENT, name, "the version that runs"),
        Link(places.COMMAND, str(places.CURRENT / "bin" / "remit"), "the command"),
    ]


def _with_parents(planned: list[Step]) -> tuple[Step, ...]:
    """With each directory of the machine's own that is missing, before what stands in it."""
    known = {step.path for step in planned if isinstance(step, Directory)}
    complete: list[Step] = []
    for step in planned:
        if not isinstance(step, Account | Do):
            missing = [path for path in reversed(step.path.parents) if path not in known and not path.exists()]
            known.update(missing)
            complete += [Directory(path, 0o755, "root", "it is missing here") for path in missing]
        complete.append(step)
    return tuple(complete)
