"""Signing in through an OpenID provider, with providers and browsers that mean harm."""

from __future__ import annotations

import base64
import hmac
import secrets
import time
from typing import Any

import jwt
import msgspec
import pytest
from tests.unit.oidc_sites import BACK, CLIENT, SECRET, Provider, key_of, query_of
from tests.unit.oidc_world import OidcSite, home, provider, settings_of, shared, shut, site

from penstock.app import Penstock
from penstock.control.auth import oidc
from penstock.core.access import challenge_of

__all__ = ["home", "provider", "shared", "shut", "site"]


def signed_by(key: dict[str, Any], algorithm: str = "RS256", kid: str | None = "one") -> Any:
    return lambda claims: jwt.encode(claims, key["private"], algorithm, headers={"kid": kid} if kid else {})


LIES: dict[str, Any] = {
    "wrong nonce": {"nonce": "x" * 43},
    "no nonce": {"nonce": None},
    "nonce of another kind": {"nonce": ["a"]},
    "another audience": {"aud": "another"},
    "no audience": {"aud": []},
    "audience of several, for another": {"aud": [CLIENT, "another"], "azp": "another"},
    "audience of several, for nobody": {"aud": [CLIENT, "another"]},
    "for another client": {"azp": "another"},
    "another issuer": {"iss": "https://evil.example"},
    "issuer with a slash": {"iss": "/"},
    "expired": {"exp": int(time.time()) - 120},
    "made tomorrow": {"iat": int(time.time()) + 86_400},
    "of use tomorrow": {"nbf": int(time.time()) + 86_400},
    "no time": {"exp": "soon"},
    "nobody": {"sub": ""},
    "a number": {"sub": 7},
    "long": {"sub": "x" * 256},
    "half a character": {"sub": "\ud800"},
    "lines": {"sub": "a\nb"},
}


@pytest.mark.parametrize("lie", LIES)
def test_what_a_provider_signs_wrongly(shut: OidcSite, provider: Provider, lie: str) -> None:
    provider.edit = lambda claims: claims.update(LIES[lie])
    told = shut.refused(provider)
    assert told.startswith("access_denied: "), told
    assert shut.auth.accounts.all() == []
    assert set(shut.actions()) == {"SignInFailed"}


@pytest.mark.parametrize("missing", ["exp", "iat", "sub", "aud", "iss", "nonce"])
def test_what_a_provider_leaves_out(shut: OidcSite, provider: Provider, missing: str) -> None:
    provider.edit = lambda claims: claims.pop(missing)
    assert shut.refused(provider).startswith("access_denied: ")


def with_secret(claims: dict[str, Any], secret: bytes) -> str:
    """A token as nobody's library makes it any more: what everybody sees taken for a secret."""
    head, body, _ = jwt.encode(claims, "x" * 32, "HS256", headers={"kid": "one"}).split(".")
    digest = hmac.digest(secret, f"{head}.{body}".encode(), "sha256")
    return f"{head}.{body}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


