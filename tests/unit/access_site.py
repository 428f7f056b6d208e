"""A server where everybody signs in, for tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.unit.test_control_api import TestClient

from penstock.app import Penstock
from penstock.control.app import create_app
from penstock.control.auth import Auth, pauses, reading
from penstock.control.auth import passwords as hashing
from penstock.control.auth.log import Change, entry_of
from penstock.control.settings import ServerSettings
from penstock.core.access import Credential
from penstock.core.audit import AuditFilter

PASSWORD = "correct horse battery"
"""Of every account of these tests."""


@pytest.fixture
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords are hashed with little work."""
    argon2: Any = pytest.importorskip("argon2")
    hasher = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(hashing, "_hasher", lambda: hasher)


class Site:
    """A server where everybody signs in."""

    def __init__(self, penstock: Penstock) -> None:
        self.penstock = penstock
        self.app = create_app(penstock, ServerSettings(auth="required"))
        self.auth: Auth = self.app.state.control.auth
        self.http = TestClient(self.app, base_url="http://127.0.0.1:4300/api/v1", raise_server_exceptions=False)

    def beside(self) -> Site:
        """Another server on the same journal."""
        return Site(self.penstock)

    def account(self, name: str, role: str = "admin", **more: Any) -> None:
        self.auth.accounts.create(name, role, password=PASSWORD, **more)

    def token(self, **fields: str) -> Any:
        return self.http.post("/auth/token", data=fields)

    def sign_in(self, name: str, password: str = PASSWORD) -> dict[str, Any]:
        answer = self.token(grant_type="password", username=name, password=password)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def asked(self, method: str, path: str, token: str, **options: Any) -> Any:
        return self.http.request(method, path, headers={"Authorization": f"Bearer {token}"}, **options)

    def get(self, path: str, token: str) -> Any:
        return self.asked("GET", path, token)

    def audit(self, **where: Any) -> list[dict[str, Any]]:
        """Entries, the newest first."""
        return reading.listed(self.penstock.journal, AuditFilter(**where))

    def verified(self, monkeypatch: pytest.MonkeyPatch, looked: list[str | None]) -> Callable[..., bool]:
        """Note which hashes passwords are compared with."""
        fits = hashing.fits

        def noted(kept: str | None, password: str) -> bool:
            looked.append(kept)
            return fits(kept, password)

        monkeypatch.setattr(hashing, "fits", noted)
        return fits

    def places(self, addresses: pauses.Rule) -> Callable[[str, str | None], list[tuple[str, pauses.Rule]]]:
        """Where failures are counted, with another rule for addresses."""
        known = self.auth.sessions._pauses._places

        def found(name: str, address: str | None) -> list[tuple[str, pauses.Rule]]:
            return [(place, addresses if rule == pauses.ADDRESSES else rule) for place, rule in known(name, address)]

        return found

    def age_key(self, key_id: str) -> None:
        """Let the time of a key be over."""
        (row,) = self.penstock.journal.credentials([f"key/{key_id}"])
        data = msgspec.json.decode(row.data)
        data["until"] = 1
        old = Credential(name=row.name, owner=row.owner, data=msgspec.json.encode(data), seq=row.seq)
        self.auth.log.change(lambda: Change(entry_of("Aged", row.name), [old]))
