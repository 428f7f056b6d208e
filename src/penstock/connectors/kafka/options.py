"""What can be said about reading a topic."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from penstock.connectors.kafka.arranging import Arranger
from penstock.connectors.kafka.avro_values import Avro
from penstock.connectors.kafka.cluster import Kafka
from penstock.connectors.kafka.formats import Bytes, Format, Text
from penstock.connectors.kafka.json_values import Json
from penstock.connectors.kafka.protobuf_values import Protobuf
from penstock.connectors.kafka.registry import SchemaRegistry
from penstock.core.errors import ConfigurationError

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

Word: TypeAlias = Literal["json", "text", "bytes", "avro", "protobuf"]
Start: TypeAlias = Literal["earliest", "latest"] | datetime | Mapping[int, int]

_WORDS = ("json", "text", "bytes", "avro", "protobuf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """See `KafkaTopic`."""

    kafka: Kafka
    topic: str
    value: Word | Format
    key: Word | Format | None
    upsert: tuple[str, ...]
    types: Mapping[str, Any] | pa.Schema | None
    metadata: bool
    headers: bool
    prefix: str
    registry: SchemaRegistry | str | None
    partitions: tuple[int, ...] | None
    start: Start
    follow: bool
    missing: Literal["refuse", "earliest"]
    dead_letters: str | None
    group: str | None
    batch_rows: int
    batch_bytes: int
    batch_seconds: float

    def mistakes(self) -> Iterator[tuple[str, str]]:
        """What cannot be."""
        if not self.topic:
            yield "topic", "names none"
        for name, given in (("value", self.value), ("key", self.key)):
            if isinstance(given, str) and given not in _WORDS:
                yield name, f"{given!r} is none of {', '.join(_WORDS)}"
            if given in ("avro", "protobuf") and SchemaRegistry.of(self.registry, self.kafka) is None:
                yield name, f"{given} needs registry=, or {str(given).title()}(...) of your own"
        if self.upsert and self.key is None:
            yield "upsert", "needs key=, which says what keys are"
        if isinstance(self.start, str) and self.start not in ("earliest", "latest"):
            yield "start", f"{self.start!r} is neither earliest nor latest, nor a moment, nor a mapping of offsets"
        if isinstance(self.start, datetime) and self.start.tzinfo is None:
            yield "start", "a moment needs a zone, such as datetime(2026, 1, 31, tzinfo=UTC)"
        if self.missing not in ("refuse", "earliest"):
            yield "missing", f"{self.missing!r} is neither refuse nor earliest"
        if self.dead_letters is not None and self.dead_letters == self.topic:
            yield "dead_letters", "is the topic itself: what cannot be read would be read again and again"
        if self.partitions is not None and not self.partitions:
            yield "partitions", "names none"
        if min(self.batch_rows, self.batch_bytes, self.batch_seconds) <= 0:
            yield "batch_rows, batch_bytes, batch_seconds", "are greater than 0"

    def formats(self) -> tuple[Format, Format | None]:
        """What reads values, and what reads keys."""
        registry = SchemaRegistry.of(self.registry, self.kafka)
        value = _format(self.value, registry)
        return value, None if self.key is None else _format(self.key, registry, scalars=True)

    def arranger(self, value: Format, key: Format | None) -> Arranger:
        """What makes parts of messages."""
        return Arranger(
            self.topic,
            value,
            key,
            upsert=self.upsert,
            types=_schema(self.types),
            metadata=self.metadata,
            headers=self.headers,
            prefix=self.prefix,
        )


def _format(given: Word | Format, registry: SchemaRegistry | None, *, scalars: bool = False) -> Format:
    if isinstance(given, Format):
        return given
    if given == "avro":
        return Avro(registry=registry)
    if given == "protobuf":
        return Protobuf(registry=registry)
    return {"json": lambda: Json(scalars=scalars), "text": Text, "bytes": Bytes}[given]()


def _schema(types: Mapping[str, Any] | pa.Schema | None) -> pa.Schema | None:
    if not types:
        return None
    if not isinstance(types, Mapping):
        return types
    return pa.schema([(name, _kind(kind) if isinstance(kind, str) else kind) for name, kind in types.items()])


def _kind(text: str) -> pa.DataType:
    """An Arrow type by its name, as Arrow itself writes it."""
    if found := re.fullmatch(r"timestamp\[(s|ms|us|ns), *tz=([\w/+:-]+)\]", text):
        return pa.timestamp(found[1], found[2])
    if found := re.fullmatch(r"decimal(?:128)?\((\d+), *(\d+)\)", text):
        return pa.decimal128(int(found[1]), int(found[2]))
    try:
        return pa.type_for_alias(text)
    except ValueError:
        raise ConfigurationError(
            f"types: {text!r} is no type.", hint="such as int64, double, string, date32, timestamp[us, tz=UTC]"
        ) from None
