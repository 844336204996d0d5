"""What can be attested of whom, in user mode and in system mode: each cell of the table is a call made here."""

import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import text
from tests.fakes.chromium import CHROMIUM, FLAGS
from tests.system.machine import Machine, can_make_machines, machine
from tests.system.running import PYTHON, SystemRemit, put_code, put_places

pytestmark = pytest.mark.skipif(not can_make_machines(), reason="only root can make machines")

TESTS = Path(__file__).parents[1]
CALL = "/opt/checks/tests/system/callers/call.py"
EDITOR = "/opt/checks/tests/system/callers/editor.py"
LLAMA = "/opt/checks/tests/system/callers/llama.py"
WEIGHTS = "GGUF and all that ada trained"
CONFIG = """
[discovery]
look = false
servers = [{servers}]
[gateway]
port = {port}
[proof]
needs = "uid"
"""
PAGE_SECONDS = 20.0

KNOWN = "person and program"
BEHIND = "person and program; the path is one of its own namespace"
UNKNOWN = "person; program `unknown`"
REFUSED = "refused as a browser page"
NOWHERE = "no port on loopback reaches here; by a unix socket: "
HOST = "person and program, the editor's; which extension is `unknown`. What it starts: person and program, with the "
HOST += "editor as its parent"


@dataclass(frozen=True)
class Mode:
    """One of the two Remits of the machine. `reader` may read its log, `door` is of ada's server."""

    name: str
    machine: Machine
    reader: str
    door: dict[str, Any]

    def record(self, decision: str) -> dict[str, Any]:
        shown = self.machine.run("remit", "audit", "show", decision, "--json", user=self.reader).stdout
        record: dict[str, Any] = json.loads(shown.splitlines()[0])["record"]
        return record

    def told(self, call: dict[str, Any]) -> str:
        """What the log has of who made this call."""
        process = self.record(call["decision"])["process"]
        if process is None or process["exe_sha256"] is None:
            assert process is None or process["exe"] is None
            return UNKNOWN
        digest = self.machine.run("sha256sum", f"/proc/{call['pid']}/exe", check=False).stdout.partition(" ")[0]
        assert process["exe_sha256"] == digest or not digest
        return BEHIND if process["exe"].startswith("mnt:[") else KNOWN

    def say(self, *arguments: str, user: str = "ada") -> dict[str, Any]:
        """What a call says that was made by the time it ends."""
        said = self.machine.run(*arguments, user=user).stdout
        return self.with_record(json.loads(said.splitlines()[-1]))

    def with_record(self, call: dict[str, Any]) -> dict[str, Any]:
        assert call["status"] in {200, 403}, call
        return call


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("machine")) as made:
        put_code(made)
        made.run("sh", "-c", f"mkdir -p /opt/checks/tests; mount --bind {TESTS} /opt/checks/tests")
        made.run("cp", "/usr/bin/python3", "/opt/code")
        made.run("sh", "-c", f"mkdir models && printf '{WEIGHTS}' > models/m.gguf && chmod 700 .", user="ada")
        servers = [serving(made, port) for port in (8000, 8001)]
        servers.append(started(made, "/usr/bin/python3", LLAMA, "8002", "models/m.gguf"))
        yield made
        made.run("pkill", "-u", "ada", "-f", "fake_vllm|llama.py", check=False)
        for server in servers:
            server.communicate(timeout=10)


def serving(machine: Machine, port: int) -> subprocess.Popen[bytes]:
    """A model server of ada's."""
    fake = ("env", "PYTHONPATH=/opt/checks", PYTHON, "-m", "tests.fakes.fake_vllm", "--port", str(port))
    return started(machine, *fake)


def started(machine: Machine, *command: str) -> subprocess.Popen[bytes]:
    server = machine.start(*command, user="ada")
    assert server.stdout is not None
    assert "listening" in json.loads(server.stdout.readline())
    return server


@pytest.fixture(scope="module")
def system(here: Machine) -> Iterator[Mode]:
    put_places(here, CONFIG.format(servers='"http://127.0.0.1:8000", "http://127.0.0.1:8002"', port=7400))
    remit = SystemRemit(here)
    try:
        [door] = [one for one in remit.event("ready")["guarded"] if one["name"] == "vllm-8000"]
        yield Mode("system mode", here, "root", door)
    finally:
        remit.stop()


