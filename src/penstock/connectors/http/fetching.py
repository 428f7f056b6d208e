"""One request and its answer: signed, paced, redirected where that is allowed, and tried again where that may help."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import msgspec

from penstock.connectors.http.answers import Answer, cut
from penstock.connectors.http.auth import Signature
from penstock.connectors.http.messages import Ask, origin_of, plain, without_parameters
from penstock.connectors.http.pace import Pace, Stopped, asked_to_wait, used_up
from penstock.connectors.http.retries import Again, Tries
from penstock.core.errors import SourceUnavailable
from penstock.core.extras import require
from penstock.core.secrets import Secret, redacted

if TYPE_CHECKING:
    import httpx

    from penstock.connectors.http.rules import Rules

T = TypeVar("T")

_REDIRECTS = 10
_HEADERS = {"User-Agent": "penstock", "Accept-Encoding": "gzip, deflate"}
_TOKEN_BYTES = 1 << 20
_AGAIN = {408, 425, 429}
_NEVER = {501, 505}
_SECRET = re.compile(r"auth|token|key|secret|password|passwd|cookie|signature|session", re.IGNORECASE)
_HINTS = {
    400: "the request is not what the server expects: check the parameters",
    401: "check auth=, and that what it holds has not expired",
    403: "check auth=, and what it may read",
    404: "check the URL",
    405: "check method=",
    410: "check the URL",
    422: "the request is not what the server expects: check the parameters",
}


class Refused(SourceUnavailable):
    """The server does not give what was asked for.

    Attributes:
        status: the HTTP status.
    """

    def __init__(self, message: str, *, hint: str | None = None, status: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class Fetcher:
    """Asks one host, and others only where that was allowed; its threads share connections.

    Args:
        rules: whom to ask, who we are, and how patient to be.
        headers: the user's, as they are sent.
        pace: when to ask.
        connections: how many at once.

    Attributes:
        threads: for what is asked ahead.
    """

    def __init__(self, rules: Rules, headers: Mapping[str, str], pace: Pace, *, connections: int) -> None:
        require("httpx", "data")
        from penstock.connectors.http.transport import Transport

        self._rules, self._auth, self._headers, self._pace = rules, rules.auth, headers, pace
        self._home = origin_of(rules.url)
        self._hidden = _secret_looking(rules)
        self._hosts = frozenset(host.lower() for host in rules.hosts)
        self.threads = ThreadPoolExecutor(max(rules.ahead, 1), "penstock-http")
        times = rules.timeouts
        self._transport = Transport(times.connect, times.read, rules.tls, connections)

    def close(self) -> None:
        """End what is under way, in whatever thread, and let go of the connections."""
        self._pace.stop.set()
        self._transport.cut()
        self.threads.shutdown(wait=True, cancel_futures=True)
        self._transport.close()

    def veiled(self, text: str) -> str:
        """The text without anything secret."""
        return redacted(text, [*self._hidden, *(self._auth.secrets() if self._auth else ())])

    def clean(self, url: str) -> str:
        """The URL without the parameter that carries our key, which servers like to repeat."""
        return without_parameters(url, self._auth.parameters() if self._auth is not None else ())

    def next_url(self, url: str) -> str:
        """The URL of a next page as it is asked: without our key, and over TLS where the host itself is.

        Servers behind a proxy that does TLS for them often do not know that they are asked over https.
        """
        secure = "https" + url.removeprefix("http") if url.startswith("http://") else url
        return self.clean(secure if self._home.startswith("https:") and origin_of(secure) == self._home else url)

    def tries(self, ask: Ask) -> Tries:
        """The tries of a request."""
        return Tries(self._rules.retries, self._pace, ask.name)

    def read(self, ask: Ask, use: Callable[[Answer], T]) -> T:
        """What `use` makes of the answer. It is called again with another answer when it raises `Again`.

        Raises:
            SourceUnavailable: there is no answer, or none that says what was asked for.
        """
        tries = self.tries(ask)
        while True:
            try:
                with self.open(ask) as answer:
                    return use(answer)
            except Again as fault:
                self.failed(ask, tries, fault)

    def failed(self, ask: Ask, tries: Tries, fault: Again) -> None:
        """Wait for the next try of a request.

        Raises:
            SourceUnavailable: there is none.
        """
        fault.reason = self.veiled(fault.reason)
        if ask.method != "GET" and not self._rules.repeatable and not fault.refused:
            raise SourceUnavailable(
                f"{ask.name}: {fault.reason}. A POST that may have been carried out is not sent again.",
                hint="if it only reads, say repeatable=True",
            )
        tries.failed(fault)

    def open(self, ask: Ask) -> Answer:
        """One try.

        Raises:
            Again: it failed, and another may go better.
            SourceUnavailable: it failed for good.
        """
        signature = self._signature(ask.url)
        answer = self._followed(ask, signature)
        if answer.status == 401 and signature is not None and self._auth is not None and self._auth.renew(signature):
            answer.__exit__(None, None, None)
            answer = self._followed(ask, self._signature(ask.url))
        try:
            return self._good(ask, answer)
        except BaseException:
            answer.__exit__(None, None, None)
            raise

    def _signature(self, url: str) -> Signature | None:
        return self._auth.sign(self._token) if self._auth is not None and self._is_home(url) else None

    def _is_home(self, url: str) -> bool:
        """The host itself, or the same one over TLS."""
        return origin_of(url) in (self._home, self._home.replace("http://", "https://", 1))

    def _good(self, ask: Ask, answer: Answer) -> Answer:
        status, headers = answer.status, answer.headers
        wait = asked_to_wait(headers)
        if used_up(headers) and wait is not None:
            self._pace.hold(min(wait, self._rules.retries.wait_at_most))
        if status in (200, 203, 204) or (status == 304 and ask.conditional):
            return answer
        said = cut(self.veiled(answer.excerpt()))
        reason = f"the server answered {status}" + (f" ({said})" if said else "")
        limited = status == 403 and used_up(headers)
        if limited or status in _AGAIN or (500 <= status <= 599 and status not in _NEVER):
            raise Again(reason, wait if limited or status in (429, 503) else None, refused=status == 429)
        hint = (
            "the server wants to know who asks: give auth=" if status == 401 and not self._auth else _HINTS.get(status)
        )
        raise Refused(f"{ask.name}: {reason}.", hint=hint, status=status)

    def _followed(self, ask: Ask, signature: Signature | None) -> Answer:
        """The answer at the end of the redirects."""
        from penstock.connectors.http.transport import Budget

        budget = Budget(self._rules.timeouts.total)
        self.allow(ask, ask.url, ask.url)
        self._pace.turn()
        for _ in range(_REDIRECTS + 1):
            response = self._sent(ask, signature, budget)
            target = response.headers.get("location", "")
            here = self.clean(str(response.request.url))
            if response.status_code not in (301, 302, 303, 307, 308) or not target:
                return Answer(response, budget, here, ask.name, self._rules.max_bytes)
            response.close()
            ask = replace(ask, url=self._target(ask, target, here, response.status_code), query=())
            if not self._is_home(ask.url):
                signature = None
        raise Refused(f"{ask.name}: is redirected again and again.", hint="check the URL; a login may be missing")

    def _target(self, ask: Ask, target: str, here: str, status: int) -> str:
        try:
            url = self.clean(urljoin(here, target))
            self.allow(ask, url, here)
        except ValueError:
            raise Refused(f"{ask.name}: is redirected to something that is no URL.", status=status) from None
        if ask.method != "GET" and (status not in (307, 308) or not self._is_home(url)):
            raise Refused(
                f"{ask.name}: the answer to a POST is a redirect ({status}) to {plain(url)}.",
                hint="give the URL that it leads to; if that is a login, check auth=",
                status=status,
            )
        return url

    def allow(self, ask: Ask, url: str, here: str) -> None:
        """Whether a URL may be asked.

        Raises:
            Refused: it is on another host, or not encrypted any more.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or parts.username or parts.password or not parts.hostname:
            raise Refused(f"{ask.name}: leads to something that cannot be asked over HTTP.")
        if parts.scheme == "http" and (self._home.startswith("https:") or here.startswith("https:")):
            raise Refused(
                f"{ask.name}: leads to {plain(url)}, where nothing is encrypted.", hint="no https page is left for http"
            )
        host = origin_of(url).partition("://")[2]
        if not self._is_home(url) and host not in self._hosts:
            raise Refused(
                f"{ask.name}: leads to another host, {plain(url)}.",
                hint=f"if that is right, allow it with hosts=[{host!r}]; it gets neither credentials nor headers",
            )

    def _sent(self, ask: Ask, signature: Signature | None, budget: Any) -> httpx.Response:
        from penstock.connectors.http.transport import Broken

        if self._pace.stop.is_set():
            raise Stopped
        headers = {**_HEADERS, **ask.headers, **(self._headers if self._is_home(ask.url) else {})}
        query = ask.query
        if signature is not None:
            headers |= signature.headers
            query = (*query, *signature.query.items())
        url = self.clean(ask.url)
        if query:
            url += ("&" if urlsplit(url).query else "?") + urlencode(query)
        content = None
        if ask.form is not None:
            content, headers["Content-Type"] = urlencode(ask.form).encode(), "application/x-www-form-urlencoded"
        elif ask.json is not None:
            content, headers["Content-Type"] = msgspec.json.encode(ask.json), "application/json"
        try:
            with budget.running():
                return self._transport.send(ask.method, url, headers, content)
        except Broken as broken:
            if self._pace.stop.is_set():
                raise Stopped from None
            if not broken.again:
                raise SourceUnavailable(f"{ask.name}: {self.veiled(broken.reason)}.") from None
            raise Again(broken.reason, refused=not broken.sent) from None

    def _token(self, url: str, headers: Mapping[str, str], form: Mapping[str, str]) -> Any:
        """Ask a token server; see `penstock.connectors.http.auth.Post`."""
        ask = Ask("POST", url, headers={**headers, "Accept": "application/json"}, form=form, what="token")
        tries = self.tries(ask)
        while True:
            try:
                return self._token_once(ask)
            except Again as fault:
                fault.reason = self.veiled(fault.reason)
                tries.failed(fault)

    def _token_once(self, ask: Ask) -> Any:
        from penstock.connectors.http.transport import Budget

        budget = Budget(self._rules.timeouts.total)
        response = self._sent(ask, None, budget)
        with Answer(response, budget, ask.url, ask.name, _TOKEN_BYTES) as answer:
            if answer.status == 200:
                content = answer.content()
                with suppress(msgspec.DecodeError, RecursionError):
                    return msgspec.json.decode(content)
                return None
            if answer.status in _AGAIN or (answer.status >= 500 and answer.status not in _NEVER):
                raise Again(f"the token server answered {answer.status}", asked_to_wait(answer.headers))
            said = cut(self.veiled(answer.excerpt()))
            raise Refused(
                f"{ask.name}: the token server answered {answer.status}" + (f" ({said})." if said else "."),
                hint="check token_url, client_id and client_secret, and what the client may do",
                status=answer.status,
            )


def _secret_looking(rules: Rules) -> list[str]:
    """What was given in the open, under a name that says that it should not be seen."""
    sets = [*rules.parameters, dict(parse_qsl(urlsplit(rules.url).query))]
    named = [*rules.headers.items(), *(pair for parameters in sets for pair in parameters.items())]
    texts = {name: value.reveal() for name, value in rules.headers.items() if isinstance(value, Secret)}
    found = [value for name, value in named if isinstance(value, str) and _SECRET.search(name)]
    return [*texts.values(), *found]
