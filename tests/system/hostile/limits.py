"""What system mode doesn't stop, by design: programs of one person are not kept apart from each other."""

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.system.hostile.doors import TRUSTED, answer, ask, svids
from tests.system.hostile.kit import SECONDS, Claim, Target, answer_mine, attempt, library, token_in

ONE_UID = "a program that must be safe from its owner's other programs runs under a uid of its own"


@attempt(
    "connect-and-become",
    "connect, ask, and become a trusted program itself before the guard looks",
    "answer",
    ONE_UID,
)
def connect_and_become(target: Target) -> Claim | None:
    for _ in range(20):
        out, into = os.pipe()
        if (child := os.fork()) == 0:
            line = socket.create_connection(("127.0.0.1", target.port), SECONDS)
            line.sendall(ask(target))
            line.setblocking(True)
            os.dup2(line.fileno(), 0)
            os.dup2(into, 1)
            os.execv(TRUSTED, [TRUSTED])
        os.close(into)
        with os.fdopen(out, "rb") as said:
            found = answer(said.read())
        os.waitpid(child, 0)
        if found:
            return found
    return None


@attempt(
    "preload-program",
    "load a library of its own into a registered program, which then calls",
    "answer",
    ONE_UID,
    "cc",
)
def preload_program(target: Target) -> Claim | None:
    code = f"""
#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>
__attribute__((constructor)) static void ask(void) {{
  struct sockaddr_in at = {{ AF_INET, htons({target.port}), {{ htonl(INADDR_LOOPBACK) }} }};
  const char *said = {json.dumps(ask(target).decode())};
  char back[4096]; ssize_t got; int line = socket(AF_INET, SOCK_STREAM, 0);
  connect(line, (struct sockaddr *) &at, sizeof at);
  write(line, said, strlen(said));
  while ((got = read(line, back, sizeof back)) > 0) write(1, back, got);
  _exit(0);
}}
"""
    environ = {**os.environ, "LD_PRELOAD": library(code)}
    return answer(subprocess.run([TRUSTED], env=environ, capture_output=True, timeout=SECONDS, check=False).stdout)


@attempt("own-svid", "ask the Workload API for an SVID as any program of its owner's", "svid", ONE_UID)
def own_svid(target: Target) -> Claim | None:
    return svids(target, "/SpiffeWorkloadAPI/FetchX509SVID")


@attempt(
    "take-token", "read a task's token out of the environment of another program of its owner's", "token", ONE_UID
)
def take_token(_target: Target) -> Claim | None:
    for at in Path("/proc").glob("[0-9]*/environ"):
        try:
            said = at.read_text(errors="replace")
        except OSError:
            continue
        if found := token_in(said):
            return found
    return None


@attempt(
    "early-port",
    "listen at the door's port before Remit starts, which then takes the next one and says so",
    "early-marker",
    "the door's unix socket, or mutual TLS, by which the server proves who it is",
)
def early_port(target: Target) -> Iterator[Claim]:
    with socket.socket() as mine:
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        mine.bind(("127.0.0.1", target.port))
        mine.listen()
        answer_mine(mine)
        yield {"port": target.port}
