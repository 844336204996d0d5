"""What a person types about a workload: days, and what is left out."""

import time

import pytest

from remit.cli.registering import due
from remit.cli.task_run import environment
from remit.errors import UsageError

DOOR = {"url": "http://127.0.0.1:7400", "base_url": "http://127.0.0.1:7400/v1"}


@pytest.mark.parametrize("day", ["2027-01-31", "2028-02-29", "2026-03-29", "2026-10-25"])
def test_a_day_lasts_until_its_end_here_also_when_clocks_change(day: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        last = due(day)
        assert last is not None
        assert time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(last)) == f"{day} 23:59:59"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_never_is_no_day_and_nonsense_is_refused_with_an_example() -> None:
    assert due("never") is None
    for wrong in ("soon", "31.01.2027", "2027-02-30", "", "9999-12-31", "2027-1-1"):
        with pytest.raises(UsageError, match="is not a date") as refused:
            due(wrong)
        assert "2027-01-31" in refused.value.hint


def test_a_command_finds_token_and_door_in_place_of_keys_of_its_own_or_the_token_alone() -> None:
    own = {"OPENAI_API_KEY": "sk-real", "ANTHROPIC_AUTH_TOKEN": "real", "HOME": "/home/ada"}
    assert environment(own, "remit_task_x", DOOR) == {
        "HOME": "/home/ada",
        "REMIT_TASK_TOKEN": "remit_task_x",
        "OPENAI_API_KEY": "remit_task_x",
        "ANTHROPIC_API_KEY": "remit_task_x",
        "OPENAI_BASE_URL": "http://127.0.0.1:7400/v1",
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:7400",
    }
    assert environment(own, "remit_task_x", {}) == {**own, "REMIT_TASK_TOKEN": "remit_task_x"}
