"""A stock OpenID Connect client takes a running Remit's JWT-SVIDs by nothing but the files that were published."""

import json
import os
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.e2e.conftest import Remit
from tests.faults.world import configure, running
from tests.interop.site import serving

PORT = 18910
ROOT = Path(__file__).parents[2]


@dataclass
class Published:
    """A Remit with an issuer, and the web server that others fetch from; they know its address only."""

    remit: Remit
    site: Path
    issuer: str
    trust: ssl.SSLContext

    def publish(self, *more: str) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.remit.run("oidc", "publish", str(self.site), "--json", *more).stdout)
        return said

    def token(self, audience: str) -> str:
        """What the stock SPIFFE client fetches."""
        environ = {**os.environ, "SPIFFE_ENDPOINT_SOCKET": "unix:" + self.remit.ready["workload_api"]}
        command = [sys.executable, "-m", "tests.e2e.spiffe_workload", "jwt", audience]
        done = subprocess.run(command, cwd=ROOT, env=environ, check=True, timeout=60, capture_output=True, text=True)
        return done.stdout.strip()

    def proven(self, token: str, audience: str) -> dict[str, Any]:
        """What PyJWT makes of it: discovery, the key of that `kid`, signature, issuer, audience, times."""
        with urllib.request.urlopen(f"{self.issuer}/.well-known/openid-configuration", context=self.trust) as reply:
            document = json.load(reply)
        assert document["issuer"] == self.issuer
        key = jwt.PyJWKClient(document["jwks_uri"], ssl_context=self.trust).get_signing_key_from_jwt(token)
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            document["id_token_signing_alg_values_supported"],
            audience=audience,
            issuer=document["issuer"],
            options={"require": ["iss", "sub", "aud", "iat", "exp"]},
        )
        return claims


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    home = tmp_path_factory.mktemp("openid")
    site, state = home / "site", home / "state"
    (site / "remit").mkdir(parents=True)
    with serving(site, home) as address:
        issuer = f"{address}/remit"
        configure(state, PORT, None, top=f'[oidc]\nissuer = "{issuer}"\n')
        trust = ssl.create_default_context(cafile=str(home / "server-ca.pem"))
        with running(state) as remit:
            yield Published(remit, site / "remit", issuer, trust)


def test_a_token_is_proven_by_the_published_files_alone(published: Published) -> None:
    said = published.publish()
    assert said["changed"] == [str(published.site / "keys"), str(published.site / ".well-known/openid-configuration")]
    assert (said["issuer"], said["carried"]) == (published.issuer, published.issuer)
    claims = published.proven(published.token("cloud"), "cloud")
    assert claims["iss"] == published.issuer
    assert claims["sub"].startswith(f"spiffe://{published.remit.ready['trust_domain']}/")
    with pytest.raises(jwt.InvalidAudienceError):
        published.proven(published.token("cloud"), "another cloud")


def test_what_did_not_change_is_not_written_again_and_what_did_is(published: Published) -> None:
    published.publish()
    files = [published.site / "keys", published.site / ".well-known" / "openid-configuration"]
    before = [(path.stat().st_ino, path.stat().st_mtime_ns) for path in files]
    assert published.publish()["changed"] == []
    assert [(path.stat().st_ino, path.stat().st_mtime_ns) for path in files] == before
    token = published.token("cloud")
    published.remit.run("authority", "rotate")
    assert published.publish()["changed"] == [str(published.site / "keys")]
    assert len(json.loads((published.site / "keys").read_text())["keys"]) == 2
    assert published.proven(token, "cloud")["iss"] == published.issuer


def test_another_issuer_than_tokens_carry_is_published_and_said_so(published: Published, tmp_path: Path) -> None:
    done = published.remit.run("oidc", "publish", str(tmp_path / "new"), "--issuer", "https://new.example.com")
    assert f"JWT-SVIDs carry `{published.issuer}`" in done.stderr
    document = json.loads((tmp_path / "new" / ".well-known" / "openid-configuration").read_text())
    assert document["jwks_uri"] == "https://new.example.com/keys"


def test_spiffe_clients_take_a_token_with_an_issuer_as_before(published: Published) -> None:
    """As an API key at the gateway, which verifies by the bundle."""
    server = published.remit.ready["guarded"][0]
    token = published.token(server["spiffe_id"])
    request = urllib.request.Request(f"{server['url']}/v1/models", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=20) as reply:
        assert json.load(reply)["data"]
