"""What one request may need of its task's budget, and the request held to what it was given. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from remit.gateway.consider import Ask
from remit.gateway.outlay import BYTES_AHEAD, SECONDS_AHEAD
from remit.gateway.token_limit import answers, hears_of_usage, held_to, longest
from remit.policy import Action
from remit.tasks import Budget, Spent
from remit.tasks.budget import KINDS, MOST


@dataclass(frozen=True, slots=True)
class Needs:
    """`least` is what it can't begin without, `wanted` what it may use; both of the kinds that have a limit.

    `prompt`: the most tokens that its prompt can have; `times`: how many answers are as long as its maximum.
    """

    ask: Ask
    least: Spent
    wanted: Spent
    prompt: int
    times: int

    @classmethod
    def of(cls, ask: Ask, budget: Budget) -> "Needs":
        size = len(ask.request.body)
        prompt = size if ask.route.action in {Action.INFER, Action.EMBED} else 0
        body = ask.forward if type(ask.forward) is dict else {}
        times = answers(ask.route, body)
        least = Spent(calls=1, tokens=_at_most(prompt + times), bytes=size + 1, seconds=1)
        wanted = replace(
            least,
            tokens=_at_most(prompt + times * longest(body)),
            bytes=size + BYTES_AHEAD,
            seconds=SECONDS_AHEAD,
        )
        return cls(ask, budget.counted(least), replace(budget.counted(wanted), calls=1), prompt, times)

    def short_of(self, given: Spent, left: Mapping[str, int]) -> str | None:
        """A kind of which too little was given to begin; one of which too little was left, if there is one."""
        least = self.least.to_dict()
        short = [kind for kind in KINDS if getattr(given, kind) < least[kind]]
        return next((kind for kind in short if left.get(kind, MOST) < least[kind]), short[0] if short else None)

    def held_to(self, given: Spent, budget: Budget) -> Ask:
        """The request with no answer longer than what was given has room for."""
        if budget.tokens is None or not self.times:
            return self.ask
        most = (given.tokens - self.prompt) // self.times
        forward: dict[str, Any] = held_to(self.ask.route, self.ask.forward, most)
        return replace(self.ask, forward=forward)

    def hides_usage(self, budget: Budget) -> bool:
        """Whether the answer tells of usage what its client did not ask for."""
        body = self.ask.forward
        return budget.tokens is not None and type(body) is dict and not hears_of_usage(body)


def _at_most(amount: int) -> int:
    return min(amount, MOST)
