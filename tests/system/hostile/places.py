"""Tries to stand in Remit's place: at its sockets and ports, in its directories, before it starts, beside it."""

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from tests.system.hostile.kit import Claim, Target, answer_mine, attempt, heard, said_by

RUN = "/run/remit is Remit's own uid's: nobody else makes, renames or removes a name there"
STATE = "/var/lib/remit is Remit's own uid's, and its parents root's"
MINE = Path.home() / "mine.sock"


def _listening() -> socket.socket:
    MINE.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(MINE))
    listener.listen()
    return listener


def _instead_of(path: Path) -> Iterator[Claim]:
    """Its own socket under another's name."""
    aside = path.with_name(f"{path.name}.aside")
    with _listening() as listener:
        path.rename(aside)
        MINE.rename(path)
        answer_mine(listener)
        yield {"unix": str(path)}
        aside.replace(path)


@attempt("take-door", "put its own socket in the place of a guarded server's", "marker", RUN)
def take_door(target: Target) -> Iterator[Claim]:
    yield from _instead_of(Path(target.ready["guarded"][0]["unix"]))


@attempt("take-control", "put its own socket in control's place, to answer commands", "marker", RUN)
def take_control(target: Target) -> Iterator[Claim]:
    yield from _instead_of(target.run / "control.sock")


@attempt("take-workload-api", "put its own socket in the Workload API's place", "marker", RUN)
def take_workload_api(target: Target) -> Iterator[Claim]:
    yield from _instead_of(target.run / "workload.sock")


@attempt("link-run", "rename the directory of sockets away and put a link to its own there", "link", RUN)
def link_run(target: Target) -> Iterator[Claim]:
    aside = target.run.with_name("run-aside")
    target.run.rename(aside)
    target.run.symlink_to("/tmp")
    yield {"path": str(target.run)}
    target.run.unlink(missing_ok=True)
    aside.rename(target.run)


@attempt(
    "take-port",
    "listen at the door's port beside the guard (SO_REUSEPORT)",
    "marker",
    "the door's listener doesn't share",
)
def take_port(target: Target) -> Iterator[Claim]:
    with socket.socket() as mine:
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        mine.bind(("127.0.0.1", target.port))
        mine.listen()
        answer_mine(mine)
        yield {"port": target.port}


@attempt(
    "take-localhost",
    "listen at the door's port on ::1, where `localhost` leads first",
    "marker-localhost",
    "Remit keeps that port of ::1 for itself",
)
def take_localhost(target: Target) -> Iterator[Claim]:
    with socket.socket(socket.AF_INET6) as mine:
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        mine.bind(("::1", target.port))
        mine.listen()
        answer_mine(mine)
        yield {"port": target.port}


@attempt("second-remit", "take the lock away and start a second Remit on the same state", "two", STATE)
def second_remit(target: Target) -> Iterator[Claim]:
    (target.state / "lock").unlink()
    for name in ("control.sock", "remit.json"):
        (target.run / name).unlink(missing_ok=True)
    said = said_by("timeout", "8", target.remit, "up", "--json", "--owner", "ada", seconds=10)
    heard(said)
    yield {"ready": '"event": "ready"' in said or '"event":"ready"' in said}


@attempt(
    "link-state",
    "put a link in the place of a directory of the state, so that Remit writes where it points",
    "link",
    STATE,
)
def link_state(target: Target) -> Iterator[Claim]:
    cache, aside = target.state / "cache", target.state / "cache.aside"
    cache.rename(aside)
    cache.symlink_to("/tmp")
    yield {"path": str(cache)}
    cache.unlink()
    aside.rename(cache)


@attempt("link-parent", "put a link in the place of the whole state directory", "link", STATE)
def link_parent(target: Target) -> Iterator[Claim]:
    aside = target.state.with_name("state-aside")
    target.state.rename(aside)
    target.state.symlink_to(aside)
    yield {"path": str(target.state)}
    target.state.unlink()
    aside.rename(target.state)


@attempt("race-links", "swap a directory of the state with a link, over and over", "link", STATE)
def race_links(target: Target) -> Iterator[Claim]:
    cache, aside, swapped = target.state / "cache", target.state / "cache.aside", 0
    refused: OSError | None = None
    for _ in range(300):
        try:
            cache.rename(aside)
            cache.symlink_to(aside)
            swapped += 1
            cache.unlink()
            aside.rename(cache)
        except OSError as error:
            refused = error
    if not swapped:
        raise refused or OSError("never")
    cache.rename(aside)
    cache.symlink_to(aside)
    yield {"path": str(cache)}
    cache.unlink()
    aside.rename(cache)


@attempt("hard-link", "make a hard link to a file of the state, to keep it when it is replaced", "planted", STATE)
def hard_link(target: Target) -> Iterator[Claim]:
    mine = Path.home() / "kept.key"
    os.link(target.state / "audit.key", mine)
    yield {"path": str(mine), "has": ""}
    mine.unlink()


@attempt(
    "fill-disk",
    "fill the disk that Remit's state is on",
    "disk",
    "while it is full calls are refused; once there is room again, they are decided as before, and the log is whole",
)
def fill_disk(target: Target) -> Iterator[Claim]:
    mine = Path.home() / "mine"
    file, size = os.open(mine, os.O_WRONLY | os.O_CREAT, 0o600), 64 << 20
    while size >= 512:
        try:
            os.write(file, bytes(size))
        except OSError:
            size //= 2
    os.close(file)
    yield {"left": shutil.disk_usage(Path.home()).free, "mine": str(mine)}
    mine.unlink(missing_ok=True)
