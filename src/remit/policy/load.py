"""Policy files become a PolicySet, or a PolicyError that names file, line and column. Pure."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Final

import cedarpy
from cedarpy import pst

from remit.errors import PolicyError
from remit.policy.catalogue import NAME as CATALOGUE
from remit.policy.catalogue import things
from remit.policy.intent import Action
from remit.policy.mode import approver_of, observed
from remit.policy.permit import PolicyRef
from remit.policy.policy_set import Policy, PolicySet
from remit.policy.profiles import is_profile, profiles_of
from remit.policy.schema import schema
from remit.policy.snapshot import PolicyFile
from remit.policy.source import Chunk, Source, chunks, texts
from remit.policy.syntax import schema_error, syntax_error
from remit.policy.treatment import plan_of

_ACTIONS: Final = {action.value: action for action in Action}
MAX_ID_CHARACTERS: Final = 128  # an id is repeated in every refusal, record and reply header

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
# Invariant 6: what a refused caller reads is never a command that widens its own remit.
_COMMAND = re.compile(r"\b(sudo|remit\s+(task|policy|approve|activate|secret|stop|down|up))\b")


def load(files: Sequence[PolicyFile], before: PolicySet | None = None) -> PolicySet:
    """Parse, check and number all policies of `files`; raises PolicyError at the first thing wrong.

    What stands in `before` word for word is neither parsed nor checked against the schema again.

    0. what the catalogue lists can be read, and every profile
    1. every file is cut into policies and each is parsed by Cedar alone, so that an error has a place
    2. templates are refused: nothing links them
    3. annotations: `@id` is there, well formed and unique; `@on_…` mean something; no hint is a command
    4. the whole set fits the schema
    5. no policy at all is an error too: without a policy there is no decision
    """
    listed, profiles = things(files), profiles_of(files)
    cedar = [file for file in files if file.name != CATALOGUE and not is_profile(file.name)]
    found = [chunk for file in cedar for chunk in chunks(Source(file.name, file.text))]
    trees = {policy.text: policy.tree for policy in before.policies} if before is not None else {}
    policies = tuple(_policy(chunk, trees.get(chunk.text) or _parsed(chunk)) for chunk in found)
    _unique(found, policies)
    _fit_schema([chunk for chunk in found if chunk.text not in trees])
    if not policies:
        where = files[0].name if files else "policies"
        raise PolicyError("no policy: refuse to start", file=where, line=1, column=1, hint="nothing would be decided")
    return PolicySet(policies, tuple(file.name for file in cedar), policy_set_digest(files), listed, profiles)


def policy_set_digest(files: Sequence[PolicyFile]) -> str:
    """`sha256:<hex>` over names and texts, each behind its length so that no two sets share one."""
    seed = hashlib.sha256()
    for file in files:
        for part in (file.name.encode(), file.text.encode()):
            seed.update(len(part).to_bytes(8, "big") + part)
    return f"sha256:{seed.hexdigest()}"


def _parsed(chunk: Chunk) -> pst.Template:
    try:
        parsed = cedarpy.policies_to_pst(chunk.text)
    except ValueError as error:
        raise syntax_error(chunk, str(error)) from None
    if parsed.templates:
        raise _template_refused(chunk)
    if len(parsed.static_policies) != 1:
        raise chunk.source.error("this is not one policy", chunk.tokens[0].offset)
    return next(iter(parsed.static_policies.values()))


def _template_refused(chunk: Chunk) -> PolicyError:
    at = next((token.offset for token in chunk.tokens if token.kind == "slot"), chunk.effect_offset())
    return chunk.source.error("templates are not used here", at, hint="write one policy for each, without `?`")


def _policy(chunk: Chunk, tree: pst.Template) -> Policy:
    line, _ = chunk.source.position(chunk.effect_offset())
    policy_id = _policy_id(chunk, tree.annotations)
    for key in ("reason", "hint"):
        _no_command(chunk, key, tree.annotations.get(key, ""))
    return Policy(
        PolicyRef(policy_id, chunk.source.name, line, tree.annotations.get("reason", "")),
        tree.effect,
        _actions(tree.action),
        tree.annotations.get("hint", ""),
        plan_of(chunk, tree.annotations, tree.effect),
        chunk.text,
        tree,
        approver_of(chunk, tree.annotations, tree.effect),
        observed(chunk, tree.annotations, tree.effect),
    )


def _policy_id(chunk: Chunk, annotations: Mapping[str, str]) -> str:
    if "id" not in annotations:
        raise chunk.source.error(
            "this policy has no `@id`", chunk.effect_offset(), hint='put `@id("a-name")` above it: refusals name it'
        )
    policy_id = annotations["id"]
    if _ID.match(policy_id) is None or len(policy_id) > MAX_ID_CHARACTERS:
        raise chunk.source.error(
            f"`@id` {policy_id[:40]!r} is no name",
            chunk.find("@id") or chunk.tokens[0].offset,
            hint=f"up to {MAX_ID_CHARACTERS} of a-z A-Z 0-9 . - _, a letter or digit first",
        )
    return policy_id


def _no_command(chunk: Chunk, key: str, text: str) -> None:
    if _COMMAND.search(text):
        at = chunk.find("@" + key)
        raise chunk.source.error(
            f"`@{key}` holds a command",
            chunk.effect_offset() if at is None else at,
            hint="the refused caller reads it: say what is missing, not how to grant it",
        )


def _actions(scope: pst.ActionConstraint) -> frozenset[Action]:
    match scope:
        case pst.ActionEq(entity):
            named = {entity.id}
        case pst.ActionIn(entities):
            named = {entity.id for entity in entities}
        case _:
            return frozenset(Action)
    return frozenset(_ACTIONS[name] for name in named & _ACTIONS.keys())


def _unique(found: Sequence[Chunk], policies: Sequence[Policy]) -> None:
    first: dict[str, PolicyRef] = {}
    for chunk, policy in zip(found, policies, strict=True):
        earlier = first.setdefault(policy.ref.id, policy.ref)
        if earlier is not policy.ref:
            at = chunk.find("@id")
            raise chunk.source.error(
                f"`@id` `{policy.ref.id}` is used twice",
                chunk.effect_offset() if at is None else at,
                hint=f"it stands at {earlier.file}:{earlier.line} already",
            )


def _fit_schema(found: Sequence[Chunk]) -> None:
    result = cedarpy.validate_policies(texts(found), schema())
    if result.validation_passed:
        return
    by_policy: dict[int, list[str]] = {}
    for error in result.errors:
        by_policy.setdefault(int(error.policy_id.removeprefix("policy") or 0), []).append(error.error)
    first = min(by_policy)
    raise schema_error(found[first], by_policy[first])
