"""Alerts and silences for commands: those of the journal at hand. `alert_desk_remote` has the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from penstock.app import Penstock
from penstock.core.clock import now_us
from penstock.core.errors import PlanNotFound
from penstock.core.sending import Hopeless, Unanswered
from penstock.engine.project import project_file
from penstock.orchestrator import outbox, silences
from penstock.orchestrator.channels import ChannelPlace, Channels, loader, project_alerts
from penstock.orchestrator.outbox import ToldAlert
from penstock.orchestrator.shelves import shelf_of
from penstock.orchestrator.silences import Silence

MOST_FAILED = 1000


class Trial(NamedTuple):
    """What became of a message that is only a test.

    Attributes:
        error: why it could not be sent.
        told: what the channel said.
    """

    error: str | None
    told: dict[str, Any]


class LocalAlerts:
    """The alerts and silences of the journal at hand, and the channels of the project."""

    def __init__(self, penstock: Penstock) -> None:
        self._penstock = penstock
        self._journal = penstock.journal

    def listed(self, states: Sequence[str], limit: int) -> list[ToldAlert]:
        """Those that wait, then the last ones that have ended."""
        return outbox.alerts_of(self._journal, states, limit)

    def retry(self, ids: Sequence[str]) -> list[str]:
        """Have these be tried anew; the ids they have then."""
        return [outbox.retry(self._journal, each) for each in ids]

    def retry_failed(self) -> list[str]:
        """The same for all of the last ones that failed and were not tried again."""
        failed = [each.id for each in outbox.alerts_of(self._journal, ("failed",), MOST_FAILED)]
        return self.retry([each for each in failed if not self._tried_again(each)])

    def _tried_again(self, alert_id: str) -> bool:
        firing, _, place = alert_id.rpartition("/")
        return bool(self._journal.last_seq(f"action/{firing}.{place}/0"))

    def try_out(self, channel: str) -> Trial:
        """Send a message that says that it is a test."""
        settings = project_alerts(project_file(Path.cwd()))
        load = loader(shelf_of(self._penstock))
        found = Channels(settings, self._journal, load, self._penstock.settings.public_url).get(channel)
        if not isinstance(found, ChannelPlace):
            known = ", ".join(settings.channels) or "none"
            raise PlanNotFound(f"There is no channel {channel!r}.", hint=f"channels there are: {known}")
        try:
            told = dict(found.test())
        except (Hopeless, Unanswered) as failed:
            return Trial(str(failed), {})
        return Trial(told.get("skipped"), told)

    def silence(self, where: Mapping[str, Any], seconds: float, *, since: int | None, reason: str | None) -> Silence:
        """Have nobody be told of what fits, for so long."""
        return silences.start(self._journal, dict(where), seconds, since=since, reason=reason)

    def silences(self, over: bool) -> list[Silence]:
        """Those that hold, or will; with `over` the others too."""
        now = now_us()
        return [each for each in silences.Silences(self._journal).all() if over or not each.over(now)]

    def end(self, silence_id: str) -> tuple[bool, Silence]:
        """End one now; whether it was not over already."""
        ended = silences.end(self._journal, silence_id)
        return bool(ended), silences.find(self._journal, silence_id)
