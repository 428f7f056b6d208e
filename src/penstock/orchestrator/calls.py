"""Calls to URLs: one POST request, within its time, and nothing of what is secret in what is told of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request

import msgspec

from penstock.core.automation_checks import header_mistake, url_mistake
from penstock.core.automations import Call
from penstock.core.errors import ConfigurationError, DataError
from penstock.core.events import now_us
from penstock.core.model import OwedAction
from penstock.core.sending import Hopeless, Unanswered
from penstock.core.templates import fill, with_variables
from penstock.engine.egress import Egress, NotReachable
from penstock.engine.posting import post, signed

_AGAIN = frozenset({408, 425, 429})
_SHORTEST_SECRET = 4
_LONGEST_REASON = 500


def calls(egress: Egress, secret: Callable[[str], str]) -> Send:
    """What carries out calls.

    Args:
        egress: where they may go.
        secret: gives the secret of a name, to sign with.
    """
    return partial(call, egress=egress, secret=secret)


def call(
    owed: OwedAction, action: Call, *, egress: Egress | None = None, secret: Callable[[str], str] | None = None
) -> dict[str, Any]:
    """Send the facts (or the action's own body) to the action's URL; the status of the answer.

    Args:
        owed: the action as it is owed.
        action: the call.
        egress: where it may go; anywhere when left out.
        secret: gives the secret of a name, to sign with.

    Raises:
        Hopeless: it cannot be sent, or the answer says that it would be the same another time.
        Unanswered: there was no answer in time, or one that says to come back.
    """
    secrets: set[str] = set()
    request = _request(owed, action, secrets)
    if action.sign is not None:
        _sign(request, action.sign, secret)
    host = urlsplit(request.full_url).hostname
    try:
        status, _, rest = post(request, action.timeout_seconds, egress=egress)
    except TimeoutError:
        raise Unanswered(f"{host} gave no answer within {action.timeout_seconds:g} s.") from None
    except (OSError, HTTPException) as error:
        if isinstance(reason := getattr(error, "reason", error), NotReachable):
            raise Hopeless(f"It is not called: {reason}.") from None
        raise Unanswered(f"{host} could not be called ({_without(secrets, error)}).") from None
    if 200 <= status < 300:
        return {"status": status}
    told = f"{host} answered {status}."  # the rest of a URL may be a secret
    if 300 <= status < 400:
        told += " Redirects are not followed: give the URL it leads to."
    raise Unanswered(told, rest) if status >= 500 or status in _AGAIN else Hopeless(told)


def _sign(request: Request, name: str, secret: Callable[[str], str] | None) -> None:
    try:
        text = secret(name) if secret is not None else None
    except (DataError, ConfigurationError):
        text = None
    if text is None:
        raise Hopeless(f"There is no secret {name!r} to sign with: penstock connection create secret {name}")
    body = request.data
    assert isinstance(body, bytes)
    try:
        headers = signed(text, request.get_header("Idempotency-key") or "", now_us() // 1_000_000, body)
    except ValueError as error:
        raise Hopeless(f"It cannot be signed with {name!r}: {error}.") from None
    for header, value in headers.items():
        request.add_header(header, value)


def _request(owed: OwedAction, action: Call, secrets: set[str]) -> Request:
    def value_of(name: str) -> str:
        value = os.environ.get(name)
        if value is None:
            raise Hopeless(f"The variable {name} is not set where the scheduler runs.")
        secrets.add(value)
        return value

    url = with_variables(action.url, value_of)
    if told := url_mistake(url):
        raise Hopeless(f"The URL cannot be called: {told}.")
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": f"{owed.firing}/{owed.action}".encode("ascii", "backslashreplace").decode(),
        "User-Agent": "penstock",
    }
    for name, given in action.headers.items():
        value = with_variables(given, value_of)
        if told := header_mistake(name, value):
            raise Hopeless(f"The headers cannot be sent: {told}.")
        headers[name.title()] = value
    facts = {"automation": owed.automation, "firing": owed.firing, "facts": owed.facts}
    body = fill(action.body, owed.facts, "?") if action.body else facts
    return Request(url, msgspec.json.encode(body), headers, method="POST")


def _without(secrets: set[str], error: Exception) -> str:
    """What an error says, with nothing in it that came from a variable."""
    told = str(getattr(error, "reason", error)) or type(error).__name__
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            told = told.replace(secret, "***")
    return told if len(told) <= _LONGEST_REASON else told[:_LONGEST_REASON] + "..."


Send = Callable[[OwedAction, Call], Mapping[str, Any]]
"""What carries out a call; tests put their own in its place."""
