"""A person proves with their password, where nobody else types or reads; whatever else is tried fails."""

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.system.machine import PASSWORDS, can_make_machines, machine
from tests.system.running import SystemRemit, put_code, put_places
from tests.system.terminals import ALLOWED, OTHER, SshTerminal, Terminal, put_keyboard, start_own_sshd, start_sshd

pytestmark = pytest.mark.skipif(not can_make_machines(), reason="only root can make machines")

CONFIG = f"""
[roles]
administrator = ["ada"]
[discovery]
look = false
[proof]
terminals = ["{ALLOWED}"]
"""
RELAY = f"{OTHER} -B {Path(__file__).parent / 'relay.py'}"
RIGHT = PASSWORDS["ada"] + "\n"
TIOCSTI = "/tmp/legacy_tiocsti"


@pytest.fixture(scope="module")
def remit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemRemit]:
    with machine(tmp_path_factory.mktemp("machine")) as made:
        put_code(made)
        put_keyboard(made)
        put_places(made, CONFIG)
        start_sshd(made)
        made.run("sh", "-c", f"echo 1 > {TIOCSTI}; mount --bind {TIOCSTI} /proc/sys/dev/tty/legacy_tiocsti")
        running = SystemRemit(made)
        try:
            running.event("ready")
            yield running
        finally:
            running.stop()


@contextmanager
def opened(terminal: Terminal) -> Iterator[Terminal]:
    terminal.shows("> ")
    try:
        yield terminal
    finally:
        terminal.close()


def at(remit: SystemRemit, program: str = ALLOWED) -> Terminal:
    return Terminal(remit.machine, "ada", program)


def told(screen: str) -> Any:
    """What `relay.py` said at last."""
    found = re.search(r"said=(.*)=\r", screen)
    assert found is not None, screen
    return json.loads(found[1])


def records(remit: SystemRemit, what: str) -> list[dict[str, Any]]:
    """Of refusals only the first ones stand in the log one by one."""
    said = remit.machine.run("remit", "audit", "tail", "--json", "-n", "500").stdout
    rows = (json.loads(line)["record"] for line in said.splitlines())
    return [row for row in rows if row.get("what") == what]


def name_of(terminal: Terminal) -> str:
    terminal.run("tty")
    found = re.search(r"/dev/pts/\d+", terminal.said()[1])
    assert found is not None
    return found[0]


def same_settings(terminal: Terminal) -> None:
    """An honest terminal again: it echoes, edits lines, and lets its person open it."""
    terminal.run("stty -a | tr '\\n' ' '; : < $(tty) && echo reopened")
    status, said = terminal.said()
    assert status == 0
    assert " echo " in said
    assert " icanon " in said
    assert " isig " in said
    assert "reopened" in said


def test_a_task_is_started_with_the_persons_password_over_ssh(remit: SystemRemit) -> None:
    [server] = remit.said("ada", "workload", "list")
    with opened(SshTerminal(remit.machine)) as terminal:
        terminal.run(f"remit task start {server['name']} --allow disclose --purpose 'by hand' --for 5m")
        seen = terminal.shows("password of ada")
        assert "task.start" in seen
        assert 'actions: ["disclose"]' in seen
        assert "purpose: by hand" in seen
        terminal.press(RIGHT)
        status, said = terminal.said()
        assert status == 0, said
        assert "remit_task_" in said
        assert PASSWORDS["ada"] not in seen + said
        same_settings(terminal)
    proved = records(remit, "person.proved")[-1]
    assert (proved["subject"], proved["facts"]["kind"]) == ("task.start", "password")
    assert len(proved["facts"]["evidence"]) == 64
    assert "session" not in proved["facts"]


def test_a_wrong_password_does_nothing_and_is_on_record(remit: SystemRemit) -> None:
    with opened(at(remit)) as terminal:
        terminal.run("remit login")
        terminal.shows("password of ada")
        terminal.press("wrong\n")
        status, said = terminal.said()
        assert status == 3
        assert "this is not the account's password" in said
        assert "remit_session_" not in said
        same_settings(terminal)
    assert "not the account's password" in records(remit, "person.refused")[-1]["facts"]["why"]


