"""The peers of one run: the model server itself (direct), nginx, LiteLLM's proxy and Remit, all on the same core."""

import fcntl
import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.upstream import STAMPS_BYTES, stamps_of

ROOT: Final = Path(__file__).resolve().parent.parent
SCRATCH: Final = ROOT / ".bench"  # on the disk of the checkout: what a durable write costs is part of the figures
LITELLM: Final = ROOT / ".venv-bench/bin/litellm"
REMIT_PORT: Final = 18400
READY_SECONDS: Final = 60.0
TICK: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Peer:
    """One way to the model server. `pid` is the process that is measured; 0: none (direct)."""

    name: str
    port: int
    pid: int = 0
    audit: Path | None = None

    def cpu_seconds(self) -> float:
        """User and system time so far, of all its threads, also those that ended."""
        if not self.pid:
            return 0.0
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def resident_mib(self) -> float:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError(f"{self.name} has no resident size")


@dataclass(frozen=True, slots=True)
class Run:
    """What one run measures, in the order of the tables."""

    peers: tuple[Peer, ...]
    stamps: memoryview

    def __getitem__(self, name: str) -> Peer:
        return next(peer for peer in self.peers if peer.name == name)

    @property
    def audit(self) -> Path:
        """Where Remit's log is."""
        return self["remit"].audit or SCRATCH


def cores() -> tuple[int, int]:
    """The core for the proxy under measure and the one for load and model server."""
    usable = sorted(os.sched_getaffinity(os.getppid() if len(os.sched_getaffinity(0)) == 1 else 0))
    return usable[0], usable[-1]


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """This process on `core` meanwhile: what the disk costs depends on whether its interrupts come to that core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def running(*names: str) -> Iterator[Run]:
    """The model server and the named peers, running; all ended afterwards."""
    proxy, other = cores()
    starts: dict[str, Callable[[int, Path, int], Any]] = {"nginx": nginx, "litellm": litellm, "remit": remit}
    SCRATCH.mkdir(exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(alone())
        os.sched_setaffinity(0, {other})
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="run-", dir=SCRATCH)))
        upstream, stamps = stack.enter_context(model_server(other, folder))
        peers = [Peer("direct", upstream)]
        for name in names:
            if name == "litellm" and not LITELLM.exists():
                print("LiteLLM is not installed: `sh bench/needs.sh` installs it", file=sys.stderr)
                continue
            peers.append(stack.enter_context(starts[name](proxy, folder, upstream)))
        yield Run(tuple(peers), stamps)


@contextmanager
def alone() -> Iterator[None]:
    """One run at a time: two would share a core, and measure each other."""
    with (SCRATCH / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another benchmark runs from this checkout: waiting for its end", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def process(core: int, command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """`command` on `core`, ended at the end: with SIGTERM, after 15 s with SIGKILL."""
    child = subprocess.Popen(["taskset", "-c", str(core), *command], **options)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextmanager
def model_server(core: int, folder: Path) -> Iterator[tuple[int, memoryview]]:
    stamps = folder / "stamps"
    stamps.write_bytes(bytes(STAMPS_BYTES))
    port = free_port()
    with process(core, [sys.executable, "-m", "bench.upstream", str(port), str(stamps)], cwd=ROOT):
        answering(port, "/v1/models")
        yield port, stamps_of(stamps)


@contextmanager
def nginx(core: int, folder: Path, upstream: int) -> Iterator[Peer]:
    """nginx with one worker, kept connections to the model server, no buffering of replies and no log."""
    home, port = folder / "nginx", free_port()
    home.mkdir()
    temporary = "".join(
        f" {kind}_temp_path {home}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (home / "nginx.conf").write_text(
        f"{'user root;' if os.getuid() == 0 else ''} daemon off; worker_processes 1; pid {home}/pid;"
        " error_log stderr crit; events { worker_connections 4096; }\n"
        f"http {{ access_log off; keepalive_requests 100000000;{temporary}\n"
        f"upstream m {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 100000000; }}\n"
        f"server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ proxy_pass http://m; proxy_http_version 1.1;"
        ' proxy_buffering off; proxy_set_header Connection ""; } } }\n'
    )
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    with process(core, [program, "-p", str(home), "-c", str(home / "nginx.conf")]) as master:
        answering(port, "/v1/models")
        [worker] = Path(f"/proc/{master.pid}/task/{master.pid}/children").read_text().split()
        yield Peer("nginx", port, int(worker))


@contextmanager
def litellm(core: int, folder: Path, upstream: int) -> Iterator[Peer]:
    """LiteLLM's proxy, one worker, with one OpenAI-compatible model; no key, no database, no log of calls."""
    home, port = folder / "litellm", free_port()
    home.mkdir()
    (home / "config.yaml").write_text(
        "model_list:\n  - model_name: m\n    litellm_params:\n      model: openai/m\n"
        f"      api_base: http://127.0.0.1:{upstream}/v1\n      api_key: sk-bench\n"
        "litellm_settings:\n  telemetry: false\n  num_retries: 0\n"
        "general_settings:\n  dangerously_permit_weak_or_unset_master_key: true\n"
    )
    command = [str(LITELLM), "--config", str(home / "config.yaml"), "--host", "127.0.0.1", "--port", str(port)]
    quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION"}
    with (home / "log").open("wb") as log:
        options = {"env": {**os.environ, **quiet}, "stdout": log, "stderr": log, "cwd": home}
        with process(core, [*command, "--num_workers", "1"], **options) as child:
            answering(port, "/health/liveliness")
            warm(port, 50)
            yield Peer("litellm", port, child.pid)


@contextmanager
def remit(core: int, folder: Path, upstream: int) -> Iterator[Peer]:
    """`remit up` in front of the model server, with everything on: this is what users run."""
    home = folder / "remit"
    home.mkdir()
    (home / "config.toml").write_text(
        f'[discovery]\nlook = false\nservers = ["http://127.0.0.1:{upstream}"]\n[gateway]\nport = {REMIT_PORT}\n'
    )
    command = [str(Path(sys.executable).with_name("remit")), "up", "--json", "--state", str(home)]
    with process(core, [*command, "--owner", getpass.getuser()], stdout=subprocess.PIPE, cwd=ROOT) as child:
        said = ready(child)
        port = int(said["guarded"][0]["base_url"].split(":")[2].split("/")[0])
        yield Peer("remit", port, int(said["workers"]["inference"]), Path(said["audit"]["dir"]))


def ready(child: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Its `ready` event; everything before it is told when there is none."""
    assert child.stdout is not None
    said = []
    for line in child.stdout:
        said.append(line.decode())
        event: dict[str, Any] = json.loads(line)
        if event["event"] == "ready":
            return event
    raise RuntimeError("remit did not get ready:\n" + "".join(said))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def answering(port: int, path: str) -> None:
    """Return when the server answers; raises TimeoutError when it doesn't."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise TimeoutError(f"nothing answers on port {port}")


def warm(port: int, count: int) -> None:
    """Ask a few times: a first call that imports and connects takes seconds for some."""
    asked = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hello"}]}).encode()
    for _ in range(count):
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        call = urllib.request.Request(
            url, asked, {"Content-Type": "application/json", "Authorization": "Bearer local"}
        )
        with urllib.request.urlopen(call, timeout=READY_SECONDS) as reply:
            reply.read()
