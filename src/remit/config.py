"""One frozen tree of settings, read from one TOML file; every key is described in docs/configuration.md."""

import difflib
import hashlib
import math
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, get_type_hints

from remit.errors import ConfigError

MAX_CONFIG_BYTES: Final = 1 << 20
MAX_SOCKET_PATH_BYTES: Final = 107  # sun_path holds 108 bytes with its final NUL (unix(7))
LONGEST_SOCKET_NAME: Final = 40
MAX_ISSUER: Final = 255  # AWS IAM takes no longer one
_ISSUER: Final = re.compile(r"https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[1-9][0-9]{0,4})?(/[A-Za-z0-9._~-]+)*")
_SAFE: Final = re.compile(r"https://|http://(127\.0\.0\.1|\[::1\]|localhost)[:/]")  # where secrets may go
ENVIRONMENTS: Final = ("dev", "test", "staging", "prod")


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """The data path. Times are seconds, sizes bytes."""

    address: str = "127.0.0.1"
    port: int = 7400
    body_bytes: int = 32 << 20
    header_seconds: float = 10.0
    idle_seconds: float = 75.0
    connections: int = 4096
    first_byte_seconds: float = 600.0
    chunk_seconds: float = 120.0


@dataclass(frozen=True, slots=True)
class DiscoverySettings:
    """Which model servers are guarded: those found when `look` is on, and `servers`; never those in `ignore`."""

    look: bool = True
    servers: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AuthoritySettings:
    """An outside CA: PEM files of the signing certificate and what is above it, of its key, of the roots. Or none."""

    chain: str = ""
    key: str = ""
    roots: str = ""


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """The address under which others find this trust domain's keys, and which JWT-SVIDs carry. Or none.

    `port` is the token endpoint's, on the gateway's address; 0: the one below the gateway's first.
    """

    issuer: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True)
class SpireSettings:
    """The Workload API's socket of an outside SPIRE, as a path or `unix:///path`. Or none."""

    socket: str = ""

    @property
    def path(self) -> Path:
        """The socket's path; of no use when it is relative."""
        path = self.socket.removeprefix("unix:") if self.socket.startswith("unix:") else self.socket
        return Path(path.removeprefix("//") if path.startswith("///") else path)


@dataclass(frozen=True, slots=True)
class LoginSettings:
    """The OpenID provider that people log in at, and what it calls this client. Or none."""

    issuer: str = ""
    client_id: str = ""
    client_secret_file: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be configured. Empty strings mean: decided by the program."""

    trust_domain: str = ""
    environment: str = "dev"
    snapshot_seconds: float = 300.0
    people: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    discovery: DiscoverySettings = field(default_factory=DiscoverySettings)
    authority: AuthoritySettings = field(default_factory=AuthoritySettings)
    oidc: OidcSettings = field(default_factory=OidcSettings)
    spire: SpireSettings = field(default_factory=SpireSettings)
    login: LoginSettings = field(default_factory=LoginSettings)


@dataclass(frozen=True, slots=True)
class Places:
    """Where this instance keeps what it has. All are absolute."""

    state: Path
    run: Path
    config: Path
    policies: Path

    @classmethod
    def of(cls, state: Path | None, environ: Mapping[str, str]) -> "Places":
        """The XDG directories, or all of it below `state` when one is given."""
        if state is not None:
            root = state.absolute()
            return cls(root, _short(root / "run"), root / "config.toml", root / "policies")
        home = Path(environ.get("HOME") or Path.home())
        kept = Path(environ.get("XDG_STATE_HOME") or home / ".local/state") / "remit"
        config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "remit"
        runtime = environ.get("XDG_RUNTIME_DIR")
        run = Path(runtime) / "remit" if runtime else kept / "run"
        return cls(kept, _short(run), config / "config.toml", config / "policies")

    @property
    def audit(self) -> Path:
        return self.state / "audit"

    @property
    def api_socket(self) -> Path:
        return self.run / "control.sock"

    @property
    def workload_api_socket(self) -> Path:
        return self.run / "workload.sock"

    @property
    def run_file(self) -> Path:
        return self.run / "remit.json"


def load(path: Path) -> Settings:
    """The settings in `path`, or the defaults when there is no such file; raises ConfigError that names the key."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        raise ConfigError(f"`{path}` can't be read: {error.strerror}", hint="mend its permissions") from error
    if len(raw) > MAX_CONFIG_BYTES:
        raise ConfigError(f"`{path}` is larger than {MAX_CONFIG_BYTES} bytes")
    return parse(raw, str(path))


