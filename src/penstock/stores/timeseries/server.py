"""A server that takes writes as InfluxDB 2 does."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.core.errors import SchemaRefused, SinkUnavailable
from penstock.core.extras import require
from penstock.core.secrets import Secret, redacted
from penstock.stores.timeseries.line_protocol import joined

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_IN_VAIN = 20
_LONGEST_WAIT = 15.0


class Written(NamedTuple):
    """What became of some lines.

    Attributes:
        size: bytes sent, before they were compressed.
        refused: the places of lines that the server does not take, and what it says of them.
    """

    size: int
    refused: dict[int, str]


class Server:
    """Writes lines; waits and tries again where that may help.

    Writing a point a second time changes nothing, so that it is safe to try again when an answer was lost.

    Args:
        url: its address.
        token: for the header `Authorization: Token ...`.
        query: what every write has in its URL.
        compress: send gzip.
        points: how many lines a request has at most.
        timeout_seconds: how long an answer may take.
        patience_seconds: how long to try again.
        tls: how certificates are checked; True as the system does.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Secret | None,
        query: dict[str, str],
        compress: bool,
        points: int,
        timeout_seconds: float,
        patience_seconds: float,
        tls: Any = True,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url
        self._token, self._query, self._compress, self._points = token, query, compress, points
        self._timeout, self._patience, self._sleep = timeout_seconds, patience_seconds, sleep
        self._tls = tls
        self._client: Any = None

    def write(self, lines: pa.Array) -> Written:
        """Write all lines; those that the server refuses are found by halving.

        Raises:
            SinkUnavailable: it does not answer, or lets nobody in.
            SchemaRefused: it refuses one line after another.
        """
        done = _Tally()
        for start in range(0, len(lines), self._points):
            self._write(lines[start : start + self._points], start, done)
        return Written(done.size, done.refused)

    def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _write(self, lines: pa.Array, start: int, done: _Tally) -> None:
        body = joined(lines)
        answer = self._post(body)
        if answer.status_code in (200, 201, 202, 204):
            done.size += len(body)
            done.taken += len(lines)
            return
        if answer.status_code not in (400, 413, 422):
            self._refuse(answer)
        if len(lines) > 1:
            middle = len(lines) // 2
            self._write(lines[:middle], start, done)
            self._write(lines[middle:], start + middle, done)
            return
        done.refused[start] = f"the server refuses it: {self._said(answer)}"
        if len(done.refused) >= _IN_VAIN and not done.taken:
            raise SchemaRefused(
                f"{self.url} takes none of the points: {self._said(answer)}.",
                hint="compare the types of the fields with those that the measurement has there",
            )

    def _post(self, body: bytes) -> Any:
        """The answer to a write, once it is neither `not now` nor lost."""
        httpx = require("httpx", "data")
        if self._client is None:
            self._client = httpx.Client(timeout=self._timeout, trust_env=False, verify=self._tls)
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if self._token is not None:
            headers["Authorization"] = f"Token {self._token.reveal()}"
        if self._compress:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, compresslevel=1, mtime=0)
        began = time.monotonic()
        waited = 0.0
        for wait in _growing():
            try:
                answer = self._client.post(
                    f"{self.url}/api/v2/write", params=self._query, content=body, headers=headers
                )
            except (httpx.TransportError, httpx.InvalidURL) as error:
                problem = self._shown(str(error) or type(error).__name__)
            else:
                if answer.status_code not in _AGAIN:
                    return answer
                problem = f"{answer.status_code} {self._said(answer)}"
                asked = retry_after(answer.headers.get("Retry-After"))
                wait = wait if asked is None else asked
            if max(time.monotonic() - began, waited) + wait > self._patience:
                raise SinkUnavailable(f"{self.url} has taken no points for {self._patience:.0f} s: {problem}.")
            self._sleep(wait)
            waited += wait
        raise AssertionError("unreachable")

    def _refuse(self, answer: Any) -> None:
        said = self._said(answer)
        hints = {
            401: "check the token",
            403: "check the token: it needs the right to write to the bucket",
            404: "check bucket= and org=, and that the address is that of the server itself",
        }
        raise SinkUnavailable(
            f"{self.url} does not take points: {answer.status_code} {said}.", hint=hints.get(answer.status_code)
        )

    def _said(self, answer: Any) -> str:
        try:
            found = answer.json()
            text = str(found.get("message") or found.get("error") or "")
        except (ValueError, AttributeError):
            text = answer.text
        return self._shown(" ".join(text.split())[:300] or answer.reason_phrase).rstrip(".")

    def _shown(self, text: str) -> str:
        return redacted(text, [self._token.reveal()] if self._token else [])


class _Tally:
    def __init__(self) -> None:
        self.size = self.taken = 0
        self.refused: dict[int, str] = {}


def _growing() -> Iterator[float]:
    wait = 0.1
    while True:
        yield wait
        wait = min(wait * 2, _LONGEST_WAIT)


def retry_after(text: str | None) -> float | None:
    """The seconds that a header `Retry-After` asks for: a number, or a moment."""
    if not text:
        return None
    try:
        return max(float(text), 0.0)
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0)
