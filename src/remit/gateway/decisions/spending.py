"""What a decision takes of its task's budget: one call. Tokens and bytes are the point's, and pass by it alone."""

from remit.errors import StateError
from remit.gateway.call import Call
from remit.gateway.consider import WithoutControlError
from remit.gateway.outlay import BUDGET_SPENT
from remit.gateway.purse import Purse
from remit.gateway.zone import Zone
from remit.policy import RefusedError
from remit.tasks import Spent
from remit.tasks.budget import NOTHING


async def one_call(call: Call, zone: Zone) -> None:
    """Spend it; raises RefusedError where none is left, WithoutControlError while nobody can say."""
    task = zone.engine.task(call.task)
    if task is None or task.budget.calls is None:
        return
    purse, one = Purse(zone.questions), Spent(calls=1)
    try:
        given = await purse.reserve(task.id, one)
    except StateError as error:
        raise WithoutControlError(f"what is left of the task's budget can't be told: {error}", status=503) from error
    if not given.calls:
        raise RefusedError(
            f"the budget of task {task.id} is spent: no calls are left",
            decision_id=call.id,
            rule=BUDGET_SPENT,
            missing=f"task {task.id} had more calls left",
            hint=f"ask {task.human}, whom the task is for",
        )
    purse.settle(task.id, one, NOTHING)
