"""The composition root: the only file that knows all rooms. Each of Remit's processes starts here.

`python -I -m remit.app control [--owner NAME] [--state DIR]` speaks events on stdout; `… gateway --link FD` is a
gateway worker, started by control. `… system` becomes Remit's own uid from root's, and then `… control --system`.
"""

import argparse
import asyncio
import contextlib
import os
import pwd
import resource
import secrets
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from remit.config import SYSTEM_ACCOUNT, Places, Settings, load
from remit.errors import START_AGAIN, ConfigError, RemitError, StateError
from remit.sandbox import own_uid
from remit.sandbox.hardening import harden

TRUST_DOMAIN: Final = "trust_domain"


def main(arguments: list[str] | None = None) -> int:
    """Run one of Remit's processes; its exit status."""
    parser = argparse.ArgumentParser(prog="remit.app")
    roles = parser.add_subparsers(dest="role", required=True)
    control = roles.add_parser("control")
    control.add_argument("--owner")
    control.add_argument("--state", type=Path)
    control.add_argument("--system", action="store_true")
    control.add_argument("--checker", type=int)
    roles.add_parser("system")
    gateway = roles.add_parser("gateway")
    gateway.add_argument("--link", type=int, required=True)
    given = parser.parse_args(arguments)
    if given.role == "system":
        return run_system()
    harden()
    if given.role == "gateway":
        return run_gateway(given.link)
    return run_control(given.owner, given.state, system=given.system, checker=given.checker)


def run_gateway(link: int) -> int:
    """A gateway worker on the inherited socket `link`."""
    import uvloop

    from remit.gateway.worker import run

    return uvloop.run(run(socket.socket(fileno=link)))


def run_system() -> int:
    """Become control of the whole machine's instance; returns only when that can't be.

    While this is root it reads nothing but the password database, and trusts nothing but root's own files. It leaves
    one process behind that stays root's uid: the checker of passwords, whose line goes on to control.
    """
    from remit.control.teller import Teller, error_event
    from remit.persons.start_checker import start_checker

    places = Places.system()
    try:
        account = own_uid.account_of(SYSTEM_ACCOUNT)
        own_uid.check_state(places.state, account)
        own_uid.prepare_run(places.run, account)
        line, _ = start_checker(own_uid.ENVIRONMENT)
        own_uid.become(account)
    except RemitError as error:
        teller = Teller()
        teller.tell(error_event(error))
        teller.close()
        return error.exit_code
    command = [sys.executable, "-I", "-m", "remit.app", "control", "--system", "--checker", str(line.fileno())]
    return own_uid.execute(command, frozenset({line.fileno()}))


def run_control(owner: str | None, state: Path | None, *, system: bool = False, checker: int | None = None) -> int:
    """The control process: until it is told to stop, or its standard input closes."""
    from remit.control.teller import Teller, error_event

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each caller of the Workload API holds a connection
    line = _line(checker)
    fences: list[Any] = []
    attestor, failed = alone_with_nothing(fences) if system else (None, None)  # before a thread: each has its own
    teller = Teller()
    try:
        if failed is not None:
            raise failed
        places = Places.system() if system else Places.of(state, os.environ)
        return asyncio.run(_control(owner, places, teller.tell, attestor, line, *fences))
    except RemitError as error:
        teller.tell(error_event(error))
        return error.exit_code
    finally:
        teller.close()


def _line(checker: int | None) -> socket.socket | None:
    """Control's own line to the checker of passwords, which nothing that it starts inherits."""
    if checker is None:
        return None
    os.set_inheritable(checker, False)
    return socket.socket(fileno=checker)


def alone_with_nothing(fences: list[Any] | None = None) -> tuple[Any, RemitError | None]:
    """The attestor, which took the capabilities; from then on control has none. Or why that can't be.

    The fence, if one can be had, is added to `fences`: it took its capability the same way.
    Also that control is nobody but Remit's own uid, and its code nobody's but root's.
    """
    from remit.control.attestor import start_attestor
    from remit.control.fence import start_fence

    try:
        _check_own_uid()
        attestor = start_attestor()
        if fences is not None:
            fences.append(start_fence())
        own_uid.give_up_all()
    except RemitError as error:
        return None, error
    return attestor, None


def _check_own_uid() -> None:
    """System mode runs under its own uid or not at all: not under root's, nor under whoever's typed this.

    And runs no code that others than root could have written.
    """
    from remit.install.code_trust import check_code

    try:
        own = pwd.getpwnam(SYSTEM_ACCOUNT).pw_uid
    except KeyError:
        own = 0
    if own == 0 or {*os.getresuid()} != {own}:
        raise StateError(f"this is not the uid of `{SYSTEM_ACCOUNT}`", hint="`remit up --system` starts it")
    check_code()


