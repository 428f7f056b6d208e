"""Messages made into the parts of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.connectors.kafka.driver import ck
from penstock.connectors.kafka.formats import ONLY, Decoded, Format
from penstock.core.errors import BadData
from penstock.core.ports.data import Part, Rejected
from penstock.core.rows import conform

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    from penstock.core.rows.arrow import pa, pc

_LONGEST = 10_000


class Arranged(NamedTuple):
    """What became of some messages.

    Attributes:
        parts: rows.
        rejected: messages that cannot be read.
        superseded: how many messages had a later one with the same key.
    """

    parts: tuple[Part, ...]
    rejected: tuple[Rejected, ...]
    superseded: int = 0


class Arranger:
    """Reads messages, and adds what Kafka says about them.

    Args:
        topic: its name, for the places of rejected messages.
        value: reads values.
        key: reads keys; None where they are not wanted.
        upsert: the columns that tell rows apart: a message replaces the row with its key, one without a value deletes
            it. Without any, each message is a row to add.
        types: what the columns of these names shall be.
        metadata: columns for partition, offset and timestamp.
        headers: a column for the headers.
        prefix: what the names of these columns and of the key's begin with.
    """

    def __init__(
        self,
        topic: str,
        value: Format,
        key: Format | None,
        *,
        upsert: Sequence[str] = (),
        types: pa.Schema | None = None,
        metadata: bool = True,
        headers: bool = False,
        prefix: str = "_",
    ) -> None:
        self._topic, self._value, self._key = topic, value, key
        self._upsert = list(upsert)
        self._types = types
        self._metadata, self._headers, self._prefix = metadata, headers, prefix

    def arrange(self, messages: Sequence[Any]) -> Arranged:
        """Parts, and what cannot be read."""
        work = _Work(messages)
        keys = self._keys(work)
        values = self._values(work)
        if self._upsert:
            assert keys is not None
            parts, superseded = self._changes(work, keys, values)
        else:
            parts, superseded = self._records(work, keys, values), 0
        return Arranged(parts, self._rejected(work), superseded)

    def _keys(self, work: _Work) -> _Rows | None:
        if self._key is None:
            return None
        keys: list[Any] = list(map(ck.Message.key, work.messages))
        absent = [place for place, key in enumerate(keys) if key is None]
        if self._upsert and absent:
            work.bad |= dict.fromkeys(absent, "has no key, and a key is needed to know which row it is about")
        present = [place for place, key in enumerate(keys) if key is not None]
        return work.took(present, self._key.decode([keys[place] for place in present]), "the key ")

    def _values(self, work: _Work) -> _Rows:
        if not self._upsert:
            why = "has no value; read the topic with upsert= to have such messages delete rows"
            work.bad |= {place: why for place in work.empty if place not in work.bad}
        if not work.empty and not work.bad:
            return work.took(work.every, self._value.decode(work.values), "the value ")
        present = [place for place, value in enumerate(work.values) if value is not None and place not in work.bad]
        return work.took(present, self._value.decode([work.values[place] for place in present]), "the value ")

    def _records(self, work: _Work, keys: _Rows | None, values: _Rows) -> tuple[Part, ...]:
        rows, places = self._typed(work, values)
        if keys is not None:
            rows = self._extended(rows, "key", keys.at(places))
        rows = self._described(rows, work, places)
        return (Part(rows),) if places else ()

    def _changes(self, work: _Work, keys: _Rows, values: _Rows) -> tuple[tuple[Part, ...], int]:
        rows, places = self._typed(work, values)
        identity = self._identity(work, keys)
        gone = [place for place in work.empty if place not in work.bad]
        every = sorted(place for place in (*places, *gone) if place not in work.bad)
        latest = _latest(identity.rows_at(every), every)
        kept = [index for index, place in enumerate(places) if place in latest]
        upserts = [places[index] for index in kept]
        deletes = [place for place in gone if place in latest]
        rows = rows.take(kept)
        rows = rows.select([name for name in rows.column_names if name not in self._upsert])
        for at, name in enumerate(self._upsert):
            rows = rows.add_column(at, name, identity.rows_at(upserts)[name])
        rows = self._described(rows, work, upserts)
        key = tuple(self._upsert)
        parts = []
        if upserts:
            parts.append(Part(rows, how="upsert", key=key))
        if deletes:
            parts.append(Part(identity.rows_at(deletes), how="delete", key=key))
        return tuple(parts), len(every) - len(latest)

    def _identity(self, work: _Work, keys: _Rows) -> _Rows:
        """The key columns, made from the messages' keys."""
        rows = keys.rows
        if not keys.fields:
            if len(self._upsert) != 1:
                raise BadData(
                    f"The keys of {self._topic!r} are single values, and upsert= names {len(self._upsert)} columns.",
                    hint="name one column, or read keys that have fields: key='json', 'avro' or 'protobuf'",
                )
            rows = rows.rename_columns(self._upsert)
        for name in self._upsert:
            if keys.places and name not in rows.column_names:
                raise BadData(
                    f"The keys of {self._topic!r} have no field {name!r}; they have {', '.join(rows.column_names)}.",
                    hint="upsert= names fields of the key",
                )
        done = _Rows(rows.select(self._upsert if keys.places else []), keys.places, True)
        wanted = self._types and [field for field in self._types if field.name in self._upsert]
        if not wanted or not keys.places:
            return done
        fitted, places = _conformed(work, done, pa.schema(wanted))
        return _Rows(fitted, places, True)

    def _typed(self, work: _Work, values: _Rows) -> tuple[pa.Table, list[int]]:
        """The rows with the types that were asked for; those that cannot have them are rejected."""
        wanted = self._types and [field for field in self._types if field.name not in self._upsert]
        return _conformed(work, values, pa.schema(wanted)) if wanted else (values.rows, values.places)

    def _described(self, rows: pa.Table, work: _Work, places: list[int]) -> pa.Table:
        """With what Kafka says about the messages."""
        messages = work.messages if len(places) == len(work.messages) else [work.messages[place] for place in places]
        if self._metadata:
            stamps = [stamp if kind else None for kind, stamp in map(ck.Message.timestamp, messages)]
            rows = self._extended(rows, "partition", pa.array(map(ck.Message.partition, messages), pa.int32()))
            rows = self._extended(rows, "offset", pa.array(map(ck.Message.offset, messages), pa.int64()))
            rows = self._extended(rows, "timestamp", pa.array(stamps, pa.timestamp("ms", "UTC")))
        if self._headers:
            kind = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
            told = [[{"key": key, "value": value} for key, value in one.headers() or ()] for one in messages]
            rows = self._extended(rows, "headers", pa.array(told, kind))
        return rows

    def _extended(self, rows: pa.Table, name: str, column: Any) -> pa.Table:
        name = self._prefix + name
        if name in rows.column_names:
            raise BadData(
                f"The values of {self._topic!r} have a field {name!r}, which is also a name for what Kafka says.",
                hint="set prefix= to another beginning for those names, such as prefix='kafka_'",
            )
        if not rows.column_names:
            return pa.table({name: column})
        return rows.append_column(name, column)

    def _rejected(self, work: _Work) -> tuple[Rejected, ...]:
        found = []
        for place in sorted(work.bad):
            message = work.messages[place]
            where = f"{self._topic}/{message.partition()}@{message.offset()}"
            found.append(Rejected(work.bad[place], where, _shown(work.values[place])))
        return tuple(found)


