"""`remit whois` for a person: the sentence that says who is acting, and the facts behind it."""

from collections.abc import Sequence
from typing import Any, Final

from rich.markup import escape

from remit.cli.screen import OUT, age, fact_line, short


def print_whois(answer: dict[str, Any]) -> None:
    """The answer, line by line."""
    OUT.print(
        f"[bold]{escape(answer['name'])}[/]   {escape(answer['sentence'])}      [dim]{escape(answer['spiffe_id'])}[/]"
    )
    fact_line("asked", answer.get("asked", ""))
    fact_line("owner", answer["owner"]["text"])
    fact_line("state", answer.get("state", {}).get("text", ""))
    fact_line("for whom", answer["for_whom"])
    fact_line("proof", answer["proof"]["text"])
    for number, one in enumerate(answer.get("selectors", ())):
        fact_line("" if number else "selectors", one["selector"] + ("   (weaker)" if one["weaker"] else ""))
    for model in answer["models"]:
        digest = model["digest"]
        fact_line("model", f"{model['name']}   {short(digest) if ':' in digest else 'digest ' + digest}")
    called = bool(answer["models"] or answer["class"]) and answer["proof"].get("how") != "registered"
    for row in _alike(answer["may"]):
        for number, text in enumerate(_permissions(row, of_a_server=called)):
            fact_line("" if number else row["who"] + " may", text, even_empty=True)
    for task in answer["tasks"]:
        may = ", ".join(task["actions"])
        fact_line("task", f"{task['id']} may {may}, for {task['human']}, {age(task['left'])} left")
    for text in answer["reaches"]:
        fact_line("reaches", text)
    fact_line("lately", answer["lately"]["text"])
    fact_line("grade", answer["grade"]["text"])
    fact_line("policies", answer["policies"]["not_enforcing"])
    fact_line("policies", answer["policies"]["warning"] and "a newer edit is NOT in force: see `remit status`")


def _alike(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that say the same of several workloads made one; `on` is a list of names then."""
    groups: list[dict[str, Any]] = []
    for row in rows:
        same = next(
            (one for one in groups if all(one[key] == row[key] for key in ("who", "permissions", "by"))), None
        )
        if same is None:
            groups.append({**row, "on": [row["on"]]})
        else:
            same["on"].append(row["on"])
    return groups


_ANSWERS: Final = {
    "yes": "",
    "needs approval": "only once somebody agreed: ",
    "within a task": "only within a task: ",
    "no": "never: ",
}


def _permissions(row: dict[str, Any], *, of_a_server: bool) -> list[str]:
    """One line for each kind of answer, with the policies that give it; on which servers, unless that was asked."""
    lines = []
    for answer, words in _ANSWERS.items():
        actions = [name for name, verdict in row["permissions"].items() if verdict == answer]
        refs = list(dict.fromkeys(ref for name in actions for ref in row["by"].get(name, ())))
        if actions:
            lines.append(f"{words}{', '.join(actions)}" + (f"   {', '.join(refs)}" if refs else ""))
    if not lines:
        return ["nothing outward: no destination is permitted"]
    return lines if of_a_server else [f"on {', '.join(row['on'])}", *lines]
