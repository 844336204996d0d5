"""What makes a server another one than was enrolled."""

import dataclasses
from typing import Any

import pytest

from remit.identity import Process
from remit.inventory import DIGEST_HASHING, Found, Model, Workload
from remit.inventory.changes import changes
from remit.inventory.enrolment import enrol

PROCESS = Process(10, 500, 1000, 1000, "s", "/bin/s", "aa", (1, 2), None, None, foreground=False)
FOUND = Found(
    server="llama.cpp",
    upstream="http://127.0.0.1:8080",
    version="",
    pids=(10, 11),
    process=PROCESS,
    uid=1000,
    reach="loopback",
    models=(Model("smol", DIGEST_HASHING, "/m/smol.gguf"),),
)


def enrolled(found: Found) -> Workload:
    """As it was enrolled, and hashed since."""
    workload = enrol(found, owner="ada", trust_domain="maple.local", environment="dev", taken=(), now=1.0)
    models = tuple(dataclasses.replace(one, digest="sha256:11") if one.path else one for one in found.models)
    return dataclasses.replace(workload, models=models)


def process(**other: Any) -> dict[str, Any]:
    return {"process": dataclasses.replace(PROCESS, **other)}


@pytest.mark.parametrize("other", [{}, {"version": "2"}, {"pids": (10, 12)}, {"notes": ("slow",)}])
def test_the_same_server_has_not_changed(other: dict[str, Any]) -> None:
    assert changes(enrolled(FOUND), dataclasses.replace(FOUND, **other)) == {}


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (process(start=501), {"start": [500, 501]}),
        ({"pids": (12,), **process(pid=12, start=900)}, {"pid": [10, 12], "start": [500, 900]}),
        ({"pids": (10,), "process": None}, {"start": [500, None], "exe_sha256": ["aa", None]}),
        (process(exe_sha256="bb"), {"exe_sha256": ["aa", "bb"]}),
        (process(exe_sha256=None), {"exe_sha256": ["aa", None]}),
        ({"server": "openai"}, {"server": ["llama.cpp", "openai"]}),
        ({"models": ()}, {"models": {"gone": ["smol"]}}),
        ({"models": (*FOUND.models, Model("b"))}, {"models": {"new": ["b"]}}),
        ({"models": (Model("smol", DIGEST_HASHING, "/m/other.gguf"),)}, {"models": {"file": ["smol"]}}),
        ({"models": (Model("smol"),)}, {"models": {"file": ["smol"]}}),
    ],
)
def test_what_differs_is_said(other: dict[str, Any], said: dict[str, Any]) -> None:
    assert changes(enrolled(FOUND), dataclasses.replace(FOUND, **other)) == said


def test_a_digest_counts_where_the_server_states_it() -> None:
    stated = dataclasses.replace(FOUND, models=(Model("smol", "sha256:22"),))
    silent = dataclasses.replace(FOUND, models=(Model("smol"),))
    assert changes(enrolled(stated), stated) == {}
    assert changes(enrolled(silent), stated) == {"models": {"digest": ["smol"]}}
    assert changes(enrolled(stated), silent) == {"models": {"digest": ["smol"]}}
