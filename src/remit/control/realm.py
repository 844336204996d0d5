"""What is in force in this trust domain now: people, workloads, tasks and policies, and the Snapshot of them.

Every change is an act: recorded durably first, then kept, then put in force with the next Snapshot.
"""

import dataclasses
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from remit.control.bindings import Bindings
from remit.control.book import Acts, Book, State
from remit.control.delegating import Delegating
from remit.control.endings import since_boot
from remit.control.lives import Lives
from remit.control.marks import Marks
from remit.control.spending import Spending
from remit.control.tasking import Tasking
from remit.control.words import Words
from remit.control.would_refuse import WouldRefuse
from remit.inventory import Human, LifeState, Workload
from remit.policy import PolicyFile, Snapshot
from remit.policy.emergency import Emergency
from remit.posture import Grade
from remit.tasks.profile import Profile

Grades = Callable[[Iterable[Workload]], Grade]


@dataclass(frozen=True, slots=True)
class PoliciesInForce:
    """The last good policies. `warning` says why a newer edit is not in force, or is empty.

    `profiles` are those beside them, by name; `bundle` says who signed them, as what serial, over what digest, and is
    empty where they come from a directory.
    """

    files: tuple[PolicyFile, ...]
    digest: str
    warning: str = ""
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    bundle: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trust:
    """The trust domain's public keys, as workers need them."""

    domain: str
    x509_authorities: tuple[bytes, ...]
    jwt_authorities: dict[str, Any]
    issuer: str = ""
    """What access tokens name as theirs; empty where none are issued."""


class Realm(Book):
    """The one place where control's view changes; whoever changes it hands the next `snapshot` to the workers.

    `lives`, `bindings`, `tasking` and `delegating` act on its workloads, on what those are bound to, on its
    tasks, and on what is cut from something; `spending` keeps what tasks have spent.
    """

    def __init__(
        self,
        trust: Trust,
        state: State,
        acts: Acts,
        clock: Callable[[], float],
        policies: PoliciesInForce,
        *,
        lifetime: float,
        grade: Grades,
        ended: Mapping[str, float] | None = None,
        withheld: Mapping[str, tuple[LifeState, float]] | None = None,
        steady: Callable[[], float] = since_boot,
    ) -> None:
        super().__init__(state, acts, clock, ended=ended, withheld=withheld, steady=steady)
        self.trust, self.policies, self._grades = trust, policies, grade
        self._lifetime = lifetime
        self._epoch = 0
        self.emergency: Emergency | None = None
        """Break-glass while it is open; `BreakGlass` alone opens and closes it."""
        self.presence: Mapping[str, str] = {}
        """Whether each person is at this machine; `Presence` alone changes it."""
        self.observing = False
        """Policies are not enforced (`policy.mode`), for as long as this instance runs."""
        self.would_refuse = WouldRefuse()
        """What went through that they would have refused."""
        self.facts: Callable[[], tuple[str, ...]] = tuple
        """The facts about this endpoint that are true now."""
        self.tasking = Tasking(self)
        self.lives = Lives(self, self.tasking)
        self.bindings = Bindings(self)
        self.delegating = Delegating(self, self.tasking)
        self.spending = Spending(self, self.tasking)
        self.marks = Marks(self)
        self.words = Words(self)

    @property
    def standing(self) -> Grade:
        """The grade of the whole deployment, as it is now."""
        return self._grades(self.workloads.values())

    @property
    def grade(self) -> str:
        return self.standing.letter

    def grade_of(self, workload: Workload) -> str:
        """Of one server, whatever is true of the others."""
        return self._grades([workload]).letter

    def snapshot(self) -> Snapshot:
        """A new version of what is in force, with the next epoch."""
        self._epoch += 1
        return self.current()

    def current(self) -> Snapshot:
        """What is in force, at the epoch it was last given."""
        now = self.clock()
        return Snapshot(
            epoch=self._epoch,
            issued=now,
            lifetime=self._lifetime,
            trust_domain=self.trust.domain,
            grade=self.grade,
            policy_files=self.policies.files,
            policy_set=self.policies.digest,
            policy_warning=self.policies.warning,
            humans=tuple(self.humans.values()),
            workloads=tuple(self.workloads.values()),
            tasks=tuple(task for task in self.tasks.values() if task.live(now)),
            x509_authorities=self.trust.x509_authorities,
            jwt_authorities=self.trust.jwt_authorities,
            issuer=self.trust.issuer,
            emergency=self.emergency,
            facts=self.facts(),
            presence=self.presence,
            observing=self.observing,
        )

    async def meet(self, name: str, uids: Iterable[int], *, only: bool = False) -> Human:
        """The person of that name, with a pseudonym made the first time; `uids` are added to theirs.

        With `only` they are all of theirs. A uid acts for one person: taken from whoever had it before, on record.
        """
        async with self.one_act:
            known = self.humans.get(name)
            kept = known.uids if known is not None and not only else ()
            accounts = tuple(sorted({*uids, *kept}))
            new = Human(name, "p-" + secrets.token_hex(8), accounts)
            human = dataclasses.replace(known, uids=accounts) if known is not None else new
            for other in [one for one in self.humans.values() if one.name != name]:
                await self._take_over(other, human)
            if human != known:
                self.keep_human(human)
            return human

    async def _take_over(self, other: Human, human: Human) -> None:
        taken = sorted(set(other.uids) & set(human.uids))
        if taken:
            await self.acts("person.accounts", other.person, human.person, {"taken": taken})
            self.keep_human(dataclasses.replace(other, uids=tuple(sorted(set(other.uids) - set(taken)))))

    async def act(self, what: str, subject: str, facts: dict[str, Any]) -> None:
        """Record something control does by itself, for no person."""
        await self.acts(what, subject, None, facts)

    async def put_policies(self, policies: PoliciesInForce) -> None:
        """Put a new set in force, or keep the last good one with a warning about the newer edit."""
        async with self.one_act:
            what = "policy.rejected" if policies.warning else "policy.loaded"
            await self.acts(what, policies.digest, None, {"why": policies.warning, "bundle": dict(policies.bundle)})
            self.policies = policies
