"""System mode against user mode: governed calls and start-up, both Remits on one machine of their own. As root.

The machine is namespaces and overlays (tests/system/machine.py), in which an account `remit` can be made and nothing
stays. Both logs lie on the disk of the checkout.
"""

import json
import select
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.system.machine import Machine, machine
from tests.system.running import PYTHON, put_code, put_places

from bench.load import Rate
from bench.peers import SCRATCH, alone, cores, process
from bench.report import Part, Row, Table
from bench.upstream import STAMPS_BYTES

MODES: Final = ("user mode", "system mode")
COST: Final = 0.05
START_SECONDS: Final = 2.0
BENCH: Final = Path(__file__).resolve().parent
READY_SECONDS: Final = 60.0
CONFIG: Final = (
    '[discovery]\nlook = false\nservers = ["http://127.0.0.1:{server}"]\n[gateway]\nport = {port}\n'
    '[proof]\nneeds = "uid"\n'
)


@dataclass(frozen=True, slots=True)
class Way:
    """One of the two: what is typed, by whom, in front of which of ada's servers, from which port on."""

    user: str
    command: tuple[str, ...]
    server: int
    port: int

    def ended(self, here: Machine) -> None:
        here.run("pkill", "-TERM", "-u", self.user, "-f", " ".join(self.command), check=False)


WAYS: Final = {
    "user mode": Way("ada", ("remit", "up", "--json", "--owner", "ada"), 8001, 7600),
    "system mode": Way("root", ("remit", "up", "--system", "--json"), 8000, 7400),
}


def run(quick: bool) -> Part:
    seconds, rounds, starts = (1.0, 3, 3) if quick else (3.0, 9, 5)
    rates: dict[str, list[tuple[Rate, Rate]]] = {mode: [] for mode in MODES}
    with prepared() as here:
        started = {mode: [start_up(here, WAYS[mode]) for _ in range(starts)] for mode in MODES}
        with ExitStack() as stack:
            pids = {mode: stack.enter_context(running(here, WAYS[mode])) for mode in MODES}
            for number in range(rounds):
                for mode in MODES if number % 2 else MODES[::-1]:
                    rates[mode].append(_round(here, WAYS[mode].port, pids[mode], seconds))
    return Part("system", _rows(rates, started), (_table(rates, started),), _notes(rounds, seconds, starts))


@contextmanager
def prepared() -> Iterator[Machine]:
    """A machine with ada's two model servers, and room on the disk for both logs."""
    SCRATCH.mkdir(exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(alone())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="run-", dir=SCRATCH)))
        place = folder / "machine"
        place.mkdir()
        here = stack.enter_context(machine(place))
        put_code(here)
        here.run("sh", "-c", f"mkdir -p /opt/bench/bench; mount --bind {BENCH} /opt/bench/bench")
        put_places(here, CONFIG.format(server=WAYS["system mode"].server, port=WAYS["system mode"].port))
        on_disk(here, folder / "system", "/var/lib/remit", "remit")
        on_disk(here, folder / "user", "/home/ada/.local/state", "ada")
        config = CONFIG.format(server=WAYS["user mode"].server, port=WAYS["user mode"].port)
        here.run("sh", "-c", "mkdir -p .config/remit; cat > .config/remit/config.toml", user="ada", stdin=config)
        for way in WAYS.values():
            stack.enter_context(model_server(here, way.server))
        yield here


def on_disk(here: Machine, folder: Path, place: str, user: str) -> None:
    folder.mkdir()
    here.run("mkdir", "-p", place, user="root" if user == "remit" else user)
    here.run("mount", "--bind", str(folder), place)
    here.run("chown", f"{user}:{user}", place)
    here.run("chmod", "700", place)


@contextmanager
def model_server(here: Machine, port: int) -> Iterator[None]:
    """As in the other parts, of ada's, on the load's core."""
    stamps = f"/home/ada/stamps-{port}"
    here.run("truncate", "-s", str(STAMPS_BYTES), stamps, user="ada")
    command = here.command(*_python("bench.upstream", str(port), stamps), user="ada")
    with process(cores()[1], command, env=here.environ("ada")):
        deadline = time.monotonic() + READY_SECONDS
        while here.run("curl", "-s", f"http://127.0.0.1:{port}/v1/models", check=False).returncode:
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing answers on port {port}")
        try:
            yield
        finally:
            here.run("pkill", "-KILL", "-f", stamps, check=False)


