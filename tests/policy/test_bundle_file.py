"""Signed bundles: what one of the signers signed and nothing else, never an older one."""

import base64
import hashlib
import io
import json
import os
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.audit.note import VerifierKey
from remit.config import Places, parse
from remit.control import policy_watch
from remit.control.policy_bundle import BundleSource
from remit.control.policy_source import source
from remit.errors import ConfigError, PolicyError, UsageError
from remit.policy import PolicyFile, load
from remit.policy.bundle_file import CONTEXT, MAX_BYTES, MAX_SERIAL, NOTE, open_bundle, pack
from tests.policy.test_cli import remit
from tests.policy.test_things import CATALOGUE
from tests.policy.worlds import STARTER

FILES = (STARTER, PolicyFile("catalogue.toml", CATALOGUE))
PRIVATE, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([byte]) * 32) for byte in (1, 2))
KEY, STRANGER = (VerifierKey("house", private.public_key().public_bytes_raw()) for private in (PRIVATE, OTHER))
GOOD = pack(FILES, 7, KEY, PRIVATE.sign)


def signed(archive: bytes, text: str | None = None, serial: int = 7) -> bytes:
    """An archive of any form, rightly signed: what only a signer could do."""
    digest = base64.b64encode(hashlib.sha256(archive).digest()).decode()
    said = text if text is not None else f"{CONTEXT}\n{serial}\n{digest}\n"
    note = f"{said}\n— {KEY.name} {base64.b64encode(KEY.hash + PRIVATE.sign(said.encode())).decode()}\n".encode()
    return member(NOTE, note) + archive


def member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "", mtime: int = 0) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname, info.mtime = len(data), kind, link, mtime
    return info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512)


def refused(data: bytes, *signers: VerifierKey) -> str:
    with pytest.raises(PolicyError) as caught:
        open_bundle(data, signers or (KEY,))
    return str(caught.value)


def test_a_bundle_is_what_was_packed_and_always_the_same_bytes() -> None:
    opened = open_bundle(GOOD, [STRANGER, KEY])
    assert (opened.serial, opened.signer) == (7, "house")
    assert opened.files == tuple(sorted(FILES, key=lambda file: file.name))
    assert pack(reversed(FILES), 7, KEY, PRIVATE.sign) == GOOD
    with tarfile.open(fileobj=io.BytesIO(GOOD)) as tar:  # anybody's tools read it
        assert tar.getnames() == [NOTE, "catalogue.toml", "starter.cedar"]


def test_profiles_are_in_it_as_they_are_beside_the_policies() -> None:
    profile = PolicyFile("profiles/mine.toml", 'actions = ["infer"]\n')
    opened = open_bundle(pack([STARTER, profile], 7, KEY, PRIVATE.sign), [KEY])
    assert opened.files == (profile, STARTER)
    assert load(opened.files).profiles["mine"].reach.actions == ("infer",)


def test_a_serial_too_high_for_json_is_none() -> None:
    assert "can't be a serial" in refused(signed(member("a.cedar", b"x") + bytes(1024), serial=MAX_SERIAL + 1))
    assert open_bundle(signed(member("a.cedar", b"x") + bytes(1024), serial=MAX_SERIAL), [KEY]).serial == MAX_SERIAL


def test_no_name_is_packed_twice() -> None:
    with pytest.raises(UsageError, match="is there twice"):
        pack([STARTER, STARTER], 7, KEY, PRIVATE.sign)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_byte_can_be_changed_added_or_taken_away(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(GOOD) - 1))
    flipped = bytes([GOOD[at] ^ data.draw(st.integers(1, 255))])
    for changed in (GOOD[:at] + flipped + GOOD[at + 1 :], GOOD[:at], GOOD[:at] + flipped + GOOD[at:]):
        refused(changed)


def test_only_the_signers_count() -> None:
    assert "is none of the signers" in refused(GOOD, STRANGER)
    with pytest.raises(PolicyError):
        open_bundle(GOOD, [])
    forged = pack(FILES, 7, KEY, OTHER.sign)
    assert "the signature is not `house`'s" in refused(forged)
    assert "no policy bundle" in refused(b"")
    assert "larger than" in refused(GOOD + bytes(MAX_BYTES))