def test_another_processs_act_is_refused(remit: SystemRemit) -> None:
    with opened(at(remit)) as first, opened(at(remit)) as second:
        first.enter(f"{RELAY} wait -")
        proof = first.shows(r"id=\S+").rpartition("id=")[2]
        second.run(f"{RELAY} borrow {proof}")
        assert told(second.said()[1])["error"]["message"] == "this proof is another process's"
        by_bob = remit.machine.run(*RELAY.split(), "borrow", proof, user="bob").stdout
        assert "no terminal" in by_bob
    why = [row["facts"]["why"] for row in records(remit, "person.refused")]
    assert why[-1] == "another process asked for what waits"


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_a_person_refuses(remit: SystemRemit, key: str) -> None:
    with opened(at(remit)) as terminal:
        terminal.run("remit login")
        terminal.shows("password of ada")
        terminal.press(key)
        status, said = terminal.said()
        assert status == 3
        assert "refused by the person" in said
        same_settings(terminal)


def test_a_proof_is_used_once(remit: SystemRemit) -> None:
    with opened(at(remit)) as terminal:
        terminal.run(f"{RELAY} honest")
        terminal.shows("password of ada")
        terminal.press(RIGHT)
        said = told(terminal.said()[1])
    assert said["asked"] == {"ok": True}
    assert said["used"] == [200, 404]
    assert "no act waits for this proof" in said["again"]["error"]["message"]


def test_two_who_ask_at_once_get_one_question_and_one_act(remit: SystemRemit) -> None:
    with opened(at(remit)) as terminal:
        terminal.run(f"{RELAY} race")
        terminal.shows("password of ada")
        terminal.press(RIGHT)
        said = told(terminal.said()[1])
    assert sorted(map(str, said["answers"]))[1] == "{'ok': True}"
    [refused] = [one["error"]["message"] for one in said["answers"] if "error" in one]
    assert refused == "somebody is asked at this terminal already"
    assert said["used"] == [200, 404]


def test_what_was_typed_ahead_is_no_password(remit: SystemRemit) -> None:
    with opened(at(remit)) as terminal:
        terminal.run("remit login")
        terminal.press(RIGHT)
        terminal.shows("password of ada")
        terminal.look(1.0)
        assert "agreed" not in terminal.screen
        terminal.press(RIGHT)
        assert terminal.said()[0] == 0


@pytest.mark.parametrize("command", ["remit login", f"{RELAY} honest"])
def test_a_terminal_that_a_program_of_theirs_made_is_refused(remit: SystemRemit, command: str) -> None:
    with opened(at(remit, OTHER)) as terminal:
        terminal.run(command)
        said = terminal.said()[1]
        assert "can type into /dev/pts/" in said
        assert "password of" not in said
        assert "remit_session_" not in said


def test_script_holds_a_terminals_other_end(remit: SystemRemit) -> None:
    with opened(at(remit)) as terminal:
        terminal.run("script -qec 'remit login' /dev/null")
        assert "(script) can type into" in terminal.said()[1]


def test_an_ssh_server_of_their_own_is_none(remit: SystemRemit) -> None:
    start_own_sshd(remit.machine, 2223)
    with opened(SshTerminal(remit.machine, 2223)) as terminal:
        terminal.run("remit login")
        said = terminal.said()[1]
        assert "(sshd) can type into" in said
        assert "password of" not in said


def test_another_terminal_than_ones_own_is_refused(remit: SystemRemit) -> None:
    with opened(SshTerminal(remit.machine)) as victim, opened(at(remit, OTHER)) as hostile:
        name = name_of(victim)
        hostile.run(f"{RELAY} shown {name}")
        assert "is not the terminal of process" in told(hostile.said()[1])["error"]["message"]
        victim.look(1.0)
        assert "Remit asks" not in victim.screen
        same_settings(victim)


