"""`remit policy replay` and `learn`, of a log as it is written."""

import json
import time
from pathlib import Path

from remit.audit import End, ProcessFacts, Start
from remit.audit.keys import RootKey, WriterKey, certify
from remit.audit.log import AuditLog
from remit.audit.shard import shard_name
from remit.policy import PolicyRef, write_starter
from tests.policy.test_cases import HOUSE
from tests.policy.test_cli import remit

DOMAIN = "test.local"


def start(decision: str, t: float, model: str = "smol") -> Start:
    process = ProcessFacts(1, 1000, "curl", "/usr/bin/curl", "77" * 32)
    return Start(
        decision, "allowed", "p-1", None, "loopback", process, None, "infer", f"spiffe://{DOMAIN}/inference/llama",
        "POST /v1/x", "openai", model, "sha256:" + "ab" * 32, (PolicyRef("owners-use", "starter.cedar", 1),),
        "owners-use", "", "", {}, "sha256:00", 1, "C", "", t, 0.0, facts={"exhaustive": True},
    )  # fmt: skip


def written(directory: Path) -> None:
    """A log of two calls of now, one of ten days ago, and one that was cut."""
    now = time.time()
    root = RootKey.open(directory.parent / "audit.key", directory / "audit.pub", DOMAIN)
    shard = shard_name("inference-0", now)
    key = WriterKey.fresh(DOMAIN, shard)
    log = AuditLog.open(directory, key, certify(root, DOMAIN, shard, key.verifier.public, now), t=now, m=0.0)
    for entry in (start("old", now - 864_000), start("d1", now), start("d2", now), start("cut", now, "big")):
        log.record_sync(entry, b"")
    log.record_sync(End("cut", "cut", None, 0, 0, 0, {}, 1.0, now, 0.0), b"")
    log.close(t=now, m=1.0)


def test_the_log_is_decided_again_and_learned_from(tmp_path: Path) -> None:
    written(tmp_path / "audit")
    write_starter(tmp_path / "same")
    (tmp_path / "other").mkdir(mode=0o700)
    (tmp_path / "other" / "p.cedar").write_text('@id("no")\nforbid (principal, action, resource);')
    (tmp_path / "house.toml").write_text(HOUSE + '[pseudonym]\n"p-1" = "ada"\n')
    known = ("--known", str(tmp_path / "house.toml"))
    same = remit("replay", "--policies", str(tmp_path / "same"), *known, state=tmp_path)
    assert (same.returncode, same.stderr) == (0, "")
    assert same.stdout == "3 decisions: 3 the same, 0 changed, 0 unknown, 0 by built-in rules\n"
    other = remit("replay", "--policies", str(tmp_path / "other"), *known, "--json", state=tmp_path)
    (changed,) = json.loads(other.stdout)["changed"]
    assert (changed["was"], changed["now"], changed["by"], changed["count"]) == ("allowed", "refused", "no", 3)
    assert changed["first"] == ["d1", "d2", "cut"]
    longer = remit("replay", "--since", "30d", "--policies", str(tmp_path / "same"), *known, state=tmp_path)
    assert longer.stdout.startswith("4 decisions")
    learned = remit("learn", *known, state=tmp_path)
    assert (learned.returncode, "d1, d2" in learned.stdout, "big" in learned.stdout) == (0, True, False)
    assert learned.stdout.count("permit (") == 1
    (tmp_path / "other" / "p.cedar").write_text(learned.stdout)
    assert remit("check", str(tmp_path / "other"), state=tmp_path).returncode == 0
