"""Facts about what people and systems did, in one table: `analytics.fact_events`."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.core.errors import ConfigurationError
from penstock.core.ports.data import Sink

if TYPE_CHECKING:
    from penstock.stores.warehouse.records import Row
    from penstock.stores.warehouse.warehouse import Warehouse

TABLE = "analytics.fact_events"


class Event(NamedTuple):
    """Something that happened.

    Attributes:
        name: what, in the past tense: `order_placed`.
        properties: whatever there is to say about it.
        subject: who or what it happened to.
        occurred_at: when; now when left out.
        event_id: tells it from all others: an event that comes again is kept once.
    """

    name: str
    properties: Mapping[str, Any] = {}
    subject: str | None = None
    occurred_at: datetime.datetime | None = None
    event_id: str | None = None


@dataclass
class _FactEvent:
    event_id: str
    event_name: str
    occurred_at: datetime.datetime
    subject: str | None
    properties: dict[str, Any]


class Events:
    """The events of a warehouse.

    Columns: `event_id`, `event_name`, `occurred_at`, `subject`, `properties` (JSON).
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._made = False

    def sink(self) -> Sink:
        """The table as the end of a pipe: rows with the columns above; each `event_id` is kept once."""
        self._make()
        return self._warehouse.table(TABLE, mode="merge", keys=["event_id"])

    def record(self, *events: Event) -> int:
        """Keep events; how many were not known yet."""
        now = datetime.datetime.now(datetime.UTC)
        for event in events:
            if event.occurred_at is not None and event.occurred_at.tzinfo is None:
                raise ConfigurationError(f"{event.name}: occurred_at has no time zone.", hint="use datetime.now(UTC)")
        self._make()
        rows = [
            {
                "event_id": event.event_id or uuid.uuid4().hex,
                "event_name": event.name,
                "occurred_at": event.occurred_at or now,
                "subject": event.subject,
                "properties": dict(event.properties),
            }
            for event in events
        ]
        return self._warehouse.records(TABLE).create_once(rows, ["event_id"])

    def read(
        self,
        name: str | None = None,
        *,
        subject: str | None = None,
        since: datetime.datetime | None = None,
        limit: int | None = None,
    ) -> list[Row]:
        """Events in the order in which they happened."""
        self._make()
        given: dict[str, Any] = {"event_name": name, "subject": subject}
        where = {column: value for column, value in given.items() if value is not None}
        if since is not None:
            where["occurred_at"] = (">=", since)
        records = self._warehouse.records(TABLE)
        return records.read(where, order_by=["occurred_at", "event_id"], limit=limit)

    def _make(self) -> None:
        if not self._made:
            self._warehouse.migrate(_FactEvent, TABLE, keys=["event_id"])
            self._made = True
