"""Which servers are guarded, and as what, while they end, restart, fall silent and are replaced by others."""

import asyncio
import contextlib
import dataclasses
import functools
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest

from remit.config import DiscoverySettings, GatewaySettings, Settings
from remit.control import demonstration
from remit.control.guards import Guards
from remit.control.identities import KernelIdentities
from remit.control.lookout import Lookout
from remit.control.realm import PoliciesInForce, Realm, Trust
from remit.errors import AttestationError, AuditError, UsageError
from remit.inventory import DIGEST_HASHING, Answer, Workload
from remit.inventory.binding import lost
from remit.models import Hasher, digest_file
from remit.policy import PolicyFile, Snapshot
from remit.posture import Grade
from remit.storage import Store
from tests.fakes.callers import as_if_connected
from tests.fakes.started import free_port, started
from tests.inventory.asking import FakeServer, TestProbe
from tests.inventory.test_fingerprints import LLAMA_CPP, OLLAMA, VLLM, say
from tests.models.test_stores import an_ollama


class FakeWorkers:
    """Gateways that hear nothing: what is in force is looked at in the realm."""

    def __init__(self) -> None:
        self.live: dict[str, Any] = {}

    def listen(self, door: Any) -> None: ...
    def tell(self, message: Any) -> None: ...


class World:
    """Guards over a real realm and database; `probe.own` are the addresses that a test's servers have."""

    def __init__(self, directory: Path, store: Store, hasher: Hasher, servers: tuple[str, ...]) -> None:
        self.acts: list[tuple[str, dict[str, Any]]] = []
        self.log_fails = False
        self.delivered: list[Snapshot] = []
        self.events: list[dict[str, Any]] = []
        self.probe = TestProbe(*servers)
        self._tasks: set[asyncio.Task[None]] = set()
        policies = PoliciesInForce((PolicyFile("a.cedar", ""),), "sha256:00")
        trust = Trust("maple.local", (), {"keys": []})
        self.realm = Realm(
            trust, store, self._act, lambda: 1000.0, policies, lifetime=300.0, grade=lambda _: Grade("C")
        )
        workers: Any = FakeWorkers()
        self.guards = Guards(
            realm=self.realm,
            workers=workers,
            hasher=hasher,
            probe=self.probe,
            settings=Settings(
                gateway=GatewaySettings(port=32000),
                discovery=DiscoverySettings(look=not servers, servers=servers),
            ),
            run=directory,
            own_paths=frozenset(),
            owner="ada",
            whose=self._whose,
            deliver=self._deliver,
            say=self.events.append,
            spawn=self._spawn,
        )

    async def _whose(self, _uid: int | None) -> str:
        return "ada"

    async def _act(self, what: str, subject: str, person: str | None, facts: dict[str, Any]) -> None:
        if self.log_fails:
            raise AuditError("the log is full")
        self.acts.append((what, facts))

    async def _deliver(self, snapshot: Snapshot) -> bool:
        self.delivered.append(snapshot)
        return True

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def guarded(self) -> list[Workload]:
        return list(self.realm.workloads.values())

    @property
    def changed(self) -> dict[str, Any]:
        """What the last `workload.changed` says."""
        return [facts for what, facts in self.acts if what == "workload.changed"][-1]

    def left(self) -> list[str]:
        return [facts["why"] for what, facts in self.acts if what == "workload.left"]


@contextlib.asynccontextmanager
async def a_world(directory: Path, *servers: str, hasher: Hasher | None = None) -> AsyncIterator[World]:
    """`servers` are named in the configuration; without any, this host is searched (of it `probe.own` is asked)."""
    store = Store(directory / "state.db")
    with hasher or Hasher() as hashes:
        world = World(directory, store, hashes, servers)
        await world.realm.meet("ada", [1000])
        try:
            yield world
        finally:
            await world.guards.close()
            store.close()


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await main()

    asyncio.run(bounded())