@pytest.fixture(scope="module")
def user(here: Machine, system: Mode) -> Iterator[Mode]:
    """Ada's own, beside the machine's."""
    place = "/home/ada/.config/remit"
    here.run("mkdir", "-p", place, user="ada")
    here.run(
        "sh",
        "-c",
        f"cat > {place}/config.toml",
        user="ada",
        stdin=CONFIG.format(servers='"http://127.0.0.1:8001"', port=7450),
    )
    own = here.start("remit", "up", "--json", "--owner", "ada", user="ada")
    try:
        assert own.stdout is not None
        ready: dict[str, Any] = {}
        while ready.get("event") != "ready":
            line = own.stdout.readline()
            assert line, own.stderr.read() if own.stderr else ""
            ready = json.loads(line)
        yield Mode("user mode", here, "ada", ready["guarded"][0])
    finally:
        here.run("pkill", "-TERM", "-u", "ada", "-f", "remit up", check=False)
        own.communicate(timeout=30)


def same_uid(mode: Mode) -> str:
    return waiting(mode, "ada")


def other_uid(mode: Mode) -> str:
    return waiting(mode, "bob")


def not_dumpable(mode: Mode) -> str:
    return waiting(mode, "ada", "--hide")


def waiting(mode: Mode, who: str, *more: str) -> str:
    """A call whose process is there while it is looked at."""
    caller = mode.machine.start("/usr/bin/python3", CALL, "--url", mode.door["url"], "--wait", *more, user=who)
    assert caller.stdout is not None
    try:
        return mode.told(mode.with_record(json.loads(caller.stdout.readline())))
    finally:
        caller.communicate(timeout=20)


_CONTAINER = """
set -e
root=$(mktemp -d)
mount -t tmpfs -o mode=755 tmpfs $root
mkdir $root/usr $root/opt $root/proc $root/tmp $root/etc
mount --rbind /usr $root/usr; mount --rbind /opt $root/opt; mount -t proc proc $root/proc
for name in bin lib lib64 sbin; do [ -L /$name ] && ln -s usr/$name $root/$name; done
cp /usr/bin/python3 $root/python
exec chroot $root setpriv --reuid {uid} --regid {uid} --clear-groups /python {call} --url {url}
"""


def container(mode: Mode) -> str:
    """Mounts and processes of its own, and the machine's network; a program of its own, too."""
    uid = mode.machine.run("id", "-u", "ada").stdout.strip()
    script = _CONTAINER.format(uid=uid, call=CALL, url=mode.door["url"])
    call = mode.say("unshare", "--mount", "--pid", "--fork", "sh", "-c", script, user="root")
    assert mode.record(call["decision"])["process"]["exe"].endswith("/python")
    return mode.told({**call, "pid": 0})


def network_namespace(mode: Mode) -> str:
    apart = ("unshare", "--net", "setpriv", "--reuid=ada", "--regid=ada", "--init-groups")
    program = ("/usr/bin/python3", CALL)
    by_port = mode.machine.run(*apart, *program, "--url", mode.door["url"]).stdout
    assert json.loads(by_port)["status"] == 0, by_port
    return NOWHERE + mode.told(mode.say(*apart, *program, "--unix", mode.door["unix"], user="root"))


def editor_extension_host(mode: Mode) -> str:
    editor = mode.machine.start("/opt/code", EDITOR, "--url", mode.door["url"], user="ada")
    assert editor.stdout is not None
    try:
        host, tool = (mode.with_record(json.loads(editor.stdout.readline())) for _ in range(2))
        assert mode.told(host) == mode.told(tool) == KNOWN
        assert mode.record(host["decision"])["process"]["exe"] == "/opt/code"
        assert mode.record(tool["decision"])["process"]["exe"].startswith("/usr/bin/python3")
        seen = mode.machine.run("remit", "whois", str(tool["pid"]), "--json", user=mode.reader).stdout
        assert [one["name"] for one in json.loads(seen)["proof"]["parents"][:2]] == ["code", "code"]
        return HOST
    finally:
        editor.communicate(timeout=20)


