"""`POST /remit/v1/heard`: what came into a task, told by whoever saw it, so that it counts in later decisions."""

from collections.abc import Mapping
from typing import Any, Final

from remit.detect import Label
from remit.errors import ProtocolError, StateError
from remit.flow import Mark, Origin
from remit.gateway.circumstances import tasks_of
from remit.gateway.consider import WithoutControlError
from remit.gateway.decisions.about import NotYoursError
from remit.gateway.decisions.decisions import Decisions
from remit.gateway.marking import kept
from remit.identity import Caller
from remit.policy.thing import Thing, ThingKind
from remit.tasks import Task

USER: Final = "user"  # text in the user's role, which nobody vouches for
KEYS: Final = ("task", "source", "text", "entries")
MAX_ENTRIES: Final = 10_000


async def heard(body: Mapping[str, Any], caller: Caller, decisions: Decisions) -> dict[str, Any]:
    """Take a text, or the entries of a source that names things; raises ProtocolError, WithoutControlError.

    1. the task is that of the caller's token, or one that a registered point names
    2. the source, as the catalogue has it; only of a point it is taken that it came from there
    3. the mark is kept by control before this is answered: what was heard can't be unheard by a dead worker
    4. where its words are looked up when a tool is called
    """
    for key in body:
        if key not in KEYS:  # a `source` that is mistyped would make a stranger's text a user's
            raise ProtocolError(f"`{key}` means nothing here", hint="it has " + ", ".join(f"`{one}`" for one in KEYS))
    # 1
    task = _task(body, caller, decisions)
    # 2
    source, origin = _source(body, caller, decisions)
    text, entries = body.get("text", ""), body.get("entries", [])
    if not isinstance(text, str) or not isinstance(entries, list) or not (text or entries):
        raise ProtocolError("`text` or `entries` is missing, or is no text or list")
    if not all(isinstance(one, str) for one in entries):
        raise ProtocolError("`entries` has something that is no text")
    if len(entries) > MAX_ENTRIES:
        raise ProtocolError(f"more than {MAX_ENTRIES} entries", status=413)
    # 3
    mark = _mark(source, origin, [text, *entries], decisions)
    try:
        for one in (task, *(one for one in tasks_of(caller, decisions.zone.engine) if one.id != task.id)):
            await kept(decisions.zone.questions, one, mark)
    except StateError as error:
        raise WithoutControlError(f"what came into the task can't be kept: {error}", status=503) from error
    # 4
    flow = decisions.flow(task)
    flow.mark = flow.mark.raised(mark)
    if text:
        await decisions.hear(task, text, origin)
    await decisions.listed(task, entries, origin)
    return {"task": task.id, "origin": origin.value, "high": flow.mark.high.value, "untrusted": flow.mark.untrusted}


def _task(body: Mapping[str, Any], caller: Caller, decisions: Decisions) -> Task:
    said = body.get("task", caller.task)
    if not isinstance(said, str):
        raise ProtocolError("`task` is missing: show its token, or name it where you are an enforcement point")
    if said != caller.task and not decisions.is_point(caller):
        raise NotYoursError("the task is not that of this caller's token")
    task = decisions.task(said)
    if task is None:
        raise ProtocolError("no such task is live", status=404)
    return task


def _source(body: Mapping[str, Any], caller: Caller, decisions: Decisions) -> tuple[Thing | None, Origin]:
    """Trusted is what a point says came from a source that the catalogue trusts; human nothing that comes by here."""
    said = body.get("source", USER)
    if not isinstance(said, str):
        raise ProtocolError("`source` is not a text")
    if said == USER:
        return None, Origin.CLAIMED
    source = decisions.zone.engine.thing(ThingKind.SOURCE, said)
    trusted = bool(source.attributes.get("trusted")) and decisions.is_point(caller)
    return source, Origin.TRUSTED if trusted else Origin.UNTRUSTED


def _mark(source: Thing | None, origin: Origin, texts: list[str], decisions: Decisions) -> Mark:
    """As sensitive as its source, and as what is found in it."""
    mark = Mark() if source is None else Mark().raised(Label(source.label))
    for _, label in decisions.zone.scrubber.request(texts).found:
        mark = mark.raised(label)
    return mark.raised(Label.UNTRUSTED) if origin is Origin.UNTRUSTED else mark
