"""The cleaned request: only this file makes one, from a permit's plan and the receipt of its record."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from remit.audit import Receipt
from remit.detect import ALWAYS_MASKED, Label
from remit.errors import ProtocolError
from remit.policy import Permit, Treatment
from remit.redaction.scrubber import Scan, Scrubber


@dataclass(frozen=True, slots=True)
class Clean:
    """The bytes to forward, for the intent whose digest is `of`. `masked` counts what was masked, by rule."""

    body: bytes
    masked: Mapping[str, int]
    of: bytes


def clean(value: Any, scan: Scan, permit: Permit, receipt: Receipt, scrubber: Scrubber) -> Clean:
    """Mask `value` (a JSON value, bytes, or None) as `permit` plans, and serialise it anew.

    Spends the receipt: without a record nothing is sent. Raises ProtocolError for a finding that is to be refused
    (the decision refuses those before), and for text that UTF-8 can't carry.
    """
    receipt.spend(permit.intent_digest)
    for rule, label in scan.found:
        if permit.treatment(label) is Treatment.REFUSE and rule not in ALWAYS_MASKED:
            raise ProtocolError(f"the request holds what its permit refuses ({rule})", status=403)
    if isinstance(value, bytes):  # a blob that an administrator uploads: not text
        return Clean(value, {}, permit.intent_digest)
    if not scan.suspect:
        return Clean(_bytes(value), {}, permit.intent_digest)
    counts: Counter[str] = Counter()
    masked = scrubber.masked(value, allowed_by(permit), counts)
    return Clean(_bytes(masked), counts, permit.intent_digest)


def allowed_by(permit: Permit) -> frozenset[Label]:
    """The labels that the permit lets through as they are."""
    return frozenset(label for label, treatment in permit.plan.items() if treatment is Treatment.ALLOW)


def _bytes(value: Any) -> bytes:
    if value is None:
        return b""
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise ProtocolError(f"the body can't be written as json: {error}") from None
