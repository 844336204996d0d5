"""An edit of policies: what stands there as before is taken over, and the outcome is as if all were read anew."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import PolicyError
from remit.policy import PolicyFile, PolicySet, load
from tests.policy.generated import policies
from tests.policy.test_oracle import QUICK

WRONG = ('@id("w") permit (principal, action, resource) when { context.grad == "C" };', "permit (principal", "%")


def files(texts: list[str]) -> list[PolicyFile]:
    return [PolicyFile("a.cedar", "\n".join(texts[::2])), PolicyFile("b.cedar", "\n".join(texts[1::2]))]


def numbered(texts: list[str]) -> list[str]:
    """With ids of their own, so that any of two sets can stand together."""
    return [text.replace('@id("p', f'@id("{mark}p', 1) for mark, text in zip("abcdefgh", texts, strict=False)]


def loaded(texts: list[str], before: PolicySet | None = None) -> PolicySet | str:
    try:
        return load(files(texts), before)
    except PolicyError as error:
        return f"{error.file}:{error.line}:{error.column}"  # of two actions it doesn't fit, Cedar names either


@QUICK
@given(policies(), policies(), st.lists(st.booleans(), min_size=8, max_size=8), st.sampled_from(["", *WRONG]))
def test_it_is_as_if_nothing_had_been_there_before(
    one: list[str], other: list[str], keep: list[bool], wrong: str
) -> None:
    before = loaded(numbered(one))
    assert isinstance(before, PolicySet)
    mixed = [text for text, kept in zip(numbered(one), keep, strict=False) if kept]
    mixed += [text.replace('@id("', '@id("x', 1) for text in numbered(other)]
    for texts in (mixed, [*mixed, wrong], [wrong, *mixed]):
        assert loaded(texts, before) == loaded(texts)


def test_what_stands_there_as_before_is_not_parsed_again() -> None:
    texts = [f'@id("p{n}") permit (principal, action, resource) when {{ principal.enrolled }};' for n in range(3)]
    before = load(files(texts))
    after = load(files([*texts, texts[0].replace("p0", "p9")]), before)
    assert all(policy.tree is before.named(policy.ref.id).tree for policy in after.policies if policy.ref.id != "p9")  # type: ignore[union-attr]
    assert {policy.ref.id for policy in after.policies} == {"p0", "p1", "p2", "p9"}
    with pytest.raises(PolicyError, match="used twice"):
        load(files([*texts, texts[0]]), before)
