"""The gateway's own look at the model that a request will meet: by name, by its files, at each request."""

import dataclasses
from pathlib import Path

import pytest

from remit.gateway.model_in_force import check_model, is_approved, model_named
from remit.inventory import Model, Workload
from remit.inventory.binding import approve, established, unproven
from remit.models import FileState, ModelIdentity
from remit.policy import Action, RefusedError
from tests.policy.worlds import WORKLOADS, intent

WHOLE = ModelIdentity("sha256:" + "1" * 64)
ROW = next(row for row in WORKLOADS if row.models)


def server(weights: Path, *names: str, kind: str = "llama.cpp") -> Workload:
    """A server bound to models of these names, all read from `weights`."""
    state = FileState.at(str(weights))
    assert state is not None
    models = tuple(Model(name, WHOLE.weights, None, WHOLE, ((str(weights), state),)) for name in names)
    workload = dataclasses.replace(ROW, server=kind, models=models)
    for model in models:
        workload = established(workload, model)
    return workload


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF")
    return path


def test_a_model_that_is_what_it_was_goes_on(weights: Path) -> None:
    check_model(intent(), server(weights, "smol"), "01M7")


@pytest.mark.parametrize("change", ["edit", "swap", "remove"])
@pytest.mark.parametrize("action", [Action.INFER, Action.EMBED])
def test_a_file_that_changed_is_seen_at_the_next_request(weights: Path, change: str, action: Action) -> None:
    workload = server(weights, "smol")
    if change == "edit":
        weights.write_bytes(b"GGUF!")
    elif change == "swap":
        other = weights.with_name("other.gguf")
        other.write_bytes(b"GGUF")
        other.replace(weights)
    else:
        weights.unlink()
    with pytest.raises(RefusedError) as caught:
        check_model(intent(action), workload, "01M7")
    assert caught.value.rule == "remit:model-changed"
    assert workload.owner in caught.value.hint
    assert "remit " not in caught.value.hint


@pytest.mark.parametrize("action", [Action.LIST, Action.HEALTH, Action.ADMINISTER, Action.DISCLOSE])
def test_what_its_owner_needs_to_repair_it_goes_on(weights: Path, action: Action) -> None:
    workload = server(weights, "smol")
    weights.unlink()
    check_model(intent(action), workload, "01M7")


def test_one_of_many_that_changed_is_refused_and_so_is_a_name_that_may_be_its(weights: Path) -> None:
    workload = server(weights, "smol:latest", "big:latest", kind="ollama")
    workload = unproven(workload, "smol:latest")
    check_model(intent(model="big"), workload, "01M7")
    for name in ("smol", "smol:latest", "SMOL", "registry.ollama.ai/library/smol", None):
        with pytest.raises(RefusedError, match="not established"):
            check_model(intent(model=name), workload, "01M7")


def test_approved_is_only_what_its_owner_approved(weights: Path) -> None:
    workload = server(weights, "smol")
    assert not is_approved(workload, model_named(workload, "smol")), "seen first is not approved"
    assert not is_approved(workload, None)
    workload = approve(workload, "smol", None)
    assert is_approved(workload, model_named(workload, "smol"))
    assert not is_approved(unproven(workload, "smol"), model_named(unproven(workload, "smol"), "smol"))
