"""What people type and what they see: every *.txt here is played against a running Remit."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.servers import guarded_fakes
from tests.transcripts.transcript import difference, play, read

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*.txt"))


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables of a user's shell, and of what runs here: a vLLM server that Remit guards."""
    with guarded_fakes(tmp_path_factory.mktemp("transcripts"), 30000, "vllm") as (remit, fakes):
        [server] = remit.ready["guarded"]
        yield {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(remit.state),
            "LANG": "C.UTF-8",
            "REMIT_STATE": str(remit.state),
            "OWNER": remit.ready["owner"],
            "NAME": server["name"],
            "ID": server["spiffe_id"],
            "DOMAIN": remit.ready["trust_domain"],
            "URL": server["url"],
            "PORT": server["url"].rsplit(":", 1)[1],
            "TLS_PORT": server["mtls_url"].rsplit(":", 1)[1],
            "UPSTREAM_PORT": fakes["vllm"].address.rsplit(":", 1)[1],
            "SERVER_PID": str(fakes["vllm"].pid),
        }


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_says_what_is_written(file: Path, environ: dict[str, str], tmp_path: Path) -> None:
    play(file, environ, tmp_path)


def test_every_command_has_a_transcript() -> None:
    from remit.cli import app

    typed = " ".join(step.command for file in FILES for step in read(file))
    missing = [command.callback.__name__ for command in app.registered_commands if command.callback is not None]
    for group in app.registered_groups:
        assert group.typer_instance is not None
        for command in group.typer_instance.registered_commands:
            assert command.callback is not None
            missing.append(f"{group.name} {(command.name or command.callback.__name__).rstrip('_')}")
    assert [name for name in missing if f"remit {name}" not in typed] == []


def test_a_difference_is_found() -> None:
    assert difference(("a … c", "…", "z"), ["a b c", "1", "2", "z"]) is None
    assert difference(("a", "…"), ["a"]) is None
    for written, said in ((("a",), ["b"]), (("a",), []), ((), ["a"]), (("…", "z"), ["a"]), (("a…",), ["b"])):
        assert difference(written, said) is not None