async def until(seen: Callable[[], Any]) -> None:
    """Bounded by `run`."""
    while not seen():
        await asyncio.sleep(0.005)


def test_a_server_s_end_is_seen_without_looking_and_its_return_by_the_next_look(tmp_path: Path) -> None:
    async def main() -> None:
        async with a_world(tmp_path) as world:
            with started("fake_vllm") as (process, address):
                world.probe.own.add(address)
                await world.guards.look_again()
                (before,) = world.guarded
                assert before.pid == process.pid
                process.kill()
                await until(lambda: not world.guarded)
                assert world.left() == [f"its process {process.pid} has ended"]
            with started("fake_vllm", "--port", address.rsplit(":", 1)[1]) as (process, _):
                await world.guards.look_again()
                (after,) = world.guarded
                assert (after.spiffe_id, after.pid) == (before.spiffe_id, process.pid)

    run(main)


def test_nothing_is_guarded_whose_process_ended_while_it_was_looked_at(tmp_path: Path) -> None:
    async def main() -> None:
        async with a_world(tmp_path) as world:
            with started("fake_vllm") as (process, address):
                world.probe.own.add(address)
                (found,) = (await world.guards.look()).found
                process.kill()
                process.wait()
                await world.guards.enrol(found)
                assert world.guarded == []

    run(main)


def test_a_pid_that_is_another_s_by_now_is_not_watched_in_its_place(tmp_path: Path) -> None:
    async def main() -> None:
        async with a_world(tmp_path) as world:
            with started("fake_vllm") as (_, address):
                world.probe.own.add(address)
                (found,) = (await world.guards.look()).found
                assert found.process is not None
                earlier = dataclasses.replace(found.process, start=found.process.start - 1)
                for process in (earlier, None):  # None: it could not be looked at any more
                    await world.guards.enrol(dataclasses.replace(found, process=process))
                    assert world.guarded == []

    run(main)


def test_one_that_is_stopped_stays_and_is_silent_until_it_answers(tmp_path: Path) -> None:
    async def main() -> None:
        async with a_world(tmp_path) as world:
            with started("fake_vllm") as (process, address):
                world.probe.own.add(address)
                await world.guards.look_again()
                (before,) = world.guarded
                process.send_signal(signal.SIGSTOP)
                await world.guards.look_again()
                assert world.guarded == [before]
                since = world.guards.silent[before.spiffe_id]
                world.probe.own.clear()  # missed as before, but at once
                await world.guards.look_again()
                assert world.guards.silent == {before.spiffe_id: since}  # the first miss counts
                process.send_signal(signal.SIGCONT)
                world.probe.own.add(address)
                await world.guards.look_again()
                assert world.guarded == [before]
                assert world.guards.silent == {}
                world.probe.own.clear()
                await world.guards.look_again()
                assert world.guards.silent.keys() == {before.spiffe_id}
                process.kill()
                await until(lambda: not world.guarded)
                assert world.guards.silent == {}

    run(main)


def test_another_kind_in_the_same_process_is_another_workload_and_each_keeps_its_identity(tmp_path: Path) -> None:
    async def main() -> None:
        port = free_port()
        async with a_world(tmp_path, f"http://127.0.0.1:{port}") as world:
            names = []
            for answers in (VLLM, OLLAMA, VLLM, OLLAMA):
                async with FakeServer(answers).listening("127.0.0.1", port=port):
                    await world.guards.look_again()
                (now,) = world.guarded
                names.append((now.server, now.spiffe_id.path, [model.name for model in now.models]))
            vllm = ("vllm", f"/inference/vllm-{port}", ["meta-llama/Llama-3.2-1B"])
            ollama = ("ollama", f"/inference/ollama-{port}", ["gemma3:latest", "odd"])
            assert names == [vllm, ollama, vllm, ollama]
            assert world.changed["server"] == ["vllm", "ollama"]
            assert world.left() == ["another process or program answers there"] * 3

    run(main)


