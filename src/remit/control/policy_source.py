"""Where the policies in force come from: the directory, or a signed bundle, never one older than the last."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex
from typing import Final

from remit.audit.keys import sync_directory
from remit.audit.note import VerifierKey
from remit.config import Places, Settings
from remit.errors import AuditError, ConfigError, PolicyError
from remit.policy import PolicyFile, load, read_directory, write_starter
from remit.policy.bundle_file import MAX_BYTES, Bundle, not_older, open_bundle

ACCEPTED: Final = "policy-bundle.json"
MAX_ACCEPTED_BYTES: Final = 4_096

Source = Callable[[], tuple[PolicyFile, ...]]


def source(places: Places, settings: Settings) -> Source:
    """The configured one; the starter policies are written where a directory is to be read and none is there."""
    if settings.policy.bundle:
        keys = tuple(_key(one) for one in settings.policy.signers)
        if not keys:
            raise ConfigError(
                "`policy.bundle` takes `policy.signers`", hint="the keys that `remit policy pack` prints"
            )
        return BundleSource(Path(settings.policy.bundle), keys, places.state / ACCEPTED)
    if not places.policies.exists():
        write_starter(places.policies)
    return lambda: read_directory(places.policies)


class BundleSource:
    """Reads one bundle at a path. What was accepted last is kept in `accepted`, and outlives a restart."""

    def __init__(self, path: Path, signers: tuple[VerifierKey, ...], accepted: Path) -> None:
        self._path = path
        self._signers = signers
        self._accepted = accepted
        self._last: tuple[bytes, Bundle] | None = None

    def __call__(self) -> tuple[PolicyFile, ...]:
        """Raises PolicyError for one that is not signed by a signer, does not load, or is older than the last."""
        data = self._read()
        if self._last is not None and self._last[0] == data:
            return self._last[1].files
        bundle = open_bundle(data, self._signers, str(self._path))
        serial, digest = self._kept()
        not_older(bundle, serial, digest, str(self._path))
        load(bundle.files)  # one that can't be in force is not accepted either
        if bundle.serial > serial:
            self._keep(bundle)
        self._last = (data, bundle)
        return bundle.files

    def _read(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                return file.read(MAX_BYTES + 1)
        except OSError as error:
            raise self._refused(f"the policy bundle can't be read ({error.strerror})") from None

    def _kept(self) -> tuple[int, str]:
        """Serial and digest of the last one; what can't be read is no reason to begin again."""
        try:
            with self._accepted.open("rb") as file:
                row = json.loads(file.read(MAX_ACCEPTED_BYTES))
            return int(row["serial"]), str(row["digest"])
        except FileNotFoundError:
            return 0, ""
        except (OSError, ValueError, KeyError, TypeError):
            message = f"`{self._accepted}` can't be read: which bundle was accepted last is not known"
            raise self._refused(message, "restore it; without it an older bundle could come back") from None

    def _keep(self, bundle: Bundle) -> None:
        draft = self._accepted.with_name(f".{self._accepted.name}.{token_hex(4)}.new")
        try:
            with draft.open("x") as file:
                json.dump({"serial": bundle.serial, "digest": bundle.digest}, file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._accepted)
            sync_directory(self._accepted.parent)
        except OSError as error:
            raise self._refused(f"`{self._accepted}` can't be written: {error.strerror}") from None
        finally:
            draft.unlink(missing_ok=True)

    def _refused(self, message: str, hint: str = "") -> PolicyError:
        return PolicyError(message, file=str(self._path), line=1, column=1, hint=hint)


def _key(text: str) -> VerifierKey:
    try:
        return VerifierKey.parse(text)
    except AuditError:
        raise ConfigError(
            f"`policy.signers`: `{text[:60]}` is no public key", hint="as `remit policy pack` prints it"
        ) from None
