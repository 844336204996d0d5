"""A real OpenID provider on loopback: npm's oidc-provider, as tests/interop/oidc/provider.mjs sets it up."""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from remit.config import LoginSettings
from tests.fakes.started import free_port
from tests.interop import peers

SCRIPT = Path(__file__).with_name("oidc") / "provider.mjs"


@dataclass
class Provider:
    """oidc-provider on one port of loopback; `start` gives it new keys."""

    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[str] | None" = None

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, issuer: str = "", methods: str = "none,client_secret_basic") -> None:
        self.stop()
        node, module = peers.openid_provider()
        arguments = [node, str(SCRIPT), module, str(self.port), issuer or self.issuer, methods]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "listening\n"

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.communicate(timeout=10)
            self.process = None

    def settings(self, client: str = "remit-ES256", secret: str = "") -> LoginSettings:
        return LoginSettings(self.issuer, client, secret)
