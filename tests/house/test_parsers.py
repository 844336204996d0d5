"""Strangers' bytes in formats with a history of holes are parsed behind walls (remit.sandbox.parse), nowhere else."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "remit"
# What reads such formats; the files that may import it, each with its reason.
FORMATS: dict[str, frozenset[str]] = {
    "remit.models.gguf": frozenset({"sandbox/parse.py"}),
    "remit.models.manifests": frozenset({"sandbox/parse.py"}),
    # Our own database; and a person's own, read by a child that is that person.
    "sqlite3": frozenset({"storage/store.py", "install/revisions.py", "install/users_own.py"}),
    "zipfile": frozenset(),
    # A bundle of policies, of which nothing is read before a configured signer's signature holds.
    "tarfile": frozenset({"policy/bundle_file.py"}),
    "gzip": frozenset(),
    "bz2": frozenset(),
    "lzma": frozenset(),
    "pickle": frozenset(),
    "marshal": frozenset(),
    "xml": frozenset(),
    "nbformat": frozenset(),
}


def _imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("module", FORMATS)
def test_only_the_parsers_behind_walls_read_it(module: str) -> None:
    users = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if any(one == module or one.startswith(module + ".") for one in _imported(path))
    }
    assert users <= FORMATS[module], f"{module}: to be read by a parser of remit.sandbox.parse.PARSERS"
