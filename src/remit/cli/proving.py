"""Obtains the proof that an act waits for, from the person at this terminal: their password, or a passkey."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import typer

from remit.cli.sending import Sent, send
from remit.config import Places
from remit.errors import RemitError

WAIT_SECONDS: Final = 120.0  # as long as an act waits for its proof (`persons/pending.py`)
POLL_SECONDS: Final = 0.4
TERMINAL: Final = "/dev/tty"
_SCREENS: Final = ("DISPLAY", "WAYLAND_DISPLAY")


class NotProvedError(RemitError):
    """The person did not prove that they act."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Needed:
    """What control waits for: the proof's id, what is done with it, and the kinds that will do, weakest first."""

    id: str
    act: str
    kinds: tuple[str, ...]

    @classmethod
    def of(cls, status: int, answer: Any) -> "Needed | None":
        """What an answer asks for, if it asks for a proof."""
        error = answer.get("error") if isinstance(answer, dict) else None
        proof = error.get("proof") if isinstance(error, dict) else None
        if status != 401 or not isinstance(proof, dict):
            return None
        return cls(str(proof["id"]), str(proof["act"]), tuple(map(str, proof["kinds"])))


def obtain(path: Path, needed: Needed) -> bool:
    """Whether a person here proved it; False where nobody can be asked. Raises RemitError: refused, or too late.

    Nobody is asked without a terminal: what runs there is a script, and there is nobody to show anything to.
    """
    if not _has_terminal():
        return False
    known = {"password": _password, "passkey": _passkey}
    ways = [known[kind] for kind in _order(needed.kinds) if kind in known]
    for at, way in enumerate(ways, 1):
        try:
            way(path, needed)
        except RemitError as error:
            if at == len(ways) or not _waits(path, needed):
                raise
            typer.echo(f"{error}", err=True)
        else:
            return True
    return False


def _waits(path: Path, needed: Needed) -> bool:
    """Whether another way may be tried: this one can't be gone here, and nobody has refused."""
    try:
        return str(_asked(path, needed)["standing"]) == "waiting"
    except NotProvedError:
        return False


def _order(kinds: tuple[str, ...]) -> tuple[str, ...]:
    """Strongest first where a browser has a screen, else weakest first: a page can't be seen over SSH."""
    return kinds[::-1] if any(os.environ.get(name) for name in _SCREENS) else kinds


def _has_terminal() -> bool:
    try:
        os.close(os.open(TERMINAL, os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY))
    except OSError:  # ENXIO without a controlling terminal (tty(4))
        return False
    return True


def _password(_path: Path, needed: Needed) -> None:
    """Asked by a process of Remit's own uid, which the whole machine's instance has: no other names this kind."""
    from remit.cli.person_terminal import prove

    prove(Places.system(), needed.id)


def _passkey(path: Path, needed: Needed) -> None:
    """Shows the page's address, and waits until the person has answered there."""
    where = _asked(path, needed)["page"]
    typer.echo(f"`{needed.act}` needs your passkey: open this page in a browser of this machine\n  {where}", err=True)
    wait(lambda: _settled(_asked(path, needed)["standing"]))


def wait(settled: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
    """Return once it is settled; raises NotProvedError when `seconds` are over."""
    end = time.monotonic() + seconds
    while not settled():
        if time.monotonic() > end:
            raise NotProvedError(f"nobody answered within {seconds:.0f} s", hint="repeat the command")
        time.sleep(POLL_SECONDS)


def _settled(standing: str) -> bool:
    if standing == "refused":
        raise NotProvedError("refused in the local page", hint="nothing was done")
    return standing == "granted"


def _asked(path: Path, needed: Needed) -> Mapping[str, Any]:
    status, answer = send(path, Sent("GET", f"/proofs/{quote(needed.id, safe='')}"))
    if status == 404:
        raise NotProvedError("nobody answered in time", hint="repeat the command")
    if status >= 400 or not isinstance(answer, dict):
        raise NotProvedError("control does not say how far the proof is", hint="repeat the command")
    return answer
