"""The detector, slow and obvious: tries every rule at every place, one length at a time."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from remit.detect import HELD, Label, Rule
from remit.detect.checks import CHECKS
from remit.detect.matcher import FLOOD, NESTED_LIMIT

WORD = re.compile(r"[A-Za-z0-9_]")
SCALE = [Label.PUBLIC, Label.INTERNAL, Label.CONFIDENTIAL, Label.RESTRICTED]


@dataclass(frozen=True)
class Match:
    start: int
    end: int
    rule: str
    label: Label
    generic: bool


def findings(rules: Sequence[Rule], text: str, held: Iterable[str] = ()) -> list[tuple[int, int, str, Label]]:
    """Sorted, disjoint (start, end, rule, label) of all that the rules and the `held` spellings find in `text`."""
    matches = [match for rule in rules for match in _of_rule(rule, text)]
    matches += [match for form in held for match in _of_form(form, text)]
    return _united(matches)


def cleaned(rules: Sequence[Rule], text: str, held: Iterable[str] = ()) -> str:
    """`text` with each finding replaced by its rule's name."""
    for start, end, rule, _ in reversed(findings(rules, text, held)):
        text = f"{text[:start]}[REDACTED:{rule}]{text[end:]}"
    return text


def _of_form(form: str, text: str) -> list[Match]:
    matches, start = [], 0
    while start < len(text):
        if text[start : start + len(form)] == form:
            matches.append(Match(start, start + len(form), HELD, Label.RESTRICTED, False))
            start += len(form)
        else:
            start += 1
    return matches


def _of_rule(rule: Rule, text: str) -> list[Match]:
    matches: list[Match] = []
    start = 0
    rejected: list[int] = []  # where each match ended that began inside the one before it and did not count
    while start < len(text):
        found = _longest(rule, text, start) if _may_begin(rule, text, start) else None
        if found is None:
            start += 1
            continue
        secret, secret_end = found.span(rule.secret_group)
        if not (_counts(rule, text[secret:secret_end]) and _led(rule, text[max(0, start - 16) : secret])):
            rejected = [*rejected, found.end()] if rejected and start < rejected[-1] else [found.end()]
            if len(rejected) <= NESTED_LIMIT:
                start = secret if secret > start else found.end()
                continue
        end = secret_end
        if secret_end == found.end() and rule.body and not rule.exact:
            end = _followed(rule, text, start, end)
        if len(matches) == FLOOD:
            end = len(text)
        matches.append(Match(secret, end, rule.id, rule.label, rule.generic))
        start = max(end, found.end())
    return matches


def _may_begin(rule: Rule, text: str, start: int) -> bool:
    rest = text[start:]
    heads = [(rest[: len(a)], a) for a in rule.anchors]
    if not any(h == a or (rule.ignore_case and h.isascii() and h.lower() == a.lower()) for h, a in heads):
        return False
    if rule.anywhere or start == 0 or not WORD.match(text[start - 1]):
        return True
    before = text[max(0, start - 3) : start]
    return bool(re.search(r"\\[nrt]\Z", before) or re.fullmatch(r"%[0-9A-Fa-f]{2}", before))


def _longest(rule: Rule, text: str, start: int) -> "re.Match[str] | None":
    core = re.compile(rule.core, re.ASCII)
    for end in range(min(len(text), start + rule.max_length + 1), start, -1):
        if rule.exact and end < min(len(text), start + rule.max_length + 1) and re.match(rule.body, text[end]):
            continue
        found = core.fullmatch(text, start, end)
        if found:
            return found
    return None


def _counts(rule: Rule, secret: str) -> bool:
    shares = [n / len(secret) for n in Counter(secret).values()]
    return (
        "EXAMPLE" not in secret
        and -sum(share * math.log2(share) for share in shares) >= rule.min_entropy
        and all(re.search(r, secret, re.ASCII) for r in rule.require)
        and not any(re.search(u, secret, re.ASCII) for u in rule.unless)
        and all(CHECKS[check](secret) for check in rule.checks)
    )


def _led(rule: Rule, lead: str) -> bool:
    return all(re.search(r, lead, re.ASCII) for r in rule.require_lead) and not any(
        re.search(u, lead, re.ASCII) for u in rule.unless_lead
    )


def _followed(rule: Rule, text: str, start: int, core_end: int) -> int:
    end = core_end
    limit = start + rule.max_length if rule.terminator else len(text)
    while end < min(limit, len(text)) and re.match(rule.body, text[end], re.ASCII):
        end += 1
    if not rule.terminator:
        return end
    found = re.compile(rule.terminator, re.ASCII).search(text, core_end, len(text) if end >= limit else end)
    if found:
        return found.end()
    return len(text) if end >= limit else end


def _united(matches: list[Match]) -> list[tuple[int, int, str, Label]]:
    """Each stretch of overlapping matches as one."""
    groups: list[list[Match]] = []
    for match in sorted(matches, key=lambda m: m.start):
        if match.start == match.end:
            continue
        if groups and match.start < max(m.end for m in groups[-1]):
            groups[-1].append(match)
        else:
            groups.append([match])
    return [_one(group) for group in groups]


def _one(group: list[Match]) -> tuple[int, int, str, Label]:
    def weight(match: Match) -> tuple[object, ...]:
        always = match.rule in {HELD, "remit-task-token", "remit-session-token"}
        size = match.end - match.start
        return always, SCALE.index(match.label), not match.generic, size, -match.start, match.rule

    best = max(group, key=weight)
    return min(m.start for m in group), max(m.end for m in group), best.rule, best.label
