"""What others chose the words of reaches a terminal as words."""

import subprocess
import sys

import pytest

from remit.cli import complain
from remit.cli.approvals_screen import shown
from remit.cli.screen import ERR, OUT, line, print_facts, table
from remit.cli.status_screen import print_asked_at
from remit.errors import StateError

HOSTILE = "\x1b]0;title\x07 \x9b31m \x7f\u202e backwards"


def obeyed(text: str) -> set[str]:
    return {letter for letter in text if not letter.isprintable() and letter != "\n"}


def test_no_terminal_is_told_anything_by_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    table(("server",), [(HOSTILE,)])
    complain(StateError(HOSTILE, hint=HOSTILE))
    said = capsys.readouterr()
    assert obeyed(said.out + said.err) == set()
    assert said.out.count("backwards") + said.err.count("backwards") == 3


def test_no_word_of_others_begins_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    purpose = "look\n  answered     approved by ada"
    table(("purpose",), [(purpose,)])
    print_facts("t-1", purpose, [("used by", purpose)])
    line("note", purpose)
    assert len(capsys.readouterr().out.splitlines()) == 5
    one = {"id": "ap-1", "state": "pending", "action": "infer", "thing": "llama", "asked": 0.0, "calls": 1, "for": []}
    rest = {"task": "t-1", "task_ends": None, "purpose": purpose, "by": "", "why": "", "suggestion": ""}
    assert not any(text.strip().startswith("answered") for text in shown(one | rest))


def test_lines_stay_lines_and_colours_colours() -> None:
    program = "from remit.cli.screen import OUT; OUT.print('one\\n[red]two[/]')"
    environment = {"FORCE_COLOR": "1", "TERM": "xterm"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment, check=True)
    assert done.stdout == b"one\n\x1b[31mtwo\x1b[0m\n"


def test_both_ways_out_are_screens() -> None:
    assert type(OUT) is type(ERR)


def test_each_door_of_the_decisions_names_the_page_on_it(capsys: pytest.CaptureFixture[str]) -> None:
    doors = {"authzen_tcp": "http://127.0.0.1:7390", "ext_authz_unix": "/run/remit/envoy.sock"}
    print_asked_at({"decisions": doors})
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["asked", "at", "http://127.0.0.1:7390", "(docs/authzen.md)"],
        ["asked", "at", "/run/remit/envoy.sock", "(docs/envoy.md)"],
    ]
