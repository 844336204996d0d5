"""Which values settings may have, alone and together; an error names the key and says what it may be."""

import difflib
import ipaddress
import os
import re
from dataclasses import fields
from pathlib import Path
from typing import Final

from remit.config.addresses import host_port
from remit.config.places import MAX_SOCKET_PATH_BYTES
from remit.config.role_pairs import conflicts
from remit.config.settings import (
    ApprovalSettings,
    AuthoritySettings,
    DecisionsSettings,
    GuardSettings,
    LoginSettings,
    PresenceSettings,
    ProofSettings,
    Settings,
)
from remit.errors import ConfigError

MAX_ISSUER: Final = 255  # AWS IAM takes no longer one
ENVIRONMENTS: Final = ("dev", "test", "staging", "prod")
RAW_PORTS: Final = ("open", "local", "closed")
POLICY_MODES: Final = ("enforce", "observe")
PROOF_KINDS: Final = ("uid", "terminal", "password", "passkey")  # weakest first: remit.persons.kinds
_ISSUER: Final = re.compile(r"https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[1-9][0-9]{0,4})?(/[A-Za-z0-9._~-]+)*")
_SAFE: Final = re.compile(r"https://|http://(127\.0\.0\.1|\[::1\]|localhost)[:/]")  # where secrets may go


def check(settings: Settings, name: str) -> None:
    """Raises ConfigError for the first that can't be; `name` is the file."""
    gateway = settings.gateway
    if settings.environment not in ENVIRONMENTS:
        raise ConfigError(
            f"`{name}`: `environment` must be one of {', '.join(ENVIRONMENTS)}, not `{settings.environment}`",
            hint=nearest(settings.environment, list(ENVIRONMENTS), "", "known environments"),
        )
    if not 1024 <= gateway.port <= 65000:
        raise ConfigError(f"`{name}`: `gateway.port` must be from 1024 to 65000, not `{gateway.port}`")
    if gateway.address not in {"127.0.0.1", "::1"}:
        raise ConfigError(
            f"`{name}`: `gateway.address` must be `127.0.0.1` or `::1`, not `{gateway.address}`",
            hint="callers are attested by this machine's kernel: other machines can't be",
        )
    for key in ("body_bytes", "header_seconds", "idle_seconds", "connections", "first_byte_seconds", "chunk_seconds"):
        if getattr(gateway, key) <= 0:
            raise ConfigError(f"`{name}`: `gateway.{key}` must be above 0")
    if settings.oidc.port and not 1024 <= settings.oidc.port <= 65535:
        raise ConfigError(f"`{name}`: `oidc.port` must be from 1024 to 65535, or 0, not `{settings.oidc.port}`")
    if not 1 <= settings.snapshot_seconds <= 3600:
        raise ConfigError(f"`{name}`: `snapshot_seconds` must be from 1 to 3600")
    _check_presence(settings.presence, name)
    _check_mode(settings.policy.mode, name)
    _check_guard(settings.guard, name)
    _check_authority(settings.authority, name)
    if settings.oidc.issuer:
        check_issuer(settings.oidc.issuer, f"`{name}`: `oidc.issuer`")
    if settings.spire.socket:
        _check_spire(settings, name)
    _check_login(settings.login, name)
    _check_roles(settings, name)
    _check_proof(settings.proof, name)
    _check_decisions(settings.decisions, name)
    _check_approvals(settings.approvals, name)


def _check_decisions(decisions: DecisionsSettings, name: str) -> None:
    for key in ("listen", "tls"):
        said = getattr(decisions, key)
        try:
            loopback = not said or ipaddress.ip_address(host_port(said)[0]).is_loopback
        except ValueError:
            raise ConfigError(
                f"`{name}`: `decisions.{key}` must be an IP address and a port, not `{said}`",
                hint="such as `127.0.0.1:7390`",
            ) from None
        if key == "listen" and not loopback:
            raise ConfigError(
                f"`{name}`: `decisions.listen` must be on this machine, not `{said}`",
                hint="callers elsewhere can't be attested: `decisions.tls` is for them",
            )
    for key in ("socket", "envoy"):
        path = getattr(decisions, key)
        if path and (not Path(path).is_absolute() or len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES):
            raise ConfigError(
                f"`{name}`: `decisions.{key}` must be an absolute path of at most {MAX_SOCKET_PATH_BYTES} bytes"
            )


def _check_mode(mode: str, name: str) -> None:
    if mode not in POLICY_MODES:
        raise ConfigError(
            f"`{name}`: `policy.mode` must be one of {', '.join(POLICY_MODES)}, not `{mode}`",
            hint=nearest(mode, list(POLICY_MODES), "", "known words"),
        )


def _check_presence(presence: PresenceSettings, name: str) -> None:
    if not 30 <= presence.idle_seconds <= 86_400:
        raise ConfigError(f"`{name}`: `presence.idle_seconds` must be from 30 to 86400")


