"""To which model a server's identity is bound, and whether it still serves that one; pure."""

import dataclasses
import enum
from typing import Final

from remit.errors import UsageError
from remit.inventory.model import DIGEST_UNKNOWN, Binding, Model
from remit.inventory.workload import Workload
from remit.models import ModelIdentity
from remit.models.identity import UNKNOWN

MANY: Final = frozenset({"ollama", "lmstudio"})  # a name that is new there is a model more, not another one


class Standing(enum.StrEnum):
    """How a model stands to what its server is bound to. `lost` are those in which the identity is lost."""

    UNBOUND = "unbound"
    BOUND = "bound"
    APPROVED = "approved"
    UNPROVEN = "unproven"
    CHANGED = "changed"

    @property
    def lost(self) -> bool:
        return self in {Standing.UNPROVEN, Standing.CHANGED}


def standing_of(workload: Workload, model: Model) -> Standing:
    """Whether `model` is the one its server's identity is bound to.

    Unbound: nothing was ever established of it, which policies judge. Unproven: it is bound, and what it is now is
    not established. Where a server has one model, one under another name takes its place: changed.
    """
    bound = binding(workload, model.name)
    if bound is None and (not workload.bindings or workload.server in MANY):
        return Standing.UNBOUND
    if model.identity is None:
        return Standing.UNPROVEN
    if bound is None or bound.identity != model.identity:
        return Standing.CHANGED
    return Standing.APPROVED if bound.approved else Standing.BOUND


def binding(workload: Workload, name: str) -> Binding | None:
    return next((one for one in workload.bindings if one.model == name), None)


def bound_to(workload: Workload, name: str) -> list[str]:
    """The digests of what the workload's model of this name must be: several where another name takes its place."""
    bound = binding(workload, name)
    return [one.identity.digest for one in ((bound,) if bound is not None else workload.bindings)]


def lost(workload: Workload) -> tuple[str, ...]:
    """The models for which the workload has lost its identity, by name: while there is one it gets no SVID."""
    return tuple(model.name for model in workload.models if standing_of(workload, model).lost)


def established(workload: Workload, model: Model) -> Workload:
    """The workload with what was found out about its model: bound to it, if to none yet.

    Remit's own demonstration server is bound by its weights and template: Remit itself chose the rest just now.
    """
    workload = _with(workload, model)
    bound = binding(workload, model.name)
    if model.identity is None or model.identity.weights == UNKNOWN:
        return workload
    if standing_of(workload, model) is Standing.UNBOUND or (
        workload.demonstration and bound is not None and _same_model(bound.identity, model.identity)
    ):
        approved = bound is not None and bound.approved
        return _bound(workload, Binding(model.name, model.identity, approved))
    return workload


def unproven(workload: Workload, name: str) -> Workload:
    """The workload whose model's files are no longer what was read: unknown until they are read anew."""
    model = next((one for one in workload.models if one.name == name), None)
    if model is None:
        return workload
    return _with(workload, dataclasses.replace(model, digest=DIGEST_UNKNOWN, identity=None, watched=()))


def approve(workload: Workload, name: str, digest: str | None) -> Workload:
    """The workload bound to its model as it is now. `digest` is what the owner saw: of its weights or the whole.

    Raises UsageError when that is not what it is, or it isn't established.
    """
    model = next((one for one in workload.models if one.name == name), None)
    if model is None:
        names = ", ".join(f"`{one.name}`" for one in workload.models) or "none"
        raise UsageError(f"{workload.name} has no model called `{name}`", hint=f"its models: {names}")
    if model.identity is None or model.identity.weights == UNKNOWN:
        raise UsageError(
            f"the digest of `{name}` is {model.digest}: it can't be approved before it is known",
            hint="try again when it is hashed; if its file was replaced since it was loaded, restart the server",
        )
    if digest is not None and digest not in {model.digest, model.identity.digest}:
        raise UsageError(f"`{name}` is `{model.digest}` now, not `{digest}`", hint="`remit model list` shows it")
    return _bound(workload, Binding(name, model.identity, approved=True))


def _with(workload: Workload, model: Model) -> Workload:
    return dataclasses.replace(
        workload, models=tuple(model if one.name == model.name else one for one in workload.models)
    )


def _bound(workload: Workload, bound: Binding) -> Workload:
    others = tuple(one for one in workload.bindings if one.model != bound.model)
    return dataclasses.replace(workload, bindings=(*others, bound))


def _same_model(one: ModelIdentity, other: ModelIdentity) -> bool:
    return not {"weights", "template", "adapters", "settings"} & set(one.differing(other))
