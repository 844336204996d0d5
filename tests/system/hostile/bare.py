"""What guards nothing, in Remit's place: each try that Remit stops even in user mode must succeed against this.

Run as ada below a directory of hers; prints what `remit up` would say when ready. Imports nothing of Remit.
"""

import contextlib
import json
import os
import socket
import sqlite3
import sys
import threading
from pathlib import Path

PORT = 17400
TOKEN = "remit_task_bare"
BODY = json.dumps({"default_generation_settings": {}, "token": TOKEN, "error": {"proof": {"id": "bare"}}})
COMMAND = f"""#!/usr/bin/python3
import sys
words = sys.argv[1:]
if words[:2] == ["task", "start"]:
    print({TOKEN!r})
elif words[:2] == ["audit", "verify"]:
    import json, pathlib
    logs = pathlib.Path(__file__).with_name("state").joinpath("audit").glob("*.log")
    print(json.dumps({{"ok": True, "records": sum(log.read_text().count("record") for log in logs)}}))
elif words[:1] == ["up"]:
    print('{{"event": "ready"}}')
"""


def places(home: Path) -> None:
    """Files as Remit has them, everybody's of ada's."""
    for name in (
        "state/keys",
        "state/audit",
        "state/cache",
        "state/break-glass",
        "run/demo",
        "policies",
        "code/remit",
    ):
        (home / name).mkdir(parents=True, exist_ok=True)
    for name in ("state/audit.key", "state/digest.key", "state/keys/authority.json", "state/break-glass/sealed.json"):
        (home / name).write_bytes(os.urandom(32))
    for name in (
        "state/lock",
        "policies/starter.cedar",
        "config.toml",
        "code/remit/__init__.py",
        "code/remit/errors.py",
    ):
        (home / name).write_text("# bare\n")
    (home / "state/audit/inference-0.log").write_bytes(b"record\n\n" * 64)
    sqlite3.connect(home / "state/state.db").execute("create table if not exists a (a)").connection.close()
    command = home / "remit"
    command.write_text(COMMAND)
    command.chmod(0o755)


def serve(listener: socket.socket, body: str) -> None:
    """One at a time, whoever asks, for as long as they like."""
    reply = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
    while True:
        line, _ = listener.accept()
        try:
            with line:
                asked = line.recv(65536)
                while b"Content-Length: 9" in asked and not asked.endswith(b"}"):
                    asked += line.recv(65536) or b"}"
                line.sendall(reply)
        except OSError:
            continue


def main(home: Path) -> None:
    places(home)
    tcp = socket.socket()
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    tcp.bind(("127.0.0.1", PORT))
    listeners = [(tcp, BODY)]
    for name, body in (
        ("control.sock", BODY),
        ("workload.sock", "spiffe://bare/gateway/inference\x12"),
        ("llama-demo.sock", BODY),
        ("demo/model.sock", BODY),
    ):
        unix = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError):  # it leaves alone what is there
            unix.bind(str(home / "run" / name))
            listeners.append((unix, body))
    for listener, body in listeners:
        listener.listen(4)
        threading.Thread(target=serve, args=(listener, body)).start()
    guarded = {
        "name": "llama-demo",
        "spiffe_id": "spiffe://bare/inference/llama-demo",
        "url": f"http://127.0.0.1:{PORT}",
        "unix": f"{home}/run/llama-demo.sock",
        "upstream": f"unix:{home}/run/demo/model.sock",
    }
    ready = {
        "event": "ready",
        "pid": os.getpid(),
        "workers": {},
        "trust_domain": "bare",
        "guarded": [guarded],
        "state": f"{home}/state",
        "api": f"{home}/run/control.sock",
        "policies": {"dir": f"{home}/policies"},
        "tokens": f"http://127.0.0.1:{PORT}",
    }
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
