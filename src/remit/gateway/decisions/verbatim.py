"""Requests that are sent on as they came: what the gateway would have written otherwise is refused instead."""

from dataclasses import replace
from typing import Any, Final

from remit.detect import ALWAYS_MASKED
from remit.errors import ProtocolError
from remit.gateway.circumstances import tasks_of
from remit.gateway.consider import Ask
from remit.gateway.strict_json import read
from remit.identity import Caller
from remit.policy import Engine, Intent, Permit, Treatment

JSON_TYPES: Final = frozenset({"application/json", "application/json;charset=utf-8"})
_CACHE: Final = frozenset({"cache_prompt", "cache_salt"})  # what keeps callers out of each other's prompt cache


class VerbatimError(ProtocolError):
    """It could only be sent on if it were changed first. `rule` is `not-verbatim`."""

    rule = "not-verbatim"

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message, status=403, hint=hint)


class UncountedError(ProtocolError):
    """What it uses of its task's budget can't be counted. `rule` is `uncounted-budget`."""

    rule = "uncounted-budget"


def verbatim(ask: Ask) -> Ask:
    """The same request, if what was read is what will be sent; raises VerbatimError.

    1. its target in the one spelling that was decided on
    2. a body that its server reads as it was read here
    3. with no field that the gateway would have left out or set; without what keeps callers out of each other's
       prompt cache it is not `isolated`
    """
    # 1
    if ask.request.raw_target != ask.target:
        raise VerbatimError(f"`{ask.route}` is asked for in another spelling", hint=f"ask for `{ask.target}`")
    # 2
    if ask.route.body == "none":
        return ask
    if not ask.request.body:
        raise VerbatimError(f"`{ask.route}` comes without a body", hint="send one, `{}` if there is nothing to say")
    if ask.route.body != "json":
        return ask
    said = (ask.request.header("content-type") or "").replace(" ", "").lower()
    if said not in JSON_TYPES:
        raise VerbatimError("the body is not sent as what it is", hint="send `content-type: application/json`")
    # 3
    return _with_its_own_fields(ask, read(ask.request.body))


def _with_its_own_fields(ask: Ask, body: Any) -> Ask:
    meant = ask.forward or {}
    unequal = [name for name in body.keys() | meant.keys() if _missing(body, name) != _missing(meant, name)]
    changed = [name for name in unequal if name in body or name not in _CACHE]
    if changed:
        name = min(changed)
        hint = f"leave `{name}` out" if name not in meant else f"set `{name}` as docs/envoy.md says"
        raise VerbatimError(f"`{name}` would have to be changed, and a body is sent on here as it came", hint=hint)
    return replace(ask, isolated=False) if unequal else ask


def _missing(fields: Any, name: str) -> Any:
    """The field's value in a tuple: none at all is another thing than null, and 1 another than true."""
    return (type(fields[name]), fields[name]) if name in fields else ()


def check_unmasked(intent: Intent, permit: Permit) -> None:
    """Raises VerbatimError for what the permit would have masked."""
    masked = [
        rule
        for rule, label in intent.found
        if rule in ALWAYS_MASKED or permit.treatment(label) is not Treatment.ALLOW
    ]
    if masked:
        found = ", ".join(dict.fromkeys(masked))
        raise VerbatimError(
            f"it holds what would have to be masked ({found}), and a body is sent on here as it came",
            hint="take out what was found, or call the gateway's own door",
        )


def check_countable(caller: Caller, engine: Engine) -> None:
    """Raises UncountedError for a task whose budget only who reads the answer can keep it to."""
    for task in tasks_of(caller, engine):
        if any(limit is not None for limit in (task.budget.tokens, task.budget.bytes, task.budget.seconds)):
            raise UncountedError(
                f"task {task.id} limits what an answer may use, and answers are not seen here",
                status=403,
                hint="call the gateway's own door, which counts it",
            )
