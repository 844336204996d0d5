"""Reading a hostile file in a child that can do nothing else: one child a file, so that none can poison the next."""

import json
import os
import select
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from remit.errors import ModelError
from remit.sandbox.child import ENVIRONMENT

PROGRAM: Final = ("-m", "remit.sandbox.parse")
ANSWER_BYTES: Final = 512 << 10  # 4,096 layers of a model take 320 KB
WALL_SECONDS: Final = 90.0  # more than parse.CPU_SECONDS, for slow disks
_STEP: Final = 1 << 16


def parsed(name: str, path: str, *, program: Sequence[str] = PROGRAM, seconds: float = WALL_SECONDS) -> Any:
    """What parser `name` (remit.sandbox.parse.PARSERS) says of the file at `path`; blocks, for `seconds` at most.

    Raises ModelError, naming the file, when the parser says so, was killed, crashed, took too long, said too much.
    The answer is as good as the file: a hostile one may make it any JSON of ANSWER_BYTES.
    """
    descriptor = _opened(path)
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", *program, name],
            stdin=descriptor,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
            start_new_session=True,
        )
    except OSError as error:
        raise ModelError(f"can't start a parser for `{path}`: {error.strerror}") from error
    finally:
        os.close(descriptor)
    with process:
        try:
            said = _read(process, path, time.monotonic() + seconds)
        finally:
            process.kill()
    return _value(said, process.returncode, path)


def _opened(path: str) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise ModelError(f"can't read model file `{path}`: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ModelError(f"model file `{path}` is no regular file")
    return descriptor


def _read(process: subprocess.Popen[bytes], path: str, until: float) -> bytes:
    """All that the child writes until it ends; what it leaves running can't be, it can't fork."""
    pipe, said = process.stdout.fileno() if process.stdout else -1, b""
    while True:
        left = until - time.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            raise ModelError(f"reading model file `{path}` took too long", hint=_HINT)
        if not (data := os.read(pipe, _STEP)):
            break
        said += data
        if len(said) > ANSWER_BYTES:
            raise ModelError(f"the parser of model file `{path}` said more than {ANSWER_BYTES} bytes", hint=_HINT)
    try:
        process.wait(max(until - time.monotonic(), 0))
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"reading model file `{path}` took too long", hint=_HINT) from error
    return said


def _value(said: bytes, status: int, path: str) -> Any:
    if status != 0:
        how = f"was ended by signal {-status}" if status < 0 else "broke"
        raise ModelError(f"the parser of model file `{path}` {how}", hint=_HINT)
    try:
        answer = json.loads(said)
    except (ValueError, RecursionError):
        answer = None
    if isinstance(answer, dict) and "value" in answer:
        return answer["value"]
    reason = answer.get("error") if isinstance(answer, dict) else None
    raise ModelError(f"`{path}`: {reason}" if isinstance(reason, str) else f"no answer about `{path}`", hint=_HINT)


_HINT: Final = "the file may be damaged, or made to do harm: get it again from where it came"
