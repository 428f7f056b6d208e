"""`/hooks/SLUG`: where others send what has happened. Nobody signs in here; the signature of the request is it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from penstock.control.answers import Encoded
from penstock.control.bodies import read_body
from penstock.control.models import ProblemOut
from penstock.control.problems import Problem, answer, mistake, ours
from penstock.control.webhooks.intake import Busy
from penstock.control.webhooks.receiving import Outcome
from penstock.control.webhooks.requests import Request as Sent
from penstock.control.wiring import control_of
from penstock.core.errors import PenstockError

router = APIRouter(prefix="/hooks", tags=["hooks"])
_OTHER_METHODS = ["GET", "PUT", "PATCH", "DELETE"]
_METHODS = frozenset({"POST", *_OTHER_METHODS})
_MOST_QUERY = 1000
_OWN_WORDS = frozenset({"content-type", "body", "schema"})
"""Refusals that tell a sender about what they sent themselves."""
_TOLD = {
    404: "There is no such webhook.",
    405: "This webhook is not asked like this.",
    413: "The body is too large for this webhook.",
    403: "Requests from there are not accepted.",
    401: "The request is not signed as it has to be.",
    400: "The request cannot be read.",
    503: "This webhook cannot be used now.",
    429: "There are too many requests.",
    422: "Nothing could be made of the request.",
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    202: {"description": "It is stored, with the events it was made into."},
    200: {"description": "It was delivered before; or what the sender wants to hear, as Slack does at first."},
    503: {"model": ProblemOut, "description": "A secret, or the journal, is out of reach: send it again."},
}


@router.post("/{slug}", status_code=202, response_class=Response, responses=_ANSWERS)
async def receive_one(slug: str, request: Request) -> Response:
    """Take in what is sent to a webhook. When it is answered with 202, it is stored, with its events."""
    intake = control_of(request).intake
    body = await read_body(request)
    try:
        outcome = await intake.receive(slug, _sent(request, body))
    except Busy as error:
        headers = {"Retry-After": "1"}
        return answer(request, 503, error.code, error.message, hint=error.hint, headers=headers)
    if outcome.answer is not None:
        return Response(outcome.answer, media_type="text/plain", headers={"X-Content-Type-Options": "nosniff"})
    if outcome.status_code < 300:
        told = {"status": outcome.status, "id": outcome.id, "events": len(outcome.events)}
        return Encoded(told, outcome.status_code)
    return _refused(request, outcome)


class Hooks:
    """Requests to webhooks come in here, past all that the API does with its own: they are many, and come at once.

    Args:
        app: what comes after, for everything else.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        path: str = scope["path"] if scope["type"] == "http" else ""
        slug = path.removeprefix(router.prefix + "/")
        if slug == path or not slug or "/" in slug or scope["method"] not in _METHODS:
            await self.app(scope, receive, send)
            return
        scope["route"] = router.routes[0]
        request = Request(scope, receive)
        try:
            answered = await receive_one(slug, request)
        except PenstockError as error:
            answered = ours(request, error)
        except Exception as error:
            answered = mistake(request, error)
        await answered(scope, receive, send)


router.add_api_route("/{slug}", receive_one, methods=_OTHER_METHODS, response_class=Response, include_in_schema=False)


def _sent(request: Request, body: bytes) -> Sent:
    """A request as webhooks know it."""
    scope = request.scope
    client = scope.get("client")
    try:
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_QUERY)
    except ValueError:
        raise Problem(400, f"The address has more than {_MOST_QUERY:,} parameters.") from None
    return Sent(
        method=scope["method"],
        path=scope["path"],
        headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]),
        query=tuple(query),
        body=body,
        client=client[0] if client else None,
    )


def _refused(request: Request, outcome: Outcome) -> Response:
    """The answer to somebody whose request is not accepted: nothing that a stranger could use."""
    status, reason = outcome.status_code, outcome.reason or ""
    code = "unknown" if status == 404 else reason
    told = _TOLD.get(status, HTTPStatus(status).phrase)
    if reason in _OWN_WORDS and outcome.message:
        told = outcome.message
    headers = {429: {"Retry-After": "1"}, 503: {"Retry-After": "30"}, 401: {"WWW-Authenticate": "Signature"}}
    return answer(request, status, code, told, headers=headers.get(status))
