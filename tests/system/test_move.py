"""A person's own Remit moved into system mode: what is theirs comes over, and nothing that a program could forge."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import remit
from tests.system import users_own
from tests.system.installed import of_checkout, snapshot, without_code
from tests.system.machine import Machine, can_make_machines, machine
from tests.system.running import SystemRemit

pytestmark = pytest.mark.skipif(not can_make_machines(), reason="needs root, and the tools that make machines")

STATE = "/home/ada/.local/state/remit"
FROM = ("install", "--system", "--keep-tiocsti", "--from", "ada")
CONFIG = """
environment = "test"
[proof]
needs = "uid"
[gateway]
port = 7600
[discovery]
look = false
"""
OWN_POLICY = '@id("mine")\nforbid(principal, action, resource) when { principal == resource };\n'
HOLD = """
import fcntl, sys
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ada's own Remit left when she stopped it: two workloads, a task that goes on, a policy, a log."""
    place = tmp_path_factory.mktemp("ada")
    with machine(place) as host:
        host.run("mkdir", "-p", "/home/ada/.config/remit/policies", user="ada")
        host.run("tee", "/home/ada/.config/remit/config.toml", user="ada", stdin=CONFIG)
        host.run("tee", "/home/ada/.config/remit/policies/mine.cedar", user="ada", stdin=OWN_POLICY)
        users_own.run_once(
            host,
            ("workload", "add", "helper", "--kind", "agent", "--selector", "unix:path:/usr/bin/printf"),
            ("workload", "set", "helper", "--purpose", "prints"),
            ("task", "start", "llama-demo", "--allow", "disclose", "--for", "15m", "--purpose", "look"),
        )
        return users_own.take(host, tmp_path_factory.mktemp("kept") / "ada.tar")


@pytest.fixture
def host(tmp_path: Path, left: Path) -> Iterator[Machine]:
    place = tmp_path / "machine"
    place.mkdir()
    with machine(place) as made:
        users_own.lay(made, left)
        yield made


def moved(host: Machine) -> str:
    """The move without the copy of the code; what it says."""
    return without_code(host, "move")


