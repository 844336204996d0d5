"""The local page: what is acted on, shown by Remit, and two buttons, for browsers of this machine."""

import html
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from remit.control.browsers import COOKIE, cookie_of
from remit.control.clients import Client
from remit.control.passkey_desk import PasskeyDesk
from remit.errors import AttestationError, NotFoundError, RemitError
from remit.persons.passkeys import MAX_ANSWER_BYTES, PasskeyError, parse
from remit.persons.shown import visible

ASSETS: Final = Path(__file__).parent / "page"
_NO_SCRIPT: Final = "<noscript><p>This page needs JavaScript: without it a passkey can't be used.</p></noscript>"
_OWN: Final = "same-origin"
KINDS: Final = {"page.js": "text/javascript; charset=utf-8", "page.css": "text/css; charset=utf-8"}
HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
}


class Known(Protocol):
    """Who is at the other end of a loopback connection; raises AttestationError."""

    async def at(self, theirs: tuple[str, int], ours: tuple[str, int]) -> Client: ...


Shown = Callable[[PasskeyDesk, str, Client, str], str]


@dataclass(frozen=True, slots=True)
class _Door:
    """Attests the other end of every request before anything is looked up."""

    desk: PasskeyDesk
    clients: Known

    async def show(self, request: Request, page: Shown, key: str) -> Response:
        try:
            _a_page_of_its_own(request)
            return HTMLResponse(page(self.desk, key, await self._known(request), _session(request)), headers=HEADERS)
        except RemitError as error:
            text = _page("Nothing to do here", _words(error), (), "")
            return HTMLResponse(text, status_code=_status(error), headers=HEADERS)

    async def tell(self, request: Request, do: Callable[[Client, bytes], Any]) -> Response:
        """What `do` answers; a text is a session's, for this browser alone."""
        try:
            answer = do(await self._known(request), await _body(request))
            answer = answer if isinstance(answer, dict) else await answer
        except RemitError as error:
            return _json({"error": _words(error)}, status=_status(error))
        reply = _json(answer)
        if isinstance(answer, str) and answer:
            reply.headers["set-cookie"] = cookie_of(answer)
        return reply

    async def _known(self, request: Request) -> Client:
        _same_site(request, self.desk.party.origin)
        return await self.clients.at(*request.state.ends)


def about_proofs(api: FastAPI, desk: PasskeyDesk, clients: Known) -> None:
    """The pages on `api`."""
    door = _Door(desk, clients)

    @api.get("/proof/{key}")
    async def proof(key: str, request: Request) -> Response:
        return await door.show(request, _proof_page, key)

    @api.post("/proof/{key}/ask")
    async def ask(key: str, request: Request) -> Response:
        return await door.tell(request, lambda client, _body: desk.ask(key, client))

    @api.post("/proof/{key}/allow")
    async def allow(key: str, request: Request) -> Response:
        return await door.tell(request, lambda client, body: desk.allow(key, client, body))

    @api.post("/proof/{key}/click")
    async def click(key: str, request: Request) -> Response:
        token = request.cookies.get(COOKIE, "")
        return await door.tell(request, lambda client, body: desk.click(key, client, token, _number(body)))

    @api.post("/proof/{key}/refuse")
    async def refuse(key: str, request: Request) -> Response:
        return await door.tell(request, lambda client, _body: desk.refuse(key, client))

    _about_new_passkeys(api, door)

    @api.get("/assets/{name}")
    async def asset(name: str) -> Response:
        if name not in KINDS:
            return _json({"error": "nothing here"}, status=404)
        return Response((ASSETS / name).read_bytes(), media_type=KINDS[name], headers=HEADERS)


def _about_new_passkeys(api: FastAPI, door: _Door) -> None:
    @api.get("/passkey/{key}")
    async def passkey(key: str, request: Request) -> Response:
        return await door.show(request, _passkey_page, key)

    @api.post("/passkey/{key}/ask")
    async def ask_new(key: str, request: Request) -> Response:
        return await door.tell(request, lambda client, _body: door.desk.ask_new(key, client))

    @api.post("/passkey/{key}/add")
    async def add(key: str, request: Request) -> Response:
        return await door.tell(request, lambda client, body: door.desk.add(key, client, body))


