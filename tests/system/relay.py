"""A program that asks control for an act, and for its person's password, in ways that no honest command does.

`relay.py WAY [ARGUMENT]`: its last line is what came of it, in JSON.
"""

import http.client
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

RUN = Path("/run/remit")
SECONDS = 90.0


class Control(http.client.HTTPConnection):
    """The control API."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(str(RUN / "control.sock"))


def session(proof: str = "") -> tuple[int, dict[str, object]]:
    """Begin a session: the status, and the answer."""
    control = Control("localhost")
    headers = {"content-type": "application/json", **({"remit-proof": proof} if proof else {})}
    control.request("POST", "/session", json.dumps({"seconds": 300}), headers)
    reply = control.getresponse()
    said = json.loads(reply.read())
    control.close()
    return reply.status, said


def waiting() -> str:
    """The id of an act of this process that waits for its proof."""
    status, said = session()
    assert status == 401, said
    return str(said["error"]["proof"]["id"])  # type: ignore[index]


def password(proof: str, terminal: int) -> dict[str, object]:
    """Control's answer at the door where passwords are asked for."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(SECONDS)
        line.connect(str(RUN / "person.sock"))
        socket.send_fds(line, [json.dumps({"proof": proof}).encode() + b"\n"], [terminal])
        return json.loads(line.makefile().readline() or "{}")  # type: ignore[no-any-return]


def here() -> int:
    return os.open(os.ttyname(0), os.O_RDWR | os.O_NOCTTY)


def honest() -> object:
    """Obtained and used; then used again, and asked for again."""
    proof = waiting()
    first = password(proof, here())
    used = [session(proof)[0], session(proof)[0]]
    return {"asked": first, "used": used, "again": password(proof, here())}


def inherited() -> object:
    """On the terminal that it was started with."""
    return password(waiting(), 0)


def race() -> object:
    """The same act's password asked for twice at once."""
    proof, answers = waiting(), []
    terminals = [here(), here()]  # opened before: who is asked there keeps others from opening it
    both = [threading.Thread(target=lambda at=at: answers.append(password(proof, at))) for at in terminals]
    for one in both:
        one.start()
    for one in both:
        one.join()
    return {"answers": answers, "used": [session(proof)[0], session(proof)[0]]}


def shown(name: str) -> object:
    """Its own act, on another terminal."""
    return password(waiting(), os.open(name, os.O_RDWR | os.O_NOCTTY))


def wait(_name: str) -> object:
    """Tells its act's id, and waits."""
    print("id=" + waiting(), flush=True)
    time.sleep(SECONDS)
    return {}


def borrow(proof: str) -> object:
    """Another process's act."""
    return password(proof, here() if os.isatty(0) else os.open("/dev/null", os.O_RDWR))


def orphan() -> object:
    """Leaves its parents, stays in the session, and takes the foreground of its terminal."""
    told, tell = os.pipe()
    if os.fork() == 0:
        if os.fork() == 0:
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            time.sleep(0.3)
            os.setpgid(0, 0)
            os.tcsetpgrp(0, os.getpgrp())
            os.write(tell, json.dumps(password(waiting(), here())).encode())
        os._exit(0)
    os.close(tell)
    os.wait()
    return json.loads(os.read(told, 65536))


def other_session() -> object:
    """A child in a session of its own, with the terminal of this one."""
    told, tell = os.pipe()
    if os.fork() == 0:
        os.setsid()
        os.write(tell, json.dumps(password(waiting(), here())).encode())
        os._exit(0)
    os.wait()
    return json.loads(os.read(told, 65536))


def hold(name: str) -> object:
    """Has another's terminal open."""
    os.open(name, os.O_RDWR | os.O_NOCTTY)
    print("held", flush=True)
    time.sleep(SECONDS)
    return {}


def thief() -> object:
    """Takes the foreground while its person is asked, and would get the keys."""
    parent = os.getpid()
    if os.fork() == 0:
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        os.setpgid(0, 0)
        time.sleep(2)
        os.tcsetpgrp(0, os.getpgrp())
        time.sleep(3)
        os.tcsetpgrp(0, os.getpgid(parent))
        os._exit(0)
    answer = password(waiting(), here())
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.wait()
    return answer


def leaver() -> object:
    """A child leaves the session while its person is asked, and keeps the terminal open."""
    if os.fork() == 0:
        time.sleep(2)
        os.setsid()
        time.sleep(5)
        os._exit(0)
    answer = password(waiting(), here())
    os.wait()
    return answer


WAYS = {
    "honest": honest,
    "inherited": inherited,
    "race": race,
    "shown": shown,
    "wait": wait,
    "borrow": borrow,
    "orphan": orphan,
    "other-session": other_session,
    "hold": hold,
    "thief": thief,
    "leaver": leaver,
}

if __name__ == "__main__":
    print(f"said={json.dumps(WAYS[sys.argv[1]](*sys.argv[2:]))}=", flush=True)  # type: ignore[operator]
