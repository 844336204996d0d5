"""Overlapping matches become one finding that covers them all, named by the weightiest."""

from collections.abc import Iterable
from operator import itemgetter
from typing import Final, NamedTuple

from remit.detect.catalogue import ALWAYS_MASKED
from remit.detect.finding import Finding, Label

WEIGHT: Final = {Label.PUBLIC: 0, Label.INTERNAL: 1, Label.UNTRUSTED: 1, Label.CONFIDENTIAL: 2, Label.RESTRICTED: 3}


class Span(NamedTuple):
    """`start` to `end` belong to a match of rule `rule`."""

    start: int
    end: int
    rule: str
    label: Label
    generic: bool = False


PLACE: Final = itemgetter(0, 1, 2)  # start, end, rule


def weight(span: Span) -> tuple[bool, int, bool, int, int, str]:
    """What is always masked weighs most, then label, a rule that knows whose it is, length, the earlier start."""
    return (
        span.rule in ALWAYS_MASKED,
        WEIGHT[span.label],
        not span.generic,
        span.end - span.start,
        -span.start,
        span.rule,
    )


def settle(spans: Iterable[Span]) -> list[Finding]:
    """Sorted, disjoint findings that together cover exactly `spans`; spans that only touch stay apart."""
    findings: list[Finding] = []
    group: list[Span] = []
    end = 0
    for span in sorted(spans, key=PLACE):
        if span.start == span.end:
            continue
        if group and span.start >= end:
            findings.append(_whole(group, end))
            group = []
        end = max(end, span.end) if group else span.end
        group.append(span)
    if group:
        findings.append(_whole(group, end))
    return findings


def unite(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings of one text that were made in different ways, as sorted, disjoint ones."""
    return tuple(settle(Span(found.start, found.end, found.rule, found.label) for found in findings))


def _whole(group: list[Span], end: int) -> Finding:
    best = group[0] if len(group) == 1 else max(group, key=weight)
    return Finding(best.rule, best.label, group[0].start, end)
