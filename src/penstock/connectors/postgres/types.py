"""The types of PostgreSQL, and what becomes of their values.

| PostgreSQL | Arrow |
|---|---|
| smallint, integer, bigint, oid | int16, int32, int64, int64 |
| real, double precision, boolean | float, double, bool |
| numeric(p, s) with p <= 38, money | decimal128 |
| date, time, timestamp, timestamptz | date32, time64, timestamp (microseconds), the same in UTC |
| bytea | binary |
| arrays of these and of text | list |
| everything else | string: the text that PostgreSQL has for it |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.connectors.postgres import binary, text
from penstock.connectors.postgres.fields import Field
from penstock.core.errors import ConfigurationError
from penstock.core.sqltext import quoted

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

_MOST_DIGITS = 38
_NUMERIC, _MONEY, _INET = 1700, 790, 869
_HEADER = 4


@dataclass(frozen=True)
class Kind:
    """What becomes of the values of a type.

    Attributes:
        arrow: the type of the column.
        read: from text.
        unpack: from the binary form; None where the text is asked for.
        shown: SQL that makes it the text that the replication stream has, of `{}`.
    """

    arrow: pa.DataType
    read: text.Read
    unpack: Callable[[Field], tuple[Any, text.Bad]] | None = None
    shown: str = "{}::text"


_SHOWN = "CASE WHEN num_nulls({0}) = 0 THEN concat({0}) END"
"""What the type's own output function says, which a cast to text does not do for some types."""
_TEXT = Kind(pa.string(), text.as_text)
_PLAIN = Kind(pa.string(), text.as_text, lambda field: (field.text(), {}))
_KNOWN: Mapping[int, Kind] = {
    16: Kind(pa.bool_(), text.as_bool, binary.boolean),
    17: Kind(pa.binary(), text.as_bytes, lambda field: (field.binary(), {})),
    19: _PLAIN,
    20: Kind(pa.int64(), text.as_number(pa.int64()), binary.number(">i8", pa.int64())),
    21: Kind(pa.int16(), text.as_number(pa.int16()), binary.number(">i2", pa.int16())),
    23: Kind(pa.int32(), text.as_number(pa.int32()), binary.number(">i4", pa.int32())),
    25: _PLAIN,
    26: Kind(pa.int64(), text.as_number(pa.int64()), binary.number(">u4", pa.int64())),
    114: _PLAIN,
    700: Kind(pa.float32(), text.as_number(pa.float32()), binary.number(">f4", pa.float32())),
    701: Kind(pa.float64(), text.as_number(pa.float64()), binary.number(">f8", pa.float64())),
    1042: _PLAIN,
    1043: _PLAIN,
    1082: Kind(pa.date32(), text.as_date, binary.date),
    1083: Kind(pa.time64("us"), text.as_time, binary.time),
    1114: Kind(pa.timestamp("us"), text.as_timestamp(None), binary.timestamp(None)),
    1184: Kind(pa.timestamp("us", "UTC"), text.as_timestamp("UTC"), binary.timestamp("UTC")),
    3802: Kind(pa.string(), text.as_text, binary.jsonb),
    _INET: Kind(pa.string(), text.as_text, None, _SHOWN),
}
_NAMES = {
    "text": 25, "boolean": 16, "bytea": 17, "bigint": 20, "smallint": 21, "integer": 23, "real": 700,
    "double precision": 701, "date": 1082, "time": 1083, "timestamp": 1114, "timestamptz": 1184,
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A column of a table there.

    Attributes:
        name: its name.
        oid: the number of its type.
        modifier: of its type, such as how long it may be; -1 for none.
        kind: what becomes of its values.
        sql: the name of its type.
    """

    name: str
    oid: int
    modifier: int
    kind: Kind
    sql: str = "text"

    @property
    def selected(self) -> str:
        """SQL that asks for it in the form that can be read."""
        name = quoted(self.name)
        return name if self.kind.unpack else self.kind.shown.format(name)

    def of_text(self, field: Field) -> tuple[Any, text.Bad]:
        """Its values from the replication stream."""
        return self.kind.read(field.text())

    def of_copy(self, field: Field) -> tuple[Any, text.Bad]:
        """Its values from a binary COPY of `selected`."""
        return self.kind.unpack(field) if self.kind.unpack else self.kind.read(field.text())


class Types:
    """The types of a database; those that are not built in are looked up when they are first met.

    Args:
        connect: gives a connection to look them up, used at once.
        given: types to read columns as, by `schema.table.column`: `text`, `numeric(20, 4)`, ...
    """

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]], given: Mapping[str, str]) -> None:
        self._connect = connect
        self._chosen = {column: chosen(column, name) for column, name in given.items()}
        self._found: dict[int, tuple[Any, ...] | None] = {}
        self._money: int | None = None

    def column(self, table: str, name: str, oid: int, modifier: int, sql: str = "text") -> Column:
        """A column of a table."""
        kind = self._chosen.get(f"{table}.{name}") or self.kind(oid, modifier)
        return Column(name, oid, modifier, kind, sql)

    def look_up(self, oids: Sequence[int]) -> None:
        """Find out about types that are not known yet, with one question."""
        new = [oid for oid in oids if oid not in _KNOWN and oid != _NUMERIC and oid not in self._found]
        while new:
            self._found.update(dict.fromkeys(new))
            found = self._connect().execute(_SQL, [new]).fetchall()
            self._found.update({row[0]: tuple(row[1:]) for row in found})
            new = [oid for row in found for oid in (row[2], row[4]) if oid and oid not in self._found]

    def kind(self, oid: int, modifier: int) -> Kind:
        """What becomes of the values of a type."""
        if oid in _KNOWN:
            return _KNOWN[oid]
        if oid == _NUMERIC:
            return _numeric(modifier)
        if oid == _MONEY:
            return Kind(pa.decimal128(19, self._places()), text.as_money(self._places()))
        self.look_up([oid])
        found = self._found[oid]
        if found is None:
            return _TEXT
        sort, base, base_modifier, element, is_array = found
        if sort == "d":
            return self.kind(base, base_modifier if modifier < 0 else modifier)
        if sort == "e":
            return _PLAIN
        if is_array:
            inner = self.kind(element, modifier)
            return Kind(pa.list_(inner.arrow), text.as_list(inner.read, inner.arrow))
        return _TEXT

    def _places(self) -> int:
        """How many digits an amount of money has after its point, in the language of the database."""
        if self._money is None:
            shown = self._connect().execute("SELECT 1::numeric::money::text").fetchone()
            self._money = len(re.sub("[^0-9]", "", shown[0])) - 1 if shown else 2
        return self._money


_SQL = """
SELECT oid::int8, typtype::text, typbasetype::int8, typtypmod, typelem::int8,
       typcategory = 'A' AND typlen = -1 AND typname NOT IN ('int2vector', 'oidvector') AND typdelim = ','
FROM pg_catalog.pg_type WHERE oid = ANY(%s)
"""


def _numeric(modifier: int) -> Kind:
    """Numbers that have a precision of their own are decimals; of others nobody knows how many digits come."""
    if modifier < _HEADER:
        return _TEXT
    precision, scale = (modifier - _HEADER) >> 16 & 0xFFFF, (modifier - _HEADER) & 0x7FF
    scale = (scale ^ 1024) - 1024
    precision, scale = max(precision - min(scale, 0), scale), max(scale, 0)
    if precision > _MOST_DIGITS:
        return _TEXT
    return Kind(pa.decimal128(precision, scale), text.as_decimal(precision, scale))


def chosen(column: str, name: str) -> Kind:
    """The type that somebody wants a column to be read as."""
    plain = " ".join(name.lower().split())
    number = re.fullmatch(r"(?:numeric|decimal) ?\( ?(\d+) ?(?:, ?(\d+) ?)?\)", plain)
    if number:
        precision, scale = int(number[1]), int(number[2] or 0)
        if scale <= precision <= _MOST_DIGITS:
            return Kind(pa.decimal128(precision, scale), text.as_decimal(precision, scale))
    if plain in _NAMES:
        known = _KNOWN[_NAMES[plain]]
        return Kind(known.arrow, known.read, None, _SHOWN)
    raise ConfigurationError(
        f"{column} cannot be read as {name!r}.",
        hint=f"one of: {', '.join(_NAMES)}, numeric(p, s) with p up to {_MOST_DIGITS}",
    )
