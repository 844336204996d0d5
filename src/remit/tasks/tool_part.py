"""A tool that is asked for out of those that a profile or task lists: what isn't said of it is as it was. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from remit.tasks.constraint import Constraint
from remit.tasks.grant import ToolGrant, narrower, within


@dataclass(frozen=True, slots=True)
class ToolPart:
    """`tool` as in `ToolGrant`. Arguments without a constraint keep the one they had, and so do `others`.

    Raises ValueError for what is no tool.
    """

    tool: str
    constraints: tuple[tuple[str, Constraint], ...] = ()
    others: bool | None = None

    def __post_init__(self) -> None:
        self.alone()

    def alone(self) -> ToolGrant:
        """As it is listed where it is cut from nothing."""
        return ToolGrant(self.tool, self.constraints, self.others is not False)

    def of(self, grants: Iterable[ToolGrant]) -> tuple[ToolGrant, ...]:
        """The part of each of these that it is certainly a part of; none where it is more than each."""
        parts = [(self._part(grant), grant) for grant in grants if within(self.tool, grant.tool)]
        return tuple(dict.fromkeys(part for part, grant in parts if narrower(part, grant)))

    def _part(self, grant: ToolGrant) -> ToolGrant:
        constraints = {**dict(grant.constraints), **dict(self.constraints)}
        return ToolGrant(self.tool, tuple(constraints.items()), grant.others if self.others is None else self.others)
