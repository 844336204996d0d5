"""Somebody is at the machine, and leaves: what may go on only with them there is cut, and all of it is on record."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.control.test_presence import Terminal
from tests.e2e import conftest
from tests.e2e.calling import CHAT, bearer, chat, curl
from tests.e2e.conftest import ME, Remit
from tests.e2e.servers import fake, guarding
from tests.e2e.test_tasks import PIECE_SECONDS, streaming

PORT = 29260
SESSIONS = Path("/run/systemd/sessions")
WHILE_THERE = """
@id("own") permit (principal, action, resource) when { resource.owner == principal.owner };
@id("lists-while-somebody-is-there") forbid (principal, action == Action::"list", resource)
when { context.presence != "here" };
"""
OWN_PLACES = """#!/bin/sh
exec unshare --mount sh -c 'mount --bind {there} {sessions} && exec {remit} "$@"' remit "$@"
"""


def own_mounts() -> bool:
    """Whether a process can be given another `/run/systemd/sessions`."""
    done = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return done.returncode == 0 and SESSIONS.is_dir()


pytestmark = pytest.mark.skipif(not own_mounts(), reason="mounts are made by root, over what systemd's package made")


@dataclass
class Desk:
    """Ada's login at this machine, on a real terminal. `there` is where logind would write it down."""

    remit: Remit
    there: Path
    terminal: Terminal

    @property
    def server(self) -> dict[str, Any]:
        guarded: dict[str, Any] = self.remit.ready["guarded"][0]
        return guarded

    def presence(self) -> str:
        told: dict[str, str] = json.loads(self.remit.run("status", "--json").stdout)["presence"]
        return told[ME]

    def becomes(self, presence: str) -> None:
        end = time.monotonic() + 10
        while self.presence() != presence:
            assert time.monotonic() < end, f"still {self.presence()}"

    def login(self, name: str = "4") -> None:
        said = {"UID": os.getuid(), "ACTIVE": 1, "STATE": "active", "CLASS": "user", "TTY": self.terminal.line}
        (self.there / name).write_text("".join(f"{key}={value}\n" for key, value in said.items()))

    def logout(self) -> None:
        for login in self.there.glob("[0-9]*"):
            login.unlink()

    def task(self, *more: str) -> str:
        started = self.remit.run(
            "task", "start", self.server["name"], "--allow", "infer", "--for", "5m", *more, "--json"
        )
        token: str = json.loads(started.stdout)["token"]
        return token


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    directory = tmp_path_factory.mktemp("presence")
    there = directory / "sessions"
    there.mkdir()
    (there / "c1").write_text(
        "UID=65534\nACTIVE=1\nSTATE=active\nCLASS=greeter\n"
    )  # as a machine that runs logind has
    places = directory / "remit"
    places.write_text(OWN_PLACES.format(there=there, sessions=SESSIONS, remit=conftest.REMIT))
    places.chmod(0o700)
    policies = directory / "state" / "policies"
    policies.mkdir(parents=True)
    (policies / "p.cedar").write_text(WHILE_THERE)
    terminal = Terminal()
    with ExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(conftest, "REMIT", str(places))
        stack.callback(terminal.close)
        server = stack.enter_context(fake("vllm", directory, "--delay", str(PIECE_SECONDS)))
        remit = stack.enter_context(guarding(directory / "state", PORT, server.address))
        yield Desk(remit, there, terminal)


@pytest.fixture(autouse=True)
def nobody_there(desk: Desk) -> None:
    desk.logout()
    desk.becomes("away")


def test_what_takes_somebody_there_is_refused_until_they_type(desk: Desk) -> None:
    os.utime(desk.terminal.path, (0, 0))
    models = desk.server["url"] + "/v1/models"
    refused = curl(models)
    assert (refused.status, refused.json["error"]["rule"]) == (403, "lists-while-somebody-is-there")
    desk.login()
    desk.becomes("here")
    assert curl(models).status == 200
    (desk.there / "5").write_text("CLASS=user\nUID=ada\n")  # not as logind writes one: nobody is known to be anywhere
    desk.becomes("unknown")
    (desk.there / "5").unlink()
    time.sleep(1.0)
    assert curl(models).status == 403
    desk.terminal.type()
    desk.becomes("here")
    assert curl(models).status == 200


def test_a_task_that_takes_its_person_there_ends_its_streams_when_they_leave(desk: Desk) -> None:
    token = desk.task("--present")
    asked = (*chat("hello"), *bearer(token), desk.server["url"] + CHAT)
    refused = curl(*asked)
    assert (refused.status, refused.json["error"]["rule"]) == (403, "remit:nobody-there")
    desk.login()
    desk.becomes("here")
    assert curl(*asked).status == 200
    with streaming(desk.server, token) as stream:
        left = time.monotonic()
        desk.logout()
    assert not stream.whole
    assert stream.ended - left < 1.5
    assert curl(*asked).status == 403


def test_every_decision_has_on_record_whether_its_person_was_there(desk: Desk) -> None:
    for here in (False, True):
        if here:
            desk.login()
            desk.becomes("here")
        reply = curl(desk.server["url"] + "/health")
        explained = json.loads(desk.remit.run("explain", reply.headers["remit-decision"], "--json").stdout)
        assert explained["facts"]["presence"] == ("here" if here else "away")
