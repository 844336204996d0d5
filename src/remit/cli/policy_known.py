"""Whom and what a command asks about: from a file, or from the running instance."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from remit.cli.places import places

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remit.policy.known import Known

KnownOption = Annotated[
    Path | None,
    typer.Option("--known", metavar="FILE", help="People and workloads from this file, not from the instance."),
]
SinceOption = Annotated[str, typer.Option("--since", metavar="AGE", help="How far back: 90s, 30m, 2h, 7d.")]
LogOption = Annotated[Path | None, typer.Option("--dir", metavar="DIR", help="A copy of the log, if not its own.")]


def known_of(file: Path | None, state: Path | None) -> "tuple[Known, dict[str, str]]":
    """What is known, and people by their pseudonyms."""
    return _from_instance(state) if file is None else _from_file(file)


def recorded(state: Path | None, directory: Path | None, since: str) -> "Iterator[dict[str, Any]]":
    """The start and end records since then."""
    import time

    from remit.audit import read
    from remit.cli.durations import seconds
    from remit.cli.log_source import LogSource

    after = time.time() - seconds(since)
    for record in read.every(LogSource.of(places(state), directory).files("replaying")):
        if record.stored.startswith((b'{"kind":"start"', b'{"kind":"end"')):
            data = record.data
            if (data.get("t") or 0) >= after:
                yield data


def _from_file(path: Path) -> "tuple[Known, dict[str, str]]":
    import tomllib

    from remit.cli.policy_cases import read_text
    from remit.errors import UsageError
    from remit.policy.known import known, only_tables

    try:
        tree = tomllib.loads(read_text(path))
    except (ValueError, RecursionError) as error:  # tomllib: also integers of 4,301 digits, and deep nesting
        raise UsageError(f"`{path}` is not TOML: {error}") from None
    only_tables(tree, frozenset({"case", "pseudonym"}), path.name)  # a file of cases says who is there as well
    there = known(tree, path.name)
    pseudonyms = tree.get("pseudonym", {})
    if not isinstance(pseudonyms, dict) or not all(isinstance(name, str) for name in pseudonyms.values()):
        raise UsageError(f"`{path}`: `pseudonym` is a table of people's names")
    return there, pseudonyms


def _from_instance(state: Path | None) -> "tuple[Known, dict[str, str]]":
    from remit.cli.client import ask
    from remit.policy.known import known

    socket = places(state).api_socket
    names: dict[str, str] = ask(socket, "GET", "names")
    workloads = {row["spiffe_id"]: _as_known(row) for row in ask(socket, "GET", "workloads")}
    domain = ask(socket, "GET", "status")["trust_domain"]
    tree = {"trust_domain": domain, "people": sorted(set(names.values())), "workload": workloads}
    return known(tree, "what the instance knows"), names


def _as_known(row: dict[str, Any]) -> dict[str, Any]:
    """What policies read of a workload."""
    same: dict[str, Any] = {
        key: row[key] for key in ("name", "owner", "kind", "server", "environment", "label") if key in row
    }
    return {**same, "id": row["spiffe_id"], "class": row.get("capabilities", [])}
