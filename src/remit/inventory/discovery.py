"""Finds the model servers that run on this host by what they answer, and says who runs them."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from remit.errors import AttestationError, DiscoveryError
from remit.identity import Process
from remit.identity.attestation.digests import Digests
from remit.identity.attestation.procfs import observe
from remit.inventory.fingerprints import FIRST, REST, Fingerprint, recognise
from remit.inventory.found import Discovered, Found
from remit.inventory.listening import REACHES, Candidate, Exclusion, survey, wider
from remit.inventory.ports import MODEL_SERVER_PORTS
from remit.inventory.probe import LISTENER_SECONDS, Probe, interview
from remit.inventory.weights import weigh
from remit.models.identity import UNKNOWN
from remit.models.launched import launch_flags

__all__ = ["Discovered", "Exclusion", "Found", "Probe", "discover"]

ASKED_AT_ONCE: Final = 64  # with seven questions each, well below the usual limit of 1,024 open files
SWEEP_SECONDS: Final = 6.0  # four rounds of 64 listeners none of which answers
HOLDERS_SHOWN: Final = 16

ON_THE_LAN: Final = "it answers on the LAN: anyone on the network can reach it without Remit"
MANY_PROGRAMS: Final = "its socket is held by processes of differing programs"


async def discover(probe: Probe, *, exclude: Exclusion | None = None, digests: Digests | None = None) -> Discovered:
    """Every model server that answers on this host, each once. Takes at most SWEEP_SECONDS beside a walk of `/proc`.

    `exclude` is what is Remit's own. Raises DiscoveryError when the kernel's tables of sockets can't be read.
    """
    try:
        candidates = await asyncio.to_thread(survey, exclude or Exclusion())
    except AttestationError as error:
        raise DiscoveryError(f"can't see what listens on this host: {error}", hint=error.hint) from error
    answers, unread = await _sweep(probe, candidates)
    found = await asyncio.to_thread(_describe_all, answers, digests or Digests())
    return Discovered(tuple(merged(found)), tuple(unread))


async def look_at(probe: Probe, address: str, *, digests: Digests | None = None) -> Found | None:
    """The model server at one named address, None when none answers; its process is looked up like any other."""
    known = next((one for one in await asyncio.to_thread(survey, Exclusion()) if one.address == address), None)
    candidate = known or Candidate(address, None, "loopback", (), None)
    server, _ = await _look(probe, candidate, asyncio.Semaphore(1))
    return None if server is None else await asyncio.to_thread(_describe, candidate, server, digests or Digests())


async def _sweep(probe: Probe, candidates: list[Candidate]) -> tuple[list[tuple[Candidate, Fingerprint]], list[str]]:
    """Who answered as a model server, and whom we could not tell."""
    gate = asyncio.Semaphore(ASKED_AT_ONCE)
    tasks = {asyncio.create_task(_look(probe, candidate, gate)): candidate for candidate in candidates}
    if not tasks:
        return [], []
    try:
        done, late = await asyncio.wait(tasks, timeout=SWEEP_SECONDS)
    finally:
        for task in tasks:
            task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    known = [(candidate, task.result()) for task, candidate in tasks.items() if task in done]
    unread = [f"{tasks[task].address} was not asked: too many listeners" for task in late]
    unread += [_silent(candidate) for candidate, (server, silent) in known if server is None and silent]
    return [(candidate, server) for candidate, (server, _) in known if server is not None], [
        one for one in unread if one
    ]


async def _look(probe: Probe, candidate: Candidate, gate: asyncio.Semaphore) -> tuple[Fingerprint | None, bool]:
    async with gate:
        answers, late = await interview(probe, candidate.address, FIRST, REST)
    return recognise(answers), late


def _silent(candidate: Candidate) -> str:
    """A silent listener is unknown where a model server is to be expected; elsewhere it is just not HTTP."""
    expected = MODEL_SERVER_PORTS.get(candidate.port or 0)
    if expected is None:
        return ""
    return f"{candidate.address} did not answer within {LISTENER_SECONDS} s; it is the port of {expected}"


def _describe_all(answers: list[tuple[Candidate, Fingerprint]], digests: Digests) -> list[Found]:
    return [_describe(candidate, server, digests) for candidate, server in answers]


def _describe(candidate: Candidate, server: Fingerprint, digests: Digests) -> Found:
    """What the kernel says of the server that answered there."""
    holders = sorted(_observed(candidate.pids, digests), key=lambda one: (one.start, one.pid))
    pids = tuple(one.pid for one in holders) or candidate.pids
    models, weights, notes = weigh(server, pids)
    notes = (*server.notes, *candidate.notes, *notes)
    if candidate.reach in {"lan", "all"}:
        notes = (ON_THE_LAN, *notes)
    if len({one.exe_sha256 for one in holders}) > 1:
        notes += (MANY_PROGRAMS,)
    return Found(
        server=server.server,
        upstream=candidate.address,
        version=server.version,
        pids=pids,
        process=holders[0] if holders else None,
        uid=candidate.uid,
        reach=candidate.reach,
        models=models,
        weights=weights,
        notes=notes,
        flags=launch_flags(pids[0]) if pids else UNKNOWN,
    )


def _observed(pids: tuple[int, ...], digests: Digests) -> Iterable[Process]:
    for pid in pids[:HOLDERS_SHOWN]:
        try:
            yield observe(pid, digests=digests)
        except AttestationError:
            continue  # it ended since


def merged(found: list[Found]) -> list[Found]:
    """One entry a server: one that listens twice (IPv4 and IPv6, TCP and unix) is named by its narrowest way in."""
    kept: list[Found] = []
    for one in sorted(found, key=lambda one: (REACHES.index(one.reach), "[" in one.upstream, one.upstream)):
        at = next((index for index, other in enumerate(kept) if _same_server(one, other)), None)
        if at is None:
            kept.append(one)
        else:
            kept[at] = _joined(kept[at], one)
    return sorted(kept, key=lambda one: one.upstream)


def _same_server(one: Found, other: Found) -> bool:
    names = {model.name for model in one.models}, {model.name for model in other.models}
    if one.server != other.server or names[0] != names[1]:
        return False
    if one.pids or other.pids:
        return one.pids == other.pids
    return one.upstream.rsplit(":", 1)[-1] == other.upstream.rsplit(":", 1)[-1]  # unseen holders: the same port


def _joined(one: Found, other: Found) -> Found:
    notes = (
        *one.notes,
        *(note for note in other.notes if note not in one.notes),
        f"also answers at {other.upstream}",
    )
    return replace(one, reach=wider(one.reach, other.reach), notes=notes)
