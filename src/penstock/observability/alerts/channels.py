"""Each type of channel, with the type of the connection it needs, and what sends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from penstock.core.alerting import Channel
from penstock.core.connections import Connection, ConnectionFailed
from penstock.core.model import Alert
from penstock.core.sending import Hopeless
from penstock.observability.alerts import mail, slack, web
from penstock.observability.alerts.slack import Remembered

KINDS = {
    "slack": "slack",
    "email": "smtp",
    "webhook": "webhook",
    "teams": "teams",
    "discord": "discord",
    "alertmanager": "alertmanager",
}
"""The type of the connection that each type of channel needs."""

_SENDERS: dict[str, Callable[[Any, Channel, Alert, Remembered], Mapping[str, Any]]] = {
    "slack": slack.send,
    "email": mail.send,
    "webhook": web.webhook,
    "teams": web.teams,
    "discord": web.discord,
    "alertmanager": web.alertmanager,
}


def deliver(connection: Connection, channel: Channel, alert: Alert, remembered: Remembered) -> Mapping[str, Any]:
    """Send an alert by a channel.

    Args:
        connection: of the channel.
        channel: how.
        alert: what.
        remembered: where messages of a thread are.

    Returns:
        What is worth recording of it.

    Raises:
        Hopeless: it cannot be sent, or the answer says that it would be the same another time.
        Unanswered: there was no answer in time, or one that says to come back.
    """
    wanted = KINDS[channel.type]
    if connection.kind != wanted:
        raise Hopeless(
            f"The connection {channel.connection} is of the type {connection.kind}, and a channel of the type "
            f"{channel.type} needs {wanted}."
        )
    try:
        return _SENDERS[channel.type](connection, channel, alert, remembered)
    except ConnectionFailed as error:  # a certificate that cannot be read
        raise Hopeless(connection.redact(error.message)) from None