async def _control(
    owner_named: str | None,
    places: Places,
    say: Callable[[dict[str, Any]], None],
    attestor: Any = None,
    line: socket.socket | None = None,
    fence: Any = None,
) -> int:
    from remit.control.checking import Checking
    from remit.control.daemon import Daemon
    from remit.control.founding import Tools
    from remit.control.governance import governance_of
    from remit.control.instance import Lock, private_directory
    from remit.control.run_directory import PRIVATE, SHARED, RunDirectory
    from remit.gateway.upstream import Upstream
    from remit.identity.attestation.procfs import login_uid
    from remit.storage import Store

    settings = load(places.config)
    governance = governance_of(places, settings, owner_named, login_uid("self"), os.environ)
    _check_servers(settings, places.config)
    for directory in (places.state, places.state / "keys"):
        private_directory(directory)
    async with contextlib.AsyncExitStack() as stack:
        if attestor is not None:
            stack.callback(attestor.close)
        if fence is not None:
            stack.callback(fence.close)
        stack.callback(Lock(places.state / "lock", places.run_file).release)
        spire = await _meet_spire(settings, stack)
        stack.callback(RunDirectory.hold(places.run, SHARED if places.shared else PRIVATE).remove)
        store = stack.enter_context(contextlib.closing(Store(places.state / "state.db")))
        upstream = Upstream()
        stack.push_async_callback(upstream.aclose)
        tools = Tools(store, probe_through(upstream), "remit.app", spire, attestor, Checking(line), fence)
        domain = _trust_domain(settings, store, spire)
        daemon = Daemon(places, settings, governance, tools=tools, trust_domain=domain, say=say)
        _until_told(daemon)
        await daemon.run()
    say({"event": "stopped"})
    return START_AGAIN if daemon.again else int(daemon.failed)


def _until_told(daemon: Any) -> None:
    """Stop on SIGTERM, SIGINT, and when the end of our standard input that `remit up` holds is closed."""
    import signal

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, daemon.request_stop, signal.Signals(number).name)

    def on_input() -> None:
        if not os.read(0, 1024):
            loop.remove_reader(0)
            daemon.request_stop("`remit up` has ended")

    loop.add_reader(0, on_input)


async def _meet_spire(settings: Settings, stack: contextlib.AsyncExitStack) -> Any:
    """An outside SPIRE as configured, met before anything else is opened or made; None without one."""
    if not settings.spire.socket:
        return None
    from remit.control.meet_spire import meet_spire

    spire = await meet_spire(settings.spire.path, settings.trust_domain)
    stack.callback(spire.close)
    return spire


def _trust_domain(settings: Settings, store: Any, spire: Any) -> str:
    """SPIRE's where there is one, else the configured name, else one made once from the host's name and kept."""
    from remit.control.settled import refuse_without_spire, settle_with_spire
    from remit.identity import SpiffeId, lone_trust_domain

    if spire is not None:
        return settle_with_spire(spire.trust_domain, store)
    refuse_without_spire(store)
    if settings.trust_domain:
        return SpiffeId.of(settings.trust_domain).trust_domain
    kept: str | None = store.meta(TRUST_DOMAIN)
    if kept is None:
        kept = lone_trust_domain(socket.gethostname(), secrets.token_hex(2))
        store.save_meta(TRUST_DOMAIN, kept)
    return kept


def _check_servers(settings: Settings, config: Path) -> None:
    """An address that could never be asked is a mistake, not a server that is silent."""
    from remit.gateway.upstream_address import parse_address

    for address in settings.discovery.servers:
        try:
            parse_address(address)
        except RemitError as error:
            raise ConfigError(f"`{config}`: `discovery.servers`: {error}", hint=error.hint) from error


def probe_through(upstream: Any) -> Any:
    """Discovery's questions go out through the gateway's one way out."""
    from remit.errors import RemitError as Failed
    from remit.inventory import Answer
    from remit.inventory.probe import MAX_REPLY_BYTES

    async def probe(address: str, target: str) -> Answer | None:
        try:
            status, headers, body = await upstream.fetch(address, "GET", target, max_bytes=MAX_REPLY_BYTES)
        except Failed:
            return None
        return Answer(status, dict(headers), body)

    return probe


if __name__ == "__main__":
    sys.exit(main())
