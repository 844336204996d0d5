"""What people see: events of `remit up`, status, whois. stdout is data, stderr is talk."""

import json
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from rich.console import Console
from rich.markup import escape

OUT: Final = Console(highlight=False, soft_wrap=True)
ERR: Final = Console(stderr=True, highlight=False, soft_wrap=True)
GRADE_WORDS: Final = {"C": "ADVISORY", "B": "separate uid", "A": "contained"}


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def short(digest: str | None) -> str:
    """A digest as people compare it: its first and last digits."""
    if not digest:
        return "unknown"
    kind, _, hexes = digest.rpartition(":")
    if len(hexes) < 16:
        return digest
    return f"{kind + ':' if kind else ''}{hexes[:4]}…{hexes[-2:]}"


def age(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A plain table on stdout, columns two spaces apart."""
    lines = [tuple(heads), *(tuple(str(cell) for cell in row) for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(heads))]
    for number, line in enumerate(lines):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        OUT.print(f"[dim]{escape(text)}[/]" if number == 0 else escape(text))


def line(head: str, text: str, style: str = "cyan") -> None:
    OUT.print(f"  [{style}]{head:<8}[/] {text}")


def print_event(event: dict[str, Any]) -> None:
    """One event of `remit up`, for a person."""
    show = _EVENTS.get(event["event"])
    if show is not None:
        show(event)


def _starting(event: dict[str, Any]) -> None:
    grade = event["grade"]
    OUT.print(
        f"[bold]remit {event['version']}[/] · trust domain [bold]{escape(event['trust_domain'])}[/] · owner "
        f"{escape(event['owner'])} (uid {event['uid']}) · grade {grade}: [yellow]{GRADE_WORDS.get(grade, grade)}[/]\n"
    )


def _found(event: dict[str, Any]) -> None:
    models = ", ".join(f"{m['name']}  {short(m['digest'])}" for m in event["models"]) or "no model told"
    pid = f"pid {event['pid']}" if event["pid"] else "pid unknown"
    line("found", f"{escape(event['server'])} server   {pid}   {escape(event['where'])}   {escape(models)}")
    for note in event["notes"]:
        line("note", escape(note), "yellow")


def _note(event: dict[str, Any]) -> None:
    line("note", escape(event["text"]), "yellow")


def _ready(event: dict[str, Any]) -> None:
    for server in event["guarded"]:
        line("guards", f"[bold]{escape(server['spiffe_id'])}[/]      class: {verbs(server['class'])}", "green")
    line("grade", f"{event['grade']} {escape(event['grade_why'])}", "yellow")
    OUT.print(f"           → {escape(event['raises'])}")
    for server in event["guarded"]:
        _how_to_call(server, several=len(event["guarded"]) > 1)
    OUT.print()
    line("policies", escape(event["policies"]["dir"]))
    line("log", escape(event["audit"]["dir"]))
    line("watch", "remit audit tail -f          [cyan]ask[/]  remit whois :8080".replace(":8080", _ask(event)))
    line("stop", "Ctrl-C")


def _ask(event: dict[str, Any]) -> str:
    guarded = event["guarded"]
    return ":" + guarded[0]["url"].rsplit(":", 1)[-1] if guarded else "PID"


def _how_to_call(server: dict[str, Any], *, several: bool) -> None:
    model = server["models"][0]["name"] if server["models"] else "MODEL"
    OUT.print()
    if several:
        line("", f"[bold]{escape(server['name'])}[/]")
    line("call it", f"export OPENAI_BASE_URL={server['base_url']} OPENAI_API_KEY=unused")
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}]})
    line("try", escape(f"curl -s {server['base_url']}/chat/completions -d '{body}'"))
    client = f'OpenAI().chat.completions.create(model="{model}", messages=[{{"role": "user", "content": "hello"}}])'
    line("python", escape(f"from openai import OpenAI; print({client})"))


def _refused(event: dict[str, Any]) -> None:
    line("refused", f"{escape(event['message'])}   [dim]{event['decision']}[/]", "red")
    if event.get("allow"):
        OUT.print(f"           → to allow it for a task: {escape(event['allow'])}")


def _error(event: dict[str, Any]) -> None:
    ERR.print(f"[red]remit:[/] {escape(event['message'])}")
    if event.get("hint"):
        ERR.print(f"  hint: {escape(event['hint'])}")


def _policy(event: dict[str, Any]) -> None:
    if event["warning"]:
        line("policy", f"NOT in force: {escape(event['warning'])}; the last good set stays", "red")
    else:
        line("policy", f"in force: {short(event['set'])}", "green")


def _model_changed(event: dict[str, Any]) -> None:
    line("model", escape(event["message"]), "red")
    OUT.print(f"           → if you changed it: {escape(event['approve'])}")


def _stopped(_event: dict[str, Any]) -> None:
    OUT.print("stopped")


_EVENTS: Final = {
    "starting": _starting,
    "found": _found,
    "note": _note,
    "ready": _ready,
    "refused": _refused,
    "error": _error,
    "policy": _policy,
    "model_changed": _model_changed,
    "stopped": _stopped,
}


def verbs(capabilities: Sequence[str]) -> str:
    return ", ".join({"act": "acts", "store": "stores", "disclose": "discloses"}[name] for name in capabilities)


def print_status(status: dict[str, Any]) -> None:
    """`remit status` for a person."""
    _starting(status)
    _identity(status["identity"])
    for server in status["guarded"]:
        where = server.get("base_url", "not served")
        line(
            "guards", f"[bold]{escape(server['spiffe_id'])}[/]   {where}   pid {server['pid'] or 'unknown'}", "green"
        )
        if server["state"] != "active":
            line("state", f"{server['state']}: it refuses every call", "yellow")
        for model in server["models"]:
            _model(model)
        if server["silent_since"] is not None:
            since = time.strftime("%H:%M:%S", time.localtime(server["silent_since"]))
            line("note", f"silent since {since}: it runs and listens, but does not answer", "yellow")
    if not status["guarded"]:
        line("guards", "nothing: no model server answers here", "yellow")
    for one in status["registered"]:
        known = f"[bold]{escape(one['spiffe_id'])}[/]   {one['state']}   by {escape(', '.join(one['selectors']))}"
        line("knows", known, "green")
    line("grade", f"{status['grade']} {escape(status['grade_why'])}", "yellow")
    OUT.print(f"           → {escape(status['raises'])}")
    policies = status["policies"]
    line("policies", f"{escape(policies['dir'])}   set {short(policies['set'])}")
    if policies["warning"]:
        line("policy", f"a newer edit is NOT in force: {escape(policies['warning'])}", "red")
    _handed_out(status)
    line("log", escape(status["audit"]["dir"]))
    for failure in status["audit"]["failures"]:
        line("log", f"NO CALL GOES THROUGH: {escape(failure)}", "red")
    for ended, why in status["audit"]["unrecorded"].items():
        line("log", f"the end of {escape(ended)} is NOT ON RECORD: {escape(why)}", "red")
    workers = ", ".join(f"{name} pid {pid}" for name, pid in status["workers"].items())
    line("runs", f"control pid {status['pid']}, {workers}; up {age(status['up_seconds'])}")


def _handed_out(status: dict[str, Any]) -> None:
    """The tasks and sessions there are, and where they are exchanged for less."""
    line("tasks", f"{len(status['tasks'])} running" if status["tasks"] else "none")
    for one in status["sessions"]:
        line("sessions", f"{one['id']} of {escape(one['human'])} until {_moment(one['expires'])}")
    if status["tokens"]:
        line("tokens", f"{status['tokens']}/token   (docs/delegation.md)")


def _model(model: dict[str, Any]) -> None:
    """How it stands to what its server is bound to, where anything is known of it."""
    standing = "" if model["standing"] == "unbound" else f"   {model['standing']}"
    lost = ", so it is refused" if model["standing"] in {"changed", "unproven"} else ""
    line(
        "model",
        f"{escape(model['name'])}   {escape(short(model['digest']))}{standing}{lost}",
        "red" if lost else "cyan",
    )


def _identity(identity: dict[str, Any]) -> None:
    line("identity", escape(identity["text"]))
    if "keys" in identity:
        line("keys", _keys(identity["keys"]))
    if identity.get("silent_since"):
        since, until = (time.strftime("%H:%M:%S", time.localtime(identity[at])) for at in ("silent_since", "expires"))
        line("note", f"SPIRE is silent since {since}: what it gave last holds until {until}", "yellow")


def _keys(keys: dict[str, Any]) -> str:
    """Where the authority's rotation is."""
    if keys["next_sign_from"] is not None:
        text = f"the next are published, and sign from {_moment(keys['next_sign_from'])}"
    else:
        text = f"the next are published from {_moment(keys['next_published_from'])[:10]} on"
    former = keys["former_kept_until"]
    return text + (f"; the former go at {_moment(former)}" if former is not None else "")


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def print_facts(name: str, spiffe_id: str, facts: Iterable[tuple[str, str]]) -> None:
    """One thing, by name and SPIFFE ID, and what is known of it line by line; empty lines are left out."""
    OUT.print(f"[bold]{escape(name)}[/]      [dim]{escape(spiffe_id)}[/]")
    for head, text in facts:
        _whois_line(head, text)


def print_whois(answer: dict[str, Any]) -> None:
    """`remit whois` for a person: the sentence that says who is acting."""
    OUT.print(
        f"[bold]{escape(answer['name'])}[/]   {escape(answer['sentence'])}      [dim]{escape(answer['spiffe_id'])}[/]"
    )
    _whois_line("asked", answer.get("asked", ""))
    _whois_line("owner", answer["owner"]["text"])
    _whois_line("state", answer.get("state", {}).get("text", ""))
    _whois_line("for whom", answer["for_whom"])
    _whois_line("proof", answer["proof"]["text"])
    for number, one in enumerate(answer.get("selectors", ())):
        _whois_line("" if number else "selectors", one["selector"] + ("   (weaker)" if one["weaker"] else ""))
    for model in answer["models"]:
        digest = model["digest"]
        _whois_line("model", f"{model['name']}   {short(digest) if ':' in digest else 'digest ' + digest}")
    called = bool(answer["models"] or answer["class"]) and answer["proof"].get("how") != "registered"
    for row in _alike(answer["may"]):
        for number, text in enumerate(_permissions(row, of_a_server=called)):
            _whois_line("" if number else row["who"] + " may", text, even_empty=True)
    for task in answer["tasks"]:
        may = ", ".join(task["actions"])
        _whois_line("task", f"{task['id']} may {may}, for {task['human']}, {age(task['left'])} left")
    for text in answer["reaches"]:
        _whois_line("reaches", text)
    _whois_line("lately", answer["lately"]["text"])
    _whois_line("grade", answer["grade"]["text"])
    _whois_line("policies", answer["policies"]["warning"] and "a newer edit is NOT in force: see `remit status`")


def _whois_line(head: str, text: str, *, even_empty: bool = False) -> None:
    if text or even_empty:
        OUT.print(f"  [cyan]{escape(head):<14}[/] {escape(text)}")


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


_ANSWERS: Final = {"yes": "", "needs approval": "only within a task: ", "no": "never: "}


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
