"""Prefect's REST API, as far as it is needed here. Prefect itself need not be installed for it."""

from __future__ import annotations

import base64
import math
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from penstock.core.errors import ConfigurationError, EngineRefused, EngineUnreachable
from penstock.core.extras import LateExtra

_httpx: Any = LateExtra("httpx", "prefect")
_NOT_FOUND = 404
_CONFLICT = 409
_ERRORS = 400
_NO_CONTENT = 204
_BUSY = (408, 429, 502, 503, 504)
_PAUSES = (0.1, 0.3, 1.0, 2.0, 4.0, 8.0)
"""A server on SQLite answers 503 where others write at the same time: it has done nothing, and is asked again."""
_TOLD = 500
_PAGE = 200


class Conflict(EngineRefused):
    """There is one already."""

    code = "engine-conflict"


class PrefectClient:
    """Asks one server.

    Args:
        environment: PREFECT_API_URL, and PREFECT_API_KEY or PREFECT_API_AUTH_STRING where the server wants one.
        rest: waits for so many seconds.

    Raises:
        ConfigurationError: there is no address, or it is none.
    """

    def __init__(self, environment: Mapping[str, str], rest: Callable[[float], None] = time.sleep) -> None:
        url = environment.get("PREFECT_API_URL", "").rstrip("/")
        if not url.startswith(("http://", "https://")):
            raise ConfigurationError(
                f"PREFECT_API_URL is {url!r}." if url else "PREFECT_API_URL is not set.",
                hint="give the address of the API of a Prefect server, such as http://127.0.0.1:4200/api",
            )
        if "@" in url.partition("://")[2].partition("/")[0]:
            raise ConfigurationError(
                "PREFECT_API_URL holds a password, and addresses are shown.", hint="set PREFECT_API_AUTH_STRING instead"
            )
        self.url = url
        self._headers = _credentials(environment)
        self._seconds = _seconds(environment.get("PREFECT_API_REQUEST_TIMEOUT") or "30")
        self._rest = rest
        self._client: Any = None
        self._lock = threading.Lock()

    def ask(self, method: str, path: str, body: Any = None, *, missing: Any = ...) -> Any:
        """Send a request; gives what the answer holds.

        Args:
            method: of HTTP.
            path: behind the address of the API.
            body: sent as JSON.
            missing: given where the server says that there is no such thing, instead of raising.

        Raises:
            EngineUnreachable: nobody answers, or the server is in trouble.
            EngineRefused: it says no; the message has what it says.
        """
        content = None if body is None else msgspec.json.encode(body)
        answer = self._answer(method, path, content)
        for pause in _PAUSES:
            if answer.status_code not in _BUSY:
                break
            self._rest(pause * random.uniform(0.5, 1.5))
            answer = self._answer(method, path, content)
        if answer.status_code == _NOT_FOUND and missing is not ...:
            return missing
        if answer.status_code >= _ERRORS:
            raise self._refusal(answer)
        if not answer.content or answer.status_code == _NO_CONTENT:
            return None
        try:
            return answer.json()
        except ValueError:
            raise EngineRefused(
                f"What answers at {self.url} is not Prefect's API.", hint="PREFECT_API_URL has to end with /api"
            ) from None

    def _answer(self, method: str, path: str, content: bytes | None) -> Any:
        try:
            return self._opened().request(method, f"{self.url}{path}", content=content)
        except _httpx.TransportError as error:
            raise EngineUnreachable(f"Prefect cannot be reached at {self.url}: {_told(error)}.") from None
        except _httpx.InvalidURL as error:
            raise ConfigurationError(f"PREFECT_API_URL is no address: {error}.") from None

    def pages(self, path: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """All that a filter finds."""
        offset = int(body.get("offset", 0))
        while True:
            found = self.ask("POST", path, {**body, "limit": _PAGE, "offset": offset})
            yield from found
            if len(found) < _PAGE:
                return
            offset += _PAGE

    def close(self) -> None:
        """Give the connections back."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _opened(self) -> Any:
        with self._lock:
            if self._client is None:
                headers = {"content-type": "application/json", **self._headers}
                self._client = _httpx.Client(headers=headers, timeout=self._seconds, follow_redirects=True)
            return self._client

    def _refusal(self, answer: Any) -> Exception:
        status = answer.status_code
        said = f"Prefect at {self.url} answered {status}: {_detail(answer)}"
        if status in (401, 403):
            return EngineRefused(said, hint="set PREFECT_API_KEY, or PREFECT_API_AUTH_STRING, to what the server wants")
        if status == 429 or status >= 500:
            return EngineUnreachable(said)
        if status == _CONFLICT:
            return Conflict(said)
        if status == _NOT_FOUND:
            return EngineRefused(said, hint="PREFECT_API_URL has to end with /api")
        return EngineRefused(said)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < math.inf:
        raise ConfigurationError(f"PREFECT_API_REQUEST_TIMEOUT is {text!r}.", hint="give seconds, such as 30")
    return seconds


def _credentials(environment: Mapping[str, str]) -> dict[str, str]:
    if both := environment.get("PREFECT_API_AUTH_STRING"):
        return {"authorization": f"Basic {base64.b64encode(both.encode()).decode()}"}
    if key := environment.get("PREFECT_API_KEY"):
        return {"authorization": f"Bearer {key}"}
    return {}


def _told(error: Exception) -> str:
    return (str(error) or type(error).__name__).rstrip(".")


def _detail(answer: Any) -> str:
    try:
        data = answer.json()
    except ValueError:
        return str(answer.text)[:_TOLD]
    detail = data.get("exception_detail") or data.get("detail") or data if isinstance(data, dict) else data
    if isinstance(detail, list):
        return "; ".join(
            f"{'.'.join(str(part) for part in each.get('loc', ()))}: {each.get('msg')}"
            if isinstance(each, dict)
            else str(each)
            for each in detail
        )[:_TOLD]
    return str(detail)[:_TOLD]
