"""What is asked of the token endpoint: a form, read strictly (RFC 8693 2.1, RFC 8707, RFC 9396). Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from remit.errors import UsageError
from remit.identity.oidc import TASK_DETAILS, TOKEN_EXCHANGE
from remit.tasks import Narrowing, asked
from remit.tasks.delegation import DelegationError
from remit.tasks.narrowing import AS_IT_WAS

MAX_FORM_BYTES: Final = 65_536
MAX_FIELDS: Final = 32
PURPOSE_LENGTH: Final = 200
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 (RFC 8693 3; a name)
JWT: Final = "urn:ietf:params:oauth:token-type:jwt"
SPIFFE_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe"
_SEVERAL: Final = {"resource", "audience"}
_DETAIL: Final = {"type", "actions", "locations", "seconds", "purpose", *asked.KEYS}


@dataclass(frozen=True, slots=True)
class Asked:
    """One token exchange as it is asked for. `where` are names, SPIFFE IDs or addresses of workloads, all of one."""

    subject: str
    subject_type: str
    actor: str | None
    assertion: str | None
    where: tuple[str, ...]
    actions: tuple[str, ...] | None
    seconds: float | None
    purpose: str
    part: Narrowing = AS_IT_WAS


def bad(message: str, hint: str = "") -> DelegationError:
    """A request that can't be read."""
    return DelegationError("invalid_request", message, hint=hint)


def fields(body: bytes) -> dict[str, list[str]]:
    """The fields of a form; only `resource` and `audience` may come more than once. Raises DelegationError."""
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=MAX_FIELDS, errors="strict"
        )
    except ValueError as error:
        raise bad("the body is not a form in UTF-8", "send application/x-www-form-urlencoded") from error
    form: dict[str, list[str]] = {}
    for name, value in pairs:
        if name in form and name not in _SEVERAL:
            raise bad(f"`{name[:40]}` comes twice")
        if value:  # RFC 6749 3.2: without a value it is as if left out
            form.setdefault(name, []).append(value)
    return form


def exchange(form: Mapping[str, list[str]]) -> Asked:
    """Read a token exchange; raises DelegationError with the OAuth error of what can't be taken."""
    if one(form, "grant_type") != TOKEN_EXCHANGE:
        raise DelegationError("unsupported_grant_type", "only token exchange is done here", hint=TOKEN_EXCHANGE)
    subject, subject_type = one(form, "subject_token"), one(form, "subject_token_type")
    if subject is None or subject_type not in {ACCESS_TOKEN, JWT}:
        raise bad("`subject_token` and its type are needed", f"`subject_token_type` is {ACCESS_TOKEN} or {JWT}")
    if one(form, "requested_token_type") not in {None, ACCESS_TOKEN, JWT}:
        raise bad("only access tokens are issued", f"leave `requested_token_type` out, or ask for {ACCESS_TOKEN}")
    detail = _detail(one(form, "authorization_details"))
    where = (*form.get("resource", ()), *form.get("audience", ()), *_texts(detail, "locations"))
    return Asked(
        subject,
        subject_type,
        _typed(form, "actor_token", "actor_token_type", JWT),
        assertion(form),
        where,
        _actions(one(form, "scope"), detail),
        _seconds(detail),
        _purpose(detail),
        _part(detail),
    )


def assertion(form: Mapping[str, list[str]]) -> str | None:
    """The client's own JWT-SVID, where it sent one (draft-ietf-oauth-spiffe-client-auth)."""
    return _typed(form, "client_assertion", "client_assertion_type", SPIFFE_ASSERTION)


def one(form: Mapping[str, list[str]], name: str) -> str | None:
    """The one value of a field, None without one."""
    return form[name][0] if name in form else None


def _typed(form: Mapping[str, list[str]], name: str, type_name: str, kind: str) -> str | None:
    value, said = one(form, name), one(form, type_name)
    if (value is None) != (said is None) or said not in {None, kind}:
        raise bad(f"`{name}` and `{type_name}` come together", f"`{type_name}` is {kind}")
    return value


def _detail(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _bad_detail("is not JSON") from error
    if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], dict):
        raise _bad_detail("is not a list of one object")
    detail: dict[str, Any] = value[0]
    if detail.get("type") != TASK_DETAILS or not detail.keys() <= _DETAIL:
        raise _bad_detail(f"is of another type than `{TASK_DETAILS}`, or has a member that it doesn't")
    return detail


def _bad_detail(what: str) -> DelegationError:
    hint = f"a `{TASK_DETAILS}` has {', '.join(sorted(_DETAIL))}"
    return DelegationError("invalid_authorization_details", f"`authorization_details` {what}", hint=hint)


def _texts(detail: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = detail.get(name, [])
    if not isinstance(values, list) or not all(_is_a_line(value) for value in values):
        raise _bad_detail(f"has `{name}` that is not a list of texts")
    return tuple(values)


def _actions(scope: str | None, detail: Mapping[str, Any]) -> tuple[str, ...] | None:
    """What both ask for, where both do."""
    scopes = None if scope is None else tuple(scope.split(" "))
    named = _texts(detail, "actions") if "actions" in detail else None
    if scopes is None or named is None:
        return scopes if named is None else named
    return tuple(action for action in scopes if action in named)


def _seconds(detail: Mapping[str, Any]) -> float | None:
    value = detail.get("seconds")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _bad_detail("has `seconds` that is no number")
    return float(min(value, 1e9))  # an int may be too large for a float


def _purpose(detail: Mapping[str, Any]) -> str:
    value = detail.get("purpose", "")
    if not _is_a_line(value) or len(value) > PURPOSE_LENGTH:
        raise _bad_detail(f"has a `purpose` that is no line of at most {PURPOSE_LENGTH} characters")
    return str(value)


def _part(detail: Mapping[str, Any]) -> Narrowing:
    """The rest of it: tools, ceiling, destinations, budget, and whether a person must be present."""
    try:
        return asked.narrowing_of({key: detail[key] for key in asked.KEYS if key in detail})
    except UsageError as error:
        raise DelegationError("invalid_authorization_details", str(error), hint=error.hint) from None


def _is_a_line(value: object) -> bool:
    """Whether people can be shown it: no half of a surrogate pair, nothing that a terminal takes as a command."""
    return isinstance(value, str) and value.isprintable()