def test_another_persons_shell_on_this_terminal_is_refused(remit: SystemRemit) -> None:
    with opened(at(remit)) as terminal:
        terminal.enter("su bob")
        terminal.shows("Password: ")
        terminal.press(PASSWORDS["bob"] + "\n")
        terminal.shows(r"bob@\S+")
        terminal.run("remit login")
        status, said = terminal.said()
        assert status == 3, said
        assert "can't be used" in said
        terminal.run(f"{RELAY} inherited")
        assert "belongs to uid" in told(terminal.said()[1])["error"]["message"]
        assert "password of bob" not in said


@pytest.mark.parametrize(
    ("way", "why"),
    [
        ("orphan", "has lost its parent"),
        ("other-session", "is not the terminal of process"),
    ],
)
def test_who_left_its_parents_or_its_session_is_refused(remit: SystemRemit, way: str, why: str) -> None:
    with opened(at(remit)) as terminal:
        terminal.run(f"{RELAY} {way}")
        assert why in told(terminal.said()[1])["error"]["message"]


def test_what_runs_in_the_background_is_refused(remit: SystemRemit) -> None:
    with opened(at(remit)) as terminal:
        terminal.run(f"{RELAY} honest & wait")
        assert "not in the foreground" in terminal.said()[1]


def test_a_program_outside_the_session_that_has_the_terminal_open_is_named(remit: SystemRemit) -> None:
    with opened(SshTerminal(remit.machine)) as victim:
        name = name_of(victim)
        outside = remit.machine.start(*RELAY.split(), "hold", name, user="ada")
        assert outside.stdout is not None
        assert outside.stdout.readline() == b"held\n"
        victim.run("remit login")
        status, said = victim.said()
        assert status == 3
        assert "has " + name + " open from outside its session" in said
        remit.machine.run("pkill", "-f", f"hold {name}")
        outside.communicate()
        victim.run("remit login")
        victim.shows("password of ada")
        late = remit.machine.run(*RELAY.split(), "hold", name, user="ada", check=False)
        assert "busy" in late.stderr, "while it asks nobody opens it anew"
        victim.press("\x03")
        victim.said()
        same_settings(victim)


def test_a_program_that_takes_the_foreground_ends_the_question(remit: SystemRemit) -> None:
    with opened(at(remit)) as terminal:
        terminal.run(f"{RELAY} thief")
        terminal.shows("password of ada")
        asked = time.monotonic()
        said = terminal.said()[1]
        assert "the terminal is gone" in told(said)["error"]["message"]
        assert time.monotonic() - asked < 20
        same_settings(terminal)


def test_what_was_so_before_the_question_must_be_so_after_it(remit: SystemRemit) -> None:
    with opened(at(remit)) as terminal:
        terminal.run(f"{RELAY} leaver")
        terminal.shows("password of ada")
        terminal.look(3.0)
        terminal.press(RIGHT)
        answer = told(terminal.said()[1])
        assert "open from outside its session" in answer["error"]["message"]


def test_a_command_that_is_killed_gives_the_terminal_back(remit: SystemRemit) -> None:
    with opened(at(remit)) as terminal:
        terminal.run("remit login")
        terminal.shows("password of ada")
        remit.machine.run("pkill", "-KILL", "-f", "remit login$")
        remit.machine.run("sh", "-c", "while pgrep -f '[r]emit.persons.asker'; do sleep 0.1; done")
        terminal.said()
        same_settings(terminal)


def test_the_asker_holds_little_and_is_nobodys_to_look_at(remit: SystemRemit) -> None:
    with opened(at(remit)) as terminal:
        terminal.run("remit login")
        terminal.shows("password of ada")
        pid = remit.pid_inside("remit.persons.asker")
        status = remit.machine.path(f"/proc/{pid}/status").read_text()
        assert re.search(r"CapPrm:\t0+\n", status)
        assert "Seccomp:\t2" in status
        assert remit.machine.path(f"/proc/{pid}/status").stat().st_uid == 0, "not dumpable"
        held = sorted(os.readlink(one) for one in remit.machine.path(f"/proc/{pid}/fd").iterdir())
        assert [one.partition(":")[0] for one in held if one != "/dev/null"][-2:] == ["pipe", "socket"]
        assert len([one for one in held if one != "/dev/null"]) == 3
        terminal.press("\x03")
        terminal.said()