FORGERIES: dict[str, Any] = {
    "none": lambda provider: lambda claims: jwt.encode(claims, None, "none"),
    "the public key as a secret": lambda provider: (
        lambda claims: with_secret(claims, msgspec.json.encode(provider.keys[0]["public"]))
    ),
    "the client's secret": lambda provider: lambda claims: with_secret(claims, SECRET.encode()),
    "another key under its name": lambda provider: signed_by(key_of("one", owner="mallory")),
    "a key it does not have": lambda provider: signed_by(key_of("one", owner="mallory"), kid="two"),
    "another kind of key": lambda provider: signed_by(key_of("one", "EC"), "ES256"),
    "a key in the header": lambda provider: (
        lambda claims: jwt.encode(
            claims,
            (evil := key_of("evil", owner="mallory"))["private"],
            "RS256",
            headers={"jwk": evil["public"], "kid": "evil"},
        )
    ),
    "tampered": lambda provider: lambda claims: provider.signed(claims)[:-4] + "AAAA",
    "no token": lambda provider: lambda claims: "a.b",
    "nothing": lambda provider: lambda claims: "",
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_is_not_signed_by_the_provider(shut: OidcSite, provider: Provider, forgery: str) -> None:
    provider.sign = FORGERIES[forgery](provider)
    assert shut.refused(provider).startswith("access_denied: ")
    assert shut.auth.accounts.all() == []


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_short_keys_and_keys_for_other_things(site: OidcSite, provider: Provider) -> None:
    provider.keys = [key_of("short", bits=1024)]
    assert "too short" in site.refused(provider)
    other = key_of("other")
    other["public"]["use"] = "enc"
    provider.keys = [other]
    assert "a key that it does not have" in site.refused(provider)


def test_keys_change(home: Penstock, provider: Provider) -> None:
    site = OidcSite(home, settings_of(provider))
    now = [1000.0]
    keys = site.app.state.control.oidc.provider._keys
    keys._clock = lambda: now[0]
    site.signed_in(provider)
    provider.keys = [*provider.keys, key_of("next", "EC")]
    assert "a key that it does not have" in site.refused(provider)  # it was asked a moment ago
    now[0] += 31
    site.signed_in(provider)
    provider.keys = provider.keys[1:]
    site.signed_in(provider)
    assert provider.asked.count("/jwks") == 2
    now[0] += 3601
    site.signed_in(provider)
    assert provider.asked.count("/jwks") == 3


def test_a_sign_in_is_over_when_it_is_over(site: OidcSite, provider: Provider) -> None:
    verifier = secrets.token_urlsafe(32)
    begun = site.begin(code_challenge=challenge_of(verifier)).headers["location"]
    address = provider.sign_in(begun)
    first = query_of(site.sent_back(address).headers["location"])
    again = query_of(site.sent_back(address).headers["location"])
    assert "over already" in again["error_description"]
    with_another_code = query_of(site.sent_back(provider.sign_in(begun)).headers["location"])
    assert "over already" in with_another_code["error_description"]
    assert provider.asked.count("/token") == 1
    tokens = site.redeemed(first["code"], verifier).json()
    assert site.get("/auth/me", tokens["access_token"]).status_code == 200
    assert site.redeemed(first["code"], verifier).json()["error"] == "invalid_grant"
    assert site.get("/auth/me", tokens["access_token"]).status_code == 401, "used twice: somebody has stolen it"
    assert site.actions()[-3:] == ["CodeUsedAgain", "SignedOut", "TokenRefused"]


def test_a_code_is_of_use_to_whoever_began(site: OidcSite, provider: Provider) -> None:
    for spoil in ("verifier", "back", "code", "no verifier"):
        brought, verifier = site.through(provider)
        code = brought["code"][:-1] + "!" if spoil == "code" else brought["code"]
        shown = {"verifier": "v" * 43, "no verifier": "é"}.get(spoil, verifier)
        wrong = site.redeemed(code, shown, f"{BACK}x" if spoil == "back" else BACK)
        assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_grant"), spoil
        if spoil != "code":
            assert site.redeemed(brought["code"], verifier).status_code == 400, "it was tried, and is of no use now"


def test_a_code_is_of_use_for_a_minute(site: OidcSite, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    brought, verifier = site.through(provider)
    late = oidc.now_us() + 61_000_000
    monkeypatch.setattr(oidc, "now_us", lambda: late)
    assert site.redeemed(brought["code"], verifier).status_code == 400


def test_tickets_of_others(site: OidcSite, provider: Provider) -> None:
    own = query_of(site.begin().headers["location"])["state"]
    access = site.signed_in(provider)["access_token"]
    head, body, tail = own.split(".")
    none = jwt.encode(jwt.decode(own, options={"verify_signature": False}), None, "none")
    for ticket in ("", "x", access, none, f"{head}.{body}.{tail[:-4]}AAAA", own + "A", f"{body}.{head}.{tail}"):
        answer = site.http.get("/auth/oidc/callback", params={"state": ticket, "code": "c"}, follow_redirects=False)
        assert answer.status_code == 400, (ticket, answer.text)
    assert site.get("/auth/me", own).status_code == 401, "no ticket lets anybody in"


def test_a_ticket_tells_no_secret_of_its_own(site: OidcSite, provider: Provider) -> None:
    asked = query_of(site.begin().headers["location"])
    told = jwt.decode(asked["state"], options={"verify_signature": False})
    assert asked["nonce"] not in str(told)
    assert set(told) == {"back", "state", "challenge", "iss", "aud", "jti", "iat", "nbf", "exp"}
    assert told["exp"] - told["iat"] == 600


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example/", "http://evil.example/", "http://localhost:49152/", "http://127.0.0.1/",
        "http://127.0.0.1.evil.example:1/", "http://a@127.0.0.1:1/", "http://127.0.0.1:1/?x=y", "http://127.0.0.1:1/#x",
        "//127.0.0.1:1/", "javascript:alert(1)", "http://127.0.0.1:99999/", "http://[::1/",
        "http://127.0.0.1:1/\r\nX: y",
    ],
)  # fmt: skip
def test_browsers_are_sent_to_their_own_machine_only(shut: OidcSite, back: str) -> None:
    assert shut.begin(redirect_uri=back).status_code == 400
    assert shut.begin(redirect_uri="http://[::1]:4000/").status_code == 302


