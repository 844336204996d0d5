"""Where a process stands in the control groups, and which systemd unit that is (cgroups(7)); pure."""

from functools import lru_cache
from typing import Final

Cgroups = tuple[tuple[str, str], ...]  # (controllers, path); no controllers: the unified hierarchy, v2

SYSTEMD: Final = "name=systemd"  # the hierarchy that systemd keeps for itself beside v1's controllers
MAX_CGROUPS: Final = 32
_UNITS: Final = (".service", ".scope", ".socket", ".mount", ".swap")
_SLICE: Final = ".slice"
_USER_MANAGER: Final = "user@"
_NO_PLACE: Final = frozenset({"..", "."})


@lru_cache(maxsize=1024)
def parse_cgroups(text: bytes) -> Cgroups:
    """The lines of `/proc/PID/cgroup`, `ID:CONTROLLERS:PATH`. What is no such line, or not UTF-8, is left out.

    A path that is outside of this process's cgroup namespace (`/../…`) or was removed is left out: it names nothing.
    """
    found: list[tuple[str, str]] = []
    for line in text.split(b"\n")[:MAX_CGROUPS]:
        number, _, rest = line.partition(b":")
        controllers, colon, path = rest.partition(b":")
        if number.isdigit() and colon and path.startswith(b"/") and not path.endswith(b" (deleted)"):
            found += _readable(controllers, path)
    return tuple(found)


def _readable(controllers: bytes, path: bytes) -> list[tuple[str, str]]:
    try:
        place = path.decode("utf-8")
        return [] if _NO_PLACE & set(place.split("/")) else [(controllers.decode("ascii"), place)]
    except UnicodeDecodeError:
        return []


@lru_cache(maxsize=1024)
def systemd_unit(cgroups: Cgroups) -> str | None:
    """The unit: `ollama.service`, or of a user's manager `user@1000.service/ollama.service`; None outside of any.

    The first one below the slices counts, as systemd itself has it: what lies deeper is the unit's own making, and
    so a user can't give their process the name of a system unit.
    """
    places = dict(cgroups)
    path = places.get(SYSTEMD, "/")
    steps = [step.removeprefix("_") for step in (path if path != "/" else places.get("", "/")).split("/") if step]
    unit, below = _first_unit(steps)
    if unit is None or not unit.startswith(_USER_MANAGER):
        return unit
    own, _ = _first_unit(below)
    return unit if own is None else f"{unit}/{own}"


def _first_unit(steps: list[str]) -> tuple[str | None, list[str]]:
    for at, step in enumerate(steps):
        if not step.endswith(_SLICE):
            return (step, steps[at + 1 :]) if step.endswith(_UNITS) else (None, [])
    return None, []