def test_a_code_is_enough_for_a_while_in_the_same_session_alone(remit: SystemRemit) -> None:
    remit.machine.run("sh", "-c", f"echo 0 > {TIOCSTI}")
    try:
        with opened(at(remit)) as terminal, opened(at(remit)) as elsewhere:
            terminal.run("remit login")
            terminal.shows("password of ada")
            terminal.press(RIGHT)
            assert terminal.said()[0] == 0
            terminal.run("remit login")
            code = terminal.shows("type [a-z]{4} to agree").split()[-3]
            terminal.press(code + "\n")
            assert terminal.said()[0] == 0
            assert records(remit, "person.proved")[-1]["facts"]["session"] is True
            elsewhere.run("remit login")
            elsewhere.shows("password of ada")
            elsewhere.press("\x03")
            elsewhere.said()
            terminal.run("remit login")
            terminal.shows("type [a-z]{4} to agree")
            terminal.press("nope\n")
            assert "not the code" in terminal.said()[1]
            terminal.run("remit login")
            terminal.shows("password of ada")
            terminal.press("\x03")
            terminal.said()
    finally:
        remit.machine.run("sh", "-c", f"echo 1 > {TIOCSTI}")


def test_where_programs_can_type_each_act_takes_the_password(remit: SystemRemit) -> None:
    with opened(at(remit)) as terminal:
        for _ in range(2):
            terminal.run("remit login")
            terminal.shows("password of ada")
            terminal.press(RIGHT)
            assert terminal.said()[0] == 0


def test_without_a_terminal_nobody_is_asked(remit: SystemRemit) -> None:
    said = remit.machine.run("setsid", "-w", "remit", "login", user="ada", check=False)
    assert said.returncode == 3
    assert "needs proof of a person (password)" in said.stderr


def test_under_a_governed_workload_nobody_is_asked(remit: SystemRemit) -> None:
    agent, uid = "/usr/local/bin/agent", remit.machine.run("id", "-u", "ada").stdout.strip()
    remit.machine.run("sh", "-c", f"cp -L {OTHER} {agent} && chmod 755 {agent}")
    with opened(at(remit)) as terminal:
        terminal.run(f"remit workload add helper --kind agent --selector unix:uid:{uid} --selector unix:path:{agent}")
        terminal.shows("password of ada")
        terminal.press(RIGHT)
        assert terminal.said()[0] == 0
        terminal.run(f"PYTHONHOME=/usr {agent} -c \"import os; os.system('env -u PYTHONHOME remit login')\"")
        said = terminal.said()[1]
        assert "runs under `helper`, a governed workload" in said
        assert "password of" not in said


def test_after_wrong_ones_nobody_is_asked_for_a_while(remit: SystemRemit) -> None:
    with opened(Terminal(remit.machine, "bob")) as terminal:
        for _ in range(4):
            terminal.run("remit login")
            terminal.shows("password of bob")
            terminal.press("wrong\n")
            assert terminal.said()[0] == 3
            terminal.run("remit login")
            if "too many wrong passwords" in terminal.shows("too many wrong passwords|password of bob"):
                break
            terminal.press("\x03")
            terminal.said()
        else:
            pytest.fail("wrong passwords never make anybody wait")
        assert "the next one is looked at in" in terminal.said()[1]


def test_an_administrator_stops_it_with_their_password(remit: SystemRemit) -> None:
    """The last one here: it is not there any more."""
    with opened(SshTerminal(remit.machine)) as terminal:
        terminal.run("remit down")
        assert "stop" in terminal.shows("password of ada")
        terminal.press(RIGHT)
        status, said = terminal.said()
        assert status == 0, said
    assert remit.process.wait(20) == 0
