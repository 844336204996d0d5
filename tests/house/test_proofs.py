"""Each proof of a governed call is made in one file: leaving a step out is then a type error."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "remit"

MAKERS = {
    "Permit": {"policy/engine.py"},
    "Receipt": {"audit/log.py"},
    "Clean": {"redaction/clean.py"},
    "Lease": {"credentials/lease.py"},
    "Caller": {"gateway/callers.py"},
    "Intent": {"gateway/consider.py", "gateway/decisions/asked.py"},  # what comes to the gateway, and what is asked
}


def constructions(name: str) -> set[str]:
    """The files that call `name(...)`, by path below the package; copies by `dataclasses.replace` are not seen."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and _called(node.func) == name:
                found.add(str(path.relative_to(SOURCE)))
    return found


def _called(func: ast.expr) -> str:
    match func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


@pytest.mark.parametrize(("proof", "maker"), MAKERS.items())
def test_only_one_file_makes_it(proof: str, maker: set[str]) -> None:
    assert constructions(proof) == maker
