"""A Remit that takes its policies from a signed bundle alone: what comes in force, what doesn't, and what is told."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from remit.audit.note import VerifierKey
from remit.policy import PolicyFile
from remit.policy.bundle_file import pack
from remit.policy.schema import STARTER_TEXT
from tests.e2e.conftest import Remit
from tests.fakes.awkward_server import FakeAwkwardServer
from tests.faults.world import chat, configure, port_of, running, status_of, until

PORT = 28750
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(bytes([8]) * 32)
KEY, STRANGER = (VerifierKey("house", one.public_key().public_bytes_raw()) for one in (PRIVATE, OTHER))
STARTER = PolicyFile("starter.cedar", STARTER_TEXT)
PROFILE = PolicyFile("profiles/quick-look.toml", 'actions = ["infer"]\n')
DAYTIME = PolicyFile(
    "later.cedar",
    '@id("never-today")\nforbid (principal, action == Action::"infer", resource)\n'
    'when {\n  context.grade == "C" &&\n  context.time.hour >= 0\n};\n',
)
NEWER = pack([STARTER, DAYTIME, PROFILE], 8, KEY, PRIVATE.sign)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "policies.tar"
    path.write_bytes(pack([STARTER], 7, KEY, PRIVATE.sign))
    return path


@pytest.fixture(scope="module")
def remit(bundle: Path, server: FakeAwkwardServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remit]:
    state = tmp_path_factory.mktemp("faults") / "state"
    configure(state, PORT, server.url, f'\n[policy]\nbundle = "{bundle}"\nsigners = ["{KEY}"]\n')
    with running(state) as one:
        yield one


def put(bundle: Path, data: bytes) -> None:
    draft = bundle.with_name("draft")
    draft.write_bytes(data)
    draft.replace(bundle)


def refused(port: int) -> Any:
    reply = chat(port)
    return reply if reply.status == 403 else None


def explained(remit: Remit, decision: str) -> str:
    return remit.run("explain", decision).stdout


def test_what_is_signed_comes_in_force_what_is_not_or_is_older_never_does(remit: Remit, bundle: Path) -> None:
    port = port_of(remit)
    assert chat(port).status == 200
    before = json.loads(remit.run("policy", "show", "--json").stdout)
    assert (before["signed"], before["set"]) == ("signed by house, serial 7", status_of(remit)["policies"]["set"])
    assert f"{bundle}   set " in (shown := remit.run("status").stdout)
    assert "   signed by house, serial 7\n" in shown
    assert (remit.ready["policies"]["dir"], remit.ready["policies"]["signed"]) == (str(bundle), before["signed"])
    put(bundle, NEWER)
    in_force = remit.event("policy", 10)
    assert in_force["warning"] == ""
    assert "   signed by house, serial 8\n" in remit.run("status").stdout
    assert chat(port).status == 403
    for other, why in (
        (pack([STARTER], 7, KEY, PRIVATE.sign), "older than 8"),
        (pack([STARTER], 9, KEY, OTHER.sign), "the signature is not `house`'s"),
        (pack([STARTER], 9, STRANGER, OTHER.sign), "none of the signers"),
        (NEWER[:-1], "it is not what was signed"),
    ):
        put(bundle, other)
        told = remit.event("policy", 10)
        assert why in told["warning"]
        assert told["set"] == in_force["set"]
        assert chat(port).status == 403
    put(bundle, NEWER)
    assert remit.event("policy", 10)["warning"] == ""


def test_explain_tells_who_signed_what_decided_and_what_comes_out_without_it(remit: Remit, bundle: Path) -> None:
    put(bundle, NEWER)
    reply = until(lambda: refused(port_of(remit)), "the newer bundle decides")
    decision = json.loads(reply.body)["error"]["decision"]
    text = explained(remit, decision)
    assert "  signed by    house, serial 8, bundle sha256:" in text
    assert "  never-today (later.cedar:2) forbids it as this is so; without it: allowed\n" in text
    assert '      context.grade == "C"   later.cedar:4\n' in text
