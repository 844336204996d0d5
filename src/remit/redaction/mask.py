"""Masking: what was found in a text is replaced by the name of the rule that found it."""

from collections.abc import Iterable, Sequence

from remit.detect import Finding


def mark(rule: str) -> str:
    """What stands where a secret stood."""
    return f"[REDACTED:{rule}]"


def mask(text: str, findings: Iterable[Finding]) -> str:
    """`text` with each finding (sorted, disjoint) replaced by its mark."""
    out: list[str] = []
    at = 0
    for finding in findings:
        out += (text[at : finding.start], mark(finding.rule))
        at = finding.end
    out.append(text[at:])
    return "".join(out)


def mask_pieces(texts: Sequence[str], findings: Sequence[Finding]) -> list[str]:
    """The same for one text that lies in pieces: a mark stands where its finding began, the rest of it is gone."""
    out, start = [], 0
    for text in texts:
        end = start + len(text)
        out.append(_piece(text, start, [one for one in findings if one.start < end and one.end > start]))
        start = end
    return out


def _piece(text: str, offset: int, findings: Sequence[Finding]) -> str:
    out, at = [], 0
    for finding in findings:
        begin, end = finding.start - offset, finding.end - offset
        out.append(text[at : max(begin, 0)])
        if begin >= 0:
            out.append(mark(finding.rule))
        at = min(end, len(text))
    out.append(text[at:])
    return "".join(out)
