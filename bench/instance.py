"""A whole Remit with registered workloads in force, for the parts that measure identity: `remit up` on one core."""

import getpass
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.peers import REMIT_PORT, ROOT, SCRATCH, Peer, alone, cores, model_server, process, ready
from remit.cli.client import ask
from remit.config import Places
from remit.identity import SpiffeId
from remit.inventory import Capability, Kind, Workload
from remit.inventory.selectors import REGISTERED
from remit.storage import Store

TRUST_DOMAIN: Final = "bench.local"
EXECUTABLE_BYTES: Final = 8_000_000  # a little more than Debian's python3, which is one file


@dataclass(frozen=True, slots=True)
class Instance:
    """`agent` is a registered workload's own executable: a Python that runs `bench.workload`."""

    control: Peer
    gateway: Peer
    places: Places
    agent: Path
    core: int

    def ask(self, method: str, *segments: str, body: Any = None) -> Any:
        return ask(self.places.api_socket, method, *segments, body=body)

    @contextmanager
    def workload(self, *arguments: str, exe: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
        """A process of the agent: `bench.workload SOCKET ARGUMENTS`. It ends when its standard input does."""
        command = [str(exe or self.agent), "-m", "bench.workload", str(self.places.workload_api_socket), *arguments]
        paths = os.pathsep.join([str(ROOT), str(ROOT / "src"), sysconfig.get_path("purelib")])
        environ = {**os.environ, "PYTHONHOME": sys.base_prefix, "PYTHONPATH": paths}
        pipe = subprocess.PIPE
        with subprocess.Popen(command, env=environ, cwd=ROOT, stdin=pipe, stdout=pipe) as child:
            try:
                yield child
            finally:
                child.kill()

    def said(self, *arguments: str, exe: Path | None = None) -> Any:
        """The one line of JSON that a process of the agent prints."""
        with self.workload(*arguments, exe=exe) as child:
            assert child.stdout is not None
            return json.loads(child.stdout.readline())


@contextmanager
def instance(registered: int) -> Iterator[Instance]:
    """`remit up` with that many registered workloads, one of them the agent, in front of a model server."""
    proxy, other = cores()
    SCRATCH.mkdir(exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(alone())
        os.sched_setaffinity(0, {other})
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="run-", dir=SCRATCH)))
        upstream, _ = stack.enter_context(model_server(other, folder))
        home, agent = folder / "remit", copy_of_python(folder / "agent")
        home.mkdir(mode=0o700)
        (home / "config.toml").write_text(
            f'trust_domain = "{TRUST_DOMAIN}"\n[discovery]\nlook = false\n'
            f'servers = ["http://127.0.0.1:{upstream}"]\n[gateway]\nport = {REMIT_PORT}\n[proof]\nneeds = "uid"\n'
        )
        keep(home, [*rows(registered - 1), row("agent", f"unix:uid:{os.getuid()}", f"unix:sha256:{sha256(agent)}")])
        command = [str(Path(sys.executable).with_name("remit")), "up", "--json", "--state", str(home)]
        child = stack.enter_context(
            process(proxy, [*command, "--owner", getpass.getuser()], stdout=subprocess.PIPE, cwd=ROOT)
        )
        said = ready(child)
        control, gateway = Peer("control", 0, said["pid"]), Peer("gateway", 0, int(said["workers"]["inference"]))
        yield Instance(control, gateway, Places.of(home, os.environ), agent, proxy)


def copy_of_python(path: Path) -> Path:
    """This Python under another name and digest: bytes behind an executable's end change only those."""
    shutil.copy(os.path.realpath(sys.executable), path)
    with path.open("ab") as file:
        file.write(os.urandom(EXECUTABLE_BYTES))
    return path


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def rows(count: int) -> list[Workload]:
    """Registered agents of fifty users, each with an executable of its own."""
    return [
        row(
            f"a{number}",
            f"unix:uid:{20_000 + number % 50}",
            f"unix:path:/opt/agents/a{number}/bin/run",
            f"unix:sha256:{hashlib.sha256(str(number).encode()).hexdigest()}",
        )
        for number in range(count)
    ]


def row(name: str, *selectors: str) -> Workload:
    return Workload(
        SpiffeId.of(TRUST_DOMAIN, "agent", name),
        name,
        Kind.AGENT,
        getpass.getuser(),
        server="",
        upstream="",
        reach="private",
        capabilities=(Capability.ACT, Capability.STORE, Capability.DISCLOSE),
        selectors=selectors,
        found=REGISTERED,
        purpose="answers tickets",
        zone="tools",
    )


def keep(home: Path, workloads: list[Workload]) -> None:
    """Put them into the state as if they had been registered in an earlier run."""
    with closing(Store(home / "state.db")) as store:
        for workload in workloads:
            store.save_workload(workload)
