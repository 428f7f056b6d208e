"""What automations have told and called in a test, kept instead of being sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from penstock.core.automations import Call
from penstock.core.model import Alert, OwedAction
from penstock.core.ports import Alerts
from penstock.core.templates import fill


class Heard(Mapping[str, Alerts]):
    """Every place for alerts there may be, and every URL.

    Args:
        alerts: where alerts are put.
        calls: where calls are put: the URL, with what was to be sent.
    """

    def __init__(self, alerts: list[Alert], calls: list[tuple[str, dict[str, Any]]]) -> None:
        self.alerts = alerts
        self.calls = calls
        self._one_at_a_time = threading.Lock()

    def __getitem__(self, name: str) -> Alerts:
        return self

    def __iter__(self) -> Iterator[str]:
        return iter(("console", "file"))

    def __len__(self) -> int:
        return 2

    def send(self, alert: Alert) -> None:
        """See `Alerts.send`. What one firing tells at two places is one alert."""
        with self._one_at_a_time:  # each place has a thread of its own
            if not any(_same(alert, each) for each in self.alerts):
                self.alerts.append(alert)

    def call(self, owed: OwedAction, action: Call) -> dict[str, Any]:
        """Keep what would be sent."""
        self.calls.append((action.url, fill(action.body, owed.facts, "?") if action.body else owed.facts))
        return {"status": 200}


def _same(alert: Alert, other: Alert) -> bool:
    """Whether they differ in nothing but the place in the list of what their firing does."""
    one, two = alert.key.rpartition("/")[0], other.key.rpartition("/")[0]
    return one == two and msgspec.structs.replace(alert, key=other.key) == other
