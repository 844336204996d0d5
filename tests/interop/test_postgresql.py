"""A real PostgreSQL lets in exactly the workload that the recipe's map names, by its X.509-SVID."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fakes.started import free_port
from tests.interop import peers
from tests.interop.domain import WRITER, Domain
from tests.interop.recipes import RECIPES
from tests.interop.server_certificate import write_server_certificate

START_SECONDS = 20.0
ACCOUNT = pwd.getpwuid(os.getuid()) if os.getuid() else pwd.getpwnam("nobody")  # PostgreSQL refuses root
LONG = "spiffe://example.org/agent/" + "reader-of-everything/" * 3 + "one"


@dataclass
class PostgreSql:
    """A server of its own on loopback, configured by the page's recipes, and a workload's directory."""

    programs: Path
    home: Path
    domain: Domain = field(default_factory=Domain)
    stranger: Domain = field(default_factory=Domain)  # the same name, other keys

    def as_account(self, *command: str) -> None:
        """Run one of the server's own programs, as the account that the server runs as."""
        done = subprocess.run(
            [str(self.programs / command[0]), *command[1:]],
            user=ACCOUNT.pw_uid,
            group=ACCOUNT.pw_gid,
            extra_groups=[] if os.getuid() == 0 else None,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def log_in(self, command: str = RECIPES["postgresql_login.sh"]) -> subprocess.CompletedProcess[str]:
        environ = {"PATH": f"{self.programs}:{os.environ['PATH']}", "PGHOSTADDR": "127.0.0.1", "HOME": str(self.home)}
        return subprocess.run(
            ["sh", "-euc", command],
            cwd=self.home / "workload",
            env={**environ, "PGPORT": (self.home / "port").read_text()},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def refusal(self, command: str = RECIPES["postgresql_login.sh"]) -> str:
        """What it says to one that it doesn't let in."""
        done = self.log_in(command)
        assert (done.returncode, done.stdout) == (2, "")
        return done.stderr


def _configure(server: PostgreSql) -> None:
    """A new cluster with a role and a database, which then has the page's ways in and no other."""
    data = server.home / "data"
    server.as_account("initdb", "--no-sync", "-A", "peer", "-U", ACCOUNT.pw_name, "-D", str(data))
    write_server_certificate(data)
    (data / "bundle.pem").write_bytes(server.domain.bundle_pem)
    (data / "pg_hba.conf").write_text("local all all peer\n" + RECIPES["pg_hba.conf"])
    (data / "pg_ident.conf").write_text(RECIPES["pg_ident.conf"] + f'spiffe "{_common_name(LONG)}" reader\n')
    with (data / "postgresql.conf").open("a") as settings:
        settings.write(RECIPES["postgresql.conf"])
    for path in data.iterdir():
        os.chown(path, ACCOUNT.pw_uid, ACCOUNT.pw_gid)
    (server.home / "workload").mkdir(0o700)
    shutil.copy(data / "server-ca.pem", server.home / "workload")


def _common_name(spiffe_id: str) -> str:
    typed = ["sh", "-euc", RECIPES["long_id.sh"]]
    return subprocess.run(
        typed, env={**os.environ, "SPIFFE_ID": spiffe_id}, capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


def _started(server: PostgreSql, port: int) -> "subprocess.Popen[bytes]":
    options = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": str(server.home),
        "fsync": "off",
    }
    with (server.home / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                str(server.programs / "postgres"),
                "-D",
                str(server.home / "data"),
                *(f"--{name}={value}" for name, value in options.items()),
            ],
            user=ACCOUNT.pw_uid,
            group=ACCOUNT.pw_gid,
            extra_groups=[] if os.getuid() == 0 else None,
            cwd=server.home,
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        pid_file = server.home / "data" / "postmaster.pid"
        if pid_file.exists() and "ready" in pid_file.read_text():
            return process
        time.sleep(0.05)
    process.kill()
    process.wait(20)
    raise AssertionError((server.home / "log").read_text())


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSql]:
    programs = peers.postgresql()
    home = Path(tempfile.mkdtemp(prefix="remit-pg-"))  # pytest's own directories are closed to another account
    process = None
    try:
        home.chmod(0o755)
        os.chown(home, ACCOUNT.pw_uid, ACCOUNT.pw_gid)
        server = PostgreSql(programs, home)
        port = free_port()
        (home / "port").write_text(str(port))
        _configure(server)
        process = _started(server, port)
        for statement in ("create role reader login", "create role writer login", "create database app"):
            server.as_account("psql", "-qh", str(home), "-p", str(port), "-d", "postgres", "-c", statement)
        yield server
    finally:
        if process is not None:
            process.terminate()
            process.wait(20)
        shutil.rmtree(home)


@pytest.fixture
def workload(postgresql: PostgreSql) -> Path:
    return postgresql.home / "workload"


def test_an_x509_svid_of_the_workload_logs_in_as_the_role(postgresql: PostgreSql, workload: Path) -> None:
    postgresql.domain.write_x509(workload)
    done = postgresql.log_in()
    assert (done.stdout, done.stderr) == ("reader\n", "")


def test_an_id_too_long_for_a_common_name_logs_in_by_its_digest(postgresql: PostgreSql, workload: Path) -> None:
    postgresql.domain.write_x509(workload, LONG)
    done = postgresql.log_in()
    assert (done.stdout, done.stderr) == ("reader\n", "")


@pytest.mark.parametrize("spiffe_id", [WRITER, LONG + "r", "spiffe://example.org/agent/reader/x"])
def test_another_workload_is_refused(postgresql: PostgreSql, workload: Path, spiffe_id: str) -> None:
    postgresql.domain.write_x509(workload, spiffe_id)
    assert "certificate authentication failed" in postgresql.refusal()


def test_the_workload_gets_no_other_role(postgresql: PostgreSql, workload: Path) -> None:
    postgresql.domain.write_x509(workload)
    as_writer = RECIPES["postgresql_login.sh"].replace("user=reader", "user=writer")
    assert "no pg_hba.conf entry" in postgresql.refusal(as_writer)


def test_an_svid_that_has_ended_is_refused(postgresql: PostgreSql, workload: Path) -> None:
    postgresql.domain.write_x509(workload, issued=-3.0, ttl=1.0)
    assert "certificate expired" in postgresql.refusal()


def test_the_same_name_from_another_authority_is_refused(postgresql: PostgreSql, workload: Path) -> None:
    postgresql.stranger.write_x509(workload)
    assert "unknown ca" in postgresql.refusal()


def test_nobody_gets_in_without_a_certificate(postgresql: PostgreSql, workload: Path) -> None:
    (workload / "svid.pem").unlink(missing_ok=True)
    assert "requires a valid client certificate" in postgresql.refusal()


def test_nobody_gets_in_without_tls(postgresql: PostgreSql, workload: Path) -> None:
    postgresql.domain.write_x509(workload)
    plain = RECIPES["postgresql_login.sh"].replace("sslmode=verify-full", "sslmode=disable")
    assert "no pg_hba.conf entry" in postgresql.refusal(plain)