@pytest.mark.parametrize(
    "members",
    [
        [member("../a.cedar", b"x")],
        [member("/etc/a.cedar", b"x")],
        [member("a/b.cedar", b"x")],
        [member(".a.cedar", b"x")],
        [member("a.sh", b"x")],
        [member("a.cedar", kind=tarfile.SYMTYPE, link="/etc/passwd")],
        [member("a.cedar", kind=tarfile.LNKTYPE, link="b.cedar")],
        [member("a.cedar", kind=tarfile.DIRTYPE)],
        [member("a.cedar", kind=tarfile.FIFOTYPE)],
        [member("a.cedar", kind=tarfile.CHRTYPE)],
        [member("a.cedar", b"x", mtime=1)],
        [member("a.cedar", b"\xff")],
        [member("a.cedar", b"x" * (1 << 20) + b"x")],
        [member("a.cedar", b"x")[:700]],
        [member("a.cedar", b"x"), member("a.cedar", b"y")],
        [member("b.cedar", b"x"), member("a.cedar", b"y")],
        [member("profiles/a/b.toml", b"x")],
        [member("profiles/a.cedar", b"x")],
        [member("profiles/../a.toml", b"x")],
        [member("a.cedar", b"x"), bytes(1024), b"more"],
    ],
    ids=range(20),
)
def test_even_a_signer_can_not_put_anything_but_plain_policy_files_in_it(members: list[bytes]) -> None:
    tail = b"" if members[-1] == b"more" else bytes(1024)
    refused(signed(b"".join(members) + tail))
    assert open_bundle(signed(member("a.cedar", b"x") + bytes(1024)), [KEY]).files == (PolicyFile("a.cedar", "x"),)


@pytest.mark.parametrize("text", ["maple.local/audit/x\n7\n{}\n", "remit-policy-bundle/v1\n07\n{}\n", "{}\n"])
def test_another_kind_of_note_by_the_same_key_is_no_bundle(text: str) -> None:
    archive = member("a.cedar", b"x") + bytes(1024)
    digest = base64.b64encode(hashlib.sha256(archive).digest()).decode()
    assert "its note can't be read" in refused(signed(archive, text.format(digest)))


@pytest.mark.parametrize(
    ("name", "serial"), [("a b.cedar", 1), ("../a.cedar", 1), ("a.cedar", 0), ("a.cedar", 2**60)]
)
def test_what_can_not_be_in_a_bundle_is_not_packed(name: str, serial: int) -> None:
    with pytest.raises(UsageError):
        pack([PolicyFile(name, "x")], serial, KEY, PRIVATE.sign)


def test_no_older_serial_comes_back_not_even_after_a_restart(tmp_path: Path) -> None:
    path, accepted = tmp_path / "b.tar", tmp_path / "accepted.json"
    path.write_bytes(GOOD)
    reads = BundleSource(path, (KEY,), accepted)
    assert reads.read().files == reads.read().files == open_bundle(GOOD, [KEY]).files
    assert reads.read().bundle == {"signer": "house", "serial": 7, "sha256": open_bundle(GOOD, [KEY]).digest}
    path.write_bytes(pack([STARTER], 8, KEY, PRIVATE.sign))
    assert reads.read().files == (STARTER,)
    for older in (
        GOOD,
        pack(FILES, 8, KEY, PRIVATE.sign),
        pack([PolicyFile("a.cedar", "permit")], 9, KEY, PRIVATE.sign),
    ):
        path.write_bytes(older)
        for again in (reads, BundleSource(path, (KEY,), accepted)):
            with pytest.raises(PolicyError):
                again.read()
    assert json.loads(accepted.read_text())["serial"] == 8
    path.write_bytes(pack([STARTER], 8, KEY, PRIVATE.sign))
    accepted.write_text("")
    with pytest.raises(PolicyError, match="which bundle was accepted last is not known"):
        BundleSource(path, (KEY,), accepted).read()
    path.unlink()
    with pytest.raises(PolicyError, match="can't be read"):
        reads.read()


