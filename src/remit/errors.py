"""The family tree of Remit's errors: each says what went wrong, and a hint a person could act on."""

from typing import ClassVar, Final

START_AGAIN: Final = 75  # EX_TEMPFAIL (sysexits.h): control ended to be started again, with what root gives it


class RemitError(Exception):
    """Anything Remit refuses, fails at or finds.

    `str(error)` is one line, lower case, the user's own words in backticks. `hint` is what to do next,
    or empty. `exit_code` is the CLI's: 1 failed, 2 usage, 3 denied or found.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(RemitError):
    """The command or its arguments can't be taken as they are."""

    exit_code = 2


class NotFoundError(RemitError):
    """Nothing here goes by the name, number or id that was asked for, though it could be one."""


class ConfigError(RemitError):
    """The configuration file or a setting in it can't be used."""

    exit_code = 2


class StateError(RemitError):
    """Remit's own state (database, key, socket, run file) can't be used as it is."""


class IdentityError(RemitError):
    """Something claimed as an identity is not one: a malformed SPIFFE ID, a bad SVID, an unknown issuer."""


class UnknownKeyError(IdentityError):
    """A token's key is not in the set that is held here; a set fetched anew may have it."""


class AttestationError(IdentityError):
    """The kernel's facts don't establish who is calling; the caller is refused."""


class PolicyError(RemitError):
    """A policy or the schema can't be loaded: names the file, line and column, all 1-based."""

    exit_code = 2

    def __init__(self, message: str, *, file: str, line: int, column: int, hint: str = "") -> None:
        super().__init__(f"{file}:{line}:{column}: {message}", hint=hint)
        self.file, self.line, self.column = file, line, column


class AuditError(RemitError):
    """The audit log can't be written or read. While it can't be written nothing is let through."""


class TamperedError(AuditError):
    """The audit log is not what was written: names the first record that can't be trusted."""

    exit_code = 3


class SpentError(AuditError):
    """A receipt or lease was used a second time, or after its end."""


class ProtocolError(RemitError):
    """The peer's bytes are not acceptable HTTP or JSON. `status` is the HTTP status to answer with."""

    def __init__(self, message: str, *, status: int = 400, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


class UpstreamError(RemitError):
    """The guarded server could not be reached, broke off or timed out. `status` is the HTTP status to answer with."""

    def __init__(self, message: str, *, status: int = 502, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


class ModelError(RemitError):
    """A model file can't be read or is not what it claims to be."""


class DiscoveryError(RemitError):
    """Looking for model servers on this host failed as a whole (one that can't be read is a finding instead)."""
