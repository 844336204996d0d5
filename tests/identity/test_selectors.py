"""What holds for a process, and what can't be said of any."""

import dataclasses

import pytest

from remit.errors import IdentityError
from remit.identity import Ancestor, Process
from remit.identity.attestation.launched import with_task
from remit.identity.process import Script
from remit.identity.selectors import KINDS, holds, selectors_of, split, why_weaker

SHELL, AGENT, BASH = "11" * 32, "22" * 32, "33" * 32
KNOWN = Process(
    pid=5120,
    start=99,
    uid=1000,
    gid=100,
    name="python3",
    exe="/usr/bin/python3.11",
    exe_sha256=SHELL,
    exe_node=(1, 2),
    login_uid=1000,
    terminal=None,
    foreground=False,
    parents=(Ancestor(70, "bash", "/usr/bin/bash", BASH), Ancestor(60, "sshd"), Ancestor(50, "up", "/bin/up", None)),
    user="ada",
    group="users",
    groups=(4, 24),
    cgroups=(("memory", "/a"), ("", "/user.slice/b"), ("cpu", "/")),
    unit="user@1000.service/b.service",
    script=Script("python3.11", "/opt/agent.py", AGENT),
    task="t-1",
)
UNKNOWN = Process(5120, 99, 1000, 100, "x", None, None, None, None, None, foreground=False)


def test_everything_that_is_known_is_a_selector() -> None:
    assert selectors_of(KNOWN) == (
        "unix:uid:1000",
        "unix:user:ada",
        "unix:gid:100",
        "unix:group:users",
        "unix:supplementary_gid:4",
        "unix:supplementary_gid:24",
        "unix:path:/usr/bin/python3.11",
        f"unix:sha256:{SHELL}",
        "systemd:unit:user@1000.service/b.service",
        "cgroup:memory:/a",
        "cgroup:/user.slice/b",
        "remit:task:t-1",
        "script:path:/opt/agent.py",
        f"script:sha256:{AGENT}",
        "parent:path:/usr/bin/bash",
        f"parent:sha256:{BASH}",
        "parent:parent:parent:path:/bin/up",
    )
    assert all(holds(selector, KNOWN) for selector in selectors_of(KNOWN))


def test_what_is_unknown_is_no_selector_and_never_matches() -> None:
    assert selectors_of(UNKNOWN) == ("unix:uid:1000", "unix:gid:100")
    for selector in (
        "unix:path:None",
        "unix:user:None",
        "remit:task:None",
        "script:path:None",
        "unix:path:",
        "cgroup:",
    ):
        assert not holds(selector, UNKNOWN)


@pytest.mark.parametrize("selector", selectors_of(KNOWN))
def test_each_selector_fails_for_a_process_that_lacks_it(selector: str) -> None:
    other = dataclasses.replace(
        UNKNOWN, uid=1, gid=1, groups=(1,), cgroups=(("memory", "/b"),), script=Script("python3"), task="t-2"
    )
    assert not holds(selector, other)


def test_a_path_that_names_another_file_by_now_does_not_hold() -> None:
    replaced = dataclasses.replace(KNOWN, exe_deleted=True)
    assert not holds("unix:path:/usr/bin/python3.11", replaced)
    assert holds(f"unix:sha256:{SHELL}", replaced)


def test_a_path_with_an_escape_sequence_in_it_reaches_no_terminal() -> None:
    assert not any("\x1b" in one for one in selectors_of(dataclasses.replace(KNOWN, exe="/tmp/\x1b[31mred")))


@pytest.mark.parametrize(
    "selector",
    [
        "",
        "unix",
        "unix:uid",
        "unix:uid:",
        "unix:uid:ada",
        "unix:uid:01",
        "unix:uid:-1",
        "unix:path:curl",
        "unix:sha256:AA",
        f"unix:sha256:{'A' * 64}",
        "unix:shoe:44",
        "script:path:x",
        "parent:parent:parent:parent:parent:path:/x",
        "unix:path:/a\nb",
        f"unix:path:/{'a' * 5000}",
        "docker:image_id:x",
    ],
)
def test_what_no_process_could_have_is_refused_and_never_matches(selector: str) -> None:
    with pytest.raises(IdentityError):
        split(selector)
    assert not holds(selector, KNOWN)


def test_what_proves_less_than_it_seems_says_why() -> None:
    weak = {one for one in selectors_of(KNOWN) if why_weaker(one)}
    assert {one.partition(":")[0] for one in weak} == {"systemd", "cgroup", "script", "parent"}
    assert "rewrite the arguments" in why_weaker("script:path:/opt/agent.py")
    assert why_weaker("systemd:unit:ollama.service") == ""
    assert all(kind.proves for kind in KINDS.values())


class FakeLaunches:
    """One process was launched for a task."""

    def task_of(self, pid: int, start: int) -> str | None:
        return "t-7" if (pid, start) == (5120, 99) else None


def test_a_task_is_its_launchers_word_for_that_very_process() -> None:
    assert holds("remit:task:t-7", with_task(UNKNOWN, FakeLaunches()))
    later = dataclasses.replace(UNKNOWN, start=100)
    assert with_task(later, FakeLaunches()).task is None


def test_a_task_is_its_descendants_too_as_long_as_the_kernel_shows_the_line() -> None:
    launched, shell = Ancestor(5120, "agent", start=99), Ancestor(70, "sh", start=120)
    child = dataclasses.replace(UNKNOWN, pid=80, start=130, parents=(shell, launched))
    assert with_task(child, FakeLaunches()).task == "t-7"
    for parents in ((shell,), (shell, dataclasses.replace(launched, start=100)), (Ancestor(5120, "agent"),)):
        assert with_task(dataclasses.replace(child, parents=parents), FakeLaunches()).task is None
    said = dataclasses.replace(child, parents=(), task="t-7")
    assert with_task(said, FakeLaunches()).task is None, "nobody's word but the launcher's"