def test_what_is_no_plain_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "b.tar")  # nobody writes: to open it for reading would wait for ever
    with pytest.raises(PolicyError, match="no plain file"):
        BundleSource(tmp_path / "b.tar", (KEY,), tmp_path / "accepted.json").read()


def test_an_endpoint_with_a_bundle_reads_no_directory(tmp_path: Path) -> None:
    places = Places.of(tmp_path / "state", {"HOME": str(tmp_path)})
    places.state.mkdir()
    path = tmp_path / "b.tar"
    path.write_bytes(GOOD)
    said = parse(f'[policy]\nbundle = "{path}"\nsigners = ["{KEY}"]'.encode(), "c")
    reads = source(places, said)
    before = policy_watch.first(reads)
    assert before.files == open_bundle(GOOD, [KEY]).files
    assert not places.policies.exists()
    path.write_bytes(GOOD[:-1])
    after = policy_watch.Looking(reads, before).look(time.time())
    assert after is not None
    assert (after.files, after.digest) == (before.files, before.digest)
    assert "it is not what was signed" in after.warning
    for signers in ("[]", '["rubbish"]'):
        with pytest.raises(ConfigError):
            source(places, parse(f'[policy]\nbundle = "{path}"\nsigners = {signers}'.encode(), "c"))
    assert STARTER in source(places, parse(b"", "c")).read().files


def test_the_commands_pack_and_verify(tmp_path: Path) -> None:
    where, key, out = tmp_path / "policies", tmp_path / "key.pem", tmp_path / "b.tar"
    where.mkdir(mode=0o700)
    for file in FILES:
        (where / file.name).write_text(file.text)
    key.write_bytes(PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def packed() -> subprocess.CompletedProcess[str]:
        said = ("--key", str(key), "--serial", "7", "-o", str(out), "--name", "house")
        return remit("pack", str(where), *said, state=tmp_path)

    key.chmod(0o644)
    assert (packed().returncode, out.exists()) == (2, False)
    key.chmod(0o600)
    done = packed()
    assert (done.returncode, done.stderr, out.read_bytes()) == (0, "", GOOD)
    assert done.stdout.splitlines()[1] == f"  signer {KEY}"
    good = remit("verify", str(out), "--signer", str(KEY), state=tmp_path)
    assert good.stdout.startswith("ok   serial 7, 2 files, signed by house"), good.stderr
    assert remit("verify", str(out), state=tmp_path).returncode == 2
    (tmp_path / "config.toml").write_text(f'[policy]\nsigners = ["{KEY}"]')
    assert json.loads(remit("verify", str(out), "--json", state=tmp_path).stdout)["serial"] == 7
    out.write_bytes(GOOD[:-1])
    bad = remit("verify", str(out), state=tmp_path)
    assert (bad.returncode, "it is not what was signed" in bad.stderr) == (2, True)


def test_while_a_bundle_is_in_force_the_commands_are_about_it(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir(mode=0o700)
    (tmp_path / "policies" / "left.cedar").write_text('@id("left-behind") permit (principal, action, resource);')
    out = tmp_path / "b.tar"
    out.write_bytes(GOOD)
    (tmp_path / "config.toml").write_text(f'[policy]\nbundle = "{out}"\nsigners = ["{KEY}"]')
    shown = json.loads(remit("show", "--json", state=tmp_path).stdout)
    assert (shown["dir"], shown["signed"]) == (str(out), "signed by house, serial 7")
    assert "left-behind" not in [policy["id"] for policy in shown["policies"]]
    assert "signed by house, serial 7" in remit("check", state=tmp_path).stdout
    named = remit("check", str(tmp_path / "policies"), state=tmp_path)
    assert named.stdout.startswith("ok   1 file, 1 permit, 0 forbids")
    for command in ("test", "fmt"):
        refused_here = remit(command, state=tmp_path)
        assert refused_here.returncode == 2
        assert "come from a signed bundle" in refused_here.stderr
    out.write_bytes(pack(FILES, 7, STRANGER, OTHER.sign))
    unsigned = remit("show", state=tmp_path)
    assert (unsigned.returncode, unsigned.stdout) == (2, "")
