"""A real headless Chromium, driven through its own pipe (DevTools protocol), with a virtual authenticator."""

import base64
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

CHROMIUM: Final = Path("/usr/bin/chromium")
FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)
SECONDS: Final = 40.0


Start = Callable[..., "subprocess.Popen[bytes]"]


def _here(*command: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


class Chromium:
    """One browser with one page. Its authenticator presses its own button, as its person would."""

    def __init__(self, profile: Path, start: Start = _here) -> None:
        """`start` starts a command somewhere, with pipes to its stdin and from its stdout."""
        shell = 'exec 3<&0 4>&1 </dev/null >/dev/null 2>&1; exec "$@"'
        browser = (str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", "about:blank")
        self.process = start("/bin/bash", "-c", shell, "bash", *browser)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._in, self._out, self._next, self._left = (
            self.process.stdin.fileno(),
            self.process.stdout.fileno(),
            0,
            b"",
        )
        self._session = ""
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.tell("Page.enable")
        self.tell("WebAuthn.enable")
        options = {"protocol": "ctap2", "transport": "internal", "hasUserVerification": True, "isUserVerified": True}
        options |= {"hasResidentKey": True, "automaticPresenceSimulation": True}
        self.authenticator = self.tell("WebAuthn.addVirtualAuthenticator", options=options)["authenticatorId"]

    def tell(self, method: str, **params: Any) -> dict[str, Any]:
        """One command, and its answer."""
        self._next += 1
        message: dict[str, Any] = {"id": self._next, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._in, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._next:
                assert "error" not in answer, f"{method}: {answer}"
                result: dict[str, Any] = answer["result"]
                return result

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            piece = os.read(self._out, 1 << 16)
            assert piece, "the browser ended"
            self._left += piece
        first, _, self._left = self._left.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        return message

    def open(self, url: str) -> None:
        """Go there, and wait until the page's scripts have run."""
        self.tell("Page.navigate", url=url)
        self.wait(f"document.readyState === 'complete' && location.href.startsWith({json.dumps(url)})")

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self.tell("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        return answer["result"].get("value")

    def wait(self, script: str) -> None:
        """Until the expression is true."""
        end = time.monotonic() + SECONDS
        while not self.run(script):
            assert time.monotonic() < end, f"`{script}` never became true: {self.run('document.body.innerText')}"
            time.sleep(0.02)

    def click(self, deed: str) -> str:
        """Press the button with the mouse, once it can be pressed; what the page says in the end."""
        self.press(deed)
        return self.end()

    def press(self, deed: str, times: int = 1) -> None:
        """Press the button as a person does, `times` in a row."""
        button = f"document.querySelector('button[data-deed={deed}]')"
        self.wait(f"{button} !== null && !{button}.disabled")
        self.run(f"{button}.scrollIntoView()")
        box = self.run(
            f"(() => {{ const b = {button}.getBoundingClientRect(); return [b.x, b.y, b.width, b.height] }})()"
        )
        x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
        for time_pressed in range(1, times + 1):
            for kind in ("mousePressed", "mouseReleased"):
                said = {"x": x, "y": y, "button": "left", "clickCount": time_pressed}
                self.tell("Input.dispatchMouseEvent", type=kind, **said)

    def key(self, name: str) -> None:
        """Press a key: `Tab` or `Enter`."""
        code, text = {"Tab": (9, ""), "Enter": (13, "\r")}[name]
        said = {"key": name, "code": name, "windowsVirtualKeyCode": code, "text": text}
        self.tell("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **said)
        self.tell("Input.dispatchKeyEvent", type="keyUp", key=name, code=name, windowsVirtualKeyCode=code)

    def end(self) -> str:
        """What the page says in the end."""
        self.wait("['done', 'failed'].includes(document.querySelector('main').dataset.end)")
        return str(self.run("document.querySelector('#said').textContent"))

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.tell("Page.captureScreenshot")["data"]))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session = ""
        self.tell("Browser.close")
        self.process.wait(20)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
