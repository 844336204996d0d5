"""A recorded decision told to a person: who asked, how they were known, what decided, what would allow it.

Takes a record of the log as a plain dict and tolerates what an older or a newer one lacks. Pure.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from remit.policy.looked_into import LookedInto
from remit.policy.looked_into import lines as looked_lines
from remit.policy.observing import NOT_ENFORCING, would_have
from remit.policy.policy_set import PolicySet
from remit.policy.recorded import said
from remit.policy.refusal import DEFAULT_DENY

_PROOFS: Final = {
    "mtls": "an X.509-SVID on the connection",
    "unix": "the unix socket's peer (kernel)",
    "loopback": "the loopback socket's holder (kernel)",
    "jwt-svid": "a JWT-SVID in place of an API key",
    "vouched": "the word of a registered enforcement point",
}
_BUILT_IN: Final = {
    DEFAULT_DENY: "nothing permits it",
    "remit:not-active": "it, or the caller, is suspended, retired or quarantined",
    "remit:snapshot-expired": "what is in force had not been confirmed in time",
    "remit:not-enrolled": "it is no enrolled workload",
    "remit:unknown-caller": "the caller is not, or no longer, enrolled",
    "remit:outside-task": "the caller's task does not cover it",
    "remit:only-observed": "policies are only observed here",
    "remit:nobody-there": "the caller's task takes a person who is there",
    "remit:policy-error": "a policy could not be evaluated, and an error never allows",
}
_STANDINGS: Final = ("human", "trusted", "claimed", "untrusted", "unseen")
_OF_APPROVAL: Final = "remit:approval-"
_LABEL_WIDTH: Final = 13
_SHORT_HEX: Final = 12

Record = Mapping[str, Any]
Names = Mapping[str, str]


def explain(record: Record, names: Names, policies: PolicySet | None = None, looked: LookedInto | None = None) -> str:
    """The text of `remit explain`.

    `names` maps pseudonyms to people; who is not in it stays a pseudonym. `policies` are those in force now:
    they are only spoken of where the record was decided by the very same set. `looked` is what came of looking
    into it.
    """
    same = policies if policies is not None and policies.digest == record.get("policy_set") else None
    lines = [_headline(record, names)]
    for label, text in _rows(record, same):
        if text:
            lines.append(f"  {label:<{_LABEL_WIDTH}}{'' if len(label) < _LABEL_WIDTH else '  '}{printable(text)}")
    if looked is not None:
        lines += [f"  {label:<{_LABEL_WIDTH}}{printable(text)}" for label, text in _of_set(looked) if text]
        lines += [f"  {printable(line)}" for line in looked_lines(looked, said(record))]
    return "\n".join(lines)


def explain_json(
    record: Record, names: Names, policies: PolicySet | None = None, looked: LookedInto | None = None
) -> dict[str, Any]:
    """The same for machines: the record itself, with the person's name and the deciding sentence beside it."""
    same = policies if policies is not None and policies.digest == record.get("policy_set") else None
    return {
        **record,
        "human": names.get(record.get("person") or "", None),
        "decided_by": _decided_by(record, same),
        "looked_into": None if looked is None else looked.to_json(),
    }


