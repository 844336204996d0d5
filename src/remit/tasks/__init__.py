"""Tasks: declared jobs that end."""

from remit.tasks.approval_book import ApprovalBook
from remit.tasks.approval_request import ApprovalRequest
from remit.tasks.budget import Accounts, Budget, Slice, Spent
from remit.tasks.constraint import Constraint
from remit.tasks.grant import ToolGrant
from remit.tasks.launched import Launched
from remit.tasks.ledger import Ledger
from remit.tasks.narrowing import Narrowing, Reach, WiderError
from remit.tasks.session import Session
from remit.tasks.task import Task
from remit.tasks.token import digest, mint

__all__ = [
    "Accounts",
    "ApprovalBook",
    "ApprovalRequest",
    "Budget",
    "Constraint",
    "Launched",
    "Ledger",
    "Narrowing",
    "Reach",
    "Session",
    "Slice",
    "Spent",
    "Task",
    "ToolGrant",
    "WiderError",
    "digest",
    "mint",
]
