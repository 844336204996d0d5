"""`remit policy pack` and `verify`: a policy directory as one signed file, and whether it is what was signed."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remit.cli.places import JsonOption, StateOption, places

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from remit.audit.note import VerifierKey
    from remit.policy.bundle_file import Bundle

MAX_KEY_BYTES = 16_384


def pack(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The policy directory.")],
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="An Ed25519 private key, PEM, mode 0600.")],
    serial: Annotated[int, typer.Option("--serial", help="Higher than that of the bundle before.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where the bundle goes.")],
    name: Annotated[str, typer.Option("--name", help="The name that the key signs with.")] = "policies",
    json: JsonOption = False,
) -> None:
    """Check a policy directory and pack it into one signed file.

    The same files, serial and key make the same bytes. Prints the signer's public key as `[policy] signers` takes it.
    """
    from remit.audit.note import VerifierKey
    from remit.cli.policy_in_force import files_in
    from remit.cli.screen import print_json
    from remit.policy import load
    from remit.policy.bundle_file import open_bundle
    from remit.policy.bundle_file import pack as packed

    private = _private(key)
    public = VerifierKey.parse(str(VerifierKey(name, private.public_key().public_bytes_raw())))
    files = files_in(directory)
    digest = load(files).digest
    data = packed(files, serial, public, private.sign)
    bundle = open_bundle(data, [public], str(output))
    _write(output, data)
    if json:
        print_json({"file": str(output), "signer": str(public), "set": digest, **_facts(bundle)})
        return
    typer.echo(f"{output}  serial {serial}  {len(files)} files  {bundle.digest}")
    typer.echo(f"  signer {public}")


def verify(
    bundle: Annotated[Path, typer.Argument(metavar="FILE", help="A bundle.")],
    signer: Annotated[
        list[str] | None, typer.Option("--signer", metavar="KEY", help="A public key, if not those of the settings.")
    ] = None,
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Say whether a bundle is what one of the signers signed, and whether its policies load. Exit code 2 if not."""
    from remit.cli.screen import print_json
    from remit.config import load as settings
    from remit.errors import UsageError
    from remit.policy import load
    from remit.policy.bundle_file import MAX_BYTES, open_bundle

    keys = [_key(one) for one in signer or settings(places(state).config).policy.signers]
    if not keys:
        raise UsageError("no signer is known", hint="give --signer KEY, or set `[policy] signers`")
    found = open_bundle(_read(bundle, MAX_BYTES), keys, str(bundle))
    digest = load(found.files).digest
    if json:
        print_json({"ok": True, "set": digest, **_facts(found)})
        return
    typer.echo(f"ok   serial {found.serial}, {len(found.files)} files, signed by {found.signer}")
    typer.echo(f"     {digest}")


def _facts(bundle: "Bundle") -> dict[str, object]:
    named = [file.name for file in bundle.files]
    return {"serial": bundle.serial, "digest": bundle.digest, "signed_by": bundle.signer, "files": named}


def _key(text: str) -> "VerifierKey":
    from remit.audit.note import VerifierKey
    from remit.errors import AuditError, UsageError

    try:
        return VerifierKey.parse(text)
    except AuditError as error:
        raise UsageError(f"`{text[:60]}` is no public key", hint="as `remit policy pack` prints it") from error


def _private(path: Path) -> "Ed25519PrivateKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from remit.errors import UsageError

    data = _read(path, MAX_KEY_BYTES, private=True)
    try:
        key = load_pem_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"`{path}` is no Ed25519 private key", hint="openssl genpkey -algorithm ed25519 -out FILE")
    return key


def _read(path: Path, limit: int, *, private: bool = False) -> bytes:
    from remit.errors import UsageError

    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(limit + 1)
    except OSError as error:
        raise UsageError(f"`{path}` can't be read: {error.strerror}") from None
    if private and mode & 0o077:
        raise UsageError(f"`{path}` can be read by others", hint=f"chmod 600 {path}")
    return data


def _write(path: Path, data: bytes) -> None:
    from remit.errors import UsageError

    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    except OSError as error:
        raise UsageError(f"`{path}` can't be written: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)
