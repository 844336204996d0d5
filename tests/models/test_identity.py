"""A model's identity: its canonical form, what makes it another one, and no secret in it."""

import dataclasses
import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.models import ModelIdentity
from remit.models.identity import flags_digest, list_digest, redacted

ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64
WHOLE = ModelIdentity(ONE, TWO, (ONE, TWO), (TWO,), ONE, TWO)
KEY = "hush" + "-hush"


def test_the_canonical_form_is_what_the_documentation_says() -> None:
    form = f"remit-model-identity-v1\nweights {ONE}\ntemplate {TWO}\nadapter {ONE}\nadapter {TWO}\nsetting {TWO}\n"
    form += f"runtime {ONE}\nflags {TWO}\n"
    assert WHOLE.canonical() == form.encode()
    assert WHOLE.digest == "sha256:" + hashlib.sha256(form.encode()).hexdigest()


@pytest.mark.parametrize("part", ["weights", "template", "adapters", "settings", "runtime", "flags"])
def test_every_part_makes_it_another_one(part: str) -> None:
    changed: Any = () if part in {"adapters", "settings"} else "unknown"
    other = dataclasses.replace(WHOLE, **{part: changed})
    assert other.digest != WHOLE.digest
    assert WHOLE.differing(other) == (part,)


def test_the_order_of_adapters_counts() -> None:
    assert dataclasses.replace(WHOLE, adapters=(TWO, ONE)).digest != WHOLE.digest


def test_it_comes_back_from_its_record() -> None:
    assert ModelIdentity.from_dict(WHOLE.to_dict()) == WHOLE


def test_one_file_s_digest_is_its_own_and_several_count_in_order_with_their_names() -> None:
    assert list_digest([("model.gguf", ONE)]) == ONE
    shards = [("a-1", ONE), ("a-2", TWO)]
    assert list_digest(shards) != list_digest(shards[::-1])
    assert list_digest(shards) != list_digest([("a-1", TWO), ("a-2", ONE)])
    assert list_digest(shards) == "sha256:" + hashlib.sha256(f"3:a-1 {ONE}\n3:a-2 {TWO}\n".encode()).hexdigest()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--api-key", KEY],
        [f"--api-key={KEY}"],
        ["-hft", KEY],
        ["--hf-token", KEY],
        [f"--ssl-password={KEY}"],
        ["--proxy", f"http://user:{KEY}@example.org/"],
        ["--auth", KEY],
    ],
)
def test_a_secret_flag_s_value_is_nowhere_in_it(arguments: list[str]) -> None:
    given = ["-m", "model.gguf", *arguments, "--port", "8080"]
    other = [one.replace(KEY, "another") for one in given]
    assert KEY not in "".join(redacted(given))
    assert redacted(given)[:2] == ["-m", "model.gguf"]
    assert redacted(given)[-2:] == ["--port", "8080"]
    assert flags_digest(given) == flags_digest(other)


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8), max_size=6))
def test_flags_that_hold_no_secret_all_count(arguments: list[str]) -> None:
    assert len(redacted(arguments)) == len(arguments)
    assert flags_digest(arguments) != flags_digest([*arguments, "--temp"])
