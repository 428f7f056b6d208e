"""What `alert_desk` has at hand, asked for over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.cli.alert_desk import Trial
from penstock.core.clock import iso, micros, now_us
from penstock.core.errors import ConfigurationError
from penstock.orchestrator.outbox import ToldAlert
from penstock.orchestrator.silences import Silence
from penstock.remote import Client
from penstock.remote.calls import first
from penstock.remote.planned import at
from penstock.remote.resources import alerts


class RemoteAlerts:
    """The alerts, silences and channels of a server; see `LocalAlerts`."""

    def __init__(self, client: Client) -> None:
        self._all = client.alerts
        self._silences = client.silences

    def listed(self, states: Sequence[str], limit: int) -> list[ToldAlert]:
        """See `LocalAlerts`."""
        found = first(limit, lambda page: self._all.list(state=tuple(states), limit=page))
        return [_alert(each) for each in found]

    def retry(self, ids: Sequence[str]) -> list[str]:
        """See `LocalAlerts`."""
        return [self._all.retry(each)["id"] for each in ids]

    def retry_failed(self) -> list[str]:
        """See `LocalAlerts`. Which were tried again, only the journal tells."""
        raise ConfigurationError(
            "A server is asked for one alert after the other.",
            hint="penstock alerts retry ID, as `alerts list` shows it",
        )

    def try_out(self, channel: str) -> Trial:
        """See `LocalAlerts`."""
        found = self._all.test(channel)
        return Trial(found.error if not found.ok else None, {})

    def silence(self, where: Mapping[str, Any], seconds: float, *, since: int | None, reason: str | None) -> Silence:
        """See `LocalAlerts`."""
        return _silence(self._silences.create(where, seconds, since=iso(since), reason=reason))

    def silences(self, over: bool) -> list[Silence]:
        """See `LocalAlerts`."""
        return [_silence(each) for each in self._silences.list(over=over)]

    def end(self, silence_id: str) -> tuple[bool, Silence]:
        """See `LocalAlerts`."""
        before = _silence(self._silences.get(silence_id))
        self._silences.end(silence_id)
        return not before.over(now_us()), _silence(self._silences.get(silence_id))


def _alert(told: alerts.Alert) -> ToldAlert:
    return ToldAlert(
        id=told.id,
        state=told.state,
        automation=told.automation,
        to=tuple(told.to),
        title=told.title,
        level=told.level,
        at=micros(told.at),
        due_at=at(told.due_at),
        attempts=told.attempts,
        error=told.error,
    )


def _silence(told: alerts.Silence) -> Silence:
    return Silence(
        id=told.id,
        since=micros(told.since),
        until=micros(told.until),
        where=told.where,
        reason=told.reason,
        by=told.by,
    )
