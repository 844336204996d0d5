"""A small household to decide about: ada owns a model server, bob owns an agent, and both have shells."""

import hashlib
from collections.abc import Sequence

from remit.detect import Label
from remit.identity import Caller, Process, Proof, SpiffeId
from remit.inventory import Capability, Human, Kind, Model, Workload
from remit.policy import Action, Intent, PolicyFile, Snapshot, policy_set_digest
from remit.policy.schema import STARTER_TEXT
from remit.tasks import Task

TD = "maple.local"
NOW = 1_800_000_000.0
STARTER = PolicyFile("starter.cedar", STARTER_TEXT)
KNOWN = "sha256:" + "ab" * 32


def sid(*path: str) -> SpiffeId:
    return SpiffeId.of(TD, *path)


LLAMA = sid("inference", "llama-4121")
PROD = sid("inference", "prod-1")
BOT = sid("agent", "bot")


def workload(
    spiffe_id: SpiffeId, owner: str = "ada", environment: str = "dev", kind: Kind = Kind.MODEL_SERVER
) -> Workload:
    return Workload(
        spiffe_id=spiffe_id,
        name=spiffe_id.path.rpartition("/")[2],
        kind=kind,
        owner=owner,
        server="llama.cpp",
        upstream="unix:/run/llama.sock",
        reach="private",
        capabilities=(Capability.STORE, Capability.DISCLOSE),
        models=(Model("smol", KNOWN),),
        environment=environment,
    )


WORKLOADS = (workload(LLAMA), workload(PROD, environment="prod"), workload(BOT, owner="bob", kind=Kind.AGENT))
HUMANS = (Human("ada", "p-1", (1000,)), Human("bob", "p-2", (1001,)))


def task(
    *actions: str, human: str = "ada", on: SpiffeId = LLAMA, named: str = "t1", ended: float | None = None
) -> Task:
    return Task(named, human, on, actions, "look", NOW - 60, NOW + 600, "00" * 32, "terminal", ended)


def snapshot(
    *policies: str,
    tasks: Sequence[Task] = (),
    workloads: Sequence[Workload] = WORKLOADS,
    files: Sequence[PolicyFile] | None = None,
    epoch: int = 1,
) -> Snapshot:
    """What is in force: the starter policies, or these texts instead."""
    if files is None:
        files = [PolicyFile(f"p{number}.cedar", text) for number, text in enumerate(policies)] or [STARTER]
    return Snapshot(
        epoch=epoch,
        issued=NOW - 10,
        lifetime=300.0,
        trust_domain=TD,
        grade="C",
        policy_files=tuple(files),
        policy_set=policy_set_digest(files),
        policy_warning="",
        humans=HUMANS,
        workloads=tuple(workloads),
        tasks=tuple(tasks),
        x509_authorities=(),
        jwt_authorities={"keys": []},
    )


def curl(human: str = "ada", *, task: str | None = None, exhaustive: bool = True) -> Caller:
    process = Process(5120, 99, 1000, 1000, "curl", "/usr/bin/curl", "77" * 32, (1, 2), 1000, None, False)
    return Caller(sid("user", human), human, f"p-{human}", Proof.LOOPBACK, process, False, exhaustive, task)


def bot(*, task: str | None = None) -> Caller:
    return Caller(BOT, "bob", "p-2", Proof.MTLS, None, True, True, task)


def intent(
    action: Action = Action.INFER,
    caller: Caller | None = None,
    resource: SpiffeId = LLAMA,
    *,
    digest: str = KNOWN,
    model: str | None = "smol",
    found: tuple[tuple[str, Label], ...] = (),
    route: str = "POST /v1/chat/completions",
) -> Intent:
    return Intent(
        caller=caller or curl(),
        action=action,
        resource=resource,
        route=route,
        dialect="openai",
        model=model,
        model_digest=digest,
        stream=False,
        found=found,
        body_sha256=hashlib.sha256(b"{}").digest(),
    )
