"""The policies a command is about: a directory that was named, or what this instance takes its own from."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from remit.cli.places import places

if TYPE_CHECKING:
    from remit.config import Places
    from remit.policy import PolicyFile


@dataclass(frozen=True, slots=True)
class PolicyPlace:
    """Files and where they are from. `signed` says by whom, of a bundle; else it is empty. `not_enforcing` says so of
    this instance's own, where they are only observed.
    """

    path: Path
    files: "tuple[PolicyFile, ...]"
    signed: str = ""
    not_enforcing: str = ""


def policies_at(directory: Path | None, state: Path | None) -> PolicyPlace:
    """Those in a directory, or in this instance's bundle or directory; raises UsageError where there are none.

    Raises PolicyError for a bundle that no signer signed.
    """
    where = places(state)
    if directory is not None:
        return PolicyPlace(directory, files_in(directory))
    from remit.config import load
    from remit.control.policy_bundle import read_bundle, signers
    from remit.policy.bundle_file import open_bundle
    from remit.policy.observing import OBSERVE, said

    settings, bundle = load(where.config), _bundle(where)
    not_enforcing = said(settings.policy.mode == OBSERVE)["not_enforcing"]
    if bundle is None:
        return PolicyPlace(where.policies, files_in(where.policies), not_enforcing=not_enforcing)
    opened = open_bundle(read_bundle(bundle), signers(settings), str(bundle))
    return PolicyPlace(
        bundle, opened.files, f"signed by {opened.signer}, serial {opened.serial}", not_enforcing=not_enforcing
    )


def directory_of(directory: Path | None, state: Path | None) -> Path:
    """The one that was named, or this instance's own; raises UsageError where its policies come from a bundle."""
    from remit.errors import UsageError

    where = places(state)
    if directory is None and (bundle := _bundle(where)) is not None:
        raise UsageError(
            f"the policies in force come from a signed bundle, `{bundle}`",
            hint="name the directory that it is packed from",
        )
    return directory or where.policies


def files_in(directory: Path) -> "tuple[PolicyFile, ...]":
    """The policy files there; raises UsageError where there is none."""
    from remit.errors import UsageError
    from remit.policy import read_directory

    if not directory.is_dir():
        raise UsageError(
            f"there is no policy directory `{directory}`",
            hint="`remit up` writes the starter policies on first start",
        )
    files = read_directory(directory)
    if not files:
        raise UsageError(f"no policy file is in `{directory}`", hint="policies are files named `*.cedar`")
    return files


def _bundle(where: "Places") -> Path | None:
    from remit.config import load

    path = load(where.config).policy.bundle
    return Path(path) if path else None
