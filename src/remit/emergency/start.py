"""What an emergency instance is put together of; where something can't be used, what it does without."""

import asyncio
import contextlib
import fcntl
import json
import os
import pwd
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from remit.app import probe_through
from remit.config import Places, Settings, load
from remit.control.attestor import Attestor
from remit.control.emergency import EmergencyInstance
from remit.control.emergency_footing import open_footing
from remit.control.emergency_opening import Asked
from remit.control.founding import Tools
from remit.control.governance import Governance, governance_of
from remit.control.owner import Owner
from remit.control.roles import Roles
from remit.control.run_directory import PRIVATE, SHARED, RunDirectory
from remit.errors import START_AGAIN, ConfigError, StateError, UsageError
from remit.gateway.upstream import Upstream
from remit.persons import break_glass
from remit.persons.openings_book import OpeningsBook
from remit.persons.recovery_code import WrongCodeError
from remit.persons.sealing import DIRECTORY
from remit.secret import Secret
from remit.storage.in_memory import MemoryStore

MAX_REQUEST: Final = 8192
Say = Callable[[dict[str, Any]], None]


class BusyError(StateError):
    """Another control holds this instance: it is to be asked, not replaced."""

    exit_code = START_AGAIN


async def start(places: Places, say: Say, attestor: Attestor | None) -> int:
    """The code first: who has none starts nothing. Then the lock that control holds while it runs."""
    asked = await _checked(places, _request())
    async with contextlib.AsyncExitStack() as stack:
        if attestor is not None:
            stack.callback(attestor.close)
        stack.callback(os.close, _lock(places.state / "lock"))
        stack.callback(RunDirectory.hold(places.run, SHARED if places.shared else PRIVATE).remove)
        settings = _settings(places.config, say)
        store = stack.enter_context(contextlib.closing(MemoryStore(places.state / "state.db")))
        if store.unread:
            _note(say, f"the database is not used: {store.unread}")
        upstream = Upstream()
        stack.push_async_callback(upstream.aclose)
        footing = open_footing(places, settings.trust_domain)
        if footing.spare:
            _note(say, f"the log is not used: {footing.spare}; this instance's own is in {footing.places.audit}")
        instance = EmergencyInstance(
            places,
            footing,
            settings,
            _governance(places, settings, asked),
            tools=Tools(store, probe_through(upstream), "remit.app", None, attestor),
            asked=asked,
            say=say,
        )
        _until_told(instance)
        await instance.run()
    say({"event": "stopped"})
    return 0


def _request() -> dict[str, Any]:
    """What is asked: one line, from whoever started this."""
    raw = b""
    while not raw.endswith(b"\n") and len(raw) < MAX_REQUEST and (more := os.read(0, MAX_REQUEST)):
        raw += more
    try:
        request = json.loads(raw)
        return {**request, "reason": str(request["reason"]), "seconds": float(request["seconds"])}
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError("this is started by `remit break-glass open`") from error


async def _checked(places: Places, request: dict[str, Any]) -> Asked:
    """The opening that is asked for, its code being right; raises UsageError, BreakGlassError, WrongCodeError."""
    reason = break_glass.check_asked(request["reason"], request["seconds"])
    book = OpeningsBook(places.state / DIRECTORY)
    try:
        sealed = await asyncio.to_thread(book.check_code, Secret(str(request.get("code", ""))), time.time())
    except WrongCodeError:
        await asyncio.sleep(break_glass.wait_after(book.wrong_codes()))
        raise
    if places.shared:  # root says whose calls: the code is the machine's
        account = _account(int(request["uid"]))
        person = Owner(account, (int(request["uid"]),))
        return Asked(person, int(request["uid"]), os.getppid(), reason, request["seconds"])
    uid = os.getuid()
    person = Owner(sealed.owner or _account(uid), sealed.uids or (uid,))
    return Asked(person, uid, os.getppid(), reason, request["seconds"])


def _governance(places: Places, settings: Settings, asked: Asked) -> Governance:
    if places.shared:
        return governance_of(places, settings, None, None, os.environ)
    return Governance(asked.person, Roles(frozenset({asked.person.name})), settings.people, os.getuid())


def _settings(path: Path, say: Say) -> Settings:
    try:
        return load(path)
    except ConfigError as error:
        _note(say, f"the configuration is not used: {error}")
        return Settings()


def _lock(path: Path) -> int:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(f"`{path}` can't be locked: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise BusyError("control holds this instance, and does not answer") from None
    return fd


def _until_told(instance: EmergencyInstance) -> None:
    """Until SIGTERM, SIGINT, or the end of whoever started this."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, instance.request_stop, signal.Signals(number).name)

    def on_input() -> None:
        if not os.read(0, 1024):
            loop.remove_reader(0)
            instance.request_stop("the terminal that held it open has ended")

    loop.add_reader(0, on_input)


def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        raise StateError(f"uid {uid} has no account here") from None


def _note(say: Say, text: str) -> None:
    say({"event": "note", "text": text})