@contextmanager
def running(here: Machine, way: Way) -> Iterator[int]:
    """A Remit that is ready; the gateway worker's pid in the machine."""
    child = start(here, way)
    try:
        yield int(ready(child)["workers"]["inference"])
    finally:
        way.ended(here)
        child.communicate(timeout=30)


def start_up(here: Machine, way: Way) -> float:
    """Seconds from the command to `ready`."""
    begun = time.monotonic()
    child = start(here, way)
    try:
        ready(child)
        return time.monotonic() - begun
    finally:
        way.ended(here)
        child.communicate(timeout=30)


def start(here: Machine, way: Way) -> subprocess.Popen[bytes]:
    return here.start(shutil.which("taskset") or "taskset", "-c", str(cores()[0]), *way.command, user=way.user)


def ready(child: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert child.stdout is not None
    said = b""
    while select.select([child.stdout], [], [], READY_SECONDS)[0] and (text := child.stdout.readline()):
        event: dict[str, Any] = json.loads(text)
        if event["event"] == "ready":
            return event
        said += text
    raise RuntimeError(f"remit did not get ready: {said.decode()}")


def _round(here: Machine, port: int, worker: int, seconds: float) -> tuple[Rate, Rate]:
    """64 kept connections and one, as ada, from a process on the load's core."""
    load = ("taskset", "-c", str(cores()[1]), *_python("bench.closed", str(port), str(worker), str(seconds)))
    said = here.run(*load, user="ada", seconds=60 + 4 * seconds).stdout
    many, one = (Rate(**row) for row in json.loads(said))
    return many, one


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return ("env", "PYTHONPATH=/opt/bench", PYTHON, "-m", module, *arguments)


def _rows(rates: dict[str, list[tuple[Rate, Rate]]], started: dict[str, list[float]]) -> tuple[Row, ...]:
    cost = statistics.median(
        1 - system[0].per_second / user[0].per_second
        for user, system in zip(rates["user mode"], rates["system mode"], strict=True)
    )
    many = {mode: statistics.median(row[0].per_second for row in rows) for mode, rows in rates.items()}
    took = {mode: statistics.median(seconds) for mode, seconds in started.items()}
    return (
        Row(
            "system mode: governed calls, 64 kept-alive connections, against user mode",
            "≤ 5 % fewer",
            f"{cost:.1%} fewer" if cost > 0 else f"{-cost:.1%} more",
            cost <= COST,
            ", ".join(f"{mode} {rate:,.0f} req/s" for mode, rate in many.items()),
        ),
        Row(
            "system mode: start-up, from the command to ready",
            "≤ 2 s",
            f"{took['system mode']:.2f} s",
            took["system mode"] <= START_SECONDS,
            f"user mode {took['user mode']:.2f} s",
        ),
    )


def _table(rates: dict[str, list[tuple[Rate, Rate]]], started: dict[str, list[float]]) -> Table:
    head = ("mode", "req/s, 64 kept", "CPU µs a request", "p50 / p99 ms", "1 kept: p50 / p99 ms", "start-up s, each")
    return Table(head, tuple(_line(mode, rows, started[mode]) for mode, rows in rates.items()))


def _line(mode: str, rows: list[tuple[Rate, Rate]], started: list[float]) -> tuple[str, ...]:
    def of(which: int, field: str) -> float:
        return float(statistics.median(getattr(row[which], field) for row in rows))

    return (
        mode,
        f"{of(0, 'per_second'):,.0f}",
        f"{of(0, 'cpu_us'):.0f}",
        f"{of(0, 'p50_us') / 1000:.2f} / {of(0, 'p99_us') / 1000:.2f}",
        f"{of(1, 'p50_us') / 1000:.3f} / {of(1, 'p99_us') / 1000:.3f}",
        ", ".join(f"{seconds:.2f}" for seconds in started),
    )


def _notes(rounds: int, seconds: float, starts: int) -> str:
    return (
        f"{rounds} interleaved rounds of {seconds:g} s, medians; the cost is the median over the rounds, each by "
        f"itself. {starts} starts of each. Both on one machine made of namespaces, each in front of a server of "
        "ada's, called by ada; the proxy's core has control, gateway and attestor."
    )
