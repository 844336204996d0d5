"""What a refusal or failure is to its caller and to the log, whichever door it came by."""

from remit.audit import Start
from remit.errors import AttestationError, AuditError, IdentityError, ProtocolError, RemitError, UpstreamError
from remit.gateway.call import Call
from remit.gateway.dialects import DIALECTS, Dialect, Refusal
from remit.gateway.record import refused
from remit.gateway.zone import Zone
from remit.inventory import Workload
from remit.policy import RefusedError


def record_of(call: Call, zone: Zone, error: RemitError) -> Start:
    """The record of a call that this error refuses."""
    if isinstance(error, RefusedError):
        return refused(
            call,
            zone,
            rule=error.rule,
            reason=str(error),
            missing=error.missing,
            policies=error.policies,
        )
    return refused(call, zone, rule=refusal_of(call, error).rule, reason=str(error))


def dialect_of(path: str, workload: Workload | None) -> Dialect:
    """The shape of errors that a request's client expects, also when its route is unknown."""
    if path.startswith("/v1/messages"):
        return DIALECTS["anthropic"]
    if workload is not None and workload.server == "ollama" and path.startswith("/api/"):
        return DIALECTS["ollama"]
    return DIALECTS["openai"]


def refusal_of(call: Call, error: RemitError) -> Refusal:
    """The refusal in the words of the gateway."""
    status, code, rule, policies = _terms(error)
    return Refusal(
        status=status,
        code=code,
        message=str(error),
        hint=error.hint,
        decision_id=call.id,
        rule=rule,
        policies=policies,
        approval=getattr(error, "handle", ""),
    )


def _terms(error: RemitError) -> tuple[int, str, str, tuple[str, ...]]:
    """Status, short code, rule and policies of an error."""
    match error:
        case RefusedError():
            code = "no-permit" if error.rule == "default-deny" else error.rule.removeprefix("remit:")
            return error.status, code, error.rule, tuple(str(policy) for policy in error.policies)
        case AttestationError() | IdentityError():
            return 401, "unidentified", "remit:unidentified", ()
        case ProtocolError():
            rule = getattr(error, "rule", "bad-request")
            return error.status, rule, f"remit:{rule}", ()
        case UpstreamError():
            return error.status, "upstream", "remit:upstream", ()
        case AuditError():
            return 503, "log-unavailable", "remit:log-unavailable", ()
    return 503, "unavailable", "remit:unavailable", ()
