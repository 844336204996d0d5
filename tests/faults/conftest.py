"""How each file here begins: an awkward server, and a Remit in front of it on the file's own `PORT`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Remit
from tests.e2e.servers import Recorded, fake
from tests.fakes.awkward_server import FakeAwkwardServer
from tests.fakes.started import free_port
from tests.faults.broken import Sealed, seal_one
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


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """A model server in a process of its own."""
    with fake("vllm", tmp_path_factory.mktemp("server")) as one:
        yield one


@pytest.fixture(scope="session")
def sealed(tmp_path_factory: pytest.TempPathFactory, recorded: Recorded) -> Sealed:
    """A state that Remit ran in, and its recovery code."""
    return seal_one(tmp_path_factory.mktemp("sealed") / "state", recorded.address, free_port())


@pytest.fixture
def here(sealed: Sealed, tmp_path: Path) -> Sealed:
    """A copy of it, to be broken."""
    return sealed.copy(tmp_path / "state")
