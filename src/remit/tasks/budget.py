"""What a task may spend, and who holds how much of it: never more is given out than there is. Pure.

Control keeps `Accounts`; each worker spends from what it holds, its `Slice`, and asks for more before it goes on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Self

MOST: Final = 1 << 62  # of anything: what has no limit has this one


@dataclass(frozen=True, slots=True)
class Spent:
    """Amounts. `tokens` in and out, `bytes` of prompts, arguments and results, `seconds` that each call took."""

    calls: int = 0
    tokens: int = 0
    bytes: int = 0
    seconds: int = 0

    def __post_init__(self) -> None:
        if any(type(amount) is not int or not 0 <= amount <= MOST for amount in self.amounts()):
            raise ValueError(f"amounts are whole numbers from 0 to {MOST}, not {self.amounts()}")

    def amounts(self) -> tuple[int, int, int, int]:
        return (self.calls, self.tokens, self.bytes, self.seconds)

    def __add__(self, other: "Spent") -> "Spent":
        return self._with(other, lambda one, two: min(MOST, one + two))

    def __sub__(self, other: "Spent") -> "Spent":
        """Raises ValueError below zero."""
        return self._with(other, lambda one, two: one - two)

    def least(self, other: "Spent") -> "Spent":
        """The smaller of each."""
        return self._with(other, min)

    def within(self, other: "Spent") -> bool:
        return all(one <= two for one, two in zip(self.amounts(), other.amounts(), strict=True))

    def lacks(self, have: "Spent") -> bool:
        """Whether there is nothing at all of something in this."""
        return any(one and not two for one, two in zip(self.amounts(), have.amounts(), strict=True))

    def to_dict(self) -> dict[str, int]:
        return dict(zip(KINDS, self.amounts(), strict=True))

    def _with(self, other: "Spent", joined: Callable[[int, int], int]) -> "Spent":
        return Spent(*(joined(one, two) for one, two in zip(self.amounts(), other.amounts(), strict=True)))


KINDS: Final = tuple(one.name for one in fields(Spent))
NOTHING: Final = Spent()


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that may be spent; None: no limit. Raises ValueError."""

    calls: int | None = None
    tokens: int | None = None
    bytes: int | None = None
    seconds: int | None = None

    def __post_init__(self) -> None:
        for kind in KINDS:
            amount = getattr(self, kind)
            if amount is not None and (type(amount) is not int or not 0 <= amount < MOST):
                raise ValueError(f"`{kind}` is a whole number from 0 on, not `{amount!r}`")

    @property
    def most(self) -> Spent:
        return Spent(*(MOST if (amount := getattr(self, kind)) is None else amount for kind in KINDS))

    def counted(self, amount: Spent) -> Spent:
        """Of the kinds that have a limit."""
        return Spent(**{kind: getattr(amount, kind) for kind in self.to_dict()})

    def over(self, other: "Budget") -> str:
        """The first kind of which this is more than the other, or empty."""
        mine, theirs = self.most.amounts(), other.most.amounts()
        return next((kind for kind, one, two in zip(KINDS, mine, theirs, strict=True) if one > two), "")

    def to_dict(self) -> dict[str, int]:
        """Only the limits that there are."""
        return {kind: amount for kind in KINDS if (amount := getattr(self, kind)) is not None}

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Self:
        return cls(**row)


UNLIMITED: Final = Budget()


@dataclass(slots=True)
class Slice:
    """What one worker holds of one task's budget. It takes before it uses: nothing is used that it doesn't hold."""

    held: Spent = NOTHING
    used: Spent = NOTHING

    def add(self, reserved: Spent) -> None:
        self.held = self.held + reserved

    def take(self, amount: Spent) -> bool:
        """Whether it may be used; then it counts as used."""
        if not amount.within(self.held):
            return False
        self.held, self.used = self.held - amount, self.used + amount
        return True

    def untake(self, amount: Spent) -> None:
        """What was taken for a call, and wasn't needed. Raises ValueError for more than was taken."""
        self.used, self.held = self.used - amount, self.held + amount

    def settle(self) -> tuple[Spent, Spent]:
        """What was used and what is given back, for `Accounts.settle`; the slice is empty after it."""
        told = self.used, self.held
        self.used = self.held = NOTHING
        return told


