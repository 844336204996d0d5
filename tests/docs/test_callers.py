"""The programs and commands of docs/callers.md, docs/federation.md and README.md do what the pages say."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwk, jws
from joserfc.errors import BadSignatureError

from tests.docs.pages import rows, text
from tests.e2e.conftest import Remit

PROGRAM = re.compile(r"<!-- (\w+\.py) -->\n```python\n(.*?)```", re.DOTALL)


class Reader:
    """Somebody who read the pages: an instance, its server, and the programs written down from the page."""

    def __init__(self, remit: Remit, directory: Path) -> None:
        self.remit, self.directory = remit, directory
        self.ready = remit.event("ready")
        self.server: dict[str, Any] = self.ready["guarded"][0]
        for name, body in PROGRAM.findall(text("docs/callers.md") + text("docs/federation.md")):
            (directory / name).write_text(body)

    def python(self, name: str, *arguments: str) -> str:
        return self._run(sys.executable, name, *arguments)

    def shell(self, command: str, **variables: str) -> dict[str, Any]:
        """What a command of the pages answers, at this instance's ports."""
        plain, tls = (self.server[way].rsplit(":", 1)[-1] for way in ("url", "mtls_url"))
        typed = command.replace("7400", plain).replace("7500", tls)
        for name, value in variables.items():
            typed = typed.replace(f"${name}", value)
        answer: dict[str, Any] = json.loads(self._run("sh", "-c", typed))
        return answer

    def last_proof(self) -> str:
        """How the newest caller was known, as the log has it."""
        lines = self.remit.run("audit", "tail", "--json").stdout.splitlines()
        starts = [row for row in (json.loads(line)["record"] for line in lines) if row["kind"] == "start"]
        assert starts[-1]["outcome"] == "allowed"
        return str(starts[-1]["proof"])

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    state = tmp_path_factory.mktemp("state")
    (state / "config.toml").write_text("[discovery]\nlook = false\n[gateway]\nport = 17700\n")
    remit = Remit(state)
    try:
        yield Reader(remit, tmp_path_factory.mktemp("reader"))
    finally:
        remit.stop()


def way(first_words: str) -> str:
    """The command in README's table of callers, in the row that begins so."""
    section = text("README.md").split("## How a caller is known")[1].split("\n## ")[0]
    [row] = [line for line in section.splitlines() if line.startswith(f"| {first_words}")]
    return row.split("|")[2].strip().strip("`")


def test_loopback(reader: Reader) -> None:
    assert reader.shell(way("loopback"))["data"]
    assert reader.last_proof() == "loopback"


def test_a_unix_socket(reader: Reader) -> None:
    assert reader.shell(way("a unix socket"), RUN=str(Path(reader.ready["api"]).parent))["data"]
    assert reader.last_proof() == "unix"


def test_mutual_tls(reader: Reader) -> None:
    assert reader.python("fetch_x509.py", reader.ready["workload_api"]) == ""
    assert reader.shell(way("mutual TLS"))["data"]
    assert reader.last_proof() == "mtls"
    assert reader.python("call_mtls.py", reader.server["mtls_url"].rsplit(":", 1)[-1]) == "200"


def test_a_jwt_svid(reader: Reader) -> None:
    token = reader.python("fetch_jwt.py", reader.ready["workload_api"], reader.server["spiffe_id"])
    assert reader.shell(way("a JWT-SVID"), TOKEN=token)["data"]
    assert reader.last_proof() == "jwt-svid"


def test_the_keys_that_another_server_takes_as_pem_are_those_that_sign(reader: Reader) -> None:
    token = reader.python("fetch_jwt.py", reader.ready["workload_api"], "openbao")
    domain = reader.server["spiffe_id"].split("/")[2]
    assert reader.python("fetch_jwt_keys.py", reader.ready["workload_api"], domain) == ""
    pems = (reader.directory / "jwt_keys.pem").read_text().split(",")
    signed = [pem for pem in pems if _signed(token, pem)]
    assert len(signed) == 1


def _signed(token: str, pem: str) -> bool:
    try:
        jws.deserialize_compact(token, jwk.ECKey.import_key(pem), algorithms=["ES256"])
    except BadSignatureError:
        return False
    return True


def test_a_task_s_token(reader: Reader) -> None:
    started = json.loads(reader.remit.run("task", "start", reader.server["name"], "--allow", "list", "--json").stdout)
    assert reader.shell(way("a JWT-SVID"), TOKEN=started["token"])["data"]


def test_the_readme_s_prompt_is_masked_and_its_refusal_refused(reader: Reader) -> None:
    typed = re.search(r"^\$ (curl -s \S+/chat/completions \\\n.*?)\n\{", text("README.md"), re.MULTILINE | re.DOTALL)
    assert typed is not None
    assert reader.shell(typed[1])["choices"]
    assert '"masked":{"aws-access-key-id":1' in reader.remit.run("audit", "tail", "--json").stdout
    refusal = reader.shell("curl -s http://127.0.0.1:7400/props")["error"]
    assert refusal["message"].split("; ")[0] in text("README.md").replace("\n  ", " ")
    assert refusal["rule"] == "default-deny"


def test_the_files_are_those_that_the_configuration_page_lists(reader: Reader) -> None:
    listed = {row[0].strip("`").rstrip("/") for row in rows("docs/configuration.md") if len(row) == 2}
    said = {name.replace("NAME", reader.server["name"]).replace("ZONE", "inference") for name in listed}
    state, run = reader.remit.state, Path(reader.ready["api"]).parent
    assert {name for name in said if not any((place / name).exists() for place in (state, run))} == set()
    there = {path.relative_to(state) for path in state.iterdir() if path != run} | {
        path.relative_to(run) for path in run.rglob("*") if not path.is_dir()
    }
    known = {"config.toml", "policies", "keys"}  # of the page's other table, and the directory of a file it names
    assert {str(path) for path in there if "state.db-" not in path.name} - said - known == set()
