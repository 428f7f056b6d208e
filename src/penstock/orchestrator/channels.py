"""The channels of `[tool.penstock.alerts]`, with their connections."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from penstock.core import typed
from penstock.core.alerting import AlertSettings, Channel, alert_settings
from penstock.core.clock import now_us
from penstock.core.connections import Connection
from penstock.core.errors import BadConnection, ConfigurationError, ConnectionNotFound, MissingExtra, PenstockError
from penstock.core.model import Alert
from penstock.core.ports import Alerts, Journal
from penstock.core.sending import Hopeless
from penstock.engine.connections.shelf import Shelf
from penstock.engine.project import penstock_table
from penstock.observability.alerts import KINDS, deliver
from penstock.orchestrator.alerts import plugged_names
from penstock.orchestrator.telling import for_channel

_MOST_THREADS = 500
_TRIES = 5

Load = Callable[[str], Connection]


def project_alerts(file: Path | None) -> AlertSettings:
    """What `[tool.penstock.alerts]` of a pyproject.toml says.

    Raises:
        ConfigurationError: the file cannot be read.
        BadAlerts: it lists every mistake.
    """
    table = penstock_table(file).get("alerts", {}) if file is not None else {}
    if not isinstance(table, dict):
        raise ConfigurationError(f"[tool.penstock.alerts] in {file} is no table.")
    return alert_settings(table, plugged_names())


class Channels(Mapping[str, Alerts]):
    """The channels there are, by name.

    Args:
        settings: what they are.
        journal: whose alerts they tell.
        load: gives a connection by name.
        public_url: where people reach the server.
    """

    def __init__(self, settings: AlertSettings, journal: Journal, load: Load, public_url: str = "") -> None:
        self._made = {
            name: ChannelPlace(name, channel, journal, load, public_url) for name, channel in settings.channels.items()
        }

    def __getitem__(self, name: str) -> Alerts:
        return self._made[name]

    def __iter__(self) -> Any:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)


class ChannelPlace:
    """A channel, as a place for alerts."""

    def __init__(self, name: str, channel: Channel, journal: Journal, load: Load, public_url: str) -> None:
        self.name = name
        self.channel = channel
        self._journal = journal
        self._load = load
        self._public_url = public_url

    def send(self, alert: Alert) -> Mapping[str, Any]:
        """See `Alerts.send`. Where the connection is not there, nobody is told."""
        try:
            connection = self._load(self.channel.connection)
        except ConnectionNotFound:
            return {"skipped": f"there is no connection {self.channel.connection!r}"}
        except (BadConnection, ConfigurationError) as error:
            raise Hopeless(error.message) from None
        try:
            told = for_channel(self._journal, alert, self.channel, self._public_url)
            return deliver(connection, self.channel, told, Threads(self._journal, self.name))
        except MissingExtra as error:
            raise Hopeless(error.message) from None

    def test(self) -> Mapping[str, Any]:
        """Send a message that says that it is a test.

        Raises:
            Hopeless, Unanswered: it could not be sent.
        """
        now = now_us()
        alert = Alert(
            key=f"test/{self.name}/{now}",
            at=now,
            automation="test",
            title="A test of the alerts",
            message=f"The channel {self.name} works.",
            level="info",
            facts={},
        )
        return self.send(alert)


class Threads:
    """Where the first message about each run is, of the last so many runs; kept in the journal.

    Args:
        journal: where it is kept.
        channel: of which channel.
    """

    def __init__(self, journal: Journal, channel: str) -> None:
        self._journal = journal
        self._name = f"alerts/threads/{channel}"

    def get(self, thread: str) -> str | None:
        """See `Remembered.get`."""
        with suppress(PenstockError):  # a message in another thread is better than none
            return self._read()[1].get(thread)
        return None

    def _read(self) -> tuple[int, dict[str, str]]:
        found = self._journal.bookmark(self._name)
        if found is None:
            return 0, {}
        try:
            return found.seq, typed.from_json(found.data, dict[str, str])
        except msgspec.MsgspecError:
            return found.seq, {}

    def keep(self, thread: str, place: str) -> None:
        """See `Remembered.keep`. Where it cannot be kept, the next message begins another thread."""
        with suppress(PenstockError):  # the message is there; it must not come again because of that
            for _ in range(_TRIES):
                seq, known = self._read()
                known[thread] = place
                last = dict(list(known.items())[-_MOST_THREADS:])
                if self._journal.keep_bookmark(self._name, seq, msgspec.json.encode(last)):
                    return


def loader(shelf: Shelf) -> Load:
    """What gives a connection by name: of the environment, of `.env`, or saved."""
    return lambda name: shelf.load(name, Connection)


def state_of(channel: Channel, load: Load) -> str | None:
    """Why a channel tells nobody; None where it does, as far as can be seen without sending."""
    try:
        connection = load(channel.connection)
    except ConnectionNotFound:
        return f"off: there is no connection {channel.connection!r}"
    except PenstockError as error:
        return error.message
    if connection.kind != KINDS[channel.type]:
        return f"the connection {channel.connection!r} is of the type {connection.kind}, and not {KINDS[channel.type]}"
    if channel.type == "slack" and channel.channel is None and getattr(connection, "token", None) is not None:
        return "it is not said which channel of Slack: give `channel`, such as #data"
    return None
