"""Model files below a home that only its owner may enter: known through the attestor, by digest alone."""

import hashlib
import os
import subprocess
import time
from io import BytesIO
from pathlib import Path

import pytest

from remit.control.attestor import Attestor
from remit.errors import ModelError
from remit.identity.attestation.accounts import ACCOUNTS
from remit.inventory.fingerprints import Fingerprint
from remit.inventory.model import Model
from remit.inventory.weights import weigh
from remit.models import DigestCache, FileState, digest_file, hidden, model_file_at, unchanged
from remit.models.behind_walls import read_through
from remit.models.launched import standing_at
from remit.models.manifests import ollama_layers
from remit.sandbox.hidden_files import ASK_AGAIN
from tests.attestation.children import needs_root
from tests.attestation.test_attestor import SLEEP, as_remit, running
from tests.models.test_stores import an_ollama

pytestmark = needs_root
WEIGHTS = b"GGUF weights of ada's"


def as_asked(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def test_a_model_below_a_private_home_has_its_digest_and_is_seen_to_change(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    weights = tmp_path / "m.gguf"
    weights.write_bytes(WEIGHTS)
    (tmp_path / "link").symlink_to("m.gguf")
    os.utime(weights, (time.time() - 60, time.time() - 60))
    expected = as_asked(weights)
    with running(SLEEP, "60", cwd=tmp_path) as server:

        def look(_: Attestor) -> None:
            for path in (weights, tmp_path / "link"):
                found = model_file_at(str(path), server.pid)
                assert found is not None
                assert (found.format, found.loaded, found.node[1]) == ("gguf", False, inode)
                assert digest_file(found.reading, node=found.node, cache=DigestCache()) == expected
            assert standing_at(server.pid) == str(tmp_path)
            assert found is not None
            state = FileState.at(found.reading)
            assert state is not None
            assert unchanged([(found.reading, state)])
            with pytest.raises(PermissionError):
                Path(found.reading).read_bytes()
            with pytest.raises(ModelError, match="no longer the file"):
                digest_file(found.reading, node=(1, 2))
            line.hear()
            assert not unchanged([(found.reading, state)])
            assert digest_file(found.reading) != expected

        inode = weights.stat().st_ino
        line = _Told(tmp_path)
        with as_remit(look) as remit:
            line.wait_until_asked()
            weights.write_bytes(WEIGHTS + b" changed")
            line.say()
            assert remit.hear() == "fine"


class _Told:
    """A word between the test and who acts as Remit: two pipes, made before the fork."""

    def __init__(self, _: Path) -> None:
        self._asked, self._said = os.pipe(), os.pipe()

    def hear(self) -> None:
        os.write(self._asked[1], b"x")
        os.read(self._said[0], 1)

    def wait_until_asked(self) -> None:
        os.read(self._asked[0], 1)

    def say(self) -> None:
        os.write(self._said[1], b"x")


def test_a_file_put_in_its_place_is_noticed_though_the_old_one_stands(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    home = tmp_path / "models"
    home.mkdir()
    (home / "m.gguf").write_bytes(WEIGHTS)
    line = _Told(tmp_path)
    with running(SLEEP, "60") as server:

        def look(_: Attestor) -> None:
            found = model_file_at(str(home / "m.gguf"), server.pid)
            assert found is not None
            state = FileState.at(found.reading)
            assert state is not None
            line.hear()
            deadline = time.monotonic() + 3 * ASK_AGAIN
            while unchanged([(found.reading, state)]):
                assert time.monotonic() < deadline
                time.sleep(0.1)

        with as_remit(look) as remit:
            line.wait_until_asked()
            home.rename(tmp_path / "old")  # the file's own times stay as they were
            home.mkdir()
            (home / "m.gguf").write_bytes(b"GGUF another")
            line.say()
            assert remit.hear() == "fine"


def test_what_is_open_to_all_is_read_without_asking_each_time(tmp_path: Path) -> None:
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)
    (tmp_path / "m.gguf").write_bytes(WEIGHTS)
    with running(SLEEP, "60") as server:

        def look(_: Attestor) -> None:
            found = model_file_at(str(tmp_path / "m.gguf"), server.pid)
            assert found is not None
            assert found.reading == str(tmp_path / "m.gguf")

        with as_remit(look) as remit:
            assert remit.hear() == "fine"


def test_a_path_that_a_server_makes_up_costs_nobody_the_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "m.gguf").write_bytes(WEIGHTS)
    os.mkfifo(tmp_path / "fifo")
    with running(SLEEP, "60") as server:

        def look(attestor: Attestor) -> None:
            for path in ("/a\0b", "/" + "a" * 5000, "/\ud800", "/", str(tmp_path), str(tmp_path / "fifo"), "/none"):
                assert model_file_at(path, server.pid) is None
                if not path.startswith(str(tmp_path)) and path != "/":
                    with pytest.raises(OSError):  # noqa: PT011 (whichever it is)
                        hidden.sight().look(server.pid, path)
            assert model_file_at(str(tmp_path / "m.gguf"), server.pid) is not None
            attestor.process.kill()
            attestor.process.wait()
            assert model_file_at(str(tmp_path / "m.gguf"), server.pid) is None

        with as_remit(look) as remit:
            assert remit.hear() == "fine"


def test_a_directory_is_no_file_to_hash(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with subprocess.Popen([SLEEP, "60"]) as server:

        def look(_: Attestor) -> None:
            with pytest.raises(ModelError):
                digest_file(f"/proc/{server.pid}/root{tmp_path}")

        with as_remit(look) as remit:
            assert remit.hear() == "fine"
        server.kill()


def a_store(home: Path) -> str:
    """An Ollama's, below a home that others may look into; the digest that the server says its model has."""
    root = home / ".ollama" / "models"
    manifest = an_ollama(root, model=WEIGHTS)
    for place in (home, *home.rglob("*")):
        place.chmod(0o755)
    return as_asked(manifest)


def test_an_ollama_of_another_account_is_known_by_the_store_in_its_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)
    said = a_store(tmp_path)
    monkeypatch.setattr(ACCOUNTS, "home", lambda _: str(tmp_path))  # root's, whose process this is
    with running(SLEEP, "60") as server:

        def look(_: Attestor) -> None:
            read_through(
                lambda _, path: ollama_layers(BytesIO(Path(path).read_bytes()))
            )  # no child: its Python is root's
            for claims, known in ((said, True), (f"sha256:{'0' * 64}", False)):
                ollama = Fingerprint("ollama", "1", (Model("smol", claims),))
                weighed = weigh(ollama, (server.pid,))
                assert [file.role for _, file in weighed[1]] == (["weights", "setting", "watched"] if known else [])

        with as_remit(look) as remit:
            assert remit.hear() == "fine"
