"""The authority of a whole Remit: rotated, killed, under an outside CA, with a spoilt key file."""

import json
import os
import signal
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remit.identity import Authority, Bundle
from tests.e2e.conftest import Remit
from tests.e2e.svids import called, context_of, stock_client
from tests.faults.world import apart, configure, records, running
from tests.identity.outside import OutsideCa

PORT = 18310


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with apart() as address:
        yield address


@pytest.fixture
def state(server: str, tmp_path: Path) -> Path:
    configure(tmp_path / "state", PORT, server)
    return tmp_path / "state"


def fetch(remit: Remit, directory: Path) -> ssl.SSLContext:
    """A client's TLS context with what the stock client fetched."""
    stock_client(remit.ready["workload_api"], "x509", str(directory))
    return context_of(directory)


def bundle(remit: Remit) -> Bundle:
    return Bundle.from_dict("any.example", json.loads(remit.run("bundle").stdout))


def put_back(state: Path, seconds: float) -> None:
    """Let the prepared keys have been published that long ago."""
    path = state / "keys" / "authority.json"
    row: dict[str, Any] = json.loads(path.read_bytes())
    path.write_text(json.dumps(row | {"prepared_at": time.time() - seconds}))


def acts(state: Path) -> list[str]:
    return [row["what"] for row in records(state) if str(row.get("what", "")).startswith("authority.")]


def test_a_rotation_outlives_kill_9_and_breaks_no_client(state: Path, tmp_path: Path) -> None:
    with running(state) as remit:
        assert (len(bundle(remit).x509_authorities), bundle(remit).refresh_hint) == (1, 300)
        old = fetch(remit, tmp_path)
        said = json.loads(remit.run("authority", "rotate", "--json").stdout)
        assert 7000 < said["signs_from"] - time.time() < 7201
        again = remit.run("authority", "rotate", "--json")
        assert json.loads(again.stdout) == {**said, "begun": False}
        shown = json.loads(remit.run("status", "--json").stdout)["identity"]["keys"]
        assert (shown["sequence"], shown["next_sign_from"], shown["former_kept_until"]) == (
            2,
            said["signs_from"],
            None,
        )
        prepared = bundle(remit)
        assert (len(prepared.x509_authorities), len(prepared.jwt_keys), prepared.sequence) == (2, 2, 2)
        assert called(remit, old) == 200
        os.kill(json.loads(remit.run("status", "--json").stdout)["pid"], signal.SIGKILL)
        remit.event("ready")
        assert bundle(remit) == prepared
        old = fetch(remit, tmp_path)  # signed by the old key, and knows the new one
    put_back(state, 7300)
    with running(state) as remit:
        active = bundle(remit)
        assert set(active.x509_authorities) == set(prepared.x509_authorities)
        assert active.sequence == 3
        shown = json.loads(remit.run("status", "--json").stdout)["identity"]["keys"]
        assert shown["next_sign_from"] is None
        assert 4000 < shown["former_kept_until"] - time.time() < 4400
        assert "; the former go at " in remit.run("status").stdout
        assert called(remit, old) == 200
        assert called(remit, fetch(remit, tmp_path)) == 200
    assert acts(state) == ["authority.prepared", "authority.activated"]


def test_under_an_outside_ca_both_sides_verify_against_its_root(server: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    ca = OutsideCa(tmp_path, time.time())
    files = ca.give("maple.example")
    lines = "".join(f'{key} = "{getattr(files, key)}"\n' for key in ("chain", "key", "roots"))
    state = tmp_path / "state"
    configure(state, PORT, server, top=f'trust_domain = "maple.example"\n[authority]\n{lines}')
    with running(state) as remit:
        assert bundle(remit).x509_authorities == (ca.root.der,)
        assert called(remit, fetch(remit, tmp_path)) == 200
    ca.give("other.example")
    refused = Remit(state)
    try:
        error = refused.event("error")
    finally:
        refused.stop()
    assert "is not constrained to the trust domain `maple.example`" in error["message"]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: path.chmod(0o644), "can be read by others"),
        (lambda path: path.write_bytes(path.read_bytes()[:500]), "it is not what Remit wrote"),
        (lambda path: path.write_bytes(b""), "it is not what Remit wrote"),
    ],
    ids=["open", "cut", "empty"],
)
def test_a_key_file_that_is_not_as_it_should_be_is_said_so_and_left_alone(state: Path, spoil: Any, why: str) -> None:
    path = state / "keys" / "authority.json"
    state.chmod(0o700)
    Authority.open(path, "maple.example", time.time())
    spoil(path)
    facts, content = path.stat(), path.read_bytes()
    remit = Remit(state)
    try:
        error = remit.event("error")
        status = remit.process.wait(20)
    finally:
        remit.stop()
    assert why in error["message"]
    assert error["hint"]
    assert status == 1
    assert (path.stat().st_mode, path.stat().st_ino, path.read_bytes()) == (facts.st_mode, facts.st_ino, content)
