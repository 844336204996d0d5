"""`remit status` for a person."""

import time
from typing import Any, Final

from rich.markup import escape

from remit.cli.screen import OUT, age, line, print_instance, short


def print_status(status: dict[str, Any]) -> None:
    """All of it, what is wrong in red."""
    print_instance(status)
    _identity(status["identity"])
    _guarded(status)
    for one in status["registered"]:
        known = f"[bold]{escape(one['spiffe_id'])}[/]   {one['state']}   by {escape(', '.join(one['selectors']))}"
        line("knows", known, "green")
    line("grade", f"{status['grade']} {escape(status['grade_why'])}", "yellow")
    OUT.print(f"           → {escape(status['raises'])}")
    policies = status["policies"]
    signed = f"   {escape(policies['signed'])}" if policies.get("signed") else ""  # an older Remit may run still
    line("policies", f"{escape(policies['dir'])}   set {short(policies['set'])}{signed}")
    if policies["warning"]:
        line("policy", f"a newer edit is NOT in force: {escape(policies['warning'])}", "red")
    print_not_enforced(status)
    _break_glass(status["break_glass"])
    if waiting := status["approvals"]:
        wait = "waits" if waiting == 1 else "wait"
        line("approval", f"{waiting} {wait} for an answer: remit approvals list", "yellow")
    _handed_out(status)
    for conflict in status["conflicts"]:
        line("roles", f"{escape(conflict)}: they have neither role until that is mended", "red")
    for person, presence in sorted(status["presence"].items()):
        if presence != "unknown" or person == status["owner"]:
            line("person", f"{escape(person)}   {_PRESENCE[presence]}")
    line("log", escape(status["audit"]["dir"]))
    for failure in status["audit"]["failures"]:
        line("log", f"NO CALL GOES THROUGH: {escape(failure)}", "red")
    for ended, why in status["audit"]["unrecorded"].items():
        line("log", f"the end of {escape(ended)} is NOT ON RECORD: {escape(why)}", "red")
    workers = ", ".join(f"{name} pid {pid}" for name, pid in status["workers"].items())
    line("runs", f"control pid {status['pid']}, {workers}; up {age(status['up_seconds'])}")


def print_not_enforced(status: dict[str, Any]) -> None:
    """That policies are only observed, all of them or some, and what they would have refused."""
    from remit.policy.observing import would_have

    if status["policies"]["not_enforcing"]:
        line("policy", status["policies"]["not_enforcing"], "red")
    for one in status["would_refuse"]["most"]:
        times = f"{one['number']} call{'s' if one['number'] > 1 else ''}, {one['newest']} the newest"
        what = escape(f"{one['action']} on {one['on']}")
        line("observed", f"{would_have(one['rule'], what)}: {times}", "red")


def print_closed(status: dict[str, Any]) -> None:
    """The addresses at which Remit has calls refused, and where to call instead."""
    for one in status.get("closed", ()):
        to = "refuses all callers but Remit" if one["everywhere"] else "refuses all callers here but Remit"
        line("closed", f"{one['address']} {to}: {_instead(one)}")


def _instead(one: dict[str, Any]) -> str:
    if not one["server"]:
        return "it is another person's guarded server"
    return f"call {escape(one['server'])} at {one['instead']} instead"


def _guarded(status: dict[str, Any]) -> None:
    """The guarded servers; that none is known to be there is another thing than that there is none."""
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
    print_closed(status)
    if status["unseen"]:
        line("unseen", f"this machine can't be looked at now: {escape(status['unseen'])}", "red")
    elif not status["guarded"]:
        line("guards", "nothing: no model server answers here", "yellow")


def _break_glass(standing: dict[str, Any]) -> None:
    """What is open now, and what nobody has reviewed."""
    if (now := standing["open"]) is not None:
        line("open", f"BREAK-GLASS for {escape(now['person'])} until {_moment(now['until'])}", "red")
        OUT.print(f"           → {escape(now['reason'])}")
    for one in standing["due"]:
        line("review", f"{one['id']} of {escape(one['person'])}: {one['standing']}", "yellow")
    if standing["sealed"] is False:
        line("recovery", "no recovery code is sealed: break-glass can't be opened", "yellow")
    for flaw in standing["flaws"]:
        line("review", f"the record of break-glass is NOT WHOLE: {escape(flaw)}", "red")


def _handed_out(status: dict[str, Any]) -> None:
    """The tasks and sessions there are, and where they are exchanged for less."""
    line("tasks", f"{len(status['tasks'])} running" if status["tasks"] else "none")
    for one in status["sessions"]:
        line("sessions", f"{one['id']} of {escape(one['human'])} until {_moment(one['expires'])}")
    if status["tokens"]:
        line("tokens", f"{status['tokens']}/token   (docs/delegation.md)")
    print_asked_at(status)


def print_asked_at(status: dict[str, Any]) -> None:
    """Where enforcement points ask for decisions, and the page on how."""
    for name, door in status.get("decisions", {}).items():
        page = "envoy" if name.startswith("ext_authz") else "authzen"
        line("asked at", f"{escape(door)}   (docs/{page}.md)")


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


_PRESENCE: Final = {
    "here": "here: at this machine",
    "away": "away: at no terminal or screen of theirs here",
    "unknown": "unknown: whether they are at this machine can't be told",
}


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