def _check_guard(guard: GuardSettings, name: str) -> None:
    if guard.raw_ports not in RAW_PORTS:
        raise ConfigError(
            f"`{name}`: `guard.raw_ports` must be one of {', '.join(RAW_PORTS)}, not `{guard.raw_ports}`",
            hint=nearest(guard.raw_ports, list(RAW_PORTS), "", "known words"),
        )


def _check_authority(authority: AuthoritySettings, name: str) -> None:
    paths = {item.name: getattr(authority, item.name) for item in fields(authority)}
    if any(paths.values()) and not all(paths.values()):
        raise ConfigError(f"`{name}`: `authority` needs `chain`, `key` and `roots`, or none of them")
    for key, path in paths.items():
        if path and not Path(path).is_absolute():
            raise ConfigError(f"`{name}`: `authority.{key}` must be an absolute path, not `{path}`")


def _check_spire(settings: Settings, name: str) -> None:
    socket, path = settings.spire.socket, str(settings.spire.path)
    if not path.startswith("/") or path.startswith("//") or len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
        raise ConfigError(
            f"`{name}`: `spire.socket` must be an absolute path, not `{socket}`",
            hint="such as `/run/spire/agent/public/api.sock`, or with `unix://` before it; "
            f"at most {MAX_SOCKET_PATH_BYTES} bytes",
        )
    for key, other in (("authority", settings.authority.chain), ("oidc.issuer", settings.oidc.issuer)):
        if other:
            raise ConfigError(
                f"`{name}`: `{key}` and `spire` don't go together: with an outside SPIRE Remit issues nothing itself",
                hint="take one of the two out",
            )


def _check_login(login: LoginSettings, name: str) -> None:
    if bool(login.issuer) != bool(login.client_id) or (login.client_secret_file and not login.issuer):
        raise ConfigError(f"`{name}`: `login` needs `issuer` and `client_id`, or none of them")
    if login.issuer and _SAFE.match(login.issuer) is None:
        raise ConfigError(
            f"`{name}`: `login.issuer` must be an `https` URL, not `{login.issuer}`",
            hint="`http` is for a provider on this machine only",
        )
    path = login.client_secret_file
    if path and not Path(path).is_absolute():
        raise ConfigError(f"`{name}`: `login.client_secret_file` must be an absolute path, not `{path}`")


def _check_proof(proof: ProofSettings, name: str) -> None:
    named = {"proof.needs": proof.needs} if proof.needs else {}
    for key, kind in {**named, **{f"proof.acts.{act}": kind for act, kind in proof.acts.items()}}.items():
        if kind not in PROOF_KINDS:
            raise ConfigError(
                f"`{name}`: `{key}` must be one of {', '.join(PROOF_KINDS)}, not `{kind}`",
                hint=nearest(kind, list(PROOF_KINDS), "", "known kinds"),
            )
    for program in proof.terminals:
        if not Path(program).is_absolute() or os.path.normpath(program) != program:
            raise ConfigError(
                f"`{name}`: `proof.terminals` must hold absolute paths, not `{program}`",
                hint="the program itself, where its links lead: such as `/usr/bin/tmux`",
            )


def _check_approvals(approvals: ApprovalSettings, name: str) -> None:
    limits = {"pause_seconds": (0, 300), "open_seconds": (10, 86_400), "confirm_seconds": (1, 3_600)}
    for key, (least, most) in {**limits, "per_hour": (1, 1_000)}.items():
        if not least <= getattr(approvals, key) <= most:
            raise ConfigError(f"`{name}`: `approvals.{key}` must be from {least} to {most}")
    if approvals.webhook and _SAFE.match(approvals.webhook) is None:
        raise ConfigError(
            f"`{name}`: `approvals.webhook` must be an `https` URL, not `{approvals.webhook}`",
            hint="`http` is for this machine only",
        )


def _check_roles(settings: Settings, name: str) -> None:
    """As far as the file tells; control looks at the accounts as well."""
    for conflict in conflicts(settings.roles, lambda one: settings.people.get(one, ())):
        raise ConfigError(f"`{name}`: {conflict}", hint=conflict.why)


def check_issuer(issuer: str, where: str) -> None:
    """Raise ConfigError unless others compare and fetch it as it is: `https`, a host, plain segments, no more.

    No query and no fragment (OpenID Connect Discovery 1.0, 3), and no second way to write the same address.
    """
    segments = issuer.split("/")[3:]
    if len(issuer) > MAX_ISSUER or not _ISSUER.fullmatch(issuer) or {".", ".."} & set(segments):
        raise ConfigError(
            f"{where} must be an https address, not `{issuer}`",
            hint="its host in lower case, without query, fragment, user or a `/` at its end, "
            f"at most {MAX_ISSUER} characters: such as `https://id.example.com/remit`",
        )


def nearest(key: str, known: list[str], prefix: str, what: str = "known keys") -> str:
    """A hint: the one that was probably meant, or all there are."""
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"did you mean `{prefix}{close[0]}`?" if close else f"{what} are {', '.join(known)}"