def parse(raw: bytes, name: str) -> Settings:
    """The settings in the TOML text `raw`; `name` is its file in errors."""
    try:
        tree = tomllib.loads(raw.decode())
    except UnicodeDecodeError as error:
        raise ConfigError(f"`{name}` is not UTF-8 at byte {error.start}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"`{name}` is not TOML: {error}") from error
    settings: Settings = _build(Settings, tree, name, "")
    _check(settings, name)
    return settings


def _build(kind: Any, tree: dict[str, Any], name: str, prefix: str) -> Any:
    known = {item.name for item in fields(kind)}
    hints = get_type_hints(kind)
    values = {}
    for key, value in tree.items():
        if key not in known:
            raise ConfigError(f"`{name}`: unknown key `{prefix}{key}`", hint=_nearest(key, sorted(known), prefix))
        values[key] = _value(hints[key], value, name, prefix + key)
    return kind(**values)


def _value(hint: Any, value: Any, name: str, key: str) -> Any:
    if hint in {GatewaySettings, DiscoverySettings, AuthoritySettings, OidcSettings, SpireSettings, LoginSettings}:
        if not isinstance(value, dict):
            raise ConfigError(f"`{name}`: `{key}` must be a table")
        return _build(hint, value, name, key + ".")
    if hint == Mapping[str, tuple[int, ...]]:
        return _people(value, name, key)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint == tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ConfigError(f"`{name}`: `{key}` must be a list of strings, not `{value!r}`")
        return tuple(value)
    if hint is float and isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"`{name}`: `{key}` must be a number, not `{value!r}`")
    if type(value) is not hint:
        raise ConfigError(f"`{name}`: `{key}` must be a {hint.__name__}, not `{value!r}`")
    return value


def _people(value: Any, name: str, key: str) -> dict[str, tuple[int, ...]]:
    """Each person's accounts; one account acts for one person."""
    if not isinstance(value, dict):
        raise ConfigError(f"`{name}`: `{key}` must be a table")
    of_whom: dict[int, str] = {}
    for person, uids in value.items():
        if not isinstance(uids, list) or not uids or not all(type(uid) is int and uid >= 0 for uid in uids):
            raise ConfigError(f"`{name}`: `{key}.{person}` must be a list of uids, not `{uids!r}`")
        for uid in uids:
            if of_whom.setdefault(uid, person) != person:
                raise ConfigError(f"`{name}`: uid {uid} is both `{key}.{of_whom[uid]}`'s and `{key}.{person}`'s")
    return {person: tuple(uids) for person, uids in value.items()}


def _nearest(key: str, known: list[str], prefix: str, what: str = "known keys") -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"did you mean `{prefix}{close[0]}`?" if close else f"{what} are {', '.join(known)}"


def _check(settings: Settings, name: str) -> None:
    gateway = settings.gateway
    if settings.environment not in ENVIRONMENTS:
        raise ConfigError(
            f"`{name}`: `environment` must be one of {', '.join(ENVIRONMENTS)}, not `{settings.environment}`",
            hint=_nearest(settings.environment, list(ENVIRONMENTS), "", "known environments"),
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
    _check_authority(settings.authority, name)
    if settings.oidc.issuer:
        check_issuer(settings.oidc.issuer, f"`{name}`: `oidc.issuer`")
    if settings.spire.socket:
        _check_spire(settings, name)
    _check_login(settings.login, name)


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


def _short(run: Path) -> Path:
    """`run`, or a directory of the same user with a short name where the kernel's socket path limit is too near."""
    if len(os.fsencode(run)) + 1 + LONGEST_SOCKET_NAME <= MAX_SOCKET_PATH_BYTES:
        return run
    tag = hashlib.sha256(os.fsencode(run)).hexdigest()[:12]
    return Path(f"/tmp/remit-{os.getuid()}-{tag}")  # noqa: S108 (made 0700 and checked for its owner before use)