def browser_page(mode: Mode) -> str:
    if not CHROMIUM.exists():
        pytest.skip(f"NO BROWSER: {CHROMIUM} is not installed (tests/needs.sh)")
    flags = [flag for flag in FLAGS if "pipe" not in flag]
    name = f"page-of-{mode.reader}"
    page = f"<script>fetch('{mode.door['url']}/v1/models').finally(() => document.title = 'over')</script>"
    mode.machine.run("sh", "-c", f"mkdir -p /srv/pages && cat > /srv/pages/{name}.html", stdin=page)
    site = mode.machine.start("/usr/bin/python3", "-m", "http.server", "9000", "-d", "/srv/pages", user="ada")
    browser = mode.machine.start(
        str(CHROMIUM), *flags, f"--user-data-dir=/tmp/{name}", f"http://127.0.0.1:9000/{name}.html", user="ada"
    )
    try:
        deadline = time.monotonic() + PAGE_SECONDS
        while not (rows := refused_pages(mode)):
            assert time.monotonic() < deadline, "the page's call did not arrive"
            time.sleep(0.2)
        assert "chrom" in rows[-1]["process"]["exe"]
        return REFUSED
    finally:
        for what in ("http.server", name):
            mode.machine.run("pkill", "-KILL", "-u", "ada", "-f", what, check=False)
        for process in (site, browser):
            process.communicate(timeout=20)


def refused_pages(mode: Mode) -> list[dict[str, Any]]:
    lines = mode.machine.run("remit", "audit", "tail", "--json", user=mode.reader).stdout.splitlines()
    records = [json.loads(line)["record"] for line in lines]
    return [one for one in records if one.get("rule") == "remit:browser-page"]


CALLERS: dict[str, Callable[[Mode], str]] = {
    "same uid": same_uid,
    "other uid": other_uid,
    "not dumpable": not_dumpable,
    "container": container,
    "network namespace": network_namespace,
    "editor extension host": editor_extension_host,
    "browser page": browser_page,
}


def written() -> dict[str, tuple[str, str]]:
    """The page's table."""
    table = text("docs/callers.md").partition("<!-- attested -->\n")[2].partition("<!-- end -->")[0]
    rows = [[cell.strip() for cell in line.strip("|\n ").split(" | ")] for line in table.strip().splitlines()[2:]]
    return {row[0]: (row[1], row[2]) for row in rows}


@pytest.mark.parametrize("caller", CALLERS)
def test_a_caller_in_system_mode(system: Mode, caller: str) -> None:
    assert CALLERS[caller](system) == written()[caller][1]


@pytest.mark.parametrize("caller", CALLERS)
def test_a_caller_in_user_mode(user: Mode, caller: str) -> None:
    assert CALLERS[caller](user) == written()[caller][0]


def test_every_kind_of_caller_is_on_the_page() -> None:
    assert list(written()) == list(CALLERS)


def test_a_model_in_a_private_home_is_known_by_its_digest_and_refused_when_it_changed(system: Mode) -> None:
    """No file of ada's home can be opened by Remit: the attestor tells what it is, and that it is another by now."""
    here = system.machine
    model = the_model(here)
    deadline = time.monotonic() + PAGE_SECONDS
    while "hashing" in model["digest"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
        model = the_model(here)
    assert model["digest"] == f"sha256:{hashlib.sha256(WEIGHTS.encode()).hexdigest()}", model
    assert asked(here) == 200
    here.run("sh", "-c", "printf 'GGUF another' > models/m.gguf", user="ada")
    assert asked(here) == 403


def the_model(machine: Machine) -> dict[str, Any]:
    rows = json.loads(machine.run("remit", "model", "list", "--json").stdout)
    [model] = [row for row in rows if row["model"] == "m"]
    found: dict[str, Any] = model
    return found


def asked(machine: Machine) -> int:
    """The status of a chat of ada's with that model."""
    status = json.loads(machine.run("remit", "status", "--json").stdout)
    [url] = [one["url"] for one in status["guarded"] if one["server"] == "llama.cpp"]
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hello"}]})
    done = machine.run(
        "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"{url}/v1/chat/completions", "-d", body, user="ada"
    )
    return int(done.stdout)
