"""The house's floors: a package imports only packages below it (ARCHITECTURE.md)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "remit"

# Lowest first; packages on one floor do not import each other.
FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"errors", "secret", "attestor_line", "descriptor_tables", "remit"}),
    frozenset({"identity", "posture", "models", "detect", "config"}),
    frozenset({"inventory", "tasks", "flow"}),
    frozenset({"policy"}),
    frozenset({"audit"}),
    frozenset({"scanner", "redaction", "sandbox"}),
    frozenset({"credentials", "behaviour", "frameworks", "persons"}),
    frozenset({"control", "gateway", "storage", "install"}),
    frozenset({"app"}),
    frozenset({"emergency"}),
    frozenset({"cli"}),
)
LEVEL = {name: level for level, floor in enumerate(FLOORS) for name in floor}

# Packages that decide or parse: bytes and times come in as arguments.
PURE = ("policy", "detect", "tasks", "flow", "gateway/dialects", "audit/tree.py", "audit/entry.py")
# What a pure file may not import. Their one door to files is named: policy/directory.py, detect/hyper.py (its cache).
IMPURE_MODULES = frozenset(
    {"socket", "asyncio", "time", "datetime", "subprocess", "http", "urllib.request", "threading"}
)


def package_of(path: Path) -> str:
    parts = path.relative_to(SOURCE).parts
    return parts[0].removesuffix(".py") if parts[0] != "__init__.py" else "remit"


def imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def rooms() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", rooms(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_imports_only_floors_below(path: Path) -> None:
    own = package_of(path)
    assert own in LEVEL, f"{own} stands on no floor: add it to FLOORS and to ARCHITECTURE.md"
    for line, module in imports(path):
        parts = module.split(".")
        if parts[0] != "remit" or len(parts) == 1:
            continue
        other = parts[1]
        if other == own or other.startswith("__") or other not in LEVEL:
            continue
        assert LEVEL[other] < LEVEL[own], f"{path.name}:{line} imports {module}, which is not below {own}"


@pytest.mark.parametrize("place", PURE)
def test_pure_parts_touch_no_socket_file_or_clock(place: str) -> None:
    root = SOURCE / place
    for path in [root] if root.suffix else sorted(root.rglob("*.py")):
        for line, module in imports(path):
            assert module not in IMPURE_MODULES, f"{path}:{line} imports {module}"


def test_verify_imports_nothing_but_audit() -> None:
    for line, module in imports(SOURCE / "audit" / "verify.py"):
        if module.startswith("remit."):
            assert module.split(".")[1] in {"audit", "errors"}, f"verify.py:{line} imports {module}"


def test_no_package_has_a_name_that_says_nothing() -> None:
    for path in SOURCE.rglob("*"):
        assert path.stem not in {"utils", "common", "core", "manager", "service", "helpers"}, path
