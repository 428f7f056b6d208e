"""A journal with channels for alerts, and stand-ins for what they are sent to: they speak HTTP over real sockets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.patience import undisturbed
from tests.unit.api_server import Reply, Request

from penstock.automations import Automation, Notify, Trigger
from penstock.core.alerting import AlertSettings, alert_settings
from penstock.core.clock import Clock
from penstock.core.connections import Connection
from penstock.core.errors import ConnectionNotFound
from penstock.core.model import Alert
from penstock.core.plans import ActionEnded
from penstock.core.ports import Journal
from penstock.journal import MemoryJournal
from penstock.orchestrator.alerts import alerts_in
from penstock.orchestrator.automations import Automations, declare
from penstock.orchestrator.channels import Channels
from penstock.orchestrator.emitting import emit
from penstock.orchestrator.routing import Routing

S = 1_000_000
HOSTILE = (
    "<script>alert(1)</script> <!channel> @everyone **bold** `code` \r\nBcc: all@example.com \u202e [x](http://e.vil)"
)


class Stand(Clock):
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.at = 1_767_225_600 * S

    def now(self) -> int:
        return self.at


class Told:
    """A journal whose alerts go to channels.

    Args:
        clock: what time it is.
        table: what `[tool.penstock.alerts]` says.
        connections: by name.
    """

    def __init__(
        self,
        clock: Stand,
        table: Mapping[str, Any],
        connections: Mapping[str, Connection],
        journal: Journal | None = None,
        home: Any = None,
    ) -> None:
        self.clock = clock
        self.journal = journal or MemoryJournal()
        self.settings: AlertSettings = alert_settings(table)
        self._connections = connections
        self.channels = Channels(self.settings, self.journal, self.load, "https://penstock.example.com/")
        places = alerts_in(home, self.channels) if home is not None else self.channels
        self.automations = Automations(self.journal, places, spread=Routing(self.settings))

    def load(self, name: str) -> Connection:
        if name not in self._connections:
            raise ConnectionNotFound(f"There is no connection {name!r}.")
        return self._connections[name]

    def on(self, *to: str, name: str = "it", event: str = "go", message: str = "{facts.word}", **more: Any) -> None:
        action = Notify(message, to=to, **more)
        declare(self.journal, Automation(name=name, trigger=Trigger(event=event), actions=(action,)))

    def emit(self, word: str = "hello", event: str = "go", **facts: Any) -> None:
        emit(self.journal, event, "thing", {"word": word, **facts})

    def settle(self, seconds: float = 0) -> None:
        self.clock.at += int(seconds * S)
        undisturbed(self.journal, lambda: self.automations.settle(self.clock.at))

    def ended(self) -> list[ActionEnded]:
        return [each.event for each in self.journal.read(0, 10_000) if isinstance(each.event, ActionEnded)]


class SlackSite:
    """A stand-in for Slack's API, as its documentation describes `chat.postMessage`.

    Attributes:
        says: what to answer next instead of taking the message.
    """

    def __init__(self) -> None:
        self.says: list[Reply] = []
        self.messages: list[dict[str, Any]] = []

    def __call__(self, request: Request) -> Any:
        if request.path.endswith("/auth.test"):
            good = request.headers.get("authorization") == "Bearer xoxb-good"
            return {"ok": True, "user": "bot", "team": "us"} if good else {"ok": False, "error": "invalid_auth"}
        if self.says:
            return self.says.pop(0)
        body = request.json
        self.messages.append(body)
        return {"ok": True, "ts": f"1700000000.{len(self.messages):06}", "channel": body["channel"]}


def alert(**changes: Any) -> Alert:
    """One that has everything."""
    fields: dict[str, Any] = {
        "key": "run-failed/7/0",
        "at": 1_767_225_600 * S,
        "automation": "run-failed",
        "title": "etl Failed",
        "message": "it broke",
        "level": "error",
        "facts": {"flow": "etl", "run": {"id": "r1", "name": "calm-otter"}},
        "more": {"duration": "3 s", "failed task": "load"},
        "log": "one\ntwo",
        "link": "https://penstock.example.com/api/v1/runs/r1",
        "thread": "r1",
    }
    return Alert(**{**fields, **changes})
