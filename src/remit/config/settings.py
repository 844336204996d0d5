"""The tree of settings, frozen; every key is described in docs/configuration.md."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


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
class GuardSettings:
    """A guarded server's own port: `open`, `local` (closed to callers on this machine) or `closed` to all.

    Only system mode can close one.
    """

    raw_ports: str = "local"


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
class ProofSettings:
    """How a person must be known for what widens reach. `needs` empty: `terminal`, in system mode `password`.

    `acts` names another kind for single acts. `terminals` are programs, besides sshd, in whose terminals a password
    may be typed (system mode).
    """

    needs: str = ""
    acts: Mapping[str, str] = field(default_factory=dict)
    terminals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RolesSettings:
    """Who is more than a person in system mode, by the names of their accounts. Root always administers.

    `deployer`: who alone says which models and tools are used, if anybody is named. `approver`: who agrees to what
    takes an approver; nobody named: administrators do.
    """

    administrator: tuple[str, ...] = ()
    auditor: tuple[str, ...] = ()
    deployer: tuple[str, ...] = ()
    approver: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """Where the policies come from, if not from the policy directory: a signed bundle, and who may sign it.

    `mode`: `enforce`, or `observe` for policies that refuse nothing yet.
    """

    mode: str = "enforce"
    bundle: str = ""
    signers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PresenceSettings:
    """For how many seconds a sign of a person counts: a key that they pressed, a screen that they unlocked."""

    idle_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class DecisionsSettings:
    """Where enforcement points ask: `listen` and `tls` are HOST:PORT, `socket` and `envoy` paths of sockets. Or none.

    `points` are the SPIFFE IDs of callers whose word about others is taken.
    """

    listen: str = ""
    tls: str = ""
    socket: str = ""
    envoy: str = ""
    points: tuple[str, ...] = ()

    @property
    def wanted(self) -> bool:
        return any((self.listen, self.tls, self.socket, self.envoy))


@dataclass(frozen=True, slots=True)
class ApprovalSettings:
    """How people are asked: a call waits `pause_seconds` for them, what is asked `open_seconds` for an answer.

    `single_operator`: whoever asked confirms it themselves on a one-person machine, after `confirm_seconds`.
    `per_hour` is for how many requests of one caller they are asked; `webhook` is told that they are, or empty.
    """

    pause_seconds: float = 30.0
    open_seconds: float = 900.0
    single_operator: bool = False
    confirm_seconds: float = 10.0
    per_hour: int = 30
    webhook: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be configured. Empty strings mean: decided by the program."""

    trust_domain: str = ""
    environment: str = "dev"
    snapshot_seconds: float = 300.0
    people: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    discovery: DiscoverySettings = field(default_factory=DiscoverySettings)
    guard: GuardSettings = field(default_factory=GuardSettings)
    authority: AuthoritySettings = field(default_factory=AuthoritySettings)
    oidc: OidcSettings = field(default_factory=OidcSettings)
    spire: SpireSettings = field(default_factory=SpireSettings)
    login: LoginSettings = field(default_factory=LoginSettings)
    roles: RolesSettings = field(default_factory=RolesSettings)
    proof: ProofSettings = field(default_factory=ProofSettings)
    policy: PolicySettings = field(default_factory=PolicySettings)
    presence: PresenceSettings = field(default_factory=PresenceSettings)
    decisions: DecisionsSettings = field(default_factory=DecisionsSettings)
    approvals: ApprovalSettings = field(default_factory=ApprovalSettings)
