"""How long it takes to tell whether a call of a tool fits a task: by each condition, all of them, and many grants.

python -m bench.grants
"""

import timeit
from typing import Any, Final

from bench.report import Part, Row, Table
from remit.tasks import Constraint, ToolGrant

TARGET: Final = 20.0  # µs
GRANTS: Final = 50
CONDITIONS: Final[dict[str, tuple[Constraint, Any]]] = {
    "equals": (Constraint(equals="a"), "a"),
    "one_of": (Constraint(one_of=tuple("abcdefghij")), "j"),
    "beneath": (Constraint(beneath=("/home/ada/project", "/srv/a")), "/srv/a/b/c/d.txt"),
    "host_in": (Constraint(host_in=("a.example", "*.b.example")), "https://x.b.example/abc?d=e"),
    "matches": (Constraint(matches="[a-z]+-[0-9]+"), "report-2026"),
    "at_most": (Constraint(at_most=5), 3),
}


def took(grants: tuple[ToolGrant, ...], arguments: dict[str, Any], rounds: int) -> float:
    """µs a call, the best of seven runs."""
    assert any(grant.covers("files/read", arguments) for grant in grants)
    runs = timeit.repeat(
        lambda: any(grant.covers("files/read", arguments) for grant in grants), number=rounds, repeat=7
    )
    return min(runs) / rounds * 1e6


def run(quick: bool) -> Part:
    rounds = 2_000 if quick else 20_000
    single = {
        name: took((ToolGrant("files/read", ((name, bound),)),), {name: value}, rounds)
        for name, (bound, value) in CONDITIONS.items()
    }
    every = ToolGrant("files/*", tuple((name, bound) for name, (bound, _) in CONDITIONS.items()), others=False)
    arguments = {name: value for name, (_, value) in CONDITIONS.items()}
    whole = took((every,), arguments, rounds)
    last = took((*(ToolGrant(f"other/{number}") for number in range(GRANTS - 1)), every), arguments, rounds)
    row = Row(
        "whether a call of a tool fits its task",
        f"≤ {TARGET:.0f} µs",
        f"{whole:.1f} µs",
        whole <= TARGET,
        f"six arguments, each with another condition; {last:.1f} µs where it is the last of {GRANTS} grants",
    )
    table = Table(("one argument", "µs"), tuple((f"`{name}`", f"{each:.1f}") for name, each in single.items()))
    return Part("grants", (row,), (table,), "The best of seven runs each.")


def main() -> None:
    print(run(quick=False).text("python -m bench.grants"))


if __name__ == "__main__":
    main()