def test_models_that_changed_are_enrolled_anew_under_the_same_identity(tmp_path: Path) -> None:
    async def main() -> None:
        port = free_port()
        async with a_world(tmp_path, f"http://127.0.0.1:{port}") as world:
            server = FakeServer(OLLAMA)
            async with server.listening("127.0.0.1", port=port):
                await world.guards.look_again()
                (before,) = world.guarded
                rows = [{"name": "gemma3:latest", "digest": "22" * 32}, {"name": "new"}]
                server.answers["/api/tags"] = say({"models": rows})
                await world.guards.look_again()
                (after,) = world.guarded
                assert after.spiffe_id == before.spiffe_id
                assert {model.name: model.digest for model in after.models} == {
                    "gemma3:latest": "unknown",  # its files aren't here: what it says is its word
                    "new": "unknown",
                }
                assert world.changed == {"models": {"gone": ["odd"], "new": ["new"]}}
                assert world.left() == []  # the calls under way go on
                acts = len(world.acts)
                await world.guards.look_again()
                assert len(world.acts) == acts

    run(main)


def a_llama(weights: Path) -> dict[str, Answer]:
    props = {"model_path": str(weights), "build_info": "b6100-1a2b3c"}
    return {**LLAMA_CPP, "/props": say(props, server="llama.cpp")}


def test_weights_that_were_written_to_are_hashed_again(tmp_path: Path) -> None:
    async def main() -> None:
        port = free_port()
        weights = tmp_path / "smol.gguf"
        weights.write_bytes(b"GGUF" + bytes(100))
        async with (
            a_world(tmp_path, f"http://127.0.0.1:{port}") as world,
            FakeServer(a_llama(weights)).listening("127.0.0.1", port=port),
        ):
            await world.guards.look_again()
            assert digests(world) == [DIGEST_HASHING]
            await until(lambda: digests(world) != [DIGEST_HASHING])
            assert digests(world) == [digest_file(str(weights))]
            await world.guards.look_again()
            assert digests(world) == [digest_file(str(weights))]
            with weights.open("r+b") as file:
                file.write(b"GGUF" + b"x" * 100)
            await world.guards.look_again()
            assert digests(world) == [DIGEST_HASHING]
            assert world.changed == {"weights": ["smol"]}
            await until(lambda: digests(world) == [digest_file(str(weights))])

    run(main)


def digests(world: World) -> list[str]:
    return [model.digest for one in world.guarded for model in one.models]


