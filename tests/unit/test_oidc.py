"""Signing in through an OpenID provider, as it should be: accounts, groups, settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.oidc_sites import BACK, SECRET, Provider
from tests.unit.oidc_world import HERE, OidcSite, home, provider, settings_of, shared, shut, site
from tests.unit.test_control_api import TestClient

from penstock.app import Penstock, load_settings
from penstock.control.app import create_app
from penstock.control.settings import OidcSettings, ServerSettings, load_server_settings
from penstock.core.errors import ConfigurationError
from penstock.engine.connections.secret import SecretConnection

__all__ = ["home", "provider", "shared", "shut", "site"]


def test_who_comes_for_the_first_time_gets_an_account(site: OidcSite, provider: Provider) -> None:
    tokens = site.signed_in(provider)
    me = site.get("/auth/me", tokens["access_token"]).json()
    assert (me["name"], me["role"], me["tags"]) == ("eve", "operator", None)
    account = site.auth.accounts.get("eve")
    assert (account.outside, account.password) == (f"{provider.issuer}#u-1", None)
    assert site.actions() == ["AccountCreated", "IdentityShown", "CodeUsed", "SignedIn"]
    assert site.audit(action="AccountCreated")[0]["who"] == "eve"
    again = site.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert again.status_code == 200
    assert site.get("/users", again.json()["access_token"]).status_code == 403
    assert provider.asked == ["/.well-known/openid-configuration", "/token", "/jwks"]


def test_groups_decide_each_time(site: OidcSite, provider: Provider) -> None:
    assert site.signed_in(provider)["scope"] == "operator"
    provider.who["groups"] = ["data", "ops"]
    assert site.signed_in(provider)["scope"] == "admin"
    site.account("ann")
    provider.who["groups"] = "data"
    assert site.signed_in(provider)["scope"] == "operator"
    provider.who["groups"] = ["nobody", 3, None]
    assert "None of your groups may sign in" in site.refused(provider)
    assert site.auth.accounts.get("eve").role == "operator"


def test_the_last_admin_stays_one(site: OidcSite, provider: Provider) -> None:
    provider.who["groups"] = ["ops"]
    site.signed_in(provider)
    provider.who["groups"] = ["data"]
    assert "eve is the last admin" in site.refused(provider)


def test_groups_decide_what_there_is(home: Penstock, provider: Provider) -> None:
    tags = {"data": ("etl", "ml"), "others": ("others",), "ops": ("*",)}
    site = OidcSite(home, settings_of(provider, groups_claim="realm.roles", tags=tags))
    for roles, expected in ((["data"], ["etl", "ml"]), (["others", "data"], ["etl", "ml", "others"]), (["ops"], None)):
        provider.who = {"sub": "u-1", "preferred_username": "eve", "realm": {"roles": roles}}
        token = site.signed_in(provider)["access_token"]
        assert site.get("/auth/me", token).json()["tags"] == expected


def test_where_groups_say_nothing_admins_decide(home: Penstock, provider: Provider) -> None:
    site = OidcSite(home, settings_of(provider, roles={}, default_role="viewer"))
    assert site.signed_in(provider)["scope"] == "viewer"
    site.auth.accounts.change("eve", role="editor")
    assert site.signed_in(provider)["scope"] == "editor"


def test_what_is_not_in_the_token_is_asked_for(site: OidcSite, provider: Provider) -> None:
    provider.who = {"sub": "u-1", "preferred_username": "eve"}
    provider.outside_of_the_token = {"groups": ["ops"], "preferred_username": "mallory"}
    assert site.signed_in(provider)["scope"] == "admin"
    assert [each.name for each in site.auth.accounts.all()] == ["eve"]
    provider.outside_of_the_token = {"groups": ["ops"], "sub": "u-2"}
    assert "tells of somebody else" in site.refused(provider)


def test_an_account_is_taken_over_only_when_an_admin_says_so(site: OidcSite, provider: Provider) -> None:
    site.account("eve", "viewer")
    before = site.auth.accounts.get("eve")
    assert "There is an account eve already, of somebody else. where it is theirs" in site.refused(provider)
    assert site.auth.accounts.get("eve") == before
    site.auth.accounts.link("eve", f"{provider.issuer}#u-1")
    assert site.signed_in(provider)["scope"] == "operator"
    assert site.auth.accounts.get("eve").password is None
    assert site.token(grant_type="password", username="eve", password="correct horse battery").status_code == 400
    provider.who["sub"] = "u-2"
    assert "of somebody else" in site.refused(provider)


def test_only_those_that_an_admin_has_let_in(home: Penstock, provider: Provider) -> None:
    site = OidcSite(home, settings_of(provider, sign_up=False))
    assert "penstock users link NAME u-1" in site.refused(provider)
    assert site.auth.accounts.all() == []
    site.auth.accounts.create("somebody", "viewer", outside=f"{provider.issuer}#u-1")
    assert site.signed_in(provider)["scope"] == "operator"
    site.auth.accounts.change("somebody", disabled=True)
    assert "The account is disabled." in site.refused(provider)


@pytest.mark.parametrize("name", ["", " ", "-", "local", "a b", "../x", "\ud800", "ä", "x" * 101, 7, None, ["eve"]])
def test_names_that_no_account_has(shut: OidcSite, provider: Provider, name: Any) -> None:
    provider.who["preferred_username"] = name
    assert shut.refused(provider).startswith("access_denied: ")
    assert shut.auth.accounts.all() == []


def test_clients_with_a_secret(home: Penstock, provider: Provider) -> None:
    site = OidcSite(home, settings_of(provider, secret="login"))
    assert site.refused(provider).startswith("server_error: The server cannot let anybody in")
    site.auth.shelf.save(SecretConnection(value=SECRET), "login")  # type: ignore[arg-type]
    site.signed_in(provider)
    assert provider.client_headers[-1] == "Basic cGVuc3RvY2s6YStzZWNyZXQrb2YrdGhlK2NsaWVudA=="
    assert SECRET not in str(site.audit())


def test_sessions_end_earlier_than_those_with_a_password(home: Penstock, provider: Provider) -> None:
    site = OidcSite(home, settings_of(provider, session_hours=0.5))
    site.signed_in(provider)
    (row,) = home.journal.credentials(kind="session")
    session = msgspec.json.decode(row.data)
    assert session["until"] - session["created_at"] == 1800 * 1_000_000


def test_where_there_is_no_provider(home: Penstock) -> None:
    app = create_app(home, ServerSettings(auth="required"))
    http = TestClient(app, base_url=f"{HERE}/api/v1")
    assert http.get("/auth/methods").json() == {"required": True, "oidc": None}
    assert http.get("/auth/oidc/callback", params={"state": "x"}).status_code == 404
    form = {"grant_type": "authorization_code", "code": "x", "code_verifier": "y", "redirect_uri": BACK}
    assert http.post("/auth/token", data=form).json()["error"] == "unsupported_grant_type"


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ('client_id = "p"', "issuer"),
        ('issuer = "http://login.example"\nclient_id = "p"', "is no issuer"),
        ('issuer = "https://a:b@login.example"\nclient_id = "p"', "is no issuer"),
        ('issuer = "https://login.example?x"\nclient_id = "p"', "is no issuer"),
        ('issuer = "https://login.example"\nclient_id = ""', "client_id is empty"),
        ('issuer = "https://login.example"\nclient_id = "p"', "nobody would be let in"),
        ('issuer = "https://login.example"\nclient_id = "p"\ndefault_role = "boss"', "'boss' is no role"),
        ('issuer = "https://login.example"\nclient_id = "p"\nroles = {boss = ["a"]}', "'boss' is no role"),
        ('issuer = "https://login.example"\nclient_id = "p"\nroles = {admin = "a"}', "roles"),
        ('issuer = "https://login.example"\nclient_id = "p"\ndefault_role = "viewer"\ntags = {a = []}', "'a'"),
        ('issuer = "https://login.example"\nclient_id = "p"\nscopes = ["email"]', "without openid"),
        (
            'issuer = "https://login.example"\nclient_id = "p"\ndefault_role = "viewer"\nsession_hours = 0',
            "session_hours",
        ),
        ('issuer = "https://login.example"\nclient_id = "p"\nclient_secret = "x"', "client_secret"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, table: str, told: str) -> None:
    text = f'[tool.penstock.server]\nauth = "required"\n[tool.penstock.server.oidc]\n{table}\n'
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=told):
        load_server_settings({}, tmp_path)


def test_settings_of_the_environment(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.penstock.server]\nauth = "required"\n[tool.penstock.server.oidc]\nissuer = "https://a.example"\n'
        'client_id = "p"\n[tool.penstock.server.oidc.roles]\nadmin = ["ops"]\n'
    )
    said = {"PENSTOCK_SERVER_OIDC_ISSUER": "https://b.example", "PENSTOCK_SERVER_OIDC_SCOPES": "openid, groups"}
    found = load_server_settings({**said, "PENSTOCK_SERVER_OIDC_SIGN_UP": "false"}, tmp_path).oidc
    assert found == OidcSettings(
        issuer="https://b.example", client_id="p", scopes=("openid", "groups"), sign_up=False, roles={"admin": ("ops",)}
    )
    with pytest.raises(ConfigurationError, match="nobody has to sign in"):
        load_server_settings({"PENSTOCK_SERVER_AUTH": "none"}, tmp_path)


def test_public_url_has_to_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    oidc = OidcSettings(issuer="https://a.example", client_id="p", default_role="viewer")
    penstock = Penstock(load_settings())
    with penstock.activate(), pytest.raises(ConfigurationError, match="public_url"):
        create_app(penstock, ServerSettings(auth="required", oidc=oidc))
    penstock.close()