def _same_site(request: Request, origin: str) -> None:
    """Only this page speaks here: no name that another site made point at this machine, no other site's script."""
    if request.headers.get("host") != origin.removeprefix("http://"):
        raise NotFoundError("nothing is served here under that name", hint=f"open {origin}")
    said = request.headers.get("origin")
    if said not in ({origin} if request.method == "POST" else {origin, None}):
        raise PasskeyError("another site's page may not ask this")
    if request.method == "POST" and request.headers.get("sec-fetch-site", _OWN) != _OWN:
        raise PasskeyError("another site's page may not ask this")
    if request.method == "POST" and request.headers.get("content-type") != "application/json":
        raise PasskeyError("the body is not JSON")


def _a_page_of_its_own(request: Request) -> None:
    """Not in another page's frame, nor fetched by a script (Fetch Metadata); browsers that don't say so show no frame
    either, by the headers of the answer."""
    if request.headers.get("sec-fetch-dest", "document") != "document":
        raise PasskeyError("this is shown in a page of its own alone")


def _session(request: Request) -> str:
    """The session's cookie, where the person opened the page themselves, and no other page did for them."""
    by_the_person = request.headers.get("sec-fetch-site") in {"none", _OWN}
    return request.cookies.get(COOKIE, "") if by_the_person else ""


def _number(body: bytes) -> str:
    return str(parse(body).get("number", ""))


async def _body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise PasskeyError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
    return body


def _proof_page(desk: PasskeyDesk, pending_id: str, client: Client, session: str) -> str:
    pending = desk.waiting(pending_id, client)
    asking = pending.asking
    facts = [("act", str(pending.act)), *asking.shown.values]
    facts.append(("asked by", f"process {asking.pid} of uid {asking.uid} ({client.human.name})"))
    number = desk.offer_click(pending_id, client, session)
    lead = "Allow it only if you asked for exactly this."
    if number:
        lead += " You used your passkey in this browser less than 15 minutes ago: one click is enough."
        allow = f'<button class="go" data-deed="click" data-number="{number}" disabled>Allow</button>'
    else:
        allow = '<button class="go" data-deed="prove" disabled>Allow with passkey</button>'
    refuse = '<button data-deed="refuse" disabled>Refuse</button>'
    return _page("A process asks to act as you", lead, facts, allow + refuse)


def _passkey_page(desk: PasskeyDesk, token: str, client: Client, _session: str) -> str:
    link = desk.linked(token, client)
    facts = [("person", link.human.name), ("label", link.label)]
    button = '<button class="go" data-deed="add" disabled>Add a passkey</button>'
    return _page("Add a passkey", "From then on it can prove that you act.", facts, button)


def _page(title: str, lead: str, facts: Any, buttons: str) -> str:
    rows = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(visible(value))}</dd>" for name, value in facts)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Remit</title>'
        '<link rel="stylesheet" href="/assets/page.css"><script src="/assets/page.js" defer></script></head>'
        f'<body><main aria-labelledby="title"><h1 id="title">{html.escape(title)}</h1><p>{html.escape(lead)}</p>'
        f'<dl>{rows}</dl>{buttons}{_NO_SCRIPT}<p id="said" role="status" aria-live="polite"></p></main></body></html>'
    )


def _json(answer: Any, status: int = 200) -> JSONResponse:
    return JSONResponse(answer if isinstance(answer, dict) else {}, status_code=status, headers=HEADERS)


def _words(error: RemitError) -> str:
    return f"{error}" + (f" ({error.hint})" if error.hint else "")


def _status(error: RemitError) -> int:
    return (
        404
        if isinstance(error, NotFoundError)
        else 403
        if isinstance(error, (PasskeyError, AttestationError))
        else 400
    )