def refused(host: Machine, *command: str) -> str:
    """That it is, with nothing changed; the error."""
    before = snapshot(host)
    done = of_checkout(host, *(command or FROM), check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert snapshot(host) == before
    return done.stderr


def sql(host: Machine, *statements: str) -> None:
    """As a program of ada's writes to her database."""
    program = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\nfor s in sys.argv[2:]: c.execute(s)\nc.commit()"
    host.run("/usr/bin/python3", "-I", "-c", program, f"{STATE}/state.db", *statements, user="ada")


def rows(host: Machine, query: str) -> list[list[object]]:
    program = (
        "import json, sqlite3, sys\nprint(json.dumps(sqlite3.connect('/var/lib/remit/state.db')"
        ".execute(sys.argv[1]).fetchall()))"
    )
    found: list[list[object]] = json.loads(host.run("/usr/bin/python3", "-I", "-c", program, query).stdout)
    return found


def test_all_that_is_hers_comes_over_and_goes_on(host: Machine) -> None:
    before = snapshot(host)
    pseudonym = host.run(
        "/usr/bin/python3",
        "-I",
        "-c",
        f"import sqlite3; print(sqlite3.connect('{STATE}/state.db')"
        ".execute(\"select person from humans where name = 'ada'\").fetchone()[0])",
        user="ada",
    ).stdout.strip()
    host.run("rm", "-f", f"{STATE}/state.db-shm", f"{STATE}/state.db-wal")

    said = of_checkout(host, *FROM)

    assert "`proof` of their configuration stays behind" in said.stderr
    assert host.run("find", "/var/lib/remit", "!", "-user", "remit").stdout == ""
    assert host.run("find", "/var/lib/remit", "-perm", "/077").stdout == ""
    assert not host.path(STATE).exists()
    assert host.path("/etc/remit/policies/mine.cedar").read_text() == OWN_POLICY
    system = SystemRemit(host)
    try:
        ready = system.event("ready")
        assert ready["trust_domain"]
        listed = {one["name"]: one for one in system.said("ada", "workload", "list")}
        assert listed["helper"]["owner"] == "ada"
        assert listed["helper"]["purpose"] == "prints"
        assert listed["helper"]["state"] == "active"
        assert system.said("ada", "task", "list") == []
    finally:
        system.stop()
    assert rows(host, "select person from humans where name = 'ada'") == [[pseudonym]]
    verdict = json.loads(host.run("remit", "audit", "verify", "--dir", "/var/lib/remit/audit", "--json").stdout)
    assert len(verdict["shards"]) == 5  # hers, the move's, the system's: one chain, one key
    log = host.run("remit", "audit", "export", "--dir", "/var/lib/remit/audit").stdout
    assert '"what":"instance.moved"' in log
    assert '"why":"moved"' in log

    assert f"the instance that was moved is in {STATE}" in of_checkout(host, "uninstall", "--with-log").stderr
    assert snapshot(host) == before


def test_nothing_comes_over_that_stands_for_somebody(host: Machine) -> None:
    key = host.path(f"{STATE}/keys/authority.json").read_bytes()
    host.run("sh", "-c", f"mkdir -p {STATE}/break-glass; echo {{}} >{STATE}/break-glass/sealed.json", user="ada")
    sql(
        host,
        "insert into passkeys values (x'01', x'02', 0, 'ada', 'forged', 0, 0)",
        "update humans set uids = '[0]' where name = 'root'",
        "insert or ignore into humans values ('root', 'p-0123456789abcdef', '[0, 1001]', 'https://evil', 'me')",
        "create trigger again after insert on humans begin "
        "insert into passkeys values (x'03', x'02', 0, 'root', 'x', 0, 0); end",
    )
    said = moved(host)
    assert rows(host, "select count(*) from passkeys") == [[0]]
    assert rows(host, "select count(*) from sqlite_master where type = 'trigger'") == [[0]]
    assert {str(row[0]) for row in rows(host, "select uids from humans")} == {"[]"}
    assert rows(host, "select count(*) from humans where login_issuer is not null") == [[0]]
    assert rows(host, "select count(*) from tasks") == [[0]]
    assert host.path("/var/lib/remit/keys/authority.json").read_bytes() != key
    assert not host.path("/var/lib/remit/break-glass").exists()
    assert "[proof]" not in host.path("/etc/remit/config.toml").read_text()
    assert "passkeys" not in said


@pytest.mark.parametrize(
    "planted",
    [f"{STATE}/digest.key", "/home/ada/.config/remit/policies/all.cedar", "/home/ada/.config/remit/config.toml"],
)
def test_a_link_leads_to_nothing_that_she_could_not_read(host: Machine, planted: str) -> None:
    host.run("ln", "-sf", "/etc/shadow", planted, user="ada")
    assert planted in refused(host)


def test_a_running_one_is_not_moved(host: Machine) -> None:
    running = host.start("/usr/bin/python3", "-I", "-c", HOLD, f"{STATE}/lock", user="ada")
    assert running.stdout is not None
    running.stdout.readline()
    try:
        assert "ada's remit runs" in refused(host)
    finally:
        host.run("pkill", "-f", "fcntl.flock")
        running.wait(10)
        for pipe in (running.stdin, running.stdout, running.stderr):
            assert pipe is not None
            pipe.close()


def test_what_does_not_fit_is_refused_before_anything_is_touched(host: Machine) -> None:
    assert "no account `eve`" in of_checkout(host, *FROM[:-1], "eve", check=False).stderr
    assert "no instance is kept" in refused(host, *FROM[:-1], "bob")
    host.run("mkdir", "-p", "/var/lib/remit/audit")
    assert "`/var/lib/remit` is not empty" in refused(host)
    host.run("rm", "-r", "/var/lib/remit")
    host.run("sh", "-c", "mkdir /etc/remit; echo >/etc/remit/config.toml")
    assert "a configuration or policies are in `/etc/remit` already" in refused(host)
    host.run("rm", "-r", "/etc/remit")
    shard = next(host.path(f"{STATE}/audit").glob("control.*.log"))
    data = shard.read_bytes()
    shard.write_bytes(data.replace(b'"grade":"C"', b'"grade":"A"'))
    assert "record" in refused(host)
    shard.write_bytes(data)
    sql(host, "update alembic_version set version_num = '9999'")
    assert "written by a newer version of Remit (revision `9999`)" in refused(host)


def test_what_would_be_in_the_way_of_hers_is_named_first(host: Machine) -> None:
    host.run("mkdir", f"{STATE}.moved-to-system", user="ada")
    assert f"`{STATE}.moved-to-system` is there already" in refused(host)


def test_half_of_a_move_is_not_installed_upon(host: Machine) -> None:
    half = {"uid": 1000, "state": STATE, "aside": f"{STATE}.moved-to-system", "done": False}
    host.run("mkdir", "-m", "700", "/var/lib/remit-install")
    host.run("sh", "-c", "cat >/var/lib/remit-install/moved.json", stdin=json.dumps(half))
    assert f"a move from `{STATE}` was cut short" in refused(host, *FROM[:3])
    assert f"a move from `{STATE}` was begun here" in refused(host, *FROM[:-1], "bob")
    of_checkout(host, "uninstall")
    assert not host.path("/var/lib/remit-install").exists()
    assert host.path(STATE).exists()


def test_one_that_is_installed_already_is_not_mixed_with_hers(host: Machine) -> None:
    without_code(host, "install")
    assert "remit is installed here already" in refused(host)


def test_what_she_began_since_is_hers_and_the_old_one_stays_beside(host: Machine) -> None:
    moved(host)
    host.run("mkdir", "-p", STATE, user="ada")
    assert f"the instance that was moved is in {STATE}.moved-to-system" in without_code(host, "uninstall")
    assert host.path(f"{STATE}.moved-to-system/state.db").exists()
    assert list(host.path(STATE).iterdir()) == []


def cut_short(host: Machine, step: int, about: str = "", least: int = 80) -> list[object]:
    """What was wrong after a kill at every `step`th change, of those that name `about`."""
    source, site = Path(remit.__file__).parents[1], Path(typer.__file__).parents[1]
    program = Path(__file__).parent / "cut_short.py"
    arguments = (str(program), str(source), str(site), str(step), "ada")
    done = host.run("/usr/bin/python3", "-B", "-I", *arguments, seconds=1800.0, environ={"ABOUT": about})
    said = json.loads(done.stdout)
    assert said["changes"] >= least, done.stderr
    wrong: list[object] = said["wrong"]
    return wrong


def test_a_move_that_is_killed_on_its_way_is_gone_on_with_or_put_back(host: Machine) -> None:
    assert cut_short(host, 61) == []


def test_a_move_that_is_killed_at_its_switch_is_gone_on_with_or_put_back(host: Machine) -> None:
    assert cut_short(host, 1, "moved", 6) == []


@pytest.mark.long
def test_a_move_that_is_killed_at_any_change_is_gone_on_with_or_put_back(host: Machine) -> None:
    assert cut_short(host, 1) == []
