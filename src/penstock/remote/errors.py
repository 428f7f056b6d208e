"""What goes wrong between a client and a server, and the server's problems as the errors they are there.

    ServerError                  the server refuses, and says why in words this Penstock has no class for
    |- NotSignedIn               it does not know who asks
    |- NotAllowed                who asks may not do this
    |- ServerUnavailable         it cannot be reached, for too long
    |- AnswerLost                it was gone before it answered: whether it was done is not known
    `- NotPenstock               what answers is no Penstock server

A problem with a code that names an error of Penstock's becomes that error: `except WorkflowNotFound` is the same on
both sides. Each bears `status`, `request_id` and `fields` of the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from penstock.core import errors, typed
from penstock.core.connections import ConnectionFailed, ConnectionLocked
from penstock.core.errors import PenstockError
from penstock.core.templates import FactMissing

_ADDED = ("status", "request_id", "fields")


class ServerError(PenstockError):
    """The server refuses this.

    Attributes:
        status: of HTTP; 0 where there was no answer.
        request_id: what its log knows the request by.
        fields: where the request is wrong, and how.
    """

    code = "server"
    status = 0
    request_id: str | None = None
    fields: list[tuple[str, str]] = []  # noqa: RUF012 - replaced, never changed


class NotSignedIn(ServerError):
    """The server does not know who asks."""

    code = "not-signed-in"
    hint = "sign in (penstock login URL), or set PENSTOCK_API_KEY to a key; in Python: Client(url, api_key=...)"


class NotAllowed(ServerError):
    """Who asks may not do this."""

    code = "not-allowed"


class ServerUnavailable(ServerError):
    """The server cannot be reached."""

    code = "server-unavailable"
    hint = "is it running? penstock server start"


class AnswerLost(ServerError):
    """The server was gone before it answered, so nobody knows whether it was done."""

    code = "answer-lost"
    hint = "look how things are, and do it again where it was not done"


class NotPenstock(ServerError):
    """What answers there is no Penstock server."""

    code = "not-penstock"
    hint = "give its address as penstock server start shows it, such as http://127.0.0.1:4300"


class Problem(msgspec.Struct, frozen=True):
    """The body of a refusal (RFC 9457)."""

    code: str = ""
    detail: str = ""
    title: str = ""
    hint: str | None = None
    request_id: str | None = None
    errors: list[dict[str, Any]] = []
    error: str = ""
    error_description: str = ""


_UNKNOWN = ("invalid_grant", "invalid_client")
"""What who signs in is told (RFC 6749, section 5.2) when nobody is known by that."""


def error_of(status: int, body: bytes, content_type: str, url: str) -> PenstockError:
    """The error that a refusal stands for."""
    if not content_type.startswith(("application/problem+json", "application/json")):
        return _marked(NotPenstock(f"{url} answers {status}, and not as a Penstock server does."), status, None, [])
    try:
        problem = typed.from_json(body, Problem)
    except msgspec.DecodeError:
        return _marked(NotPenstock(f"{url} answers {status}, and not as a Penstock server does."), status, None, [])
    fields = [(str(each.get("field", "")), str(each.get("message", ""))) for each in problem.errors]
    kind = NotSignedIn if problem.error in _UNKNOWN else _kind(status, problem.code)
    message = problem.detail or problem.error_description or problem.title or f"The server answers {status}."
    if issubclass(kind, ServerError) and fields:
        message += "".join(f"\n  {field}: {told}" for field, told in fields)
    error = kind.__new__(kind)
    hint = problem.hint or (kind.hint if issubclass(kind, (NotSignedIn, ServerUnavailable)) else None)
    PenstockError.__init__(error, message, hint=hint)
    return _marked(error, status, problem.request_id, fields)


def _marked(error: PenstockError, status: int, request_id: str | None, fields: list[tuple[str, str]]) -> PenstockError:
    for name, value in zip(_ADDED, (status, request_id, fields), strict=True):
        setattr(error, name, value)
    if fields:
        error.mistakes = fields  # type: ignore[attr-defined]
    return error


def _kind(status: int, code: str) -> type[PenstockError]:
    if status == 401:
        return NotSignedIn
    if status == 403:
        return NotAllowed
    return _KINDS.get(code, ServerError)


def _kinds() -> Iterator[tuple[str, type[PenstockError]]]:
    """Every error that a server may tell of, by its own code."""
    for kind in (*(getattr(errors, name) for name in errors.__all__), ConnectionFailed, ConnectionLocked, FactMissing):
        if kind is not PenstockError and "code" in vars(kind):
            yield kind.code, kind


_KINDS = dict(_kinds())
