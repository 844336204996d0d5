"""What Remit adds to a request that a real Envoy guards: the same request through it with and without the filter."""

import getpass
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tests.e2e.svids import context_of, stock_client
from tests.envoy.proxy import bare, documented, running
from tests.interop.peers import envoy

from bench.gateway import raw_sync_us
from bench.instance import TRUST_DOMAIN, keep, row
from bench.load import PROMPT, percentile
from bench.peers import REMIT_PORT, ROOT, SCRATCH, Peer, alone, cores, free_port, model_server, process, ready
from bench.report import Part, Row, Table
from remit.identity import SpiffeId
from remit.inventory import Kind

ADDED_MS: Final = 1.0
WARM: Final = 200
BODY: Final = json.dumps({"model": "m", "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 64})
HEAD: Final = {"content-type": "application/json", "authorization": "Bearer local"}


@dataclass(frozen=True, slots=True)
class World:
    """The same server behind two Envoys: `guarded` asks Remit, `plain` asks nobody. `decider` is who is asked."""

    guarded: int
    plain: int
    decider: Peer
    folder: Path


def run(quick: bool) -> Part:
    """Rounds of both, one after the other, over one kept TLS connection each; medians of the rounds."""
    count, rounds = (400, 3) if quick else (2000, 5)
    added, guarded, plain, cpu, syncs = [], [], [], [], []
    with world() as here:
        for _ in range(rounds):
            without = timed(here, here.plain, count)
            before = here.decider.cpu_seconds()
            with_it = timed(here, here.guarded, count)
            cpu.append((here.decider.cpu_seconds() - before) / (count + WARM) * 1e6)
            guarded.append(with_it)
            plain.append(without)
            added.append(percentile(with_it, 0.5) - percentile(without, 0.5))
            syncs.append(raw_sync_us(here.folder, 100))
    median = sorted(added)[len(added) // 2]
    lines = tuple(
        (name, *(f"{percentile([one for each in took for one in each], share):.2f}" for share in (0.5, 0.99)))
        for name, took in (("Envoy alone", plain), ("Envoy, asking Remit", guarded))
    )
    return Part(
        "ext_authz",
        (
            Row(
                "Envoy asking for each request (ext_authz, body included): added p50",
                f"≤ {ADDED_MS:.0f} ms",
                f"{median:.2f} ms",
                median <= ADDED_MS,
                f"Envoy alone {lines[0][1]} ms; fdatasync {sorted(syncs)[len(syncs) // 2] / 1000:.2f} ms; "
                f"{sorted(cpu)[len(cpu) // 2]:.0f} µs of Remit's CPU a decision",
            ),
        ),
        (Table(("", "p50, ms", "p99, ms"), lines),),
        f"{rounds} rounds of {count} chat completions each way over one kept mutual TLS connection. "
        "Each decision is on disk before Envoy hears it.",
    )


def timed(here: World, port: int, count: int) -> list[float]:
    """How long each of so many requests took, in ms."""
    took = []
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context_of(here.folder), timeout=20)
    with closing(connection):
        for number in range(count + WARM):
            begun = time.perf_counter()
            connection.request("POST", "/v1/chat/completions", BODY, HEAD)
            reply = connection.getresponse()
            said = reply.read()
            if number >= WARM:
                took.append((time.perf_counter() - begun) * 1000)
            if reply.status != 200:
                raise RuntimeError(f"{reply.status}: {said[:300].decode()}")
    return took


@contextmanager
def world() -> Iterator[World]:
    """Remit and both Envoys on one core, the load and the server on the other."""
    proxy, other = cores()
    SCRATCH.mkdir(exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(alone())
        os.sched_setaffinity(0, {other})
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="run-", dir=SCRATCH)))
        upstream, _ = stack.enter_context(model_server(other, folder))
        asked = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="remit-"))) / "envoy.sock"
        home = folder / "remit"
        home.mkdir(mode=0o700)
        (home / "config.toml").write_text(
            f'trust_domain = "{TRUST_DOMAIN}"\n[discovery]\nlook = false\n'
            f'servers = ["http://127.0.0.1:{upstream}"]\n[gateway]\nport = {REMIT_PORT}\n[proof]\nneeds = "uid"\n'
            f'[decisions]\nenvoy = "{asked}"\npoints = ["pipeline/envoy"]\n'
        )
        point = row("envoy", f"unix:uid:{os.getuid()}", f"unix:path:{Path(envoy()).resolve()}")
        keep(home, [replace(point, spiffe_id=SpiffeId.of(TRUST_DOMAIN, "pipeline", "envoy"), kind=Kind.PIPELINE)])
        command = [str(Path(sys.executable).with_name("remit")), "up", "--json", "--state", str(home)]
        child = stack.enter_context(
            process(proxy, [*command, "--owner", getpass.getuser()], stdout=subprocess.PIPE, cwd=ROOT)
        )
        said = ready(child)
        stock_client(said["workload_api"], "x509", str(folder))
        text = documented(
            **{
                "/etc/envoy/": f"{folder}/",
                "/run/remit/envoy.sock": str(asked),
                "spiffe://maple.local/inference/llama-demo": said["guarded"][0]["spiffe_id"],
                "port_value: 8080": f"port_value: {upstream}",
            }
        )
        guarded = stack.enter_context(running(folder, text, core=other))
        beside = folder / "plain"
        beside.mkdir()
        plain = stack.enter_context(running(beside, bare(text, guarded, free_port()), core=other))
        yield World(guarded, plain, Peer("decisions", 0, int(said["workers"]["decisions"])), folder)
