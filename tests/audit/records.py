"""Records as a gateway would write them."""

from collections.abc import Iterable

from remit.audit import Act, End, ProcessFacts, Start
from remit.audit.tree import Tree

NOW = 1_795_000_000.0
TRUST_DOMAIN = "maple-7f3a.local"


def start(decision: str, outcome: str = "allowed", t: float = NOW) -> Start:
    return Start(
        id=decision,
        outcome=outcome,
        person="p-1234567890abcdef",
        workload=f"spiffe://{TRUST_DOMAIN}/user/p-1234567890abcdef",
        proof="loopback",
        process=ProcessFacts(5120, 1000, "curl", "/usr/bin/curl", "77" * 32),
        task=None,
        action="infer",
        resource=f"spiffe://{TRUST_DOMAIN}/inference/llama-4121",
        route="POST /v1/chat/completions",
        dialect="openai",
        model="SmolLM2-135M-Instruct",
        model_digest="sha256:" + "9c" * 32,
        policies=(),
        rule="owner-infers",
        reason="",
        missing="",
        found={"github-pat": "restricted"},
        policy_set="sha256:" + "0b" * 32,
        epoch=7,
        grade="C",
        body="hmac-sha256:" + "ab" * 32,
        t=t,
        m=12.5,
    )


def end(decision: str, outcome: str = "done", t: float = NOW) -> End:
    return End(decision, outcome, 200, 512, 2048, 12, {"github-pat": 1}, 812.0, t, 13.3)


def act(what: str, subject: str, t: float = NOW) -> Act:
    return Act(what, subject, "p-1234567890abcdef", t, 14.0, {"expires": t + 600})


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over these leaf hashes."""
    tree = Tree()
    tree.extend(leaves)
    return tree.root()
