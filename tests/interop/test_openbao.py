"""A real OpenBao lets in exactly the workload that the recipe names: by JWT-SVID, published keys and X.509-SVID."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fakes.started import free_port
from tests.interop import peers
from tests.interop.domain import WRITER, Domain
from tests.interop.recipes import RECIPES
from tests.interop.site import serving

START_SECONDS = 20.0


@dataclass
class OpenBao:
    """A development server on loopback, told by the page's recipes whom to trust, and a workload's directory."""

    home: Path
    environ: dict[str, str]
    site: Path
    published: Domain  # whose keys are on the site, under its issuer
    domain: Domain = field(default_factory=Domain)
    stranger: Domain = field(default_factory=Domain)  # the same name, other keys

    def run(self, recipe: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-euc", RECIPES[recipe].replace("https://id.example.org", self.published.issuer)],
            cwd=self.home,
            env={**self.environ, **more},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def told(self, recipe: str) -> None:
        done = self.run(recipe, BAO_TOKEN="root")
        assert done.returncode == 0, done.stderr

    def refusal(self, recipe: str) -> str:
        """What it says to a workload that it doesn't let in."""
        done = self.run(recipe)
        assert (done.returncode, done.stdout) == (2, "")
        return done.stderr


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("OpenBao did not start")


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a web server, and the directory where it keeps what it serves and its own certificate."""
    home = tmp_path_factory.mktemp("issuer")
    (home / "site").mkdir()
    with serving(home / "site", home) as address:
        yield address, home


@pytest.fixture(scope="module")
def openbao(tmp_path_factory: pytest.TempPathFactory, issuer: tuple[str, Path]) -> Iterator[OpenBao]:
    program, home, port = peers.openbao(), tmp_path_factory.mktemp("openbao"), free_port()
    address, elsewhere = issuer
    environ = {
        "PATH": f"{Path(program).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "BAO_ADDR": f"https://127.0.0.1:{port}",
        "BAO_CACERT": str(home / "vault-ca.pem"),
    }
    server = subprocess.Popen(
        [
            program, "server", "-dev", "-dev-tls", f"-dev-tls-cert-dir={home}", "-dev-root-token-id=root",
            "-dev-no-store-token", f"-dev-listen-address=127.0.0.1:{port}",
        ],
        env={**environ, "SSL_CERT_FILE": str(elsewhere / "server-ca.pem")},  # as if a public CA had issued it
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait_for(port, server)
        bao = OpenBao(home, environ, elsewhere / "site", Domain(issuer=address))
        bao.published.publish(bao.site)
        keys = bao.domain.jwt_key_pems + Domain().jwt_key_pems  # as while keys are rotated
        (home / "jwt_keys.pem").write_text(",".join(reversed(keys)))
        (home / "bundle.pem").write_bytes(bao.domain.bundle_pem)
        for recipe in ("openbao_secret.sh", "openbao_jwt.sh", "openbao_oidc.sh", "openbao_cert.sh"):
            bao.told(recipe)
        yield bao
    finally:
        server.terminate()
        server.wait(20)


def test_a_jwt_svid_of_the_workload_opens_its_secret(openbao: OpenBao) -> None:
    openbao.domain.write_jwt(openbao.home)
    assert openbao.run("openbao_jwt_login.sh").stdout == "correct-horse"


def test_a_jwt_svid_of_another_workload_is_refused(openbao: OpenBao) -> None:
    openbao.domain.write_jwt(openbao.home, WRITER)
    assert "invalid subject" in openbao.refusal("openbao_jwt_login.sh")


def test_a_jwt_svid_for_another_audience_is_refused(openbao: OpenBao) -> None:
    openbao.domain.write_jwt(openbao.home, audience="gateway")
    assert "audience" in openbao.refusal("openbao_jwt_login.sh")


def test_a_jwt_svid_that_has_ended_is_refused_within_seconds(openbao: OpenBao) -> None:
    openbao.domain.write_jwt(openbao.home, issued=-310.0)  # it lasts 300 s, the recipe's leeway 5
    assert "expired" in openbao.refusal("openbao_jwt_login.sh")


def test_a_jwt_svid_of_another_authority_with_the_same_name_is_refused(openbao: OpenBao) -> None:
    openbao.stranger.write_jwt(openbao.home)
    assert "signature" in openbao.refusal("openbao_jwt_login.sh")


def test_a_jwt_svid_is_proven_by_the_published_keys(openbao: OpenBao) -> None:
    openbao.published.write_jwt(openbao.home)
    assert openbao.run("openbao_oidc_login.sh").stdout == "correct-horse"


def test_another_workload_with_published_keys_is_refused(openbao: OpenBao) -> None:
    openbao.published.write_jwt(openbao.home, WRITER)
    assert "invalid subject" in openbao.refusal("openbao_oidc_login.sh")


@pytest.mark.parametrize("issuer_named", ["", "https://id.example.com"])
def test_a_jwt_svid_that_names_another_issuer_or_none_is_refused(openbao: OpenBao, issuer_named: str) -> None:
    Domain(openbao.published.authority, issuer_named).write_jwt(openbao.home)
    assert "invalid issuer" in openbao.refusal("openbao_oidc_login.sh")


def test_a_stranger_who_names_the_issuer_is_refused(openbao: OpenBao) -> None:
    Domain(openbao.stranger.authority, openbao.published.issuer).write_jwt(openbao.home)
    assert "signature" in openbao.refusal("openbao_oidc_login.sh")


def test_new_keys_are_taken_once_they_are_published_and_nothing_else_is_told(openbao: OpenBao) -> None:
    openbao.published.rotate()
    openbao.published.write_jwt(openbao.home)
    assert "signature" in openbao.refusal("openbao_oidc_login.sh")
    openbao.published.publish(openbao.site)
    assert openbao.run("openbao_oidc_login.sh").stdout == "correct-horse"


def test_an_x509_svid_of_the_workload_opens_its_secret(openbao: OpenBao) -> None:
    openbao.domain.write_x509(openbao.home)
    assert openbao.run("openbao_cert_login.sh").stdout == "correct-horse"


def test_an_x509_svid_of_another_workload_is_refused(openbao: OpenBao) -> None:
    openbao.domain.write_x509(openbao.home, WRITER)
    assert "no chain matching all constraints" in openbao.refusal("openbao_cert_login.sh")


def test_an_x509_svid_that_has_ended_is_refused(openbao: OpenBao) -> None:
    openbao.domain.write_x509(openbao.home, issued=-3.0, ttl=1.0)
    assert "expired" in openbao.refusal("openbao_cert_login.sh")


def test_an_x509_svid_of_another_authority_with_the_same_name_is_refused(openbao: OpenBao) -> None:
    openbao.stranger.write_x509(openbao.home)
    assert "invalid certificate" in openbao.refusal("openbao_cert_login.sh")
