"""Errors as `application/problem+json` (RFC 9457): what is wrong, where, and what to do about it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from penstock.control.telling import shown_path
from penstock.core import errors
from penstock.core.errors import (
    AccountConflict,
    BadAccount,
    NotAllowed,
    NotSignedIn,
    ProviderUnavailable,
    SignInPaused,
    SignInRefused,
)

_log = logging.getLogger("penstock.control")
_AWAY = "The server cannot reach what it needs."
_STATUS: tuple[tuple[type[errors.PenstockError], int], ...] = (
    (NotSignedIn, 401),
    (NotAllowed, 403),
    (AccountConflict, 409),
    (BadAccount, 422),
    (SignInPaused, 429),
    (SignInRefused, 400),
    (ProviderUnavailable, 503),
    (errors.NotFound, 404),
    (errors.DataError, 422),
    (errors.BadWorkflow, 422),
    (errors.AnswerRefused, 422),
    (errors.ParameterError, 422),
    (errors.AuthoringError, 422),
    (errors.RunError, 409),
    (errors.JournalUnavailable, 503),
    (errors.JournalFull, 507),
    (errors.MissingExtra, 501),
)
MEDIA_TYPE = "application/problem+json"


class _Telling(JSONResponse):
    """Also tells of what somebody sent and no text can hold, such as half a character."""

    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")


class Problem(errors.PenstockError):
    """The request cannot be answered as it wants to be.

    Attributes:
        status: of HTTP.
        fields: where it is wrong, and how.
    """

    code = "request"

    def __init__(
        self, status: int, message: str, fields: Sequence[tuple[str, str]] = (), *, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.fields = list(fields)


def status_of(error: errors.PenstockError) -> int:
    """What HTTP says of an error."""
    if isinstance(error, Problem):
        return error.status
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def answer(
    request: Request,
    status: int,
    code: str,
    detail: str,
    *,
    fields: Sequence[tuple[str, str]] = (),
    hint: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The answer that tells of a problem."""
    body: dict[str, Any] = {
        "type": f"urn:penstock:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": request.scope.get("penstock.request_id"),
    }
    if hint is not None:
        body["hint"] = hint
    if fields:
        body["errors"] = [{"field": field, "message": message} for field, message in fields]
    return _Telling(body, status, headers=dict(headers or {}))


def ours(request: Request, error: Exception) -> JSONResponse:
    """The answer to a request that one of our own errors ended."""
    assert isinstance(error, errors.PenstockError)
    status = status_of(error)
    if status >= 500:
        _log.error("%s %s: %s", request.method, shown_path(request.scope), error.message)
    detail, hint = error.message, error.hint
    if isinstance(error, errors.JournalError) and "penstock.user" not in request.scope:
        detail, hint = _AWAY, "try again later"  # a stranger need not know where the journal is
    fields = getattr(error, "fields", None) or getattr(error, "mistakes", None) or ()
    headers = {503: {"Retry-After": "5"}, 401: {"WWW-Authenticate": "Bearer"}}.get(status, {})
    if isinstance(error, SignInPaused):
        headers = {"Retry-After": str(error.seconds)}
    return answer(request, status, error.code, detail, fields=fields, hint=hint, headers=headers)


def _of_the_framework(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    return answer(request, error.status_code, code, str(error.detail), headers=error.headers)


def _of_parameters(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    fields = [(".".join(map(str, each["loc"])), str(each["msg"])) for each in error.errors()]
    return answer(request, 422, "parameters", "The request has parameters that cannot be.", fields=fields)


def mistake(request: Request, error: Exception) -> JSONResponse:
    """The answer to a request that ended with what should not happen."""
    path = shown_path(request.scope)
    _log.error("%s %s failed, which is a mistake in Penstock.", request.method, path, exc_info=error)
    hint = "please report it, with what the server's log says of this request"
    return answer(request, 500, "internal", "Penstock itself failed.", hint=hint)


def install(app: FastAPI) -> None:
    """Have every error of this application told like that."""
    app.add_exception_handler(errors.PenstockError, ours)
    app.add_exception_handler(HTTPException, _of_the_framework)
    app.add_exception_handler(RequestValidationError, _of_parameters)
    app.add_exception_handler(Exception, mistake)
