"""To which model a server is bound: by first sight or by its owner's word, and what loses its identity."""

import dataclasses

import pytest

from remit.errors import UsageError
from remit.identity import SpiffeId
from remit.inventory import Kind, Model, Workload
from remit.inventory.binding import Standing, approve, established, lost, standing_of, unproven
from remit.models import FileState, ModelIdentity

ONE, TWO, THREE = (f"sha256:{digit * 64}" for digit in "123")
FIRST = ModelIdentity(ONE, ONE, (), (), ONE, ONE)
SWAPPED = dataclasses.replace(FIRST, weights=TWO)
RELAUNCHED = dataclasses.replace(FIRST, flags=TWO, runtime=TWO)


def a_server(*models: Model, server: str = "llama.cpp", demonstration: bool = False) -> Workload:
    spiffe_id = SpiffeId.of("maple.local", "inference", "llama")
    return Workload(
        spiffe_id, "llama", Kind.MODEL_SERVER, "ada", server, "http://127.0.0.1:1", "loopback", (), models,
        demonstration=demonstration,
    )  # fmt: skip


def known(name: str, identity: ModelIdentity | None) -> Model:
    return Model(name, identity.weights if identity else "unknown", identity=identity)


def told(workload: Workload, model: Model) -> Workload:
    """The workload as it is enrolled anew with this model, and then with what was found out about it."""
    anew = dataclasses.replace(workload, models=(Model(model.name),))
    return established(anew, model)


def standing(workload: Workload) -> Standing:
    return standing_of(workload, workload.models[0])


def test_the_first_that_is_established_binds_and_is_not_approved() -> None:
    server = a_server(Model("m"))
    assert standing(server) is Standing.UNBOUND
    assert lost(server) == ()
    bound = told(server, known("m", FIRST))
    assert standing(bound) is Standing.BOUND


@pytest.mark.parametrize(
    "part", [{"weights": TWO}, {"template": TWO}, {"adapters": (TWO,)}, {"runtime": TWO}, {"flags": "unknown"}]
)
def test_what_changes_in_any_part_loses_it_and_has_it_again_when_it_is_back(part: dict[str, str]) -> None:
    bound = told(a_server(Model("m")), known("m", FIRST))
    changed = told(bound, known("m", dataclasses.replace(FIRST, **part)))  # type: ignore[arg-type]
    assert standing(changed) is Standing.CHANGED
    assert lost(changed) == ("m",)
    assert standing(told(changed, known("m", FIRST))) is Standing.BOUND


def test_what_is_not_established_is_unproven_once_it_is_bound() -> None:
    bound = told(a_server(Model("m")), known("m", FIRST))
    assert standing(told(bound, known("m", None))) is Standing.UNPROVEN
    watched = dataclasses.replace(bound.models[0], watched=(("/m.gguf", FileState(1, 2, 3, 4, 5)),))
    gone = unproven(dataclasses.replace(bound, models=(watched,)), "m")
    assert standing(gone) is Standing.UNPROVEN
    assert (gone.models[0].digest, gone.models[0].watched) == ("unknown", ())


def test_weights_that_are_unknown_bind_nothing() -> None:
    server = told(a_server(Model("m")), known("m", dataclasses.replace(FIRST, weights="unknown")))
    assert server.bindings == ()


def test_another_name_takes_the_one_model_s_place_but_is_one_more_where_there_are_many() -> None:
    for server, expected in (("llama.cpp", Standing.CHANGED), ("ollama", Standing.BOUND)):
        bound = told(a_server(Model("m"), server=server), known("m", FIRST))
        assert standing(told(bound, known("other", SWAPPED))) is expected


def test_a_model_that_was_gone_is_held_to_what_it_was() -> None:
    bound = told(a_server(Model("m"), server="ollama"), known("m", FIRST))
    without = told(bound, known("other", SWAPPED))
    assert standing(told(without, known("m", SWAPPED))) is Standing.CHANGED


def test_approval_is_of_what_it_is_now_and_of_nothing_else() -> None:
    changed = told(told(a_server(Model("m")), known("m", FIRST)), known("m", SWAPPED))
    approved = approve(changed, "m", None)
    assert standing(approved) is Standing.APPROVED
    assert standing(told(approved, known("m", FIRST))) is Standing.CHANGED
    assert standing(approve(changed, "m", SWAPPED.digest)) is Standing.APPROVED
    for name, digest in (("m", FIRST.digest), ("m", ONE), ("m", THREE), ("other", None)):
        with pytest.raises(UsageError):
            approve(changed, name, digest)
    with pytest.raises(UsageError, match="before it is known"):
        approve(unproven(changed, "m"), "m", None)


def test_the_demonstration_is_bound_by_its_model_and_not_by_how_remit_launched_it() -> None:
    bound = told(a_server(Model("m"), demonstration=True), known("m", FIRST))
    again = told(bound, known("m", RELAUNCHED))
    assert standing(again) is Standing.BOUND
    assert standing(told(again, known("m", SWAPPED))) is Standing.CHANGED


def test_it_is_kept_and_comes_back_whole_also_from_before_there_were_bindings() -> None:
    watched = (("/m.gguf", FileState(1, 2, 3, 4, 5)),)
    model = dataclasses.replace(known("m", FIRST), watched=watched, at_load=True)
    approved = approve(told(a_server(Model("m")), model), "m", None)
    row = approved.to_dict()
    assert Workload.from_dict(row) == approved
    del row["bindings"]
    row["models"] = [{"name": "m", "digest": ONE, "path": None}]
    assert standing(Workload.from_dict(row)) is Standing.UNBOUND
    assert "/m.gguf" not in str(model.to_log()), "paths tell people's names"
