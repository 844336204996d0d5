"""The control groups of a process, and the unit that they say it is."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.identity.attestation import EXECUTABLES, observe
from remit.identity.attestation.cgroup import parse_cgroups, systemd_unit

USER = "/user.slice/user-1000.slice/user@1000.service"
V1 = b"""4:memory:/system.slice/ollama.service
2:cpu,cpuacct:/
1:name=systemd:/system.slice/ollama.service
"""


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("/system.slice/ollama.service", "ollama.service"),
        ("/system.slice/system-llama.slice/llama@7b.service", "llama@7b.service"),
        ("/init.scope", "init.scope"),
        ("/user.slice/user-1000.slice/session-3.scope", "session-3.scope"),
        (f"{USER}/app.slice/ollama.service", "user@1000.service/ollama.service"),
        (f"{USER}/app.slice/app-gnome.slice/run-u3.scope", "user@1000.service/run-u3.scope"),
        (f"{USER}/init.scope", "user@1000.service/init.scope"),
        (USER, "user@1000.service"),
        ("/system.slice/docker-ab12.scope", "docker-ab12.scope"),
        ("/system.slice/ollama.service/worker", "ollama.service"),
        ("/system.slice/mine.service/ollama.service", "mine.service"),
        (f"{USER}/app.slice/mine.service/system.slice/ollama.service", "user@1000.service/mine.service"),
        ("/system.slice/_cpu.service", "cpu.service"),  # systemd escapes names that the kernel has a use for
        ("/system.slice", None),
        ("/", None),
        ("/docker/0ad3b69f1b22", None),
        ("/docker/0ad3b69f1b22/system.slice/ollama.service", None),
    ],
)
def test_the_unit_is_the_first_one_below_the_slices(path: str, unit: str | None) -> None:
    assert systemd_unit(parse_cgroups(f"0::{path}\n".encode())) == unit
    assert systemd_unit(parse_cgroups(f"3:pids:/x\n1:name=systemd:{path}\n0::/\n".encode())) == unit


def test_the_hierarchies_of_v1_are_told_with_their_controllers() -> None:
    places = parse_cgroups(V1)
    service = "/system.slice/ollama.service"
    assert places == (("memory", service), ("cpu,cpuacct", "/"), ("name=systemd", service))
    assert systemd_unit(places) == "ollama.service"


@pytest.mark.parametrize(
    "line",
    [
        b"0::/../ollama.service",  # outside of this process's cgroup namespace
        b"0::/..",
        b"0::/system.slice/ollama.service (deleted)",
        b"0::system.slice",
        b"0::/system.slice/ol\xfflama.service",
        b"x::/system.slice/ollama.service",
        b"0:/system.slice/ollama.service",
    ],
)
def test_a_place_that_names_nothing_here_is_left_out(line: bytes) -> None:
    assert parse_cgroups(line) == ()


@given(st.binary(max_size=300))
def test_any_other_bytes_are_parsed_without_harm(text: bytes) -> None:
    systemd_unit(parse_cgroups(text))


def test_this_process_stands_where_the_kernel_says() -> None:
    with open("/proc/self/cgroup", encoding="utf-8") as lines:
        told = [line.strip() for line in lines]
    process = observe(os.getpid(), digests=EXECUTABLES)
    assert process.cgroups is not None
    assert {f"{name}:{path}" for name, path in process.cgroups} <= {line.partition(":")[2] for line in told}
