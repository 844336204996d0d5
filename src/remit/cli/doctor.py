"""`remit doctor`: each fact that the grade rests on, and what would raise it; also while nothing runs."""

from typing import Any, Final

from remit.cli.places import JsonOption, StateOption, places
from remit.config import Places

_KEYS: Final = ("grade", "grade_why", "raises", "facts")


def doctor(json: JsonOption = False, state: StateOption = None) -> None:
    """Show each fact that the grade rests on: true, false or unknown, and what comes next."""
    from remit.cli.screen import print_json
    from remit.errors import RemitError

    at = places(state)
    try:
        answer = _asked(at)
    except RemitError as error:
        answer = _looked(at, str(error))
    print_json(answer) if json else _print(answer)


def _asked(at: Places) -> dict[str, Any]:
    """What the running control says of itself."""
    from remit.cli.client import ask

    said = ask(at.api_socket, "GET", "status")
    answer = {"running": True, "by": "", **{key: said[key] for key in _KEYS}, "closed": said.get("closed", [])}
    return {**answer, "facts": [*said["facts"], *_break_glass(said["break_glass"])]}


def _break_glass(standing: dict[str, Any]) -> list[dict[str, str]]:
    from remit.control.break_glass_facts import break_glass_facts

    return [fact.to_dict() for fact in break_glass_facts(standing)]


def _looked(at: Places, why: str) -> dict[str, Any]:
    """What can be seen from outside: no server is asked, and whether control could be is said in `why`."""
    import os

    from remit.cli.kept_openings import kept_standing, readable
    from remit.control.condition import raises
    from remit.control.condition import why as because
    from remit.control.machine_facts import machine_facts
    from remit.control.standing_facts import standing_facts
    from remit.posture import Fact, grade
    from remit.posture.grade import ATTESTOR, RAW_PORTS

    uid = at.state.stat().st_uid if at.state.exists() else os.getuid()
    unseen = [Fact(name, None, why, "start Remit, and ask again") for name in (ATTESTOR, RAW_PORTS)]
    facts = [*standing_facts(at, uid), *unseen, *machine_facts()]
    found = grade(facts)
    told = {"grade": found.letter, "grade_why": because(found), "raises": raises(found)}
    rows = [fact.to_dict() for fact in facts] + (_break_glass(kept_standing(at)) if readable(at) else [])
    return {"running": False, "by": why, **told, "facts": rows}


def _print(answer: dict[str, Any]) -> None:
    from rich.markup import escape

    from remit.cli.screen import OUT, line
    from remit.cli.status_screen import print_closed

    if not answer["running"]:
        line("note", f"{escape(answer['by'])}: this is what files show", "yellow")
    line("grade", f"{answer['grade']} {escape(answer['grade_why'])}", "yellow")
    if answer["raises"]:
        OUT.print(f"           → {escape(answer['raises'])}")
    print_closed(answer)
    for row in answer["facts"]:
        shade = {"true": "green", "false": "red"}.get(row["is"], "yellow")
        line(row["is"], f"[bold]{row['fact']}[/]: {escape(row['evidence'])}", shade)
        if row["next_step"]:
            OUT.print(f"           → {escape(row['next_step'])}")
