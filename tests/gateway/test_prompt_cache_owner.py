"""Where a server can't keep callers out of each other's prompt cache, only its owner may use it."""

import dataclasses

import pytest

from remit.gateway.consider import Ask, SharedCacheError, owner_s_cache_only
from remit.gateway.dialects import DIALECTS, Asked
from remit.gateway.message import Request
from remit.gateway.routes import match, profile
from remit.identity import Caller, Proof, SpiffeId
from remit.inventory import Kind, Workload
from remit.redaction import Scan


def asked_of(workload: Workload, *, isolated: bool) -> Ask:
    route = match(profile("ollama"), "POST", "/api/chat")
    request = Request("POST", "/api/chat", "", "/api/chat", "/api/chat", (), b"{}", True, "1.1")
    scan = Scan(())
    return Ask(request, workload, route, DIALECTS["ollama"], Asked(None, False), {}, isolated, scan, "/api/chat", ())


ADA_S = Workload(
    spiffe_id=SpiffeId.parse("spiffe://maple.local/inference/ollama-11434"),
    name="ollama-11434",
    kind=Kind.MODEL_SERVER,
    owner="ada",
    server="ollama",
    upstream="http://127.0.0.1:11434",
    reach="loopback",
    capabilities=(),
)


def caller(name: str) -> Caller:
    return Caller(SpiffeId.of("maple.local", "user", name), name, "p-1", Proof.LOOPBACK, None, False, False)


def test_the_owner_may_and_nobody_else() -> None:
    owner_s_cache_only(asked_of(ADA_S, isolated=False), caller("ada"))
    with pytest.raises(SharedCacheError, match="is its owner's"):
        owner_s_cache_only(asked_of(ADA_S, isolated=False), caller("bob"))


def test_a_cache_that_is_kept_apart_or_off_is_for_everyone() -> None:
    owner_s_cache_only(asked_of(ADA_S, isolated=True), caller("bob"))
    owner_s_cache_only(asked_of(dataclasses.replace(ADA_S, demonstration=True), isolated=False), caller("bob"))
