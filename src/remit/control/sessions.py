"""People's sessions at the desk: begun with a proof of the person and, where a provider is set, their login there."""

from typing import Any, Final

from remit.control.login_provider import LoginProvider
from remit.control.nonces import Nonces
from remit.control.realm import Realm
from remit.errors import NotFoundError, UsageError
from remit.inventory import Human
from remit.inventory.login_binding import bind
from remit.tasks import Session

LOGIN_NEEDED: Final = "this Remit asks for a login at its OpenID provider"


class Sessions:
    """Acts on the sessions in `realm`. `provider` is None where a proof of the person is all that is asked for."""

    def __init__(self, realm: Realm, provider: LoginProvider | None) -> None:
        self._realm, self._provider, self._nonces = realm, provider, Nonces()

    def asked(self, uid: int) -> dict[str, Any]:
        """What a session of this uid takes: a `nonce` for the login at the provider, or null."""
        return {"nonce": None if self._provider is None else self._nonces.issue(uid, self._realm.clock())}

    async def begin(
        self, human: Human, uid: int, proof: str, seconds: float, id_token: str, nonce: str
    ) -> dict[str, Any]:
        """Begin one; its token is in the answer and nowhere else. Raises IdentityError for a bad login."""
        login = ""
        if self._provider is not None:
            login = await self._logged_in(self._provider, human, uid, id_token, nonce)
        elif id_token:
            raise UsageError("no OpenID provider is set here", hint="set `login.issuer`, or leave the login out")
        session, token = await self._realm.delegating.begin(human, seconds, proof, login)
        return {"session": public(session), "token": token}

    async def _logged_in(self, provider: LoginProvider, human: Human, uid: int, id_token: str, nonce: str) -> str:
        """The issuer that vouches for this person; the first time, their account there becomes theirs."""
        if not id_token:
            raise UsageError(LOGIN_NEEDED, hint="`remit login` shows where")
        now = self._realm.clock()
        self._nonces.spend(nonce, uid, now)
        proven = await provider.login_of(id_token, nonce, now)
        async with self._realm.one_act:
            known = self._realm.humans[human.name]
            bound = bind(known, proven, self._realm.humans.values())
            if bound != known:
                await self._realm.acts("person.login", bound.person, bound.person, {"issuer": proven.issuer})
                self._realm.keep_human(bound)
        return proven.issuer

    async def end(self, human: Human, session_id: str) -> list[dict[str, Any]]:
        """End one of this person's sessions, or all of them, with everything that was cut from them."""
        now = self._realm.clock()
        own = [one for one in self._realm.sessions.values() if one.human == human.name and one.live(now)]
        meant = [one for one in own if session_id in {"", one.id}]
        if session_id and not meant:
            raise NotFoundError(f"no session `{session_id}` of {human.name} is open", hint="see `remit status`")
        return [public(await self._realm.delegating.end(one.id, "ended by its person")) for one in meant]

    def open(self) -> list[dict[str, Any]]:
        """The sessions that are open now."""
        now = self._realm.clock()
        return [public(one) for one in self._realm.sessions.values() if one.live(now)]


def public(session: Session) -> dict[str, Any]:
    """A session as it may be shown: without the digest of its token."""
    return {key: value for key, value in session.to_dict().items() if key != "token_sha256"}
