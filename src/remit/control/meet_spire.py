"""The first that is heard of an outside SPIRE: in time, or an error that says what a person could do."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Final, TypeVar

from remit.control.outside_spire import First, OutsideSpire
from remit.errors import ConfigError, IdentityError, StateError
from remit.identity.grpc_client import NoAnswerError, NotPermittedError
from remit.identity.workload_api_client import WorkloadApiClient

START_SECONDS: Final = 10.0  # for the first SVID and both bundles; an agent that knows us answers in milliseconds

_HINT: Final = "start its agent, or set `spire.socket` to where its Workload API is"

Given = TypeVar("Given")


async def meet_spire(path: Path, named: str, clock: Callable[[], float] = time.time) -> OutsideSpire:
    """SPIRE at the socket `path`. Its trust domain must be `named`, unless that is empty.

    Raises StateError that names the socket, within START_SECONDS; ConfigError for another trust domain.
    """
    client = WorkloadApiClient(path, clock)
    try:
        async with asyncio.timeout(START_SECONDS):
            first = await _fetch(client)
        _check_name(first.svid.spiffe_id.trust_domain, named, path)
    except TimeoutError:
        client.close()
        raise StateError(f"SPIRE at `{path}` did not answer within {START_SECONDS:.0f} s", hint=_HINT) from None
    except (StateError, IdentityError) as error:
        client.close()
        raise _explained(error, path) from error
    except BaseException:
        client.close()
        raise
    return OutsideSpire(path, client, first, clock)


async def _fetch(client: WorkloadApiClient) -> First:
    svid = (await _first(client.x509_svids()))[0]
    domain = svid.spiffe_id.trust_domain
    return First(svid, await _first(client.x509_authorities(domain)), await _first(client.jwt_keys(domain)))


async def _first(stream: AsyncGenerator[Given, None]) -> Given:
    async with contextlib.aclosing(stream) as opened:
        async for given in opened:
            return given
    raise NoAnswerError("it ended the connection before it said anything")


def _check_name(trust_domain: str, named: str, path: Path) -> None:
    if named and named != trust_domain:
        raise ConfigError(
            f"`trust_domain` is `{named}`, and SPIRE at `{path}` is of `{trust_domain}`",
            hint="leave `trust_domain` out: it is SPIRE's",
        )


def _explained(error: StateError | IdentityError, path: Path) -> StateError:
    if isinstance(error, NotPermittedError):
        selectors = f"-selector unix:uid:{os.geteuid()} -selector unix:path:{Path('/proc/self/exe').readlink()}"
        hint = f"ask whoever runs SPIRE to register this process: `{selectors}`"
        return StateError(f"SPIRE at `{path}` has no identity for this process", hint=hint)
    if isinstance(error, IdentityError):
        return StateError(f"what SPIRE at `{path}` gives can't be used: {error}", hint="see its own log")
    return StateError(f"SPIRE does not answer: {error}", hint=_HINT)
