"""Where a browser comes back to: whoever does not know the state is nobody."""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from penstock.cli import login_browser
from penstock.cli.login_browser import through_browser
from penstock.core.access import challenge_of
from penstock.core.errors import ConfigurationError

URL = "https://ops.example"


class Browser:
    """Goes back to where it is sent to, with what a test gives it."""

    def __init__(self, *visits: dict[str, str]) -> None:
        self.visits = visits
        self.asked: dict[str, str] = {}
        self.answers: list[Any] = []
        self._thread = threading.Thread(target=self._go)

    def sent(self, place: str) -> None:
        assert place.startswith(f"{URL}/api/v1/auth/oidc/authorize?")
        self.asked = {name: values[0] for name, values in parse_qs(urlsplit(place).query).items()}
        self._thread.start()

    def _go(self) -> None:
        for visit in self.visits:
            told = {name: value.format(**self.asked) for name, value in visit.items()}
            self.answers.append(httpx.get(self.asked["redirect_uri"], params=told, timeout=60))

    def heard(self) -> list[int]:
        self._thread.join()
        return [each.status_code for each in self.answers]


def test_the_one_that_knows_the_state_is_heard() -> None:
    browser = Browser({}, {"code": "evil"}, {"code": "evil", "state": "x"}, {"code": "c", "state": "{state}"})
    identity = through_browser(URL, browser.sent, opened=False)
    assert browser.heard() == [404, 404, 404, 200]
    (call,) = identity.calls()
    assert call.form is not None
    assert (call.form["code"], call.form["redirect_uri"]) == ("c", browser.asked["redirect_uri"])
    assert challenge_of(call.form["code_verifier"]) == browser.asked["code_challenge"]
    assert call.form["code_verifier"] not in str(browser.asked)
    assert "evil" not in "".join(each.text for each in browser.answers)


def test_a_refusal_is_told() -> None:
    browser = Browser({"error": "access_denied", "error_description": "No.<script>", "state": "{state}"})
    with pytest.raises(ConfigurationError, match=r"No\.<script>"):
        through_browser(URL, browser.sent, opened=False)
    assert browser.heard() == [200]
    assert "script" not in browser.answers[0].text


def test_no_browser_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_browser, "_SECONDS", 0.01)
    with pytest.raises(ConfigurationError, match="No browser has come back"):
        through_browser(URL, lambda place: None, opened=False)
