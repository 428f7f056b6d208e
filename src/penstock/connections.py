"""Connections: where outside systems are and how to get in, by name, encrypted where they are kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.core.connections import (
    BadFields,
    Connection,
    ConnectionFailed,
    ConnectionLocked,
    Field,
    Health,
    Port,
    Range,
    Seconds,
    Secret,
    SecretUrl,
)
from penstock.core.extras import LateModule, late

if TYPE_CHECKING:
    from penstock.core.ports import Journal
    from penstock.engine.connections.chats import (
        AlertmanagerConnection,
        DiscordConnection,
        SlackConnection,
        TeamsConnection,
        WebhookConnection,
    )
    from penstock.engine.connections.databases import BigQueryConnection, SnowflakeConnection, SqlConnection
    from penstock.engine.connections.http import HttpConnection
    from penstock.engine.connections.influx import InfluxConnection
    from penstock.engine.connections.kafka import KafkaConnection
    from penstock.engine.connections.postgres import PostgresConnection
    from penstock.engine.connections.s3 import S3Connection
    from penstock.engine.connections.secret import SecretConnection
    from penstock.engine.connections.shelf import Shelf
    from penstock.engine.connections.smtp import SmtpConnection

__all__ = [
    "AlertmanagerConnection", "BadFields", "BigQueryConnection", "Connection", "ConnectionFailed", "ConnectionLocked",
    "DiscordConnection", "Field", "Health",
    "HttpConnection", "InfluxConnection", "KafkaConnection", "Port", "PostgresConnection", "Range", "S3Connection",
    "Seconds", "Secret", "SecretConnection", "SecretUrl", "SlackConnection", "SmtpConnection", "SnowflakeConnection",
    "SqlConnection", "TeamsConnection", "WebhookConnection",
]  # fmt: skip

_LATE = {
    "postgres": "PostgresConnection",
    "databases": "BigQueryConnection SnowflakeConnection SqlConnection",
    "http": "HttpConnection",
    "influx": "InfluxConnection",
    "kafka": "KafkaConnection",
    "s3": "S3Connection",
    "secret": "SecretConnection",
    "chats": "AlertmanagerConnection DiscordConnection SlackConnection TeamsConnection WebhookConnection",
    "smtp": "SmtpConnection",
}
__getattr__ = late(
    __name__,
    {name: f"penstock.engine.connections.{module}" for module, names in _LATE.items() for name in names.split()},
)
_app: Any = LateModule("penstock.app")
_shelf: Any = LateModule("penstock.engine.connections.shelf")


def shelf() -> Shelf:
    """Where the connections of this project are kept. Its journal is opened when it is needed."""
    active = _app._active[-1:]
    folder = _app.project_home(Path.cwd()).parent

    def journal() -> Journal:
        found: Journal = (active[0] if active else _app.current()).journal
        return found

    made: Shelf = _shelf.shelf_at(_app.current_home(), folder, journal)
    return made
