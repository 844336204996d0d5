"""The demonstration model server's program: `python -I -m remit.sandbox.demo_server FD`.

FD is one end of a socketpair. On it comes one JSON line of settings (the API key is neither in argv nor in the
environment); on it goes one JSON line, `{"event": "ready"}` or `{"event": "failed", "reason": …}`. When its other
end closes, the parent is gone and so is this process. It listens on a unix socket only.
"""

import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

from remit.sandbox.demo_settings import Settings
from remit.sandbox.hardening import close_fds, harden

SETTINGS_BYTES: Final = 64 * 1024
BATCH_TOKENS: Final = 512  # an embedding's input must fit; 2,048 takes 560 MB more (measured)


def parameters(settings: Settings) -> Any:
    """llama.cpp's own parameters for `settings`."""
    import xllamacpp  # noqa: PLC0415 (optional, and only this process loads it)

    chosen = xllamacpp.CommonParams()
    chosen.model.path = settings.model
    chosen.model_alias = {settings.alias}
    chosen.hostnames = [settings.socket]
    chosen.api_keys = [settings.api_key]
    chosen.n_ctx, chosen.n_parallel, chosen.n_ubatch = settings.context, settings.parallel, BATCH_TOKENS
    chosen.cpuparams.n_threads = chosen.cpuparams_batch.n_threads = settings.threads
    chosen.cpuparams.poll = chosen.cpuparams_batch.poll = 0  # idle threads sleep
    # Callers must not see each other's prompts in the prompt cache: off by default here, and kept off by the gateway
    # on every request, because a request may still ask for it.
    chosen.cache_prompt, chosen.cache_ram_mib, chosen.slot_prompt_similarity = False, 0, 0.0
    # Reading /slots and /metrics is governed as `disclose`; changing settings through POST /props stays off.
    chosen.endpoint_slots, chosen.endpoint_metrics, chosen.endpoint_props = True, True, False
    chosen.ui, chosen.warmup, chosen.cors_origins, chosen.cors_credentials = False, True, "", False
    # Mean pooling lets /v1/embeddings work beside chat, whose answers it leaves as they were.
    chosen.embedding, chosen.pooling_type = True, xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    chosen.verbosity = -1  # llama.cpp logs to stderr, and may log prompts
    return chosen


def main(argv: list[str]) -> int:
    """Serve until the parent is gone or SIGTERM; 0 then, 1 when the server can't be started."""
    harden(die_with_parent=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    signal.signal(signal.SIGTERM, _stop)
    os.umask(0o077)
    with socket.socket(fileno=int(argv[1])) as control:
        close_fds({0, 1, 2, control.fileno()})
        settings = Settings.from_line(_line(control))
        try:
            with _serving(settings):
                control.sendall(b'{"event": "ready"}\n')
                control.recv(1)  # nothing more is ever sent: this returns when the other end closes
        except RuntimeError as error:
            control.sendall(json.dumps({"event": "failed", "reason": str(error)}).encode() + b"\n")
            return 1
    return 0


@contextmanager
def _serving(settings: Settings) -> Iterator[None]:
    """The server, from when it answers; raises RuntimeError when it can't be started."""
    import xllamacpp  # noqa: PLC0415

    path = Path(settings.socket)
    path.unlink(missing_ok=True)  # llama.cpp does not replace a socket left by a killed server
    server = xllamacpp.Server(parameters(settings))  # returns once the model is loaded and warm
    try:
        if not path.is_socket():
            raise RuntimeError(f"the server does not listen on `{path}`")
        yield
    finally:
        path.unlink(missing_ok=True)
        del server


def _line(control: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        piece = control.recv(SETTINGS_BYTES)
        if not piece or len(data) > SETTINGS_BYTES:
            raise SystemExit(1)  # the parent is gone
        data += piece
    return data


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    code = main(sys.argv)
    os._exit(code)  # llama.cpp's threads may take seconds to end a generation nobody waits for
