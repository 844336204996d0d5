"""How each file here begins: an awkward server, and a Remit in front of it on the file's own `PORT`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Remit
from tests.fakes.awkward_server import FakeAwkwardServer
from tests.faults.world import configure, port_of, running


@pytest.fixture(scope="module")
def server() -> Iterator[FakeAwkwardServer]:
    with FakeAwkwardServer() as one:
        yield one


@pytest.fixture
def state(request: pytest.FixtureRequest, server: FakeAwkwardServer, tmp_path: Path) -> Path:
    """A configured instance that was never started."""
    configure(tmp_path / "state", request.module.PORT, server.url)
    return tmp_path / "state"


@pytest.fixture(scope="module")
def remit(
    request: pytest.FixtureRequest, server: FakeAwkwardServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Remit]:
    """One Remit for the whole file, with the file's `GATEWAY` settings if it has any."""
    state = tmp_path_factory.mktemp("faults") / "state"
    configure(state, request.module.PORT, server.url, getattr(request.module, "GATEWAY", ""))
    with running(state) as one:
        yield one


@pytest.fixture
def port(remit: Remit) -> int:
    return port_of(remit)
