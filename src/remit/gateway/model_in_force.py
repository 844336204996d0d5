"""The model that a request will meet, and whether its server still has the identity that it is bound to."""

from typing import NamedTuple

from remit.inventory import DIGEST_UNKNOWN, Model, Workload
from remit.inventory.binding import Standing, standing_of
from remit.models import unchanged
from remit.policy import Action, Intent, RefusedError
from remit.policy.refusal import MODEL_LOST

GOVERNED = frozenset({Action.INFER, Action.EMBED})  # an owner must still be able to look at it and repair it


class Lost(NamedTuple):
    """A model for which its server has no identity now, and how it stands."""

    model: Model
    stands: Standing


def model_named(workload: Workload, name: str | None) -> Model | None:
    """The model of that name, or the only one where the server has no choice; None for one that isn't known."""
    models = workload.models
    if len(models) == 1 and (name is None or workload.server == "llama.cpp"):
        return models[0]
    return next((model for model in models if model.name in {name, f"{name}:latest"}), None)


def digest_of(model: Model | None) -> str:
    return DIGEST_UNKNOWN if model is None else model.digest


def is_approved(workload: Workload, model: Model | None) -> bool:
    """Whether the owner approved exactly what this model is now."""
    return model is not None and standing_of(workload, model) is Standing.APPROVED


def check_model(intent: Intent, workload: Workload, decision_id: str) -> None:
    """A model that changed has lost its identity at the next request: raises RefusedError by what `lost_by` says."""
    if (lost := lost_by(intent, workload)) is not None:
        raise refusal(intent, workload, lost, decision_id)


def lost_by(intent: Intent, workload: Workload) -> Lost | None:
    """The model by which `intent` may not go on, if there is one.

    1. the model that is asked; where its name isn't known it may be any of the server's, spelled otherwise
    2. it stands as its server is bound to it, by the snapshot
    3. each file that was read for it is still the same one, by the kernel's word now: 1-2 µs a file

    Not checked here: what a server holds in memory that no file shows (a GPU's): `digest_at_load` says so.
    """
    if intent.action not in GOVERNED:
        return None
    # 1
    asked = model_named(workload, intent.model)
    for model in workload.models if asked is None else (asked,):
        # 2 and 3
        stands = standing_of(workload, model)
        if stands.lost or not unchanged(model.watched):
            return Lost(model, stands if stands.lost else Standing.CHANGED)
    return None


def refusal(intent: Intent, workload: Workload, lost: Lost, decision_id: str) -> RefusedError:
    """For its caller: what is lost, and whom to ask."""
    model, stands = lost
    if stands is Standing.UNPROVEN:
        because = f"what model `{model.name}` is now is not established ({model.digest})"
    else:
        because = f"model `{model.name}` is not the one that {workload.name} is bound to"
    asked = f"{intent.caller.described()} may not {intent.action.value} on {workload.name}"
    return RefusedError(
        f"`{intent.route}`: {because}, so {asked}",
        decision_id=decision_id,
        rule=MODEL_LOST,
        missing="the model were the one that its owner approved",
        hint=f"wait until it is looked at, or ask the owner, {workload.owner}, to approve it",
    )
