"""Models as people see them: what each is, how it stands to what its server is bound to, and which one is meant."""

from collections.abc import Iterable
from typing import Any

from remit.errors import NotFoundError, UsageError
from remit.inventory import Model, Workload
from remit.inventory.binding import binding, standing_of


def described(workloads: Iterable[Workload]) -> list[dict[str, Any]]:
    """Every model of these workloads, with its digests. `differing` names the parts that are not what was bound."""
    return [_described(workload, model) for workload in workloads for model in workload.models]


def meant(workloads: Iterable[Workload], name: str, on: str) -> Workload:
    """The workload whose model is called `name`; `on` names one, or is empty. Raises NotFoundError, UsageError."""
    having = [one for one in workloads if any(model.name == name for model in one.models)]
    found = [one for one in having if on in {"", one.name, str(one.spiffe_id)}]
    if not found:
        where = f" on `{on}`" if on else ""
        raise NotFoundError(f"no model is called `{name}`{where}", hint="`remit model list` shows those there are")
    if len(found) > 1:
        names = ", ".join(one.name for one in found)
        raise UsageError(f"several servers have a model called `{name}`: {names}", hint="say which: --on NAME")
    return found[0]


def _described(workload: Workload, model: Model) -> dict[str, Any]:
    bound, now = binding(workload, model.name), model.identity
    return {
        "model": model.name,
        "on": workload.name,
        "digest": model.digest,
        "digest_at_load": model.at_load,
        "identity": None if now is None else now.digest,
        "parts": None if now is None else now.to_dict(),
        "bound": None if bound is None else bound.identity.digest,
        "standing": standing_of(workload, model).value,
        "differing": [] if bound is None or now is None else list(bound.identity.differing(now)),
        "signed": False,
    }
