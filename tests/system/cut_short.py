"""Run inside a machine as root: installs and uninstalls, killed (SIGKILL) at each change, and says what was left.

`cut_short.py SOURCE SITE STEP [USER]`: for every STEPth change, of those that name what the environment's ABOUT is; a
JSON line with how many changes there were, what differed. With a user, their own instance is moved, and each time
also gone on with before it is put back.
"""

import hashlib
import json
import mmap
import os
import signal
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MUTATING = {
    *("os.chmod", "os.chown", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate"),
    "subprocess.Popen",
}
OWN = Path("/home/ada/.local/state/remit")
ABOUT = os.environ.get("ABOUT", "")
SEEN = ("/etc", "/var/lib", "/run", "/opt/remit", "/usr/local/bin", "/home/ada")


def quiet(_line: str) -> None:
    pass


def install() -> None:
    from remit.install import Journal, Options, carry_out, plan

    carry_out(plan(Options(tiocsti=True, code=False)), Journal(), quiet)


def move() -> None:
    from remit.cli.install import _keep
    from remit.install import Journal, Options, carry_out, plan
    from remit.install.move import done_already, moving
    from remit.install.users_own import users_own

    own = users_own("ada")
    if done_already(own):
        install()
        return
    with moving(own, _keep) as it:
        carry_out(plan(Options(tiocsti=True, code=False), it), Journal(), quiet)


def moved_whole() -> bool:
    """Whether all of it is there, Remit's own, and its owner's is set aside."""
    import pwd

    state = Path("/var/lib/remit")
    whole = {"state.db", "audit", "audit.key", "digest.key", "keys"} == {path.name for path in state.iterdir()}
    uid = pwd.getpwnam("remit").pw_uid
    return (
        whole
        and all(path.lstat().st_uid == uid for path in (state, *state.rglob("*")))
        and len(list((state / "audit").glob("*.log"))) == 3
        and not OWN.exists()
    )


def uninstall() -> None:
    from remit.install import Journal, nothing_to_do, put_back

    journal = Journal()
    if not nothing_to_do(journal):
        put_back(journal, quiet, with_log=not (half() and OWN.exists()))  # half of a log goes by itself


def child(act: Callable[[], None], kill_at: int) -> tuple[int, int]:
    """Do it in a child that is killed right before its change number `kill_at`, or a child of its own that makes it.

    Its status, and its changes; counted are those that name ABOUT.
    """
    counted = mmap.mmap(-1, 4)  # shared with what is forked
    pid = os.fork()
    if pid == 0:

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if (event in MUTATING or writes) and ABOUT in str(arguments):
                changes = int.from_bytes(counted[:4]) + 1
                counted[:4] = changes.to_bytes(4)
                if changes == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)

        from remit.errors import RemitError

        sys.addaudithook(hook)
        try:
            act()
        except (OSError, RemitError) as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    return status, int.from_bytes(counted[:4])


def half() -> bool:
    """Whether a move was begun and is not done."""
    moved = Path("/var/lib/remit-install/moved.json")
    return moved.exists() and not json.loads(moved.read_text())["done"]


def startable() -> bool:
    """Whether system mode would start on a state that is not all there."""
    import pwd

    state = Path("/var/lib/remit")
    if not half() or not state.exists():
        return False
    return OWN.exists() and state.stat().st_uid == pwd.getpwnam("remit").pw_uid


def gone_on_with(act: Callable[[], None]) -> int:
    """Do it to its end; what the killed one started may hold its lock for a moment."""
    deadline = time.monotonic() + 5
    while (ended := child(act, 0)[0]) != 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    return ended


def snapshot() -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for top in SEEN:
        for at, directories, names in os.walk(top):
            for name in (*directories, *names, "."):
                path = Path(at, name)
                facts = path.lstat()
                what = str(path.readlink()) if path.is_symlink() else ""
                if stat.S_ISREG(facts.st_mode):
                    what = hashlib.sha256(path.read_bytes()).hexdigest()
                found[str(path)] = [facts.st_mode, facts.st_uid, facts.st_gid, what]
    return found


def main(source: str, site: str, step: int, user: str = "") -> None:
    sys.path[:0] = [source, site]
    import remit.cli.install
    import remit.install
    import remit.storage  # noqa: F401 (all of it before the first fork)

    before, wrong, at, total = snapshot(), [], 1, 0
    act = move if user else install
    while True:
        for goes_on in (False, True) if user else (False,):
            killed, total = child(act, at)
            if user and startable():
                wrong.append({"at": at, "ended": 0, "different": ["half of a state could be started on"]})
            if goes_on and (gone_on_with(act) != 0 or not moved_whole()):
                wrong.append({"at": at, "ended": 0, "different": ["it was not gone on with"]})
            child(uninstall, at)
            ended, _ = child(uninstall, 0)
            after = snapshot()
            different = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
            if ended != 0 or different:
                wrong.append({"at": at, "ended": ended, "different": different})
        if killed == 0 or len(wrong) > 9:
            break
        at += step
    sys.stdout.write(json.dumps({"changes": total, "wrong": wrong}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
