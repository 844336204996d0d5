"""The ways to call a guarded server from outside: curl, and what it answered."""

import json
import subprocess
from dataclasses import dataclass
from typing import Any

CHAT = "/v1/chat/completions"


@dataclass(frozen=True)
class Reply:
    """What curl got; `exit` is curl's own exit code, `status` 0 when there was no answer."""

    exit: int
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The refusal's short code."""
        error = self.json["error"]
        return str(error["code"])


def curl(*arguments: str, **process: Any) -> Reply:
    """Run the real curl; `process` are further arguments of subprocess.run."""
    command = ["curl", "-s", "-i", "-m", "60", "--path-as-is", *arguments]
    done = subprocess.run(command, capture_output=True, check=False, **process)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    if not head:
        return Reply(done.returncode, 0, {}, b"")
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return Reply(done.returncode, int(lines[0].split()[1]), headers, body)


def bearer(token: str) -> tuple[str, str]:
    return ("-H", f"Authorization: Bearer {token}")


def x_api_key(token: str) -> tuple[str, str]:
    return ("-H", f"x-api-key: {token}")


def chat(prompt: Any, **more: Any) -> tuple[str, str]:
    """curl's argument for a chat request."""
    return ("-d", json.dumps({"model": "m", "messages": [{"role": "user", "content": prompt}], **more}))
