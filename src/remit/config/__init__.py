"""One frozen tree of settings with one loader, and the places of an instance."""

from remit.config.checks import ENVIRONMENTS, MAX_ISSUER, check_issuer
from remit.config.load import load, parse
from remit.config.places import LONGEST_SOCKET_NAME, MAX_SOCKET_PATH_BYTES, SYSTEM_ACCOUNT, Places
from remit.config.settings import (
    ApprovalSettings,
    AuthoritySettings,
    DecisionsSettings,
    DiscoverySettings,
    GatewaySettings,
    GuardSettings,
    LoginSettings,
    OidcSettings,
    PresenceSettings,
    ProofSettings,
    RolesSettings,
    Settings,
    SpireSettings,
)

__all__ = [
    "ENVIRONMENTS",
    "LONGEST_SOCKET_NAME",
    "MAX_ISSUER",
    "MAX_SOCKET_PATH_BYTES",
    "SYSTEM_ACCOUNT",
    "ApprovalSettings",
    "AuthoritySettings",
    "DecisionsSettings",
    "DiscoverySettings",
    "GatewaySettings",
    "GuardSettings",
    "LoginSettings",
    "OidcSettings",
    "Places",
    "PresenceSettings",
    "ProofSettings",
    "RolesSettings",
    "Settings",
    "SpireSettings",
    "check_issuer",
    "load",
    "parse",
]
