"""Tasks: declared jobs that end."""

from remit.tasks.launched import Launched
from remit.tasks.ledger import Ledger
from remit.tasks.session import Session
from remit.tasks.task import Task
from remit.tasks.token import digest, mint

__all__ = ["Launched", "Ledger", "Session", "Task", "digest", "mint"]
