"""From a model server that was found to a workload with a name, an owner and a SPIFFE ID; pure."""

import dataclasses
import re
from collections.abc import Container
from typing import Any, Final
from urllib.parse import urlsplit

from remit.config import LONGEST_SOCKET_NAME
from remit.identity import SpiffeId
from remit.inventory.discovery import Found
from remit.inventory.selectors import selectors_to_enrol
from remit.inventory.workload import Capability, Kind, LifeState, Workload

SHORT_NAMES: Final = {"llama.cpp": "llama", "openai": "server"}
MAX_NAME: Final = LONGEST_SOCKET_NAME - len("-9999.sock")  # its unix door is called so, with a number if it's taken

# What each kind of server can do, from its own routes (gateway/profiles): all keep prompts (caches, slots, logs) and
# can show them or their configuration; none of them acts on other systems by itself.
CAPABILITIES: Final = (Capability.STORE, Capability.DISCLOSE)


def enrol(
    found: Found, *, owner: str, trust_domain: str, environment: str, taken: Container[str], now: float
) -> Workload:
    """The workload for `found`, which `owner` will answer for; its name is free in `taken`. `now` is Unix seconds.

    It is discovered; without an `owner` it stays so.
    """
    name = _free(_name(found), taken)
    return Workload(
        spiffe_id=SpiffeId.of(trust_domain, "inference", name),
        name=name,
        kind=Kind.MODEL_SERVER,
        owner=owner,
        server=found.server,
        upstream=found.upstream,
        reach=found.reach,
        capabilities=CAPABILITIES,
        models=found.models,
        environment=environment,
        selectors=_selectors(found),
        pid=found.pid,
        start=found.start,
        uid=found.uid,
        exe=found.exe,
        exe_sha256=found.exe_sha256,
        found="discovered",
        enrolled_at=now,
        state=LifeState.DISCOVERED,
        state_since=now,
    )


def again(known: Workload, found: Found, now: float) -> Workload:
    """A workload seen before, as it is now: the same identity, today's process and models."""
    return dataclasses.replace(
        known,
        reach=found.reach,
        models=found.models,
        selectors=_selectors(found),
        pid=found.pid,
        start=found.start,
        uid=found.uid,
        exe=found.exe,
        exe_sha256=found.exe_sha256,
        enrolled_at=known.enrolled_at or now,
    )


def enrolment_facts(workload: Workload) -> dict[str, Any]:
    """What the log says of a workload that is enrolled. No paths: they tell people's names."""
    return {
        "kind": workload.kind.value,
        "server": workload.server,
        "exe_sha256": workload.exe_sha256,
        "models": [model.to_log() for model in workload.models],
        "found": workload.found,
    }


def _name(found: Found) -> str:
    short = SHORT_NAMES.get(found.server, found.server)
    if found.upstream.startswith("unix:"):
        place = found.upstream.rsplit("/", 1)[-1].removesuffix(".sock")
    else:
        place = str(urlsplit(found.upstream).port or 80)
    return re.sub(r"[^A-Za-z0-9._-]", "-", f"{short}-{place}"[:MAX_NAME])


def _free(name: str, taken: Container[str]) -> str:
    if name not in taken:
        return name
    return next(f"{name}-{n}" for n in range(2, 10_000) if f"{name}-{n}" not in taken)


def _selectors(found: Found) -> tuple[str, ...]:
    """None where the kernel doesn't tell its process: then no process is it."""
    return selectors_to_enrol(found.process) if found.process is not None else ()