def printable(text: str) -> str:
    """`text` with everything a terminal could obey made visible: a process chooses its own name."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def _headline(record: Record, names: Names) -> str:
    outcome = str(record.get("outcome", "unknown"))
    task = f"task {record['task']}" if record.get("task") else "no task"
    what = f"{record.get('action', '?')} on {_acted_on(record)}"
    return printable(f"{outcome:<9} {what} by {_caller(record, names)}, {task}")


def _caller(record: Record, names: Names) -> str:
    person = record.get("person") or "nobody known"
    who = names.get(person, person)
    process = record.get("process")
    if not process:
        return f"{record.get('workload') or 'an unidentified peer'} ({who})"
    program = process.get("exe") or process.get("name") or "a program of unknown path"
    return f"{program} (pid {process.get('pid')}, uid {process.get('uid')} {who})"


def _rows(record: Record, policies: PolicySet | None) -> Iterator[tuple[str, str]]:
    yield "asked", _asked(record)
    yield "known by", _known_by(record)
    yield "handed on", " → ".join(_short_name(actor) for actor in record.get("chain") or ())
    yield "found", ", ".join(f"{rule} ({label})" for rule, label in (record.get("found") or {}).items())
    yield "decided by", _decided_by(record, policies)
    yield "approval", _approval(record)
    yield "not enforced", _observed(record)
    if record.get("outcome") != "allowed":
        yield "would be allowed if", str(record.get("missing") or "")
    yield "inputs", _inputs(record)
    yield "policy set", _where(record)


def _of_set(looked: LookedInto) -> Iterator[tuple[str, str]]:
    if looked.bundle:
        digest = _short_digest(str(looked.bundle.get("sha256")))
        signed = f"{looked.bundle.get('signer')}, serial {looked.bundle.get('serial')}, bundle {digest}"
        yield "signed by", signed
    elif looked.bundle is not None:
        yield "signed by", "nobody: it was read from the policy directory"
    if looked.unknown:
        yield "not told", f"what was not kept decides it: {looked.unknown}"


def _inputs(record: Record) -> str:
    """What was decided on, by digest."""
    body, model = record.get("body"), record.get("model_digest")
    parts = [f"request {_short_digest(str(body))}"] if body else []
    parts += [f"model {_short_digest(str(model))}"] if model else []
    facts = record.get("facts") or {}
    parts += [f"{name} {facts[name]}" for name in ("presence", "destination") if facts.get(name)]
    moment, args = facts.get("time"), facts.get("args") or {}
    parts += [f"hour {moment['hour']}, weekday {moment['weekday']}"] if moment else []
    parts += [f"{standing}: {', '.join(args[standing])}" for standing in _STANDINGS if args.get(standing)]
    return "  ·  ".join(parts)


def _asked(record: Record) -> str:
    model = record.get("model")
    digest = _short_digest(str(record.get("model_digest") or "unknown"))
    return f"{record.get('route', '?')}" + (f", model {model} {digest}" if model else "")


def _known_by(record: Record) -> str:
    proof = _PROOFS.get(str(record.get("proof")), str(record.get("proof") or "nothing: the caller is unidentified"))
    process = record.get("process") or {}
    parts = [proof]
    if process.get("exe_sha256"):
        parts.append("sha256:" + str(process["exe_sha256"])[:_SHORT_HEX] + "…")
    elif process:
        parts.append("its executable is unknown")
    if record.get("workload"):
        parts.append(str(record["workload"]))
    return ", ".join(parts)


def _decided_by(record: Record, policies: PolicySet | None) -> str:
    named = [_policy(policy) for policy in record.get("policies") or ()]
    rule = str(record.get("rule") or "")
    if named:
        return "; ".join(named)
    if rule == DEFAULT_DENY:
        return "nothing permits it" + _counted(record, policies)
    return in_words(rule)


def in_words(rule: str) -> str:
    """A built-in rule, and what it says; the id of a policy as it is."""
    return f"{_BUILT_IN[rule]} ({rule})" if rule in _BUILT_IN else rule


def _approval(record: Record) -> str:
    """That people are to agree, and what came of it; by whom they did, and whether it was anybody but who asked."""
    agreed = (record.get("facts") or {}).get("approval") or {}
    if agreed:
        return f"{agreed.get('kind')} by {agreed.get('by') or 'nobody known'}, {agreed.get('id')}"
    rule = str(record.get("rule") or "")
    if not rule.startswith(_OF_APPROVAL):
        return ""
    return f"{str(record.get('reason') or '').rpartition('; ')[2]} ({rule})"


def _observed(record: Record) -> str:
    """Policies that are only observed."""
    facts = record.get("facts") or {}
    said = "; ".join(would_have(str(rule), "it") for rule in facts.get("observed") or ())
    return f"{NOT_ENFORCING}{'; ' if said else ''}{said}" if facts.get("observing") else said


def _policy(policy: Mapping[str, Any]) -> str:
    reason = policy.get("reason")
    return f"{policy.get('id')} ({policy.get('file')}:{policy.get('line')})" + (f": {reason}" if reason else "")


def _counted(record: Record, policies: PolicySet | None) -> str:
    if policies is None:
        return ""
    action = str(record.get("action"))
    speaking = sum(action in policy.actions for policy in policies.policies)
    where = policies.files[0] if len(policies.files) == 1 else f"{len(policies.files)} files"
    return f" ({where}: {len(policies.policies)} policies, {speaking} of `{action}`)"


def _where(record: Record) -> str:
    parts = [_short_digest(str(record.get("policy_set") or "unknown"))]
    if "epoch" in record:
        parts.append(f"epoch {record['epoch']}")
    if record.get("grade"):
        parts.append(f"grade {record['grade']}" + (" (advisory)" if record["grade"] == "C" else ""))
    if "index" in record and "shard" in record:
        parts.append(f"record {record['index']} of shard {record['shard']}")
    return "  ·  ".join(parts)


def _acted_on(record: Record) -> str:
    """The thing, or the workload."""
    thing = (record.get("facts") or {}).get("thing")
    return str(thing[1]) if thing else _short_name(record.get("resource"))


def _short_name(resource: Any) -> str:
    return str(resource).rpartition("/")[2] if resource else "?"


def _short_digest(digest: str) -> str:
    kind, separator, body = digest.partition(":")
    return f"{kind}:{body[:_SHORT_HEX]}…" if separator and len(body) > _SHORT_HEX else digest
