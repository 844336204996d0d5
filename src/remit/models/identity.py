"""A model's identity: the digests of all that decides what it answers, and one digest over them."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

UNKNOWN: Final = "unknown"
NONE: Final = "none"
FORM: Final = "remit-model-identity-v1"
HIDDEN: Final = "(hidden)"

# `--api-key K`, `--hf-token=T`, `-hft T`: by the word in the flag's name, as servers name what is secret.
_SECRET = re.compile(r"(--?[\w.-]*(key|token|secret|passw|credential|auth)[\w.-]*|-hft)\Z", re.IGNORECASE)
_USERINFO = re.compile(r"(?<=://)[^/@\s]*@")


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """What a model is, by digests: each `sha256:<hex>`, `none` where there is nothing of the kind, or `unknown`.

    `weights` is the one file's digest, or of several that of `list_digest`. `adapters` and `settings` (Ollama's
    parameters, system prompt and messages) are in the order in which they apply. `runtime` is the executable.
    """

    weights: str
    template: str = UNKNOWN
    adapters: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    runtime: str = UNKNOWN
    flags: str = UNKNOWN

    def canonical(self) -> bytes:
        """ASCII lines, each ended by a newline: the form's name, then `<part> <digest>` in the order of the fields.

        A part with several digests has one line for each, one with none has no line.
        """
        lines = [FORM]
        for part, value in asdict(self).items():
            name = {"adapters": "adapter", "settings": "setting"}.get(part, part)
            lines += [f"{name} {one}" for one in (value if isinstance(value, tuple) else (value,))]
        return "".join(line + "\n" for line in lines).encode()

    @property
    def digest(self) -> str:
        """The one digest that stands for all of it: SHA-256 of the canonical form."""
        return "sha256:" + hashlib.sha256(self.canonical()).hexdigest()

    def differing(self, other: "ModelIdentity") -> tuple[str, ...]:
        """The parts in which the two are not the same."""
        mine, theirs = asdict(self), asdict(other)
        return tuple(part for part in mine if mine[part] != theirs[part])

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "adapters": list(self.adapters), "settings": list(self.settings)}

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> "ModelIdentity":
        return cls(**{**row, "adapters": tuple(row["adapters"]), "settings": tuple(row["settings"])})


def list_digest(named: Sequence[tuple[str, str]]) -> str:
    """The digest of several files in order, as (name, digest): one file's is its own digest.

    SHA-256 over `<length of the name in bytes>:<name> <digest>` and a newline for each; names without directories.
    """
    if len(named) == 1:
        return named[0][1]
    digest = hashlib.sha256()
    for name, one in named:
        data = name.encode("utf-8", "surrogateescape")
        digest.update(b"%d:%b %b\n" % (len(data), data, one.encode()))
    return "sha256:" + digest.hexdigest()


def flags_digest(arguments: Sequence[str]) -> str:
    """The digest of a server's launch flags, without what is secret in them: SHA-256 of them, each ended by NUL."""
    joined = "".join(one + "\0" for one in redacted(arguments))
    return "sha256:" + hashlib.sha256(joined.encode("utf-8", "surrogateescape")).hexdigest()


def redacted(arguments: Sequence[str]) -> list[str]:
    """The arguments with the values of secret flags, and user and password in URLs, hidden."""
    shown, hide = [], False
    for one in arguments:
        flag, equals, _ = one.partition("=")
        secret = _SECRET.match(flag) is not None
        if hide and not secret:
            shown.append(HIDDEN)
        else:
            shown.append(f"{flag}={HIDDEN}" if secret and equals else _USERINFO.sub(f"{HIDDEN}@", one))
        hide = secret and not equals
    return shown