class HeldHasher(Hasher):
    """Hashes nothing until it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[Callable[[], None]] = []

    def submit(self, path: str, done: Any, failed: Any, *, node: tuple[int, int] | None = None) -> None:
        self.held.append(functools.partial(super().submit, path, done, failed, node=node))


def test_a_digest_that_comes_late_is_not_put_to_what_stands_there_now(tmp_path: Path) -> None:
    async def main() -> None:
        port = free_port()
        weights = tmp_path / "smol.gguf"
        weights.write_bytes(b"GGUF" + bytes(100))
        hasher = HeldHasher()
        async with a_world(tmp_path, f"http://127.0.0.1:{port}", hasher=hasher) as world:
            server = FakeServer(a_llama(weights))
            async with server.listening("127.0.0.1", port=port):
                await world.guards.look_again()
                server.answers["/props"] = LLAMA_CPP["/props"]  # a file that isn't there
                await world.guards.look_again()
                assert world.changed == {"models": {"file": ["smol"]}}
                hasher.held.pop()()
                await until(lambda: hasher.state is None)
                await asyncio.sleep(0.02)
                assert digests(world) == ["unknown"]

    run(main)


TAKE_OVER = "import socket,sys; s=socket.create_server(('127.0.0.1',int(sys.argv[1]))); print(flush=True); input()"


def test_a_server_that_ended_is_called_by_nobody_also_when_its_end_can_not_be_written(tmp_path: Path) -> None:
    async def main() -> None:
        async with a_world(tmp_path) as world:
            with started("fake_vllm") as (_, address):
                world.probe.own.add(address)
                await world.guards.look_again()
                assert len(world.delivered[-1].workloads) == 1
                world.log_fails = True
            await until(lambda: world.delivered[-1].workloads == ())
            assert world.guarded == []

    run(main)


def test_a_stranger_that_takes_the_port_and_keeps_silent_does_not_inherit(tmp_path: Path) -> None:
    async def main() -> None:
        port = free_port()
        async with a_world(tmp_path, f"http://127.0.0.1:{port}") as world:
            async with FakeServer(VLLM).listening("127.0.0.1", port=port):
                await world.guards.look_again()
                assert len(world.guarded) == 1
            command = [sys.executable, "-c", TAKE_OVER, str(port)]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stranger:
                assert stranger.stdout is not None
                stranger.stdout.readline()
                await world.guards.look_again()
                stranger.kill()
            assert world.guarded == []  # this process lives on: it was its guarded server
            assert world.left() == ["its server listens there no more"]

    run(main)


def test_one_of_unknown_process_goes_by_its_socket_alone(tmp_path: Path) -> None:
    async def main() -> None:
        port = free_port()
        async with a_world(tmp_path, f"http://127.0.0.1:{port}") as world:
            async with FakeServer(VLLM).listening("127.0.0.1", port=port):
                (found,) = (await world.guards.look()).found
                await world.guards.enrol(dataclasses.replace(found, pids=(), process=None))
                (workload,) = world.guarded
                assert workload.pid is None
            await world.guards.look_again()
            assert world.guarded == []

    run(main)


def test_the_demonstration_server_is_started_again_and_let_go_when_it_keeps_dying(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(demonstration, "MAX_DEMO_RESTARTS", 1)

    async def main() -> None:
        with tempfile.TemporaryDirectory(prefix="remit-") as directory:  # a short path: a socket's address
            async with a_world(Path(directory)) as world:
                await world.guards.start_demo()
                minding = asyncio.create_task(world.guards.mind_demo())
                (first,) = world.guarded
                os.kill(first.pid or 0, signal.SIGKILL)
                await until(lambda: [one.pid for one in world.guarded] != [first.pid])
                (second,) = world.guarded
                assert second.spiffe_id == first.spiffe_id
                os.kill(second.pid or 0, signal.SIGKILL)
                await minding
                assert world.guarded == []
                keys = [what for what, facts in world.acts if what.startswith("credential.")]
                assert keys == ["credential.issued", "credential.revoked"] * 2

    run(main)


def handles() -> int:
    links = (Path(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd"))
    return sum("[pidfd]" in os.readlink(link) for link in links if link.is_symlink())


def test_every_handle_on_a_process_is_closed(tmp_path: Path) -> None:
    async def main() -> None:
        port = free_port()
        before = handles()
        async with a_world(tmp_path, f"http://127.0.0.1:{port}") as world:
            for answers in (VLLM, OLLAMA):
                async with FakeServer(answers).listening("127.0.0.1", port=port):
                    await world.guards.look_again()
                    assert handles() == before + 1
        assert handles() == before

    run(main)


def repull(store: Path, weights: bytes) -> str:
    """Pull the model (again) into this store; the digest of its weights."""
    name = "registry.ollama.ai/library/tiny/latest"
    an_ollama(store, name, model=weights, template=b"{{ .Prompt }}")
    return "sha256:" + hashlib.sha256(weights).hexdigest()


@contextlib.contextmanager
def a_real_store(home: Path) -> Any:
    """A fake Ollama with a home that has a real store; its address and the store."""
    store = home / ".ollama" / "models"
    repull(store, b"GGUF weights")
    with started("fake_ollama", environ={**os.environ, "HOME": str(home), "OLLAMA_MODELS": ""}) as (_, address):
        yield address, store


def test_an_ollama_model_that_is_pulled_again_as_another_has_lost_its_identity(tmp_path: Path) -> None:
    async def main() -> None:
        with a_real_store(tmp_path / "home") as (address, store):
            async with a_world(tmp_path, address) as world:
                await world.guards.look_again()
                await until(lambda: DIGEST_HASHING not in digests(world))
                first = world.guarded[0]
                assert digests(world) == ["sha256:" + hashlib.sha256(b"GGUF weights").hexdigest()]
                assert first.models[0].at_load, "the kernel doesn't show it loaded"
                assert lost(first) == ()
                pulled = repull(store, b"GGUF others")
                await world.guards.look_again()
                assert lost(world.guarded[0]) == ("tiny:latest",), "also while it is hashed"
                await until(lambda: digests(world) == [pulled])
                assert lost(world.guarded[0]) == ("tiny:latest",)
                (finding,) = [facts for what, facts in world.acts if what == "model.changed"]
                assert finding["was"] == [first.models[0].identity.digest if first.models[0].identity else ""]
                assert str(tmp_path) not in str(world.acts), "paths tell people's names"

    run(main)


def test_an_ollama_blob_that_is_not_what_its_name_says_makes_the_model_unknown(tmp_path: Path) -> None:
    async def main() -> None:
        with a_real_store(tmp_path / "home") as (address, store):
            for blob in (store / "blobs").iterdir():
                if blob.read_bytes().startswith(b"GGUF"):
                    blob.write_bytes(b"GGUF other")
            async with a_world(tmp_path, address) as world:
                await world.guards.look_again()
                await until(lambda: DIGEST_HASHING not in digests(world))
                assert digests(world) == ["unknown"]
                assert world.guarded[0].bindings == ()
                assert [what for what, _ in world.acts if what == "model.misnamed"] == ["model.misnamed"]

    run(main)


def test_a_server_that_lost_its_model_gets_no_svid(tmp_path: Path) -> None:
    async def main() -> None:
        with a_real_store(tmp_path / "home") as (address, store):
            async with a_world(tmp_path, address) as world:
                await world.guards.look_again()
                await until(lambda: DIGEST_HASHING not in digests(world))
                (server,) = world.guarded
                peer = as_if_connected(server.pid or 0)
                identities = KernelIdentities(world.realm)
                assert await identities.identities(peer) == (server.spiffe_id,)
                repull(store, b"GGUF others")
                assert await identities.identities(peer) == (), "at once, before the next look"
                await world.guards.look_again()
                await until(lambda: DIGEST_HASHING not in digests(world))
                assert await identities.identities(peer) == ()
                human = world.realm.humans["ada"]
                await world.realm.bindings.approve(human, server.spiffe_id, "tiny:latest", None, "terminal")
                assert await identities.identities(peer) == (server.spiffe_id,)
                identities.close()
                peer.close()

    run(main)


def test_only_its_owner_approves_a_model(tmp_path: Path) -> None:
    async def main() -> None:
        with a_real_store(tmp_path / "home") as (address, _):
            async with a_world(tmp_path, address) as world:
                await world.guards.look_again()
                await until(lambda: DIGEST_HASHING not in digests(world))
                bob = await world.realm.meet("bob", [1001])
                with pytest.raises(UsageError, match="not a workload that bob owns"):
                    await world.realm.bindings.approve(
                        bob, world.guarded[0].spiffe_id, "tiny:latest", None, "terminal"
                    )
                assert not world.guarded[0].bindings[0].approved

    run(main)


class CannotLook:
    async def look(self) -> Any:
        raise AttestationError("more descriptors are open than can be looked through")


def test_a_machine_that_can_t_be_looked_at_is_not_said_to_hold_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with a_world(tmp_path) as world:
            can, cannot = world.guards._lookout, cast("Lookout", CannotLook())
            for lookout, why in ((cannot, "more descriptors are open than can be looked through"), (can, "")):
                world.guards._lookout = lookout
                found = await world.guards.first_look()
                assert world.guards.unseen == why
                assert bool(found.unread) is bool(why)

    run(main)
