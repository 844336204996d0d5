"""Policies load whole or not at all, and say where they go wrong."""

import pytest

from remit.detect import Label
from remit.errors import PolicyError
from remit.policy import Action, PolicyFile, Treatment, load
from tests.policy.worlds import STARTER

ID = '@id("a")\n'
PERMIT = "permit(principal, action, resource)"


def loading(text: str, name: str = "p.cedar") -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        load([PolicyFile(name, text)])
    return caught.value


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        (ID + PERMIT + "\nwhen { context.x == };", 3, 21, "`}` is unexpected here"),
        (ID + PERMIT + '\n  when { "never };', 3, 10, "this string is never closed"),
        (ID + "permt(principal, action, resource);", 2, 1, "permt"),
        (ID + PERMIT, 2, 36, "ends too early"),
        (ID + PERMIT + "\nwhen { context.proof == ;", 3, 25, "`;` is unexpected"),
        (ID + PERMIT + "\n\n" + PERMIT + ";", 4, 1, "`permit` can't stand here"),
        (ID + 'permit(principal, action == "infer", resource);', 2, 29, "expected an entity uid"),
        (ID + PERMIT + " wehn { true };", 2, 37, "wehn"),
        (ID + PERMIT + " when { 99999999999999999999 == 1 };", 2, 44, "integer"),
        (ID + PERMIT + " when { foo };", 2, 44, "invalid variable: foo"),
        (ID + "§", 2, 1, "can't stand here"),
        ("// ünï\r\n" + ID + "}", 3, 1, "`}` is unexpected here"),
        (ID + '@id("b")\n' + PERMIT + ";", 1, 1, "duplicate annotation"),
    ],
)
def test_a_syntax_error_has_file_line_and_column(text: str, line: int, column: int, says: str) -> None:
    error = loading(text)
    assert (error.file, error.line, error.column) == ("p.cedar", line, column), str(error)
    assert says in str(error)


@pytest.mark.parametrize(
    ("policy", "column", "says", "hint"),
    [
        ('permit(principal, action == Action::"infr", resource);', 29, "unrecognized action", 'Action::"infer"'),
        (PERMIT + " when { principal.ownr == resource.owner };", 54, "`ownr`", "owner"),
        ("permit(principal is Worklod, action, resource);", 21, "`Worklod`", "Workload"),
        (PERMIT + ' when { context.task.id == Task::"t" };', 52, "optional attribute `task`", ""),
        (PERMIT + " when { context.proof == 3 };", 1, "not compatible", ""),
        ("permit(principal is Human, action, resource);", 1, "unable to find an applicable action", ""),
    ],
)
def test_what_does_not_fit_the_schema_is_placed_and_the_nearest_name_suggested(
    policy: str, column: int, says: str, hint: str
) -> None:
    good = '@id("good")\npermit(principal, action, resource);\n'
    error = loading(good + ID + policy)
    assert (error.line, error.column) == (4, column), str(error)
    assert says in str(error)
    assert hint in error.hint


@pytest.mark.parametrize(
    ("annotation", "says", "hint"),
    [
        ('@on_restrictd("mask")', "`@on_restrictd` names no label", "on_restricted"),
        ('@on_public("mask")', "`@on_public` names no label", "one of"),
        ('@on_internal("masc")', "`@on_internal` can't be `masc`", "mask"),
        ('@on_internal("")', "can't be ``", "`allow`, `mask`, `refuse`"),
        ('@hint("type: remit task start")', "`@hint` holds a command", "what is missing"),
        ('@reason("sudo it")', "`@reason` holds a command", "what is missing"),
    ],
)
def test_an_annotation_that_means_nothing_is_an_error(annotation: str, says: str, hint: str) -> None:
    error = loading(f"{ID}  {annotation}\n{PERMIT};")
    assert (error.line, error.column) == (2, 3), str(error)
    assert says in str(error)
    assert hint in error.hint


def test_a_forbid_plans_no_masking() -> None:
    error = loading(ID + '@on_internal("mask")\nforbid(principal, action, resource);')
    assert "means nothing on a `forbid`" in str(error)


def test_every_policy_has_an_id_and_it_is_its_own() -> None:
    assert "no `@id`" in str(loading(PERMIT + ";"))
    assert "is no name" in str(loading(f'@id("two words")\n{PERMIT};'))
    assert "is no name" in str(loading(f"@id\n{PERMIT};"))
    with pytest.raises(PolicyError, match=r"b\.cedar:2:1: `@id` `a` is used twice") as caught:
        load([PolicyFile("a.cedar", ID + PERMIT + ";"), PolicyFile("b.cedar", "\n" + ID + PERMIT + ";")])
    assert "a.cedar:2" in caught.value.hint


def test_templates_are_refused_where_their_slot_stands() -> None:
    error = loading(ID + "permit(principal == ?principal, action, resource);")
    assert (error.line, error.column) == (2, 21)


@pytest.mark.parametrize("files", [[], [PolicyFile("a.cedar", "")], [PolicyFile("a.cedar", "// nothing yet\n")]])
def test_without_a_policy_nothing_starts(files: list[PolicyFile]) -> None:
    with pytest.raises(PolicyError, match="no policy: refuse to start"):
        load(files)


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 4000 + "true" + ")" * 4000,
        " && ".join(["true"] * 4000),
        "1" + "+ 1" * 4000 + " == 1",
        "context" + ".a" * 4000,
        "if true then " * 4000 + "true" + " else true" * 4000,
        "context" + '["a"]' * 4000,
        "(" * 60 + " && ".join(["true"] * 400) + ")" * 60,
    ],
    ids=lambda text: text[:8],
)
def test_what_would_overflow_the_parsers_stack_is_refused_first(expression: str) -> None:
    loading(f"{ID}{PERMIT} when {{ {expression} }};")


def test_a_long_list_is_fine() -> None:
    names = ", ".join(f'"m{number}"' for number in range(3000))
    load([PolicyFile("p.cedar", f"{ID}{PERMIT} when {{ [{names}].contains(context.model.name) }};")])


def test_the_starter_policies_load_and_name_their_place() -> None:
    policies = load([STARTER])
    lines = STARTER.text.splitlines()
    assert [policy.ref.id for policy in policies.policies] == [
        "owners-use",
        "owners-look",
        "administer-in-a-task",
        "disclose-in-a-task",
        "no-unknown-model-in-prod",
        "read-in-a-task",
        "tools-in-a-task",
        "effects-when-approved",
    ]
    for policy in policies.policies:
        assert lines[policy.ref.line - 1].startswith(policy.effect)
        assert policy.ref.reason
        assert policy.hint
    use = policies.named("owners-use")
    assert use is not None
    assert use.actions == {Action.INFER, Action.EMBED}
    assert use.plan[Label.RESTRICTED] is Treatment.MASK


def test_the_digest_is_over_names_and_texts() -> None:
    text = ID + PERMIT + ";"
    other = text + "// x"
    digests = {
        load([PolicyFile("a.cedar", text)]).digest,
        load([PolicyFile("b.cedar", text)]).digest,
        load([PolicyFile("a.cedar", other)]).digest,
        load([PolicyFile("a.cedar", text), PolicyFile("b.cedar", "")]).digest,
    }
    assert len(digests) == 4
    assert all(digest.startswith("sha256:") for digest in digests)
