"""The addresses that Remit keeps closed here: told to everybody, so that who was refused finds the reason."""

from collections.abc import Iterable, Mapping
from typing import Any

from remit.control.condition import Condition
from remit.inventory import Workload


def closed_ways(
    condition: Condition,
    workloads: Iterable[Workload],
    seen: Iterable[Workload],
    doors: Mapping[str, Mapping[str, str]],
) -> list[dict[str, Any]]:
    """As JSON. Whose server it is and where it is called instead is told to those who may see it (`seen`)."""
    rows = []
    theirs = {one.spiffe_id for one in seen}
    for workload in workloads:
        closing = condition.closing(workload) if workload.server and condition.closing is not None else None
        if closing is None or not closing.refused:
            continue
        known = workload.spiffe_id in theirs
        told = {
            "server": workload.name if known else "",
            "instead": doors.get(workload.name, {}).get("url", "") if known else "",
        }
        rows += [{"address": one.where, "everywhere": one.everywhere, **told} for one in closing.around.own]
    return sorted(rows, key=lambda row: str(row["address"]))
