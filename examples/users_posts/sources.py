"""Where the data comes from: an HTTP API that answers with JSON."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from penstock import State, get_run_logger, task
from penstock.tasks import exponential_backoff

SOCKET_TIMEOUT_SECONDS = 10
BUSY = {408, 425, 429}


class ApiError(Exception):
    """The API did not give what was asked for, and asking again would not help."""


class ApiUnavailable(ApiError):
    """The API did not answer as it should; it may, in a moment."""


def may_recover(task: Any, run: Any, state: State) -> bool:
    """Retry what time can heal: a dropped connection or a 503, but not a 404."""
    return isinstance(state.result(raise_on_failure=False), (ApiUnavailable, TimeoutError))


FROM_API: dict[str, Any] = {
    "tags": ["sources", "http"],
    "retries": 3,
    "retry_delay_seconds": exponential_backoff(0.5),
    "retry_condition_fn": may_recover,
    "timeout_seconds": 60,
}


@task(**FROM_API)
def fetch_users(base_url: str, at_least: int = 1) -> list[Any]:
    """The users as the API gives them."""
    return fetch_list(base_url, "users", at_least)


@task(**FROM_API)
def fetch_posts(base_url: str, at_least: int = 1) -> list[Any]:
    """The posts as the API gives them."""
    return fetch_list(base_url, "posts", at_least)


def fetch_list(base_url: str, what: str, at_least: int) -> list[Any]:
    """The list behind `base_url/what`.

    Raises:
        ApiUnavailable: no answer, or one that says to come back later.
        ApiError: an answer that is of no use.
    """
    url = f"{base_url.rstrip('/')}/{what}"
    records = parsed(url, fetch(url))
    if not isinstance(records, list):
        kind = "an object" if isinstance(records, dict) else f"{records!r:.40}"
        raise ApiError(f"{url} answered with {kind} where a list of {what} was expected.")
    if len(records) < at_least:
        raise ApiError(
            f"{url} answered with {len(records)} {what}, and at least {at_least} are needed to replace the files of "
            "an earlier run. If so few are right, pass at_least=0."
        )
    get_run_logger().info("fetched %d %s from %s", len(records), what, url)
    return records


def fetch(url: str) -> bytes:
    """The body of the answer to one GET request."""
    check(url)
    request = urllib.request.Request(url, headers={"Accept": "application/json", "User-Agent": "penstock-example"})
    try:
        with urllib.request.urlopen(request, timeout=SOCKET_TIMEOUT_SECONDS) as answer:
            body: bytes = answer.read()
            return body
    except urllib.error.HTTPError as error:
        error.close()
        told = f"{url} answered {error.code} {error.reason}"
        if error.code >= 500 or error.code in BUSY:
            raise ApiUnavailable(told) from None
        raise ApiError(f"{told}; is base_url right?") from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        why = getattr(reason, "strerror", None) or reason
        raise ApiUnavailable(f"{url} could not be read: {why}") from None


def check(url: str) -> None:
    """Refuse what cannot be the address of an API, such as `file:///etc/passwd`."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or any(character <= " " for character in url):
        raise ApiError(f"{url!r} is no web address: base_url should look like https://api.example.com.")


def parsed(url: str, body: bytes) -> Any:
    """What the JSON in the body says."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        start = body[:60].decode("utf-8", "replace").strip()
        kind = "a web page (HTML)" if start.startswith("<") else "something that is not JSON"
        raise ApiError(f"{url} answered with {kind}: it begins with {start!r}.") from None
