"""A server where people sign in through an OpenID provider, for tests; with fixtures."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.access_site import Site
from tests.unit.oidc_sites import BACK, CLIENT, Provider, providing, query_of
from tests.unit.test_control_api import TestClient

from penstock.app import Penstock, load_settings
from penstock.control.app import create_app
from penstock.control.settings import OidcSettings, ServerSettings
from penstock.core.access import challenge_of

HERE = "http://127.0.0.1:4300"
ROLES = {"operator": ("data", "others"), "admin": ("ops",)}


@pytest.fixture(scope="module")
def shared() -> Iterator[Provider]:
    with providing() as found:
        yield found


@pytest.fixture
def provider(shared: Provider) -> Provider:
    """As it should be."""
    shared.reset()
    return shared


class OidcSite(Site):
    """A server with a provider."""

    def __init__(self, penstock: Penstock, settings: OidcSettings) -> None:
        self.penstock = penstock
        self.app = create_app(penstock, ServerSettings(auth="required", oidc=settings))
        self.auth = self.app.state.control.auth
        self.http = TestClient(self.app, base_url=f"{HERE}/api/v1", raise_server_exceptions=False)

    def begin(self, **changes: str) -> Any:
        asked = {"redirect_uri": BACK, "state": "mine", "code_challenge": "c" * 43, **changes}
        return self.http.get("/auth/oidc/authorize", params=asked, follow_redirects=False)

    def sent_back(self, address: str) -> Any:
        return self.http.get(address, follow_redirects=False)

    def through(self, provider: Provider) -> tuple[dict[str, str], str]:
        """What the browser brings back in the end, and the verifier of whoever began."""
        verifier = secrets.token_urlsafe(32)
        begun = self.begin(code_challenge=challenge_of(verifier))
        assert begun.status_code == 302, begun.text
        back = self.sent_back(provider.sign_in(begun.headers["location"]))
        assert back.status_code == 302, back.text
        assert back.headers["location"].startswith(f"{BACK}?")
        return query_of(back.headers["location"]), verifier

    def signed_in(self, provider: Provider) -> dict[str, Any]:
        """Tokens."""
        brought, verifier = self.through(provider)
        assert brought["state"] == "mine"
        assert "code" in brought, brought
        answer = self.redeemed(brought["code"], verifier)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def redeemed(self, code: str, verifier: str, back: str = BACK) -> Any:
        return self.token(grant_type="authorization_code", code=code, code_verifier=verifier, redirect_uri=back)

    def refused(self, provider: Provider) -> str:
        """What is told to whoever is not let in."""
        brought, _ = self.through(provider)
        assert "code" not in brought, brought
        assert brought["state"] == "mine"
        return f"{brought['error']}: {brought['error_description']}"

    def actions(self) -> list[str]:
        return [each["action"] for each in self.audit()][::-1]


@contextmanager
def opened(folder: Path) -> Iterator[Penstock]:
    (folder / "pyproject.toml").write_text(f'[tool.penstock]\npublic_url = "{HERE}"\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        penstock = Penstock(load_settings())
        with penstock.activate():
            yield penstock
        penstock.close()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Penstock]:
    with opened(tmp_path) as penstock:
        yield penstock


@pytest.fixture(scope="module")
def shut(shared: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcSite]:
    """A server that lets nobody in, in these tests."""
    with opened(tmp_path_factory.mktemp("shut")) as penstock:
        yield OidcSite(penstock, settings_of(shared))


def settings_of(provider: Provider, **changes: Any) -> OidcSettings:
    return msgspec.structs.replace(
        OidcSettings(issuer=provider.issuer, client_id=CLIENT, roles=ROLES), **changes
    )  # fmt: skip


@pytest.fixture
def site(home: Penstock, provider: Provider) -> OidcSite:
    return OidcSite(home, settings_of(provider))
