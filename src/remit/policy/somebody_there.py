"""A task that takes its person there: refused where they are not known to be, whatever policies say."""

from typing import Final

from remit.policy.intent import Intent
from remit.policy.refusal import Reason
from remit.tasks import Task

NOBODY_THERE: Final = "remit:nobody-there"
HERE: Final = "here"


def nobody_there(task: Task, intent: Intent) -> Reason | None:
    """The reason of a refusal; None where the person is there, or need not be."""
    presence = intent.circumstances.presence
    if not task.present or presence == HERE:
        return None
    seen = "nobody is" if presence == "away" else "nobody is known to be"
    return Reason(
        NOBODY_THERE,
        f"its task {task.id} takes its person there, and {seen}, so",
        "the person whom the task is for were at this machine",
        f"{task.human} must be there while the task runs",
    )
