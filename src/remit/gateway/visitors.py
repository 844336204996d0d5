"""Keeps browser pages out: DNS rebinding by the Host header, other pages by what browsers say of themselves."""

from remit.errors import ProtocolError
from remit.gateway.message import Request

FROM_OTHER_PAGES = frozenset({"cross-site", "same-site", "same-origin"})


class VisitorError(ProtocolError):
    """A browser page, or a name that is not this server's. `rule` is `wrong-host` or `browser-page`."""

    def __init__(self, message: str, *, rule: str, status: int, hint: str) -> None:
        super().__init__(message, status=status, hint=hint)
        self.rule = rule


def check_visitor(request: Request, hosts: frozenset[str] | None) -> None:
    """Raises VisitorError unless Host names this server and no browser page sent the request."""
    host = request.header("host") or ""
    if hosts is not None and host.lower() not in hosts:
        raise VisitorError(
            f"`{host}` is not a name of this server",
            rule="wrong-host",
            status=421,
            hint="a web page may be behind this; call the address that `remit up` printed",
        )
    origin = request.header("origin")
    if origin is not None or request.header("sec-fetch-site") in FROM_OTHER_PAGES:
        raise VisitorError(
            f"a browser page (`{origin or 'unknown origin'}`) may not call a model server here",
            rule="browser-page",
            status=403,
            hint="call it from a program instead",
        )
