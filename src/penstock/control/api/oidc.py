"""`/api/v1/auth/oidc`: where browsers come by on their way to the OpenID provider and back."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from penstock.control.access import actor_of
from penstock.control.api.auth_models import MethodsOut
from penstock.control.auth.oidc import Returned, SignOn
from penstock.control.problems import Problem
from penstock.control.wiring import control_of
from penstock.core.errors import NotSignedIn

router = APIRouter(prefix="/auth", tags=["access"])
_OPEN: dict[str, Any] = {"security": []}
_LONG = 8192


async def _sign_on(request: Request) -> SignOn:
    found = control_of(request).oidc
    if found is None:
        raise Problem(
            404, "There is no OpenID provider here.", hint="sign in with a password: POST /api/v1/auth/token"
        )  # fmt: skip
    return found


TheSignOn = Annotated[SignOn, Depends(_sign_on)]


@router.get("/methods", openapi_extra=_OPEN)
async def methods(request: Request) -> MethodsOut:
    """How one signs in here."""
    settings = control_of(request).settings
    return MethodsOut(
        required=settings.auth == "required", oidc=settings.oidc.issuer if settings.oidc is not None else None
    )


@router.get("/oidc/authorize", status_code=302, response_class=RedirectResponse, openapi_extra=_OPEN)
async def authorize(
    oidc: TheSignOn,
    redirect_uri: Annotated[str, Query(max_length=500, description="on the machine of the browser (RFC 8252)")],
    state: Annotated[str, Query(max_length=500, description="comes back with the code")],
    code_challenge: Annotated[str, Query(max_length=100, description="of a verifier (RFC 7636)")],
    response_type: Literal["code"] = "code",
    code_challenge_method: Literal["S256"] = "S256",
) -> RedirectResponse:
    """Begin to sign in through the OpenID provider: the browser is sent there."""
    place = await run_in_threadpool(oidc.begin, redirect_uri, state, code_challenge)
    return RedirectResponse(place, 302)


@router.get("/oidc/callback", status_code=302, response_class=RedirectResponse, openapi_extra=_OPEN)
async def callback(
    request: Request,
    oidc: TheSignOn,
    state: Annotated[str, Query(max_length=_LONG)],
    code: Annotated[str | None, Query(max_length=_LONG)] = None,
    iss: Annotated[str | None, Query(max_length=_LONG)] = None,
    error: Annotated[str | None, Query(max_length=_LONG)] = None,
) -> RedirectResponse:
    """Where the OpenID provider sends the browser back to; it is sent on to whoever began."""
    returned = Returned(state, code, iss, error)
    try:
        place = await run_in_threadpool(oidc.finish, returned, actor_of(request))
    except NotSignedIn as wrong:
        raise Problem(400, f"This sign-in cannot be finished: {wrong.message}", hint="begin again") from None
    return RedirectResponse(place, 302)
