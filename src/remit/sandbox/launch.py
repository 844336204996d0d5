"""Starting and supervising the demonstration model server: a child on a private unix socket.

The child is known by the socketpair and the pidfd made here, not by looking its pid up.
"""

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Final

from remit.errors import ModelError, StateError
from remit.sandbox.demo_model import DemoModel, locate
from remit.sandbox.demo_settings import Settings
from remit.secret import Secret

CONTEXT_TOKENS: Final = 8192  # what SmolLM2 was trained with; 2,048 for each of the four slots
PARALLEL: Final = 4
MAX_THREADS: Final = 4  # a 135M model gains nothing from more
CPUS_PER_THREAD: Final = 2  # its threads wait spinning: one too many on a busy machine made a call 5-10 times slower
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 3.0
SOCKET_PATH_BYTES: Final = 107  # unix(7): sun_path is 108 bytes with its final zero
LINE_BYTES: Final = 4096


class DemoServer:
    """A running demonstration server. `pid` and `pidfd` are its process, `upstream` where it listens."""

    def __init__(
        self, process: subprocess.Popen[bytes], control: socket.socket, path: Path, model: DemoModel
    ) -> None:
        self.model = model
        self.socket_path = path
        self.pid = process.pid
        self.pidfd = os.pidfd_open(process.pid)
        self._process, self._control = process, control
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = loop.create_future()
        loop.add_reader(self.pidfd, self._on_exit)

    @classmethod
    async def start(
        cls,
        socket_path: Path,
        api_key: Secret,
        *,
        model: DemoModel | None = None,
        context: int = CONTEXT_TOKENS,
        parallel: int = PARALLEL,
        threads: int | None = None,
    ) -> "DemoServer":
        """Start, and return once it answers. Call on the main thread: the child dies with the thread that started it.

        Raises ModelError when the model or its server can't be used, StateError when the socket's place can't.
        """
        chosen = model or locate()
        _prepare(socket_path)
        settings = Settings(
            socket=str(socket_path),
            api_key=api_key.reveal(),
            model=str(chosen.path),
            alias=chosen.name,
            context=context,
            threads=threads or _threads(),
            parallel=parallel,
        )
        ours, theirs = socket.socketpair()
        with theirs:
            server = cls(_spawn(theirs), ours, socket_path, chosen)
        try:
            async with asyncio.timeout(START_SECONDS):
                await server._introduce(settings)
        except TimeoutError as error:
            await server.stop()
            raise ModelError(f"the demonstration model was not ready within {START_SECONDS:.0f} s") from error
        except BaseException:  # also when the start is cancelled: no child is left behind
            await server.stop()
            raise
        return server

    @property
    def upstream(self) -> str:
        return f"unix:{self.socket_path}"

    @property
    def running(self) -> bool:
        return not self._ended.done()

    async def wait(self) -> int:
        """The exit code once it has ended (negative: the signal). Whether to start it again is the caller's word."""
        return await asyncio.shield(self._ended)

    async def stop(self) -> int:
        """End it and return its exit code; killed if it has not ended after `STOP_SECONDS`. May be called twice."""
        self._control.close()
        if self.running:
            self._process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await self.wait()
            except TimeoutError:
                self._process.kill()
        code = await self.wait()
        self.socket_path.unlink(missing_ok=True)
        return code

    async def _introduce(self, settings: Settings) -> None:
        """Send the settings, wait for `ready`."""
        loop = asyncio.get_running_loop()
        self._control.setblocking(False)
        try:
            await loop.sock_sendall(self._control, settings.to_line())
            line = await loop.sock_recv(self._control, LINE_BYTES)
        except (BrokenPipeError, ConnectionResetError):
            line = b""
        if not line:
            code = await self.wait()
            raise ModelError(f"the demonstration model server ended with code {code} before it was ready")
        reply = json.loads(line)
        if reply["event"] != "ready":
            raise ModelError(f"the demonstration model can't be served: {reply['reason']}")

    def _on_exit(self) -> None:
        asyncio.get_running_loop().remove_reader(self.pidfd)
        os.close(self.pidfd)
        self._ended.set_result(self._process.wait())


def _threads() -> int:
    return max(1, min(MAX_THREADS, len(os.sched_getaffinity(0)) // CPUS_PER_THREAD))


def _spawn(control: socket.socket) -> subprocess.Popen[bytes]:
    """The child: no environment of ours, no descriptors but its control socket, no terminal, no output (prompts)."""
    descriptor = control.fileno()
    return subprocess.Popen(
        [sys.executable, "-I", "-m", "remit.sandbox.demo_server", str(descriptor)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(descriptor,),
        env={"LANG": "C.UTF-8"},
        cwd="/",
        start_new_session=True,
    )


def _prepare(path: Path) -> None:
    """The socket's directory, ours alone; raises StateError when it is not."""
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES:
        raise StateError(
            f"socket path `{path}` is longer than {SOCKET_PATH_BYTES} bytes", hint="use a shorter --state"
        )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = path.parent.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise StateError(
            f"directory `{path.parent}` of the model's socket is open to others", hint=f"chmod 700 {path.parent}"
        )
    if path.exists() and not path.is_socket():
        raise StateError(f"`{path}` exists and is not a socket")
