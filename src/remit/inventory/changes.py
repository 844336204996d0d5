"""In what a server that is found differs from the workload that was enrolled at its address; pure."""

from collections.abc import Mapping
from typing import Any

from remit.inventory.found import Found
from remit.inventory.model import Model
from remit.inventory.workload import Workload


def changes(workload: Workload, found: Found) -> dict[str, Any]:
    """What differs: each fact of the process as [was, is], models by name. Empty: it is the same, as far as is known.

    A fact that was known and is unknown now has changed: unknown is not good. No paths: they tell people's names.
    """
    facts = {
        "server": (workload.server, found.server),
        "pid": (workload.pid, found.pid),
        "start": (workload.start, found.start),
        "exe_sha256": (workload.exe_sha256, found.exe_sha256),
    }
    models = _model_changes(_by_name(workload.models), _by_name(found.models))
    differing = {name: [was, now] for name, (was, now) in facts.items() if was != now}
    return {**differing, "models": models} if models else differing


def _model_changes(was: Mapping[str, Model], now: Mapping[str, Model]) -> dict[str, list[str]]:
    """Names of models by what happened to each. The digest of one without a file is the server's word, or unknown."""
    both = [name for name in was if name in now]
    moved = [name for name in both if was[name].path != now[name].path]
    told = {
        "gone": [name for name in was if name not in now],
        "new": [name for name in now if name not in was],
        "file": moved,
        "digest": [
            name
            for name in both
            if name not in moved and now[name].path is None and was[name].digest != now[name].digest
        ],
    }
    return {what: names for what, names in told.items() if names}


def _by_name(models: tuple[Model, ...]) -> dict[str, Model]:
    return {model.name: model for model in models}
