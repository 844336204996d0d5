"""Who and what is known to ask about where no instance runs: people and workloads, from a table of names. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from remit.detect import Label
from remit.errors import RemitError, UsageError
from remit.identity import SpiffeId
from remit.inventory import Capability, Human, Kind, Model, Workload
from remit.inventory.registration import PLACES
from remit.policy.load import policy_set_digest
from remit.policy.schema import nearest
from remit.policy.snapshot import PolicyFile, Snapshot

TRUST_DOMAIN: Final = "test.local"
MAX_KNOWN: Final = 10_000
_TABLES: Final = frozenset({"trust_domain", "people", "workload"})
_WORKLOAD: Final[Mapping[str, type]] = {
    "owner": str,
    "kind": str,
    "server": str,
    "environment": str,
    "label": str,
    "class": list,
    "id": str,
    "name": str,
    "digest": str,
    "model": str,
}
_Choice = TypeVar("_Choice", Kind, Label, Capability)


@dataclass(frozen=True, slots=True)
class Known:
    """People by name, and workloads."""

    trust_domain: str
    people: tuple[str, ...]
    workloads: tuple[Workload, ...]

    def snapshot(self, files: tuple[PolicyFile, ...], grade: str = "C") -> Snapshot:
        """What would be in force with these policies. It never ends: nothing is decided by it but what is asked."""
        humans = tuple(Human(name, f"p-{name}", ()) for name in self.people)
        return Snapshot(
            epoch=0,
            issued=0.0,
            lifetime=float("inf"),
            trust_domain=self.trust_domain,
            grade=grade,
            policy_files=files,
            policy_set=policy_set_digest(files),
            policy_warning="",
            humans=humans,
            workloads=self.workloads,
            tasks=(),
            x509_authorities=(),
            jwt_authorities={"keys": []},
        )

    def named(self, name: str) -> Workload | None:
        """The workload of this name or SPIFFE ID."""
        return next((one for one in self.workloads if name in (one.name, str(one.spiffe_id))), None)


def known(tree: Mapping[str, Any], where: str) -> Known:
    """From the tables `people` and `workload` of a TOML file; raises UsageError that names the key."""
    domain = tree.get("trust_domain", TRUST_DOMAIN)
    people = tree.get("people", [])
    rows = tree.get("workload", {})
    if not isinstance(domain, str):
        raise UsageError(f"`{where}`: `trust_domain` is a string")
    if not isinstance(people, list) or not all(isinstance(name, str) for name in people):
        raise UsageError(f"`{where}`: `people` is a list of names")
    if not isinstance(rows, dict) or not all(isinstance(row, dict) for row in rows.values()):
        raise UsageError(f"`{where}`: `workload` is a table of tables", hint='write `[workload."name"]`')
    if len(rows) + len(people) > MAX_KNOWN:
        raise UsageError(f"`{where}`: more than {MAX_KNOWN} people and workloads")
    workloads = tuple(_workload(domain, name, row, where) for name, row in rows.items())
    owners = {one.owner for one in workloads if one.owner}
    return Known(domain, tuple(dict.fromkeys([*people, *sorted(owners)])), workloads)


def only_tables(tree: Mapping[str, Any], also: frozenset[str], where: str) -> None:
    """Raises UsageError for a key at the top that means nothing."""
    for key in tree:
        if key not in _TABLES | also:
            raise UsageError(f"`{where}`: `{key}` means nothing", hint=_near(key, _TABLES | also))


def _workload(domain: str, name: str, row: Mapping[str, Any], where: str) -> Workload:
    place = f"`{where}`: `workload.{name}"
    for key, value in row.items():
        if key not in _WORKLOAD:
            raise UsageError(f"{place}.{key}` means nothing", hint=_near(key, frozenset(_WORKLOAD)))
        if type(value) is not _WORKLOAD[key]:
            raise UsageError(f"{place}.{key}` must be a {_WORKLOAD[key].__name__}")
    kind = _choice(Kind, row.get("kind", Kind.MODEL_SERVER.value), f"{place}.kind`")
    try:
        spiffe_id = SpiffeId.parse(row["id"]) if "id" in row else SpiffeId.of(domain, PLACES[kind][0], name)
    except RemitError as error:
        raise UsageError(f"{place}`: {error}", hint=error.hint) from None
    model = Model(row.get("model", ""), row.get("digest", "sha256:" + "00" * 32))
    return Workload(
        spiffe_id=spiffe_id,
        name=row.get("name", name),
        kind=kind,
        owner=row.get("owner", ""),
        server=row.get("server", ""),
        upstream="",
        reach="private",
        capabilities=tuple(_choice(Capability, one, f"{place}.class`") for one in row.get("class", [])),
        models=(model,) if kind is Kind.MODEL_SERVER else (),
        environment=row.get("environment", "dev"),
        label=_choice(Label, row.get("label", Label.INTERNAL.value), f"{place}.label`"),
    )


def _choice(kind: type[_Choice], said: Any, place: str) -> _Choice:
    for one in kind:
        if one.value == said:
            return one
    raise UsageError(f"{place} can't be `{said}`", hint=_near(str(said), frozenset(one.value for one in kind)))


def _near(word: str, choices: frozenset[str]) -> str:
    near = nearest(word, choices)
    return f"did you mean `{near}`?" if near else "one of " + ", ".join(f"`{name}`" for name in sorted(choices))
