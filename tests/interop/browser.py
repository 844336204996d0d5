"""A person with a browser, by plain HTTP: follows redirects, keeps cookies, fills in the provider's forms."""

import html
import re
import threading
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from urllib.parse import urlencode, urljoin
from urllib.request import HTTPCookieProcessor, OpenerDirector, ProxyHandler, build_opener

MAX_FORMS = 4
_FORM = re.compile(r'<form[^>]* action="([^"]+)" method="post">(.*?)</form>', re.DOTALL)
_CANCEL = re.compile(r'<a href="([^"]+/abort)"')
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]+)"')


@dataclass
class Browser:
    """`login` is typed where a provider asks who it is; without one, the person cancels. `pages` is what was seen."""

    login: str = "ada"
    pages: list[str] = field(default_factory=list)
    opener: OpenerDirector = field(
        default_factory=lambda: build_opener(ProxyHandler({}), HTTPCookieProcessor(CookieJar()))
    )

    def go(self, url: str) -> None:
        """To `url`, and through every form on the way."""
        body = None
        for _ in range(MAX_FORMS):
            with self.opener.open(url, body, timeout=10) as page:
                url, text = page.geturl(), page.read().decode()
            self.pages.append(text)
            form, cancel = _FORM.search(text), _CANCEL.search(text)
            if form is None:
                return
            if cancel is not None and not self.login:
                url, body = urljoin(url, html.unescape(cancel[1])), None
                continue
            fields = dict(_HIDDEN.findall(form[2])) | {"login": self.login, "password": "any"}
            url, body = urljoin(url, html.unescape(form[1])), urlencode(fields).encode()
        raise AssertionError(f"more than {MAX_FORMS} forms")

    def follow(self, said: str) -> None:
        """What `remit login` said: `log in here: URL`. In a thread, as a person and a command go on at once."""
        threading.Thread(target=self.go, args=(said.removeprefix("log in here: "),), daemon=True).start()
