"""A real Envoy in front of a server that Remit guards, set up as docs/envoy.md says, and all of Remit behind it."""

import http.client
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Remit
from tests.e2e.servers import Recorded, fake, guarding
from tests.e2e.svids import context_of, stock_client
from tests.envoy.proxy import documented, running
from tests.interop.peers import envoy

PORT = 31900
CHAT = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
TOLD_SECONDS = 10.0


@dataclass
class Behind:
    """Remit, the server, and the port at which Envoy guards it."""

    remit: Remit
    server: Recorded
    port: int
    place: Path

    def call(self, body: Any = CHAT) -> tuple[int, dict[str, str], bytes]:
        context = context_of(self.place)
        with closing(http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=20)) as connection:
            head = {"content-type": "application/json", "authorization": "Bearer not-for-the-server"}
            connection.request("POST", "/v1/chat/completions", json.dumps(body), head)
            reply = connection.getresponse()
            return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()

    def until(self, status: int, seconds: float = TOLD_SECONDS) -> None:
        """Call until it is answered so."""
        deadline = time.monotonic() + seconds
        while (got := self.call()[0]) != status:
            assert time.monotonic() < deadline, f"still {got}"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    place = tmp_path_factory.mktemp("envoy")
    asked = place / "envoy.sock"
    more = f'[decisions]\nenvoy = "{asked}"\npoints = ["pipeline/envoy"]\n'
    with ExitStack() as stack:
        server = stack.enter_context(fake("vllm", place))
        remit = stack.enter_context(guarding(place / "state", PORT, server.address, more=more))
        selectors = ("--selector", f"unix:path:{Path(envoy()).resolve()}", "--selector", f"unix:uid:{os.getuid()}")
        remit.run("workload", "add", "envoy", "--kind", "pipeline", *selectors)
        stock_client(remit.ready["workload_api"], "x509", str(place))
        text = documented(
            **{
                "/etc/envoy/": f"{place}/",
                "/run/remit/envoy.sock": str(asked),
                "spiffe://maple.local/inference/llama-demo": remit.ready["guarded"][0]["spiffe_id"],
                "port_value: 8080": f"port_value: {server.address.rpartition(':')[2]}",
                "timeout: 5s": "timeout: 1s",
            }
        )
        yield Behind(remit, server, stack.enter_context(running(place, text)), place)


def test_a_call_goes_through_and_is_explained(behind: Behind) -> None:
    status, headers, _ = behind.call()
    assert status == 200
    assert "not-for-the-server" not in str(behind.server.requests[-1])
    told = behind.remit.run("explain", headers["remit-decision"]).stdout
    assert told.startswith("allowed")
    assert "the word of a registered enforcement point" in told
    ended = behind.remit.run("audit", "verify", check=False).stdout
    assert "end unknown" not in ended


def test_what_would_have_to_be_masked_is_refused_and_says_so(behind: Behind) -> None:
    before = len(behind.server.requests)
    secret = "AKIA" + "Z7Q4M2XPLW5TJ6RC"
    status, _, body = behind.call(CHAT | {"messages": [{"role": "user", "content": f"my key is {secret}"}]})
    assert (status, json.loads(body)["error"]["rule"]) == (403, "remit:not-verbatim")
    assert "aws-access-key-id" in body.decode()
    assert secret not in body.decode()
    assert len(behind.server.requests) == before


def test_a_suspended_point_s_word_counts_no_more(behind: Behind) -> None:
    behind.remit.run("workload", "suspend", "envoy")
    behind.until(401)
    behind.remit.run("workload", "resume", "envoy")
    behind.until(200)


def test_a_killed_worker_lets_nothing_through_and_its_successor_answers(behind: Behind) -> None:
    status = json.loads(behind.remit.run("status", "--json").stdout)
    before = len(behind.server.requests)
    os.kill(status["workers"]["decisions"], signal.SIGSTOP)
    try:
        behind.until(403)
        assert len(behind.server.requests) == before
    finally:
        os.kill(status["workers"]["decisions"], signal.SIGKILL)
    behind.until(200)
