"""Who speaks to control: a person as the kernel knows them, or a process that is none."""

from dataclasses import dataclass, field

from remit.control.roles import NotAdmittedError, Reach
from remit.identity import Process
from remit.inventory import Human, Workload

__all__ = ["NotAdmittedError", "Visitor"]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who speaks to control. `proof` is `terminal` (weak) or `uid` (weaker): a uid alone is not a person.

    `governor` is the workload that the process is or runs under, if it does: then it is no person at all.
    `reach` is what they see and govern here. `offered` is the id of the proof that its request carries, or empty.
    """

    process: Process
    human: Human
    proof: str
    governor: Workload | None = None
    offered: str = ""
    reach: Reach = field(kw_only=True)

    def check_not_governed(self) -> None:
        """Refuse what widens reach to what runs under a governed workload, or in a task that Remit launched it for.

        Raises NotAdmittedError.
        """
        pid, hint = self.process.pid, "a person must do this from their own terminal"
        if self.process.task is not None:
            raise NotAdmittedError(
                f"process {pid} runs in task `{self.process.task}`, for which Remit launched it", hint=hint
            )
        if self.governor is not None:
            raise NotAdmittedError(f"process {pid} runs under `{self.governor.name}`, a governed workload", hint=hint)