@pytest.mark.parametrize(
    ("field", "value"),
    [("state", ""), ("state", "x" * 501), ("state", "a\nb"), ("code_challenge", "short"), ("code_challenge", "é" * 43)],
)
def test_what_cannot_be_begun(shut: OidcSite, field: str, value: str) -> None:
    assert shut.begin(**{field: value}).status_code in (400, 422)
    assert shut.begin(code_challenge_method="plain").status_code == 422


def test_what_the_provider_refuses(site: OidcSite, provider: Provider) -> None:
    state = query_of(site.begin().headers["location"])["state"]
    hostile = {"state": state, "error": "<script>\r\nSet-Cookie: a=b"}
    told = site.http.get("/auth/oidc/callback", params=hostile, follow_redirects=False)
    assert told.headers["location"].startswith(BACK)
    assert "set-cookie" not in told.headers
    assert "The provider says: <script>" in query_of(told.headers["location"])["error_description"]
    made_up = {"state": state, "code": "made up"}
    told = site.http.get("/auth/oidc/callback", params=made_up, follow_redirects=False)
    assert "takes the sign-in back" in query_of(told.headers["location"])["error_description"]


def test_another_provider_answers(site: OidcSite, provider: Provider) -> None:
    address = provider.sign_in(site.begin().headers["location"])
    mixed = query_of(site.sent_back(f"{address}&iss=https://evil.example").headers["location"])
    assert "Another provider" in mixed["error_description"]
    assert site.sent_back(f"{address}&iss={provider.issuer}").headers["location"].startswith(f"{BACK}?code=")
    assert provider.asked.count("/token") == 1


def test_providers_that_say_who_they_are_have_to(home: Penstock, provider: Provider) -> None:
    provider.metadata = {"authorization_response_iss_parameter_supported": True}
    site = OidcSite(home, settings_of(provider))
    assert "Another provider" in site.refused(provider)


HOSTILE: dict[str, Any] = {
    "another issuer": {"issuer": "https://evil.example"},
    "a file": {"token_endpoint": "file:///etc/passwd"},
    "clear text elsewhere": {"jwks_uri": "http://login.example/jwks"},
    "the keys of a cloud": {"jwks_uri": "https://169.254.169.254/latest"},
    "a service of this network": {"token_endpoint": "https://10.0.0.1/token"},
    "no endpoint": {"token_endpoint": None},
    "an endpoint of another kind": {"jwks_uri": 7},
    "lines": {"authorization_endpoint": "https://x.example/\r\nX: y"},
}


@pytest.mark.parametrize("lie", HOSTILE)
def test_providers_that_lead_elsewhere(home: Penstock, provider: Provider, lie: str) -> None:
    provider.metadata = HOSTILE[lie]
    site = OidcSite(home, settings_of(provider))
    begun = site.begin().headers["location"]
    if begun.startswith(BACK):
        assert query_of(begun)["error"] == "temporarily_unavailable"
    else:
        assert site.refused(provider).startswith("temporarily_unavailable: ")


def test_a_provider_that_is_away_or_talks_too_much(home: Penstock, provider: Provider) -> None:
    site = OidcSite(home, settings_of(provider))
    now = [1000.0]
    site.app.state.control.oidc.provider._metadata._clock = lambda: now[0]
    provider.status = 500
    for _ in range(5):
        assert query_of(site.begin().headers["location"])["error"] == "temporarily_unavailable"
    assert len(provider.asked) == 1, "it is left alone for a moment"
    provider.status = 302
    now[0] += 6
    assert query_of(site.begin().headers["location"])["error"] == "temporarily_unavailable"
    provider.status, provider.metadata = 200, {"more": "x" * 300_000}
    now[0] += 6
    assert query_of(site.begin().headers["location"])["error"] == "temporarily_unavailable"
    provider.metadata = {}
    now[0] += 6
    site.signed_in(provider)
    nobody = OidcSite(home, settings_of(provider, issuer="http://127.0.0.1:1"))
    assert query_of(nobody.begin().headers["location"])["error"] == "temporarily_unavailable"


def test_few_ask_the_provider_at_once(site: OidcSite, provider: Provider) -> None:
    held = [site.app.state.control.oidc.provider.turn() for _ in range(4)]
    for each in held:
        each.__enter__()
    assert "Too many" in query_of(site.begin().headers["location"])["error_description"]
    for each in held:
        each.__exit__(None, None, None)
    site.signed_in(provider)
