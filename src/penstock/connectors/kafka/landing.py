"""A pipe's end in Kafka."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.connectors.kafka.cluster import Desk, Kafka
from penstock.connectors.kafka.encoding import AvroWriter, json_values, text_values
from penstock.connectors.kafka.pipes import Known, Pipes, topic_is_there
from penstock.connectors.kafka.producing import TooLarge, Transactions
from penstock.connectors.kafka.registry import SchemaRegistry
from penstock.core.errors import SchemaRefused, SinkUnavailable
from penstock.core.ports.data import Batch, Counts, Landed, Landing, Part, Rejected

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

_LONGEST = 10_000

Message = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """How rows become messages; see `KafkaSink`."""

    topic: str
    rejected: str
    key: tuple[str, ...]
    headers: tuple[str, ...]
    partition: str | None
    timestamp: str | None
    registry: SchemaRegistry | None
    avro: bool

    def topic_of(self, table: str) -> str:
        """Where the rows of a table go.

        Raises:
            SchemaRefused: the sink is for one table only.
        """
        if "{table}" in self.topic:
            return self.topic.replace("{table}", table or "rows")
        if table:
            raise SchemaRefused(
                f"Rows for the table {table!r}, and {self.topic!r} is one topic.",
                hint="write to 'something.{table}' to have a topic for each table",
            )
        return self.topic

    def rejected_of(self, table: str) -> str:
        """Where the rejected records of a table go."""
        return self.rejected.replace("{table}", table or "rows")


class KafkaLanding(Landing):
    """See `Landing`."""

    def __init__(
        self,
        kafka: Kafka,
        outgoing: Outgoing,
        transactions: Transactions,
        pipes: Pipes,
        pipe: str,
        known: Known,
        partitions: int | None,
    ) -> None:
        self.position, self.counts = known
        self._kafka, self._outgoing, self._transactions = kafka, outgoing, transactions
        self._pipes, self._pipe, self._partitions = pipes, pipe, partitions
        self._desk = Desk(kafka, SinkUnavailable)
        self._writers: dict[str, AvroWriter] = {}
        self._seen: set[str] = {outgoing.topic}

    def land(self, batch: Batch) -> Landed:
        """See `Landing.land`."""
        groups: list[tuple[str, list[Message]]] = []
        refused: list[Rejected] = []
        for part in batch.parts:
            messages, without = self._messages(part)
            refused += without
            groups.append((self._made(self._outgoing.topic_of(part.table), self._partitions), messages))
        try:
            landed = self._commit(batch, groups, refused)
        except TooLarge as large:
            kept = []
            for topic, messages in groups:
                refused += [self._too_large(one, topic, str(large)) for one in messages if id(one) in large.which]
                kept.append((topic, [one for one in messages if id(one) not in large.which]))
            landed = self._commit(batch, kept, refused)
        self.counts += landed.counts
        self.position = batch.position
        return landed

    def close(self) -> None:
        """See `Landing.close`."""
        self._transactions.close()
        if self._outgoing.registry is not None:
            self._outgoing.registry.close()

    def _commit(self, batch: Batch, groups: Sequence[tuple[str, list[Message]]], refused: list[Rejected]) -> Landed:
        rows = sum(len(messages) for _, messages in groups)
        counts = Counts(batch.read, rows, batch.superseded, len(batch.rejected) + len(refused))
        record = {
            "key": self._pipes.key(self._pipe),
            "value": self._pipes.value(batch.position, self.counts + counts),
            "partition": self._pipes.partition(self._pipe),
        }
        quarantine: dict[str, list[Message]] = {}
        for one in (*batch.rejected, *refused):
            topic = self._made(self._outgoing.rejected_of(one.table), 1)
            quarantine.setdefault(topic, []).append(self._told(one))
        self._transactions.commit([*groups, *quarantine.items(), (self._pipes.control, [record])])
        written = sum(len(one.get("value") or b"") for _, messages in groups for one in messages)
        return Landed(counts, written=written)

    def _made(self, topic: str, partitions: int | None) -> str:
        """The topic, which is made where that was asked for."""
        if topic not in self._seen:
            topic_is_there(self._desk, self._kafka, topic, partitions)
            self._seen.add(topic)
        return topic

    def _messages(self, part: Part) -> tuple[list[Message], list[Rejected]]:
        """The messages of a part, and the rows that cannot become one."""
        if part.how == "truncate":
            raise SchemaRefused(
                "A topic cannot be emptied, and the source has emptied a table.",
                hint="write the changes to a sink that has tables, or leave truncations out at the source",
            )
        out, rows = self._outgoing, part.rows
        gone = part.how == "delete"
        key = (out.key or part.key) if part.how != "append" else out.key
        lacking = [name for name in key if name not in rows.column_names]
        if lacking and rows.num_rows:
            raise SchemaRefused(f"{out.topic}: the rows have no column {', '.join(lacking)} to make a key of.")
        if gone and not key:
            raise SchemaRefused(f"{out.topic}: a deleted row is known by its key.", hint="name its column with key=")
        outside = {name for name in (*out.headers, out.partition, out.timestamp) if name and name in rows.column_names}
        body = rows.select([name for name in rows.column_names if name not in outside])
        columns: dict[str, Sequence[Any]] = {}
        if not gone:
            columns["value"] = self._values(body, part.table)
        if key:
            columns["key"] = text_values(rows[key[0]]) if len(key) == 1 else json_values(rows.select(key))
        if out.partition in outside:
            columns["partition"] = rows[out.partition].to_pylist()
        if out.timestamp in outside:
            columns["timestamp"] = _milliseconds(rows[out.timestamp])
        if out.headers:
            columns["headers"] = self._headers(rows)
        messages = _zipped(columns, rows.num_rows)
        return self._parted(messages, rows, part) if "partition" in columns or gone else (messages, [])

    def _values(self, rows: pa.Table, table: str) -> list[bytes]:
        if not self._outgoing.avro:
            return json_values(rows)
        assert self._outgoing.registry is not None
        subject = f"{self._outgoing.topic_of(table)}-value"
        writer = self._writers.setdefault(subject, AvroWriter(self._outgoing.registry, subject))
        return writer.values(rows)

    def _headers(self, rows: pa.Table) -> list[list[tuple[str, bytes]]]:
        found: list[list[tuple[str, bytes]]] = [[] for _ in range(rows.num_rows)]
        for name in self._outgoing.headers:
            if name in rows.column_names:
                for told, value in zip(found, text_values(rows[name]), strict=True):
                    if value is not None:
                        told.append((name, value))
        return found

    def _parted(self, messages: list[Message], rows: pa.Table, part: Part) -> tuple[list[Message], list[Rejected]]:
        """Without those that Kafka would put anywhere: deletions without a key, rows without a good partition."""
        kept, refused = [], []
        known: tuple[int, ...] | None = None
        for at, message in enumerate(messages):
            why = ""
            if part.how == "delete" and message["key"] is None:
                why = "the key of a deleted row is null"
            elif "partition" in message:
                if known is None:
                    found = self._desk.topic(self._outgoing.topic_of(part.table))
                    known = found.partitions if found else ()
                if message["partition"] not in known:
                    why = f"the topic has no partition {message['partition']}"
            if why:
                raw = json_values(rows.slice(at, 1))[0].decode()
                refused.append(Rejected(why, f"{self._outgoing.topic_of(part.table)}:row", _cut(raw), part.table))
            else:
                kept.append(message)
        return kept, refused

    def _too_large(self, message: Message, topic: str, why: str) -> Rejected:
        raw = (message.get("value") or b"").decode("utf-8", "backslashreplace")
        key = (message.get("key") or b"").decode("utf-8", "backslashreplace")
        return Rejected(f"a message of {len(raw)} bytes is {why}", f"{topic}:{key or 'row'}", _cut(raw))

    def _told(self, one: Rejected) -> Message:
        told = {"reason": one.reason, "where": one.where, "raw": one.raw, "table": one.table, "pipe": self._pipe}
        return {"value": json.dumps(told, ensure_ascii=True).encode()}


def _zipped(columns: dict[str, Sequence[Any]], count: int) -> list[Message]:
    """Messages of their parts. A row without a partition or a timestamp of its own has none."""
    names = tuple(columns)
    if not names:
        return [{} for _ in range(count)]
    found = [dict(zip(names, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    if "timestamp" in columns and None in columns["timestamp"]:
        for one in found:
            if one["timestamp"] is None:
                del one["timestamp"]
    return found


def _milliseconds(column: pa.ChunkedArray) -> list[int | None]:
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        zone = getattr(column.type, "tz", None)
        column = column.cast(pa.timestamp("ms", zone), safe=False).cast(pa.int64())
    found: list[int | None] = column.cast(pa.int64()).to_pylist()
    return found


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
