"""How many X.509-SVIDs one core issues, each with a new key, beside what OpenSSL signs on it."""

import re
import statistics
import subprocess
import time
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec

from bench.peers import cores, on_core
from bench.report import Part, Row, Table
from remit.identity import Authority, SpiffeId, verify_x509
from remit.identity.private_key import PrivateKey

TO_REACH = 3_500
TRUST_DOMAIN = "bench.local"
ROUNDS = 5


def run(quick: bool) -> Part:
    seconds = 0.5 if quick else 2.0
    with on_core(cores()[0]):
        rounds = [_round(seconds) for _ in range(ROUNDS)]
    rates = {what: statistics.median(one[what] for one in rounds) for what in rounds[0]}
    issued, openssl, made = rates[ISSUED], rates[OPENSSL], rates[KEYS]
    row = Row(
        "X.509-SVIDs issued a second on one core, key generation included",
        f"≥ {TO_REACH:,}",
        f"{issued:,.0f} ({issued / openssl:.0%} of what OpenSSL signs)",
        issued >= TO_REACH,
        f"`openssl speed ecdsap256` {openssl:,.0f} signatures/s, keys alone {made:,.0f} /s",
    )
    lines = tuple((what, f"{rate:,.0f}", f"{1e6 / rate:.1f}") for what, rate in rates.items())
    return Part("svids", (row,), (Table(("on one core", "per second", "µs each"), lines),), NOTES)


ISSUED = "X.509-SVID with a new key, both as DER"
GIVEN = "X.509-SVID for a key that is there"
CHECKED = "X.509-SVID verified"
KEYS = "P-256 key made"
OPENSSL = "`openssl speed ecdsap256`: signed"
NOTES = (
    f"Medians of {ROUNDS} interleaved rounds. Seconds are seconds of CPU throughout, as OpenSSL counts them. "
    "A key and a signature are the least that an SVID takes."
)


def _round(seconds: float) -> dict[str, float]:
    now = time.time()
    authority, spiffe_id = Authority.create(TRUST_DOMAIN, now), SpiffeId.of(TRUST_DOMAIN, "agent", "coder")
    key, roots = PrivateKey.generate().public, authority.signing_certificates()
    chain = authority.issue_x509(spiffe_id, now).chain

    def issue() -> None:
        svid = authority.issue_x509(spiffe_id, now)
        assert svid.key is not None
        svid.key.reveal_der()

    return {
        ISSUED: _rate(issue, seconds),
        GIVEN: _rate(lambda: authority.issue_x509(spiffe_id, now, public_key=key), seconds),
        CHECKED: _rate(lambda: verify_x509(chain, roots, now), seconds),
        KEYS: _rate(lambda: ec.generate_private_key(ec.SECP256R1()), seconds),
        OPENSSL: _openssl(seconds),
    }


def _rate(call: Callable[[], object], seconds: float) -> float:
    """Calls a second of CPU, as `openssl speed` counts them, over `seconds`."""
    count, begun = 0, time.process_time()
    while (spent := time.process_time() - begun) < seconds:
        for _ in range(50):
            call()
        count += 50
    return count / spent


def _openssl(seconds: float) -> float:
    """Signatures a second, as its own benchmark counts them; it starts on this process's core."""
    command = ["openssl", "speed", "-seconds", str(max(1, round(seconds))), "ecdsap256"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = re.search(r"nistp256\)\s+\S+\s+\S+\s+([\d.]+)", done.stdout)
    if found is None:
        raise RuntimeError(f"openssl speed said something else: {done.stdout}")
    return float(found[1])
