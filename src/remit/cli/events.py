"""The events of `remit up`, for a person."""

import json
import time
from typing import Any, Final

from rich.markup import escape

from remit.cli.screen import ERR, OUT, line, print_instance, short, verbs
from remit.cli.status_screen import print_asked_at, print_closed, print_not_enforced


def print_event(event: dict[str, Any]) -> None:
    """One event of `remit up`, for a person."""
    show = _EVENTS.get(event["event"])
    if show is not None:
        show(event)


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
    print_closed(event)
    line("grade", f"{event['grade']} {escape(event['grade_why'])}", "yellow")
    OUT.print(f"           → {escape(event['raises'])}")
    for server in event["guarded"]:
        _how_to_call(server, several=len(event["guarded"]) > 1)
    OUT.print()
    policies = event["policies"]
    line("policies", escape("   ".join(filter(None, (policies["dir"], policies["signed"])))))
    print_not_enforced(event)
    print_asked_at(event)
    line("log", escape(event["audit"]["dir"]))
    line("watch", "remit audit tail -f          [cyan]ask[/]  remit whois :8080".replace(":8080", _ask(event)))
    line("stop", "Ctrl-C")


def _grade(event: dict[str, Any]) -> None:
    line("grade", f"{event['to']}, {event['from']} before: {escape(event['why'])}", "yellow")


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


def _emergency(event: dict[str, Any]) -> None:
    """As wall(1) would: nobody who sees this terminal is to miss it."""
    until = time.strftime("%H:%M:%S", time.localtime(event["until"]))
    OUT.print(f"\n[bold white on red]{' ' * 78}[/]")
    line("open", f"[bold]BREAK-GLASS IS OPEN for {escape(event['person'])} until {until}[/]", "red")
    OUT.print(f"           → {escape(event['reason'])}   ({event['id']}, through {escape(event['through'])})")
    OUT.print("           → every reply says so, all of it is on record, and somebody else reviews it")
    OUT.print(f"[bold white on red]{' ' * 78}[/]\n")


def _closed(event: dict[str, Any]) -> None:
    line("closed", f"break-glass {event['id']}: {escape(event['why'])}; it is due for review", "yellow")


def _sealed(event: dict[str, Any]) -> None:
    line("recovery", f"[bold]{event['code']}[/]   shown once: write it down, away from this machine", "red")
    OUT.print("           → it opens break-glass when policies lock you out: docs/break-glass.md")


def _approval(event: dict[str, Any]) -> None:
    what = f"{event['action']} {escape(event['thing'])}   {event['id']}"
    if event["what"] != "asked":
        line("approval", f"{event['what']}: {what}", "green" if event["what"] in _AGREED else "yellow")
        return
    line("approval", f"[bold]somebody is asked:[/] {what}", "yellow")
    OUT.print(f"           → see all of it: remit approvals show {event['id']}")


_AGREED: Final = ("approved", "self-confirmed")
_EVENTS: Final = {
    "approval": _approval,
    "emergency": _emergency,
    "closed": _closed,
    "sealed": _sealed,
    "starting": print_instance,
    "found": _found,
    "grade": _grade,
    "note": _note,
    "ready": _ready,
    "refused": _refused,
    "error": _error,
    "policy": _policy,
    "model_changed": _model_changed,
    "stopped": _stopped,
}
