"""Why a call under way is cut short: told to its caller while nothing of the reply is out yet."""

from remit.errors import ProtocolError
from remit.policy import RefusedError

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


def ended(decision_id: str, because: str) -> RefusedError:
    """For what was permitted and is so no longer."""
    return RefusedError(
        f"what this call was permitted by has just ended: {because}",
        decision_id=decision_id,
        rule=ENDED_MEANWHILE,
        hint="ask the owner of the server",
    )
