"""A policy directory as one signed file: a tar archive whose first member is a C2SP signed note about the rest. Pure.

The note says serial and digest. Nothing of the rest is read before the signature holds, and then only an archive that
is byte for byte the one that `pack` would make of its files: links, paths, devices, extra bytes have no form in it.
"""

import base64
import binascii
import hashlib
import io
import re
import tarfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from remit.errors import PolicyError, UsageError
from remit.policy.catalogue import NAME as CATALOGUE
from remit.policy.directory import MAX_FILE_BYTES, MAX_FILES, MAX_TOTAL_BYTES, SUFFIX
from remit.policy.profiles import is_profile
from remit.policy.snapshot import PolicyFile

CONTEXT: Final = "remit-policy-bundle/v1"  # keeps a note from being anything else that a key signs
NOTE: Final = "bundle.note"
MAX_NOTE: Final = 4_096
MAX_BYTES: Final = 2 * MAX_TOTAL_BYTES  # with 512 to 1,023 bytes more a file
MAX_SERIAL: Final = 2**53 - 1
_BLOCK: Final = 512
_NAME: Final = re.compile(r"(?=.{1,99}\Z)(profiles/)?[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_TEXT: Final = re.compile(
    r"(remit-policy-bundle/v1\n([1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\n)\n— ([^\s+]+) ([A-Za-z0-9+/=]+)\n"
)


class Verifier(Protocol):
    """A public key that is trusted to sign bundles, under the name it signs with."""

    @property
    def name(self) -> str: ...

    @property
    def hash(self) -> bytes: ...

    def signed(self, message: bytes, signature: bytes) -> bool: ...


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose signature holds. `digest` is of all that was signed for; `signer` the key's name."""

    serial: int
    digest: str
    signer: str
    files: tuple[PolicyFile, ...]


def pack(files: Iterable[PolicyFile], serial: int, key: Verifier, sign: Callable[[bytes], bytes]) -> bytes:
    """The same bytes for the same files, serial and key. Raises UsageError for what can't be in a bundle."""
    ordered = sorted(files, key=lambda file: file.name)
    if not 0 < serial <= MAX_SERIAL:
        raise UsageError(f"`{serial}` can't be a serial", hint=f"1 to {MAX_SERIAL}, higher than the one before")
    for file, before in zip(ordered, [None, *ordered], strict=False):
        if before is not None and before.name == file.name:
            raise UsageError(f"`{file.name}` is there twice")
        if not _counts(file.name):
            raise UsageError(
                f"`{file.name}` can't be in a bundle", hint="letters, digits, `.`, `_` and `-`, up to 99"
            )
    archive = _archive(ordered)
    text = f"{CONTEXT}\n{serial}\n{_b64(hashlib.sha256(archive).digest())}\n"
    note = f"{text}\n— {key.name} {_b64(key.hash + sign(text.encode()))}\n"
    return _member(NOTE, note.encode()) + archive


def open_bundle(data: bytes, signers: Sequence[Verifier], name: str = "the bundle") -> Bundle:
    """What a bundle holds; raises PolicyError unless one of `signers` signed exactly this.

    1. not larger than any bundle is
    2. its first member is a note, and nothing else
    3. the note is by one of the signers, the signature holds, and the serial is one
    4. the rest is what the note says
    5. the rest is an archive as `pack` makes it
    """
    # 1
    if len(data) > MAX_BYTES:
        raise _refused(name, f"larger than {MAX_BYTES} bytes")
    # 2
    match, archive = _note(data, name)
    text, serial, stated, signer, signature = match.groups()
    # 3
    _signed(text.encode(), signer, signature, signers, name)
    if int(serial) > MAX_SERIAL:
        raise _refused(name, f"`{serial}` can't be a serial")
    # 4
    if _b64(hashlib.sha256(archive).digest()) != stated:
        raise _refused(name, "it is not what was signed")
    # 5
    files = _files(archive, name)
    names = [file.name for file in files]
    if _archive(files) != archive or names != sorted(set(names)):
        raise _refused(name, "its archive is not of the one form")
    return Bundle(int(serial), "sha256:" + hashlib.sha256(archive).hexdigest(), signer, tuple(files))


def not_older(bundle: Bundle, serial: int, digest: str, name: str) -> None:
    """Raises PolicyError for one that is older than what was accepted last, or another one of the same serial."""
    if bundle.serial < serial:
        raise _refused(name, f"serial {bundle.serial} is older than {serial}, which was accepted already")
    if bundle.serial == serial and bundle.digest != digest:
        raise _refused(
            name, f"there was another bundle of serial {serial}", "sign the newer one with a higher serial"
        )


def _note(data: bytes, name: str) -> tuple[re.Match[str], bytes]:
    """The note, and what follows it."""
    stated = data[124:135]
    size = int(stated, 8) if re.fullmatch(rb"[0-7]{11}", stated) else MAX_NOTE + 1
    note = data[_BLOCK : _BLOCK + size] if size <= MAX_NOTE else b""
    if not note or len(note) != size or not data.startswith(_member(NOTE, note)):
        raise _refused(name, "this is no policy bundle, or it is cut short", "`remit policy pack` makes one")
    try:
        match = _TEXT.fullmatch(note.decode())
    except UnicodeDecodeError:
        match = None
    if match is None:
        raise _refused(name, "its note can't be read")
    return match, data[len(_member(NOTE, note)) :]


def _signed(text: bytes, signer: str, signature: str, signers: Sequence[Verifier], name: str) -> None:
    try:
        raw = base64.b64decode(signature, validate=True)
    except binascii.Error:
        raise _refused(name, "its note can't be read") from None
    trusted = [key for key in signers if key.name == signer and key.hash == raw[:4]]
    if not trusted:
        raise _refused(name, f"`{signer}` is none of the signers", "`[policy] signers` names who may sign")
    if not any(key.signed(text, raw[4:]) for key in trusted):
        raise _refused(name, f"the signature is not `{signer}`'s")


def _files(archive: bytes, name: str) -> list[PolicyFile]:
    files: list[PolicyFile] = []
    total = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            for member in tar:
                total += member.size
                if not member.isreg() or not _counts(member.name):
                    raise _refused(name, f"{member.name[:99]!r} can't be in a bundle")
                if member.size > MAX_FILE_BYTES or total > MAX_TOTAL_BYTES or len(files) >= MAX_FILES:
                    raise _refused(name, "it holds more than a policy directory may")
                read = tar.extractfile(member)
                files.append(PolicyFile(member.name, read.read().decode() if read is not None else ""))
    except (tarfile.TarError, ValueError, EOFError, OverflowError):
        raise _refused(name, "its archive can't be read") from None
    return files


def _archive(files: Iterable[PolicyFile]) -> bytes:
    members = b"".join(_member(file.name, file.text.encode()) for file in files)
    return members + bytes(2 * _BLOCK)


def _member(name: str, data: bytes) -> bytes:
    """One plain file of an archive: no owner, no time."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % _BLOCK)


def _counts(name: str) -> bool:
    if _NAME.match(name) is None:
        return False
    return is_profile(name) or ("/" not in name and (name.endswith(SUFFIX) or name == CATALOGUE))


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _refused(name: str, message: str, hint: str = "") -> PolicyError:
    return PolicyError(message, file=name, line=1, column=1, hint=hint)