class _Rows(NamedTuple):
    """Columns made of some of the messages.

    Attributes:
        rows: one row for each.
        places: which messages, ascending.
        fields: see `Decoded`.
    """

    rows: pa.Table
    places: list[int]
    fields: bool

    def at(self, places: list[int]) -> Any:
        """One column with a value for each of these messages; null where there is none."""
        if not self.rows.column_names:
            return pa.nulls(len(places))
        column = pa.chunked_array([self.rows.to_struct_array()]) if self.fields else self.rows[ONLY]
        if isinstance(column, pa.ChunkedArray) and places == self.places:
            return column
        return column.take(self._indexes(places))

    def rows_at(self, places: list[int]) -> pa.Table:
        """The rows of these messages."""
        return self.rows if places == self.places else self.rows.take(self._indexes(places))

    def _indexes(self, places: list[int]) -> pa.Array:
        return pc.index_in(pa.array(places, pa.int64()), value_set=pa.array(self.places, pa.int64()))


class _Work:
    """Messages, and what is wrong with some of them."""

    def __init__(self, messages: Sequence[Any]) -> None:
        self.messages = messages
        self.values: list[Any] = list(map(ck.Message.value, messages))
        self.every = list(range(len(messages)))
        self.empty = [place for place in self.every if self.values[place] is None] if None in self.values else []
        self.bad: dict[int, str] = {}

    def took(self, places: list[int], decoded: Decoded, what: str) -> _Rows:
        """Note what could not be decoded."""
        if not decoded.bad:
            return _Rows(decoded.rows, places, decoded.fields)
        self.bad |= {places[index]: what + why for index, why in decoded.bad.items()}
        return _Rows(decoded.rows, [one for at, one in enumerate(places) if at not in decoded.bad], decoded.fields)


def _conformed(work: _Work, values: _Rows, wanted: pa.Schema) -> tuple[pa.Table, list[int]]:
    rows = values.rows
    if not values.places:
        return rows, values.places
    fitted = conform(_complete(rows, wanted), wanted, unknown="drop")
    if fitted.misfits:
        work.bad |= {values.places[one.row]: one.reason for one in fitted.misfits}
        bad = {one.row for one in fitted.misfits}
        left = [at for at in range(len(values.places)) if at not in bad]
        rows = rows.take(left)
        places = [values.places[at] for at in left]
    else:
        places = values.places
    for field in wanted:
        at = rows.schema.get_field_index(field.name)
        column = fitted.rows[field.name]
        rows = rows.append_column(field, column) if at < 0 else rows.set_column(at, field, column)
    return rows, places


def _complete(rows: pa.Table, wanted: pa.Schema) -> pa.Table:
    return rows.select([field.name for field in wanted if field.name in rows.column_names]) if wanted else rows


def _latest(keys: pa.Table, places: list[int]) -> set[int]:
    """Of the messages with one key the last."""
    if not places:
        return set()
    found = keys.append_column("", pa.array(places, pa.int64())).group_by(keys.column_names).aggregate([("", "max")])
    return set(found["_max"].to_pylist())


def _shown(value: bytes | None) -> str:
    if value is None:
        return ""
    text = value[: _LONGEST * 4].decode("utf-8", "backslashreplace")
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
