"""Why a call under way is cut short: told to its caller while nothing of the reply is out yet."""

from remit.errors import ProtocolError
from remit.inventory import Workload
from remit.inventory.lifecycle import standing
from remit.policy import RefusedError
from remit.policy.refusal import NOT_ACTIVE

ENDED_MEANWHILE = "remit:ended-meanwhile"


class NotGuardedError(ProtocolError):
    """The door is still open, and there is nothing behind it. `rule` is `not-guarded`."""

    rule = "not-guarded"


def not_guarded() -> NotGuardedError:
    """For a server that is in force no longer."""
    return NotGuardedError(
        "this server is no longer guarded: it has ended, or Remit let it go",
        status=503,
        hint="try again once it runs; its owner sees it in `remit status`",
    )


def idle_already(decision_id: str, idle: Workload) -> RefusedError:
    """For what was never permitted: it came to, or from, a workload that isn't active."""
    return RefusedError(
        standing(idle),
        decision_id=decision_id,
        rule=NOT_ACTIVE,
        hint=f"ask the owner, {idle.owner}" if idle.owner else "ask whoever runs remit on this machine",
    )


def ended(decision_id: str, because: str) -> RefusedError:
    """For what was permitted and is so no longer."""
    return RefusedError(
        f"what this call was permitted by has just ended: {because}",
        decision_id=decision_id,
        rule=ENDED_MEANWHILE,
        hint="ask the owner of the server",
    )