@dataclass(slots=True)
class Account:
    """One task's: what is spent for good, and what each worker holds. `parent` is the account it was cut from."""

    budget: Budget
    parent: str | None = None
    spent: Spent = NOTHING
    held: dict[str, Spent] = field(default_factory=dict)

    @property
    def committed(self) -> Spent:
        """Spent, or held by somebody who may be spending it: what is kept on disk, as spent."""
        return sum(self.held.values(), self.spent)

    @property
    def left(self) -> Spent:
        most = self.budget.most
        return most - self.committed.least(most)


class Accounts:
    """Those of all live tasks. What is reserved from a part is reserved from each task that it was cut from."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}

    def open(self, task: str, budget: Budget, parent: str | None = None, committed: Spent = NOTHING) -> None:
        """Raises ValueError for one that is open. A parent that isn't is no task but a session: without a budget.

        Parents are opened before their parts. `committed` is what was before a restart.
        """
        if task in self._accounts:
            raise ValueError(f"the account of `{task}` is open")
        self._accounts[task] = Account(budget, parent if parent in self._accounts else None, committed)

    def close(self, task: str) -> None:
        """No more is reserved for it. Close its parts first: they no longer count on what isn't there."""
        self._accounts.pop(task, None)

    def resize(self, task: str, budget: Budget) -> None:
        """Its budget is this one now."""
        self._accounts[task].budget = budget

    def left(self, task: str) -> Spent:
        """What may still be reserved for it."""
        least = Budget().most
        for account in self._line(task):
            least = least.least(account.left)
        return least if task in self._accounts else NOTHING

    def own_left(self, task: str) -> Spent:
        """As `left`, whatever is left of those it was cut from."""
        return self._accounts[task].left

    def committed(self, task: str) -> Spent:
        return self._accounts[task].committed

    def held(self, task: str) -> bool:
        """Whether some worker holds any of it: something of it is under way."""
        return any(held != NOTHING for held in self._accounts[task].held.values())

    def used_up(self, task: str) -> list[str]:
        """The kinds of which all there was is spent for good."""
        account = self._accounts[task]
        most, spent = account.budget.most.amounts(), account.spent.amounts()
        return [kind for kind, one, two in zip(KINDS, most, spent, strict=True) if two >= one]

    def reserve(self, task: str, worker: str, wanted: Spent) -> Spent:
        """As much of it as there is, for `worker` to spend; nothing of a task that has no account."""
        given = wanted.least(self.left(task))
        for account in self._line(task):
            account.held[worker] = account.held.get(worker, NOTHING) + given
        return given

    def settle(self, task: str, worker: str, used: Spent, back: Spent) -> None:
        """What the worker used of what it holds, and what it gives back. Raises ValueError for more than it holds."""
        line = self._line(task)
        if any(not (used + back).within(account.held.get(worker, NOTHING)) for account in line):
            raise ValueError(f"`{worker}` settles more of `{task}` than it holds")
        for account in line:
            account.held[worker] = account.held.get(worker, NOTHING) - (used + back)
            account.spent += used

    def lost(self, worker: str) -> None:
        """The worker died: what it held counts as spent, as nobody can tell."""
        for account in self._accounts.values():
            account.spent += account.held.pop(worker, NOTHING)

    def _line(self, task: str | None) -> list[Account]:
        """The task's account and those it was cut from. Without recursion: it may be cut any number of times."""
        line = []
        while task is not None and (account := self._accounts.get(task)) is not None:
            line.append(account)
            task = account.parent
        return line
