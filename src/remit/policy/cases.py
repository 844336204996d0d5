"""Cases beside the policies, `*.test.toml`: who, which action, what, in which circumstances, and what must come out.

    people = ["ada", "bob"]
    [workload.llama]
    owner = "ada"
    [[case]]
    who = "bob"
    action = "infer"
    what = "llama"
    expect = "refused"
    rule = "default-deny"
    [case.with]
    presence = "here"

Pure.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from remit.errors import NotFoundError, UsageError
from remit.policy.in_force import InForce
from remit.policy.known import Known, known, only_tables
from remit.policy.outcome import Answer, Outcome
from remit.policy.schema import nearest
from remit.policy.snapshot import PolicyFile
from remit.policy.supposed import Supposed, answer

SUFFIX: Final = ".test.toml"
MAX_CASES: Final = 10_000
_EXPECTED: Final = {one.value: one for one in (Outcome.ALLOWED, Outcome.REFUSED, Outcome.NEEDS_APPROVAL)}
_KEYS: Final = frozenset({"name", "who", "action", "what", "with", "expect", "rule"})


@dataclass(frozen=True, slots=True)
class Case:
    """`rule` is the id of a deciding policy or a built-in rule, or empty where any will do."""

    file: str
    number: int
    name: str
    supposed: Supposed
    expect: Outcome
    rule: str

    @property
    def place(self) -> str:
        return f"{self.file}#{self.number}"


@dataclass(frozen=True, slots=True)
class CaseFile:
    known: Known
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Tried:
    """A case and what came out; `wrong` says what can't even be asked, `answer` is None then."""

    case: Case
    answer: Answer | None
    wrong: str = ""

    @property
    def passed(self) -> bool:
        if self.answer is None or self.answer.outcome is not self.case.expect:
            return False
        return not self.case.rule or self.case.rule in {self.answer.rule, *(ref.id for ref in self.answer.policies)}


def case_file(name: str, text: str) -> CaseFile:
    """Raises UsageError that names the file, and the case and key where there is one."""
    try:
        tree = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # tomllib: also integers of 4,301 digits, and deep nesting
        raise UsageError(f"`{name}` is not TOML: {error}") from None
    only_tables(tree, frozenset({"case"}), name)
    rows = tree.get("case", [])
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise UsageError(f"`{name}` has no case", hint="write `[[case]]` above each")
    if len(rows) > MAX_CASES:
        raise UsageError(f"`{name}` has more than {MAX_CASES} cases")
    cases = tuple(_case(name, number, row) for number, row in enumerate(rows, 1))
    return CaseFile(known(tree, name), cases)


def tried(files: tuple[PolicyFile, ...], found: Iterable[CaseFile]) -> list[Tried]:
    """Every case asked of these policies; raises PolicyError when they don't load."""
    return [one for each in found for one in _tried(InForce(each.known.snapshot(files)), each.cases)]


def _tried(in_force: InForce, cases: tuple[Case, ...]) -> Iterable[Tried]:
    for case in cases:
        try:
            yield Tried(case, answer(in_force, case.supposed))
        except (NotFoundError, UsageError) as error:
            yield Tried(case, None, f"{error}" + (f"; {error.hint}" if error.hint else ""))


def _case(file: str, number: int, row: Mapping[str, Any]) -> Case:
    place = f"`{file}`: case {number}"
    for key in row:
        if key not in _KEYS:
            near = nearest(key, _KEYS)
            raise UsageError(f"{place}: `{key}` means nothing", hint=f"did you mean `{near}`?" if near else "")
    said = {key: _text(place, key, row) for key in ("who", "action", "what", "expect")}
    if said["expect"] not in _EXPECTED:
        choices = ", ".join(f"`{one}`" for one in _EXPECTED)
        raise UsageError(f"{place}: `expect` can't be `{said['expect']}`", hint=f"one of {choices}")
    given = row.get("with", {})
    if not isinstance(given, dict):
        raise UsageError(f"{place}: `with` is a table of circumstances")
    name = str(row.get("name") or f"{said['who']} {said['action']} {said['what']}")
    supposed = Supposed(said["who"], said["action"], said["what"], given)
    return Case(file, number, name, supposed, _EXPECTED[said["expect"]], str(row.get("rule", "")))


def _text(place: str, key: str, row: Mapping[str, Any]) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value:
        raise UsageError(f"{place}: `{key}` is missing, or no string")
    return value
