"""Policies from a signed bundle, never from one older than the last that was accepted."""

import json
import os
import stat
from pathlib import Path
from secrets import token_hex
from typing import Final

from remit.audit.keys import sync_directory
from remit.audit.note import VerifierKey
from remit.config import Settings
from remit.control.policy_found import Found, Mark, mark_of
from remit.errors import AuditError, ConfigError, PolicyError
from remit.policy import load
from remit.policy.bundle_file import MAX_BYTES, Bundle, not_older, open_bundle

MAX_ACCEPTED_BYTES: Final = 4_096


def signers(settings: Settings) -> tuple[VerifierKey, ...]:
    """Who may sign; raises ConfigError for what is no key, and where there is none."""
    keys = tuple(_key(one) for one in settings.policy.signers)
    if not keys:
        raise ConfigError("`policy.bundle` takes `policy.signers`", hint="the keys that `remit policy pack` prints")
    return keys


def read_bundle(path: Path) -> bytes:
    """No more of it than a bundle may have; raises PolicyError for what is no plain file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _refused(path, "this is no plain file")
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _refused(path, f"the policy bundle can't be read ({error.strerror})") from None


class BundleSource:
    """Reads one bundle at a path. What was accepted last is kept in `accepted`, and outlives a restart."""

    def __init__(self, path: Path, keys: tuple[VerifierKey, ...], accepted: Path) -> None:
        self._path, self._keys, self._accepted = path, keys, accepted

    def mark(self, now: float) -> Mark:
        return mark_of([self._path], now)

    def read(self) -> Found:
        """Raises PolicyError for one that is not signed by a signer, does not load, or is older than the last."""
        bundle = open_bundle(read_bundle(self._path), self._keys, str(self._path))
        serial, digest = self._kept()
        not_older(bundle, serial, digest, str(self._path))
        policies = load(bundle.files)  # one that can't be in force is not accepted either
        if bundle.serial > serial:
            self._keep(bundle)
        return Found(
            bundle.files, policies, {"signer": bundle.signer, "serial": bundle.serial, "sha256": bundle.digest}
        )

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
            raise _refused(self._path, message, "restore it; without it an older bundle could come back") from None

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
            raise _refused(self._path, f"`{self._accepted}` can't be written: {error.strerror}") from None
        finally:
            draft.unlink(missing_ok=True)


def _refused(path: Path, message: str, hint: str = "") -> PolicyError:
    return PolicyError(message, file=str(path), line=1, column=1, hint=hint)


def _key(text: str) -> VerifierKey:
    try:
        return VerifierKey.parse(text)
    except AuditError:
        raise ConfigError(
            f"`policy.signers`: `{text[:60]}` is no public key", hint="as `remit policy pack` prints it"
        ) from None
