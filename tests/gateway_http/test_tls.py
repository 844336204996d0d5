"""TLS: the caller's certificate reaches the application as DER, and a caller without one is not let in."""

import datetime
import ipaddress
import ssl
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from remit.gateway.connection import Connection
from remit.gateway.message import Head, Request
from tests.gateway_http.world import GET, FakeApp, call, run, serving

NOW = datetime.datetime.now(datetime.UTC)


class FakeAuthority:
    """Issues certificates into `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        self.certificate = self._sign(self.name, self.key, is_ca=True)
        self.root = self._write("root.pem", self.certificate)

    def issue(self, name: str) -> tuple[Path, x509.Certificate]:
        """A file with key and certificate for `name`."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key, is_ca=False)
        path = self._write(f"{name}.pem", certificate)
        pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        path.write_bytes(key.private_bytes(*pem) + path.read_bytes())
        return path, certificate

    def _sign(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_ca: bool) -> x509.Certificate:
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - datetime.timedelta(minutes=1))
            .not_valid_after(NOW + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self.key, hashes.SHA256())
        )

    def _write(self, name: str, certificate: x509.Certificate) -> Path:
        path = self.folder / name
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return path


async def greet(where: tuple[str, int], tls: ssl.SSLContext) -> None:
    async with await call(where, tls) as caller:
        caller.say(GET)
        await caller.hear(b"tls")


def test_a_caller_is_known_by_its_certificate_and_refused_without(tmp_path: Path) -> None:
    authority = FakeAuthority(tmp_path)
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.root))
    served.verify_mode = ssl.CERT_REQUIRED
    served.load_cert_chain(authority.issue("server")[0])
    path, certificate = authority.issue("caller")
    known = ssl.create_default_context(cafile=str(authority.root))
    known.load_cert_chain(path)
    unknown = ssl.create_default_context(cafile=str(authority.root))
    seen: list[bytes | None] = []

    async def who(request: Request, connection: Connection) -> AsyncGenerator[Head | bytes, None]:
        seen.append(connection.peer_certificate)
        yield Head(200, body=connection.kind.encode())

    async def dialogue() -> None:
        app = FakeApp(who)
        async with serving(app, tls=served) as (_, where):
            async with await call(where, known) as caller:
                caller.say(GET * 2)
                await caller.hear(b"tls")
                await caller.hear(b"tls")
            async with await call(where, known) as caller:  # an answer that ends a TLS connection arrives
                caller.say(GET.replace(b"/ ", b"// "))
                assert b" 400 " in await caller.hear_all()
            with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
                await greet(where, unknown)
        assert len(app.asked) == 2

    run(dialogue())
    assert seen == [certificate.public_bytes(serialization.Encoding.DER)] * 2
