"""The token endpoint: a token in, a narrower one out (RFC 8693); and tokens taken back (RFC 7009)."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from remit.control.clients import Client
from remit.control.delegating import Source
from remit.control.oauth_form import ACCESS_TOKEN, Asked
from remit.control.realm import Realm
from remit.errors import IdentityError, NotFoundError
from remit.identity import Authority, SpiffeId, verify_jwt
from remit.identity.access_token import ACCESS_TOKEN as ACCESS_TOKEN_PROFILE
from remit.identity.access_token import AccessToken, sign
from remit.identity.oidc import TASK_DETAILS
from remit.inventory import Workload
from remit.inventory.lifecycle import standing
from remit.secret import Secret
from remit.tasks import Session, Task
from remit.tasks.asked import KEYS
from remit.tasks.delegation import UNAVAILABLE, DelegationError, Wanted
from remit.tasks.token import SESSION_PREFIX, digest

_STALE: Final = "the token has ended, or never was one of this Remit's"


class Deliver(Protocol):
    """Puts what the realm has now in force; True when every gateway has taken it."""

    async def __call__(self) -> bool: ...


class TokenEndpoint:
    """Answers clients. `issuer` is what its tokens name; `doors` are the addresses of each workload by name."""

    def __init__(
        self,
        realm: Realm,
        authority: Callable[[], Authority],
        issuer: str,
        doors: Mapping[str, Mapping[str, str]],
        deliver: Deliver,
    ) -> None:
        self._realm, self._authority, self.issuer = realm, authority, issuer
        self._doors, self._deliver = doors, deliver

    async def exchange(self, client: Client, asked: Asked) -> dict[str, Any]:
        """A task token that is no more than what came in. Raises DelegationError; each refusal is on record.

        1. who asks: the kernel's word, and the client's own JWT-SVID where it shows one, of the same person
        2. what it is cut from: a session, a task or a workload's identity, of the same person too
        3. for whom: the actor that is named, else who asks, if it is a workload
        4. cut, signed, recorded, kept, and sent to every gateway; one that is slow refuses it until it has taken it
        """
        try:
            # 1
            caller = self._caller(client, asked.assertion)
            _check_active(caller)
            # 2
            source = self._source(client, asked)
            # 3
            actor = caller if asked.actor is None else self._workload(asked.actor, "actor_token")
            # 4
            where = self._target(asked.where)
            wanted = Wanted(where, asked.actions, asked.seconds, asked.purpose, asked.part)
            task, token = await self._realm.delegating.hand_on(source, wanted, actor, self._sign)
        except DelegationError as error:
            await self._refused(client, error)
            raise
        await self._deliver()
        return self._answer(task, token)

    async def revoke(self, client: Client, token: str, assertion: str | None) -> None:
        """End what a token stands for, and all that was cut from it. A token that is not known is none already.

        Whoever it belongs to may: its person's processes, and the workloads that it passed through.
        """
        caller = self._caller(client, assertion)
        source = self._held(token)
        if source is None:
            return
        if isinstance(source, Workload):
            raise DelegationError(
                "unsupported_token_type",
                "a JWT-SVID is not taken back: it ends by itself within minutes",
                hint="`remit workload suspend` ends what its workload may do",
            )
        chain = source.chain if isinstance(source, Task) else ()
        of_it = caller is None or caller.spiffe_id in chain or (not chain and isinstance(source, Task))
        if source.human != client.human.name or not of_it:
            raise DelegationError("unauthorized_client", "the token is not this client's to take back")
        end = self._realm.tasking.end if isinstance(source, Task) else self._realm.delegating.end
        try:
            await end(source.id, "revoked by its holder")
        except NotFoundError:
            return  # it has ended meanwhile
        if not await self._deliver():
            raise DelegationError(UNAVAILABLE, "it has ended, and a gateway has not taken that up yet")

    def _caller(self, client: Client, assertion: str | None) -> Workload | None:
        if assertion is None:
            return client.workload
        shown = self._workload(assertion, "client_assertion", "invalid_client")
        if shown.owner != client.human.name or (client.workload is not None and client.workload != shown):
            raise DelegationError("invalid_client", "the JWT-SVID belongs to somebody else than this process")
        return shown

    def _source(self, client: Client, asked: Asked) -> Source:
        source = self._held(asked.subject)
        if source is None:
            raise DelegationError("invalid_grant", _STALE, hint="ask for a new one where it came from")
        if (source.owner if isinstance(source, Workload) else source.human) != client.human.name:
            raise DelegationError("invalid_grant", "the token belongs to another person than this process")
        if isinstance(source, Session) and not client.a_person:
            raise DelegationError(
                "unauthorized_client",
                "a session is its person's own: who runs under a governed workload can't use it",
                hint="a person delegates from it, in their own terminal",
            )
        return source

    def _held(self, token: str) -> Source | None:
        """What a token stands for: the very token that was issued, so its signature needs no second look."""
        known_as, now = digest(token), self._realm.clock()
        if token.startswith(SESSION_PREFIX):
            return next((one for one in self._realm.sessions.values() if one.token_sha256 == known_as), None)
        for task in self._realm.tasks.values():
            if task.token_sha256 == known_as:
                return task if task.live(now) else None
        try:
            return self._workload(token, "subject_token")
        except DelegationError:
            return None

    def _workload(self, svid: str, name: str, code: str = "invalid_grant") -> Workload:
        """The workload that a JWT-SVID for this issuer proves."""
        domain = self._realm.trust.domain
        try:
            jwks, now = self._realm.trust.jwt_authorities, self._realm.latest()
            claims = verify_jwt(svid, jwks, self.issuer, now, trust_domain=domain)
        except IdentityError as error:
            raise DelegationError(code, f"`{name}`: {error}", hint=f"a JWT-SVID for `{self.issuer}`") from error
        workload = self._realm.workloads.get(claims.spiffe_id)
        if workload is None:
            raise DelegationError(code, f"`{name}`: `{claims.spiffe_id}` is no workload that is in force")
        return workload

    def _target(self, where: tuple[str, ...]) -> SpiffeId | None:
        found = {self._named(name) for name in where}
        if len(found) > 1:
            raise DelegationError("invalid_target", "a task is on one workload: several are named")
        return found.pop() if found else None

    def _named(self, name: str) -> SpiffeId:
        """By its SPIFFE ID, its name, or an address that it is called at."""
        for workload in self._realm.workloads.values():
            addresses = self._doors.get(workload.name, {}).values()
            if name in {str(workload.spiffe_id), workload.name} or name.rstrip("/") in addresses:
                return workload.spiffe_id
        raise DelegationError("invalid_target", f"`{name[:200]}` is no workload that is in force here")

    def _sign(self, task: Task) -> Secret:
        subject = SpiffeId.of(self._realm.trust.domain, "user", task.human) if task.of_a_person else task.chain[0]
        token = AccessToken(
            issuer=self.issuer,
            subject=subject,
            audience=task.on,
            scope=task.actions,
            actors=task.chain,
            issued=int(task.started),
            expires=int(task.expires),
            id=task.id,
            details=(_details(task),),
        )
        signed = sign(token, self._authority().jwt_authorities[0])
        if len(signed.reveal()) > ACCESS_TOKEN_PROFILE.size:
            raise DelegationError("invalid_request", "the token would be longer than anybody takes")
        return signed

    def _answer(self, task: Task, token: Secret) -> dict[str, Any]:
        return {
            "access_token": token.reveal(),
            "issued_token_type": ACCESS_TOKEN,
            "token_type": "Bearer",
            "expires_in": int(task.expires) - int(task.started),
            "scope": " ".join(task.actions),
            "authorization_details": [{**_details(task), **_lists(task)}],
        }

    async def _refused(self, client: Client, error: DelegationError) -> None:
        who = str(client.workload.spiffe_id) if client.workload is not None else ""
        facts = {"error": error.code, "uid": client.uid, "workload": who}
        await self._realm.acts("token.refused", who, client.human.person, facts)


def _check_active(caller: Workload | None) -> None:
    if caller is not None and not caller.active:
        raise DelegationError("invalid_client", standing(caller))


def _details(task: Task) -> dict[str, Any]:
    return {"type": TASK_DETAILS, "task": task.id, "actions": list(task.actions), "locations": [str(task.on)]}


def _lists(task: Task) -> dict[str, Any]:
    """What it lists, where it lists anything; its token names the task, so a gateway needs none of it there."""
    row = task.to_dict()
    return {key: row[key] for key in KEYS if row[key]} if task.tools or task.destinations or row["budget"] else {}
