"""Whether a process is a workload: by its selectors, and by the very process that was enrolled."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from remit.errors import AttestationError, IdentityError
from remit.identity import Process, SpiffeId
from remit.identity.selectors import KINDS, holds, split, why_weaker
from remit.inventory.workload import LifeState, Workload

REGISTERED: Final = "registered"  # how a workload was found whose selectors somebody wrote down: they alone name it
_ENROLLED: Final = ("unix:uid", "unix:path", "unix:sha256")


class SelectorsError(IdentityError):
    """What somebody wrote down as a workload's selectors can't be: no process has them, or they prove too little."""

    exit_code = 2


def matches(workload: Workload, process: Process) -> bool:
    """Whether `process` is `workload`'s own: every selector holds now, and it is the very process that was enrolled.

    Pid and start name that one: selectors alone would take any other script of the same interpreter for it, and a pid
    alone whatever process got that number later. A workload whose pid or start is not known matches none; one that
    was registered by its selectors matches each process that has them all.
    """
    if not workload.selectors or (workload.found != REGISTERED and not _enrolled(workload, process)):
        return False
    return all(holds(selector, process) for selector in workload.selectors)


def _enrolled(workload: Workload, process: Process) -> bool:
    if None in {workload.pid, workload.start}:
        return False
    return (workload.pid, workload.start) == (process.pid, process.start)


def workload_of(process: Process, workloads: Iterable[Workload]) -> Workload | None:
    """The one workload that `process` is. Raises AttestationError when it is two of them: then it is neither.

    A retired one gives way to one that was registered in its place.
    """
    found = [workload for workload in workloads if matches(workload, process)]
    if len(found) > 1:
        found = [one for one in found if one.state is not LifeState.RETIRED] or found
    if len(found) > 1:
        raise AttestationError(
            f"process {process.pid} has the selectors of `{found[0].spiffe_id}` and of `{found[1].spiffe_id}`",
            hint="register more selectors for one of them, until no process has those of both",
        )
    return found[0] if found else None


def selectors_to_enrol(process: Process) -> tuple[str, ...]:
    """Those by which a process that was found is enrolled: only what the kernel tells, and holds for it now."""
    return tuple(f"{kind}:{value}" for kind in _ENROLLED for value in KINDS[kind].of(process))


def check_registration(spiffe_id: SpiffeId, selectors: Sequence[str], workloads: Iterable[Workload]) -> None:
    """Raises SelectorsError for `selectors` that no process can have, or one that is another workload could have.

    Not checked here: the processes of workloads that were found. `workload_of` refuses one that is this one as well.
    """
    # 1. each is well-formed, and together they are possible
    _possible(spiffe_id, selectors)
    # 2. something in them is the kernel's own word
    if all(why_weaker(selector) for selector in selectors):
        raise SelectorsError(
            f"the selectors of `{spiffe_id}` are all weak: {why_weaker(selectors[0])}",
            hint="add `unix:uid` and `unix:sha256`, which the kernel answers for",
        )
    # 3. no process that has them can be somebody else
    own = _single(selectors)
    for other in workloads:
        if other.spiffe_id != spiffe_id and _registered(other) and not _apart(own, _single(other.selectors)):
            raise SelectorsError(
                f"these selectors match two identities: a process can have those of `{spiffe_id}` "
                f"and of `{other.spiffe_id}`",
                hint=_to_tell_from(other, selectors),
            )


def _registered(workload: Workload) -> bool:
    return workload.found == REGISTERED and workload.state is not LifeState.RETIRED


def _apart(mine: dict[str, str], theirs: dict[str, str]) -> bool:
    """Whether no process can have both: a kind of which each has one value, and these differ."""
    return any(mine[kind] != theirs[kind] for kind in mine.keys() & theirs.keys())


def _single(selectors: Sequence[str]) -> dict[str, str]:
    """The selectors of kinds of which a process has one value at most."""
    return {kind: value for kind, value in map(split, selectors) if not KINDS[kind].many}


def _to_tell_from(other: Workload, selectors: Sequence[str]) -> str:
    """Which kind of selector would tell a new workload from `other`, of which no process has two values."""
    lacking = sorted(_single(other.selectors).keys() - _single(selectors).keys())
    names = f"`{other.name}` has {', '.join(f'`{one}`' for one in other.selectors)}"
    if lacking:
        return f"{names}: add another `{lacking[0]}`"
    return f"{names}: give both one of a kind that differs, such as `unix:path`"


def _possible(spiffe_id: SpiffeId, selectors: Sequence[str]) -> None:
    if not selectors:
        raise SelectorsError(
            f"`{spiffe_id}` has no selectors: no process would be it",
            hint="`remit whois PID` lists those of a process that runs",
        )
    for kind, pairs in groupby(sorted({_read(selector) for selector in selectors}), key=lambda pair: pair[0]):
        values = [value for _, value in pairs]
        if len(values) > 1 and not KINDS[kind].many:
            raise SelectorsError(
                f"no process can be `{spiffe_id}`: it has one `{kind}`, "
                f"which can't be both `{values[0]}` and `{values[1]}`"
            )


def _read(selector: str) -> tuple[str, str]:
    try:
        return split(selector)
    except IdentityError as error:
        raise SelectorsError(str(error), hint=error.hint) from error
