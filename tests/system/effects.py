"""What is looked at to judge what a hostile program claims: from outside it, by root or by ordinary callers."""

import stat
import time
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.system.effects_on_processes import ON_PROCESSES

if TYPE_CHECKING:
    from tests.system.attacked import Attacked

Claim = dict[str, Any]
_GET = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=2).read().decode(), end='')"
_MODELS = ("http://localhost/v1/models",)
_NAMES = (
    "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('select name from sqlite_master').fetchall())"
)
BACK_SECONDS = 20.0  # a service that isn't back by then is down


def _inside(on: "Attacked", path: str) -> Path:
    return on.machine.path(path)


def _until(true: Callable[[], object], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _bytes(on: "Attacked", claim: Claim) -> str:
    with _inside(on, claim["path"]).open("rb") as file:
        seen = sha256(file.read(16)).hexdigest() == claim["sha256"]
    return "it has its bytes" if seen else ""


def _answer(_on: "Attacked", claim: Claim) -> str:
    return "it has what the server holds" if "default_generation" in claim["answer"] else ""


def _models(_on: "Attacked", claim: Claim) -> str:
    return "it was answered" if claim["answer"] else ""


def _token(on: "Attacked", claim: Claim) -> str:
    """A token counts when a call of another process of ada's is answered with it."""
    status, body = on.ask("/props", "-H", f"Authorization: Bearer {claim['token']}")
    return "its token opens what takes a task" if status == 200 and "default_generation" in body else ""


def _shell(on: "Attacked", claim: Claim) -> str:
    """Ada opens a shell."""
    on.machine.run(
        "script", "-qec", "timeout --foreground -k 1 8 bash -i -c true", "/dev/null", user="ada", check=False
    )
    said = _inside(on, claim["out"])
    words = said.read_text().split() if said.exists() else []
    token = next((word for word in words if word.startswith("remit_task_")), "")
    return _token(on, {"token": token}) if token else ""


def _foreign_svid(on: "Attacked", claim: Claim) -> str:
    """An identity that is neither its workload's nor, where it is none, its person's (docs/callers.md)."""
    own = f"spiffe://{on.ready['trust_domain']}/{on.own_id}"
    others = [one for one in claim["ids"] if not one.startswith(own)]
    return f"it has the identity {', '.join(others)}" if others else ""


def _svid(_on: "Attacked", claim: Claim) -> str:
    return f"it has the identity {claim['ids'][0].partition('/')[2].partition('/')[2].partition('/')[2]}"


def _others_wait(on: "Attacked", claim: Claim) -> str:
    """Other people's calls and commands, while it holds what it got."""
    assert claim["held"]
    for user in ("root", "bob"):
        if not _until(partial(_served, on, user), BACK_SECONDS):
            return f"{user} gets no answer at the door"
        command = ("timeout", "20", on.mode.remit, "status")
        if on.mode.name == "system" and on.machine.run(*command, user=user, check=False).returncode:
            return f"{user}'s command gets no answer"
    return ""


def _served(on: "Attacked", user: str) -> bool:
    return on.ask("/v1/models", user=user)[0] not in {0, 503}


def _marker(on: "Attacked", claim: Claim, host: str = "127.0.0.1") -> str:
    ask: tuple[str, ...] = ("/usr/bin/python3", "-I", "-c", _GET, f"http://{host}:{claim.get('port')}/")
    if "unix" in claim:
        ask = ("curl", "-s", "-m", "2", "--unix-socket", claim["unix"], "http://localhost/")
    for _ in range(5):
        if on.machine.run(*ask, user="root" if "unix" in claim else "bob", check=False).stdout == "hostile\n":
            return "callers reach it"
    return ""


def _marker_localhost(on: "Attacked", claim: Claim) -> str:
    return _marker(on, claim, "127.0.0.1") or _marker(on, claim, "localhost")


def _link(on: "Attacked", claim: Claim) -> str:
    done = on.machine.run("readlink", claim["path"], check=False)
    return "its link stands there" if done.returncode == 0 else ""


def _two(_on: "Attacked", claim: Claim) -> str:
    return "a second one says that it is ready on the same state" if claim["ready"] else ""


def _planted(on: "Attacked", claim: Claim) -> str:
    return "what it wrote is there" if claim["has"].encode() in _inside(on, claim["path"]).read_bytes() else ""


def _planted_bytes(on: "Attacked", claim: Claim) -> str:
    return "what it wrote is there" if _inside(on, claim["path"]).read_bytes().hex() == claim["hex"] else ""


def _mode(on: "Attacked", claim: Claim) -> str:
    return "everybody may write there" if _inside(on, claim["path"]).stat().st_mode & stat.S_IWOTH else ""


def _table(on: "Attacked", claim: Claim) -> str:
    names = on.machine.run("/usr/bin/python3", "-c", _NAMES, claim["path"]).stdout
    return "its table is there" if claim["table"] in names else ""


def _decision(on: "Attacked", _claim: Claim) -> str:
    return "what is refused is permitted" if _until(lambda: on.ask("/props")[0] == 200, 5) else ""


def _ran(on: "Attacked", claim: Claim) -> str:
    on.machine.run(*claim["command"], user="ada", check=False)
    on.machine.run("remit", "--version", check=False)
    return "its code ran in Remit's command" if _inside(on, claim["mark"]).exists() else ""


def _command(on: "Attacked", claim: Claim) -> str:
    return (
        "who types it runs its program"
        if on.machine.run(*claim["command"], user="ada").stdout == claim["says"]
        else ""
    )


def _records(on: "Attacked", claim: Claim) -> str:
    """Records that were there are gone, and the log is found in order."""
    del claim
    verdict = on.mode.verdict()
    lost = verdict.get("records", 0) < on.records
    return "records are gone and `audit verify` finds nothing" if verdict["ok"] and lost else ""


def _altered(on: "Attacked", claim: Claim) -> str:
    """A record says something else, and the log is found in order."""
    del claim
    return "a record says something else and `audit verify` finds nothing" if on.mode.verdict()["ok"] else ""


def _root(_on: "Attacked", claim: Claim) -> str:
    return "it is root" if "uid=0" in claim["said"] else ""


def _terminal(_on: "Attacked", claim: Claim) -> str:
    return f"it opened `{claim['path']}`"


def _act(_on: "Attacked", claim: Claim) -> str:
    return f"`remit {claim['act']}` was done"


def _silent(on: "Attacked", _claim: Claim) -> str:
    return "calls wait for as long as it likes" if on.ask("/v1/models")[0] == 0 else ""


def _dead(on: "Attacked", _claim: Claim) -> str:
    """The service stays down, or what is refused passes meanwhile."""
    deadline = time.monotonic() + BACK_SECONDS
    time.sleep(0.5)
    while time.monotonic() < deadline:
        if on.ask("/props")[0] == 200 and on.mode.refused != 200:
            return "calls pass unguarded"
        if on.answers():
            return ""
        time.sleep(0.3)
    return "the guard is gone and does not come back"


def _early_dead(on: "Attacked", claim: Claim) -> str:
    """It has started; its unix door answers, whatever became of its ports."""
    assert claim["held"]
    door = on.machine.path(on.ready["guarded"][0]["unix"]) if on.ready["guarded"] else None
    if door is None or not door.exists():
        return "Remit guards nothing"
    said = on.machine.run(
        "curl", "-s", "-m", "4", "--unix-socket", on.ready["guarded"][0]["unix"], *_MODELS, user="ada"
    )
    return "" if "data" in said.stdout else "its unix door does not answer"


def _disk(on: "Attacked", claim: Claim) -> str:
    """Nothing passes that is not on record while the disk is full, and all is well once it isn't."""
    before = on.mode.verdict()["records"]
    passed = [on.ask("/v1/models")[0] for _ in range(3)].count(200)
    full = on.ask("/props")[0]
    _inside(on, claim["mine"]).unlink(missing_ok=True)
    if full == 200 or on.mode.verdict()["records"] < before + passed:
        return "calls pass that are not on record while the disk is full"
    if not _until(on.answers, BACK_SECONDS):
        return "the guard stays down when there is room again"
    return "" if on.mode.verdict()["ok"] else "the log isn't whole any more"


EFFECTS: dict[str, Callable[["Attacked", Claim], str]] = {
    **ON_PROCESSES,
    "bytes": _bytes,
    "answer": _answer,
    "models": _models,
    "found": _models,
    "foreign-svid": _foreign_svid,
    "svid": _svid,
    "early-marker": _marker,
    "early-link": _link,
    "early-dead": _early_dead,
    "token": _token,
    "shell": _shell,
    "others-wait": _others_wait,
    "marker": _marker,
    "marker-localhost": _marker_localhost,
    "link": _link,
    "two": _two,
    "planted": _planted,
    "planted-bytes": _planted_bytes,
    "mode": _mode,
    "table": _table,
    "decision": _decision,
    "ran": _ran,
    "command": _command,
    "records": _records,
    "altered": _altered,
    "root": _root,
    "terminal": _terminal,
    "act": _act,
    "frozen": _silent,
    "silent": _silent,
    "dead": _dead,
    "disk": _disk,
}
