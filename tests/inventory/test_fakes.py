"""Ollama, vLLM and LM Studio as their published interfaces have them, each a process of its own, all at once."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from remit.inventory import DIGEST_UNKNOWN, Found, discover
from tests.fakes.started import started
from tests.inventory.asking import TestProbe

SERVERS = {"ollama": "fake_ollama", "vllm": "fake_vllm", "lmstudio": "fake_lmstudio"}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], tuple[Found, int]]]:
    """What was found, by server and way in, with the pid that really runs it."""
    folder = tmp_path_factory.mktemp("fakes")
    with ExitStack() as stack:
        servers: dict[str, tuple[str, int]] = {}
        for name, module in SERVERS.items():
            for place in ((), ("--socket", str(folder / f"{name}.sock"))):
                server, address = stack.enter_context(started(module, *place))
                servers[address] = (name, server.pid)
        found = asyncio.run(discover(TestProbe(*servers))).found
        assert {one.upstream for one in found} == set(servers)
        yield {(one.server, one.upstream.split(":")[0]): (one, servers[one.upstream][1]) for one in found}


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("way", ["http", "unix"])
def test_each_is_found_as_what_it_is_with_its_own_process(
    seen: dict[tuple[str, str], tuple[Found, int]], name: str, way: str
) -> None:
    found, pid = seen[name, way]
    assert found.pids == (pid,)
    assert found.models
    assert bool(found.version) == (name != "lmstudio")


def test_a_digest_that_a_server_says_is_its_word_and_unknown(seen: dict[tuple[str, str], tuple[Found, int]]) -> None:
    said = {name for (name, _), (found, _) in seen.items() if found.models[0].digest != DIGEST_UNKNOWN}
    assert said == set()
