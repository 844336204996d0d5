"""The port behind which requests for approvals are kept."""

from collections.abc import Collection, Sequence
from typing import Protocol

from remit.tasks.approval_request import ApprovalRequest


class ApprovalBook(Protocol):
    """Every request that is kept. Each write is durable when it returns."""

    def approvals(self) -> Sequence[ApprovalRequest]: ...

    def save_approval(self, request: ApprovalRequest) -> None: ...

    def drop_approvals(self, ids: Collection[str]) -> None: ...
