"""What the guarded workloads did last, read from the log's newest records."""

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from remit.audit.read import tail

LOOK_BACK_SECONDS: Final = 300.0
RECORDS: Final = 5000


@dataclass
class Lately:
    """Calls and refusals of the last five minutes, by server, and the last start record of each."""

    calls: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    last: dict[str, dict[str, Any]] = field(default_factory=dict)
    last_of: dict[int, dict[str, Any]] = field(default_factory=dict)

    def of_person(self, person: str) -> "Lately":
        """The same, without what other people's processes did. Servers are asked for by whose they are."""
        own = {pid: one for pid, one in self.last_of.items() if one.get("person") == person}
        return replace(self, last_of=own)

    def about(self, resource: str, now: float) -> dict[str, Any]:
        """One server's activity, as `whois` shows it."""
        calls, refused, last = self.calls[resource], self.refused[resource], self.last.get(resource)
        if last is None:
            return {"calls": 0, "refused": 0, "last": None, "text": "no call in the last 5 min"}
        who = _who(last)
        many = "1 call" if calls == 1 else f"{calls} calls"
        text = f"{many} in 5 min, {refused} refused, last by {who} {_ago(last, now)}"
        return {"calls": calls, "refused": refused, "last": last, "text": text}

    def by_process(self, pid: int, now: float) -> dict[str, Any]:
        """One process's last call."""
        last = self.last_of.get(pid)
        if last is None:
            return {"last": None, "text": "no call in the last 5 min"}
        server = last["resource"].rpartition("/")[2]
        text = f"`{last['route']}` on {server}, {last['outcome']}, {_ago(last, now)}"
        return {"last": last, "text": text}


def lately(directory: Path, now: float) -> Lately:
    """Read the newest records of every shard in `directory`; `now` is Unix seconds."""
    seen = Lately()
    for one in tail(directory, RECORDS):
        record = one.data
        if record.get("kind") != "start" or record["t"] < now - LOOK_BACK_SECONDS:
            continue
        resource = record["resource"]
        seen.calls[resource] += 1
        seen.refused[resource] += record["outcome"] == "refused"
        if resource not in seen.last or record["t"] >= seen.last[resource]["t"]:
            seen.last[resource] = record
        pid = (record.get("process") or {}).get("pid")
        if pid is not None and (pid not in seen.last_of or record["t"] >= seen.last_of[pid]["t"]):
            seen.last_of[pid] = record
    return seen


def _who(record: dict[str, Any]) -> str:
    process = record.get("process")
    if process is None:
        return str(record.get("workload") or record.get("person") or "someone unknown")
    return f"{process['name']} (pid {process['pid']})"


def _ago(record: dict[str, Any], now: float) -> str:
    return f"{max(0.0, now - record['t']):.0f} s ago"
