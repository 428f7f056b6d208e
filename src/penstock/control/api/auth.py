"""`/api/v1/auth`: signing in and out. There are no cookies, so no page can use what somebody else's browser has."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from penstock.control.access import Viewer, actor_of
from penstock.control.api.auth_models import MeOut, OwnPasswordIn, RevokeIn, TokenIn, TokenOut
from penstock.control.auth import Actor, Auth, Tokens
from penstock.control.auth.oidc import SignOn
from penstock.control.bodies import BODIES, Raw, parsed
from penstock.control.problems import Problem
from penstock.control.wiring import TheAuth, control_of
from penstock.core.errors import NotSignedIn, SignInPaused

router = APIRouter(prefix="/auth", tags=["access"])
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_MOST_FIELDS = 20
_REFUSAL = {
    "type": "object",
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
    "required": ["error"],
}
_REFUSED: dict[int | str, dict[str, Any]] = {
    status: {"description": told, "content": {"application/json": {"schema": _REFUSAL}}}
    for status, told in ((400, "Refused, as OAuth 2 tells it."), (401, "No such client."), (429, "Too many attempts."))
}


def _form(model: type[BaseModel], example: dict[str, str]) -> dict[str, Any]:
    """What the description says of a form."""
    BODIES.of(model, example)
    content = {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}, "example": example}
    body = {"required": True, "content": {"application/x-www-form-urlencoded": content}}
    return {"requestBody": body, "security": []}


class _Refused(Exception):
    """A request for a token that is answered as OAuth2 has it (RFC 6749, 5.2)."""

    def __init__(self, error: str, told: str, status: int = 400, headers: dict[str, str] | None = None) -> None:
        super().__init__(told)
        self.answer = JSONResponse(
            {"error": error, "error_description": told}, status, headers={**_NO_STORE, **(headers or {})}
        )


@router.post(
    "/token",
    response_model=TokenOut,
    responses=_REFUSED,
    openapi_extra=_form(TokenIn, {"grant_type": "password", "username": "ann", "password": "..."}),
)
async def token(request: Request, raw: Raw, auth: TheAuth) -> Any:
    """Sign in: with a password, as a service with one of its keys, with a code; or on with a refresh token."""
    try:
        fields = _fields(request, raw)
        client, actor = _client(request, fields), actor_of(request)
        tokens = await run_in_threadpool(_granted, auth, control_of(request).oidc, fields, client, actor)
    except _Refused as refused:
        return refused.answer
    told = TokenOut(
        access_token=tokens.access, expires_in=tokens.seconds, refresh_token=tokens.refresh, scope=tokens.role
    )
    return JSONResponse(told.model_dump(exclude_none=True), headers=_NO_STORE)


def _granted(auth: Auth, oidc: SignOn | None, fields: dict[str, str], client: tuple[str, str], actor: Actor) -> Tokens:
    kind = fields.get("grant_type", "")
    try:
        if kind == "password":
            return auth.sessions.sign_in(_needed(fields, "username"), _needed(fields, "password"), actor)
        if kind == "refresh_token":
            return auth.sessions.refresh(_needed(fields, "refresh_token"), actor)
        if kind == "client_credentials":
            return auth.sessions.by_key(*client, actor)
        if kind == "authorization_code" and oidc is not None:
            code, verifier, back = (_needed(fields, name) for name in ("code", "code_verifier", "redirect_uri"))
            return oidc.redeem(code, verifier, back, actor)
    except SignInPaused as error:
        raise _Refused("invalid_grant", error.message, 429, {"Retry-After": str(error.seconds)}) from None
    except NotSignedIn as error:
        if kind == "client_credentials":
            raise _Refused("invalid_client", error.message, 401, {"WWW-Authenticate": "Basic"}) from None
        raise _Refused("invalid_grant", error.message) from None
    if not kind:
        raise _Refused("invalid_request", "grant_type is missing.")
    others = "refresh_token, and authorization_code where there is an OpenID provider"
    raise _Refused("unsupported_grant_type", f"There are password, client_credentials, {others}.")


def _needed(fields: dict[str, str], name: str) -> str:
    if not fields.get(name):
        raise _Refused("invalid_request", f"{name} is missing.")
    return fields[name]


def _fields(request: Request, raw: bytes) -> dict[str, str]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise _Refused("invalid_request", "The body is a form: application/x-www-form-urlencoded.")
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise _Refused("invalid_request", "The body cannot be read.") from None
    if len({name for name, _ in pairs}) < len(pairs):
        raise _Refused("invalid_request", "A field is there twice.")
    return dict(pairs)


def _client(request: Request, fields: dict[str, str]) -> tuple[str, str]:
    """Name and secret of a client: of the Authorization header, or of the form."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            name, colon, secret = base64.b64decode(text.strip(), validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            name, colon, secret = "", "", ""
        if not colon:
            raise _Refused("invalid_client", "The Authorization header cannot be read.", 401)
        return unquote_plus(name), unquote_plus(secret)
    return fields.get("client_id", ""), fields.get("client_secret", "")


@router.post("/revoke", responses=_REFUSED, openapi_extra=_form(RevokeIn, {"token": "pr_..."}))
async def revoke(request: Request, raw: Raw, auth: TheAuth) -> Response:
    """End the session that a token belongs to. What is no token is answered in the same way."""
    try:
        fields = _fields(request, raw)
        text = _needed(fields, "token")
    except _Refused as refused:
        return refused.answer
    await run_in_threadpool(auth.sessions.revoke, text, actor_of(request))
    return JSONResponse({}, headers=_NO_STORE)


@router.post("/logout", status_code=204)
def logout(auth: TheAuth, user: Viewer) -> None:
    """End one's own session."""
    if user.via is None or not user.via.startswith("session/"):
        raise Problem(409, "There is no session to end.", hint="a key is revoked: DELETE /api/v1/keys/ID")
    auth.sessions.end(user.via)


@router.get("/me")
async def me(user: Viewer) -> MeOut:
    """Who one is."""
    return MeOut(name=user.name, role=user.role, tags=list(user.tags) if user.tags is not None else None, via=user.via)


@router.post(
    "/password",
    status_code=204,
    openapi_extra=BODIES.of(OwnPasswordIn, {"current_password": "...", "new_password": "..."}),
)
def change_password(request: Request, user: Viewer, raw: Raw, auth: TheAuth) -> None:
    """Another password of one's own; all of one's sessions end."""
    if user.via is None or not user.via.startswith("session/"):
        raise Problem(403, "Only who has signed in with a password changes it.")
    wanted = parsed(OwnPasswordIn, raw)
    auth.sessions.change_password(user, wanted.current_password, wanted.new_password, actor_of(request, user))
