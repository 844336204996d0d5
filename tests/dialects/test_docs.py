"""docs/servers.md says of each route what the profiles say; run this file as a program to write its tables anew."""

import re
import tomllib
from importlib import resources
from pathlib import Path

import pytest

from remit.gateway import routes
from remit.gateway.dialects.headers import FORWARDED, REFUSED, RETURNED
from remit.gateway.prompt_cache import DROPPED, plan
from remit.gateway.routes import SERVERS, Route, RouteClass

PAGE = Path(__file__).parents[2] / "docs" / "servers.md"


def table(server: str) -> str:
    """Every route of one server kind by class; unsafe ones with the reason."""
    served = routes.profile(server)
    rows = ["| class | routes | read as |", "|---|---|---|"]
    for cls in RouteClass:
        groups: dict[str, list[Route]] = {}
        for route in served.routes:
            if route.cls is cls:
                groups.setdefault(route.why or route.operation, []).append(route)
        rows += [f"| {cls} | {_names(group)} | {said} |" for said, group in groups.items()]
    sources = "\n".join(f"- {source}" for source in served.source)
    return f"Read from:\n\n{sources}\n\n" + "\n".join(rows)


def _names(group: list[Route]) -> str:
    paths: dict[str, list[str]] = {}
    for route in group:
        paths.setdefault(route.pattern, []).append(route.method)
    return ", ".join(f"`{'/'.join(methods)} {path}`" for path, methods in paths.items())


def isolation() -> str:
    """Each inference or embedding route on which callers still share what the server remembers of prompts."""
    rows = ["| server | kept apart by | callers still share a cache on |", "|---|---|---|"]
    for server in SERVERS:
        caching = [route for route in routes.profile(server).routes if route.caches]
        plans = [(route, plan(route, "spiffe://a/b", None, b"k" * 32)) for route in caching]
        means = sorted({name for _, each in plans for name in each.add})
        shared = [route for route, each in plans if not each.isolated]
        said = ", ".join(f"`{name}`" for name in means) or "nothing"
        rows.append(f"| {server} | {said} | {_names(shared) or 'none'} |")
    return "\n".join(rows)


def fields() -> str:
    text = resources.files("remit.gateway.profiles").joinpath("forbidden.toml").read_text(encoding="utf-8")
    rows = ["| refused because | fields |", "|---|---|"]
    rows += [f"| {row['why']} | {_list(row['names'])} |" for row in tomllib.loads(text)["fields"]]
    return "\n".join([*rows, f"| (dropped, not refused) it would choose whose cache is read | {_list(DROPPED)} |"])


def headers() -> str:
    reasons: dict[str, list[str]] = {}
    for name, why in REFUSED.items():
        reasons.setdefault(why, []).append(name)
    rows = ["| | headers |", "|---|---|", f"| sent upstream | {_list(FORWARDED)} |"]
    rows += [f"| handed back | {_list(RETURNED)} |"]
    return "\n".join([*rows, *(f"| refused: {why} | {_list(names)} |" for why, names in reasons.items())])


def _list(names: object) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))  # type: ignore[call-overload]


PARTS: dict[str, str] = {
    **{f"routes {server}": table(server) for server in SERVERS},
    "isolation": isolation(),
    "fields": fields(),
    "headers": headers(),
}


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(rf"<!-- {re.escape(name)} -->\n((?:(?!<!-- ).)*)<!-- end -->", re.DOTALL)


@pytest.mark.parametrize("name", PARTS)
def test_the_page_says_what_the_program_does(name: str) -> None:
    found = _pattern(name).search(PAGE.read_text(encoding="utf-8"))
    assert found is not None
    assert found[1] == PARTS[name] + "\n", "run `python -m tests.dialects.test_docs` to write the tables anew"


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    for name, text in PARTS.items():
        before, mark, rest = page.partition(f"<!-- {name} -->\n")
        page = before + mark + text + "\n" + rest[rest.index("<!-- end -->") :]
    PAGE.write_text(page, encoding="utf-8")
