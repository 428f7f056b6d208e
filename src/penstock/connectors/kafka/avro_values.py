"""Avro values made into columns.

Values of one schema are put together into an Avro file in memory, which Polars reads at once. After each value stands a
number that nobody guesses: where it comes out everywhere, every value was as long as its schema says, and none has
eaten into the next. Where it does not, and for the types that Polars does not read right, values are read one by one.
"""

from __future__ import annotations

import io
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock.connectors.kafka.avro_types import AvroSchema, Types
from penstock.connectors.kafka.driver import fastavro, pl
from penstock.connectors.kafka.formats import ONLY, Decoded, Format
from penstock.connectors.kafka.registry import FRAME, SchemaRegistry, UnknownSchema, framed
from penstock.core.errors import ConfigurationError
from penstock.core.rows.casting import fit

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    from penstock.core.rows.arrow import pa, pc

_SYNC = b"penstock-avro-16"


class Avro(Format):
    """Values in Avro; the fields of records are the columns, other values are one column `value`.

    Args:
        schema: of values that come without a header, as JSON or as what JSON gives.
        registry: has the schemas of values that begin with a schema's id, as Confluent's serializers write them.

    Raises:
        ConfigurationError: not exactly one of the two is given, or the schema cannot be.
    """

    def __init__(
        self, *, schema: str | Mapping[str, Any] | None = None, registry: SchemaRegistry | None = None
    ) -> None:
        if (schema is None) == (registry is None):
            raise ConfigurationError(
                "Avro needs to know where its schemas are.", hint="give a registry, or a schema: one of the two"
            )
        self._registry = registry
        self._known: dict[int, AvroReader] = {}
        self._reader = None if schema is None else AvroReader(schema)

    def decode(self, values: Sequence[bytes]) -> Decoded:
        """See `Format.decode`."""
        if self._reader is not None:
            return self._reader.decode(values)
        places: dict[int, list[int]] = {}
        bad: dict[int, str] = {}
        for place, value in enumerate(values):
            number = framed(value)
            if number is None:
                bad[place] = "does not begin with the id of a schema"
            else:
                places.setdefault(number, []).append(place)
        found: list[tuple[list[int], Decoded]] = []
        for number, some in places.items():
            try:
                reader = self._reader_of(number)
            except (UnknownSchema, ConfigurationError) as error:
                bad |= dict.fromkeys(some, str(error))
                continue
            done = reader.decode([values[place][FRAME:] for place in some])
            bad |= {some[place]: why for place, why in done.bad.items()}
            found.append(([one for place, one in enumerate(some) if place not in done.bad], done))
        return _together(found, bad)

    def close(self) -> None:
        """See `Format.close`."""
        if self._registry is not None:
            self._registry.close()

    def _reader_of(self, number: int) -> AvroReader:
        if number not in self._known:
            assert self._registry is not None
            schema = self._registry.schema(number)
            if schema.kind != "AVRO":
                raise UnknownSchema(f"schema {number} is {schema.kind}, not AVRO")
            self._known[number] = AvroReader(schema.text, [(name, one.text) for name, one in _flat(schema.references)])
        return self._known[number]


class AvroReader:
    """Reads values of one schema."""

    def __init__(self, schema: str | Mapping[str, Any], references: Sequence[tuple[str, str]] = ()) -> None:
        named: dict[str, AvroSchema] = {}
        try:
            for _, text in references:
                fastavro.parse_schema(json.loads(text), named_schemas=named)
            given = json.loads(schema) if isinstance(schema, str) and schema.lstrip()[:1] in '{["' else schema
            self._schema = fastavro.parse_schema(given, named_schemas=named)
            types = Types(self._schema, named)
        except (ValueError, KeyError, TypeError, fastavro.schema.SchemaParseException) as error:
            raise ConfigurationError(f"This is no Avro schema: {type(error).__name__}: {error}") from None
        self._fields = bool(pa.types.is_struct(types.arrow))
        self._type = types.arrow
        self._convert = types.convert
        self._guard = secrets.randbits(62)
        self._header = _header(given) if types.quick and not references else None

    def decode(self, values: Sequence[bytes]) -> Decoded:
        """All values at once where that can be."""
        rows = self._at_once(values) if self._header is not None and values else None
        if rows is not None:
            return Decoded(rows, {}, self._fields)
        good: list[Any] = []
        bad: dict[int, str] = {}
        for place, value in enumerate(values):
            try:
                good.append(self._one(value))
            except Exception as error:  # fastavro raises whatever the bytes lead it to
                bad[place] = f"is not what its Avro schema says: {_why(error)}"
        return Decoded(self._table(pa.array(good, self._type)), bad, self._fields)

    def _one(self, value: bytes) -> Any:
        stream = io.BytesIO(value)
        found = fastavro.schemaless_reader(stream, self._schema)
        if stream.tell() != len(value):
            raise ValueError(f"{len(value) - stream.tell()} bytes too many")
        found = found if self._convert is None else self._convert(found)
        pa.array([found], self._type)  # what Arrow cannot hold (a date in the year 20000) is not to fail all others
        return found

    def _at_once(self, values: Sequence[bytes]) -> pa.Table | None:
        assert self._header is not None
        guard = _number(self._guard)
        body = guard.join(values) + guard
        file = b"".join((self._header, _number(len(values)), _number(len(body)), body, _SYNC))
        try:
            table = pl.read_avro(io.BytesIO(file)).to_arrow()
            if table.num_rows != len(values) or not pc.all(pc.equal(table["g"], self._guard), min_count=0).as_py():
                return None
            return self._table(table["v"].combine_chunks().cast(self._type))
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, pa.ArrowException, OSError):
            return None

    def _table(self, column: pa.Array) -> pa.Table:
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], self._type)
        return pa.Table.from_struct_array(column) if self._fields else pa.table({ONLY: column})


def _flat(references: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Those that others need come first; each once."""
    found: dict[str, Any] = {}
    for name, schema in references:
        found |= dict(_flat(schema.references))
        found[name] = schema
    return list(found.items())


def _together(found: Sequence[tuple[list[int], Decoded]], bad: dict[int, str]) -> Decoded:
    """Values of several schemas in their order; columns that not all have are null for the others."""
    fields = {done.fields for _, done in found}
    if not found:
        return Decoded(pa.table({}), bad)
    if len(fields) > 1:
        for places, done in found:
            if not done.fields:
                bad |= dict.fromkeys(places, "has no fields, while others in the topic have")
        found = [(places, done) for places, done in found if done.fields]
    if len(found) == 1:
        return Decoded(found[0][1].rows, bad, found[0][1].fields)
    rows = pa.concat_tables(_aligned([done.rows for _, done in found]), promote_options="permissive")
    order = pc.sort_indices(pa.array([place for places, _ in found for place in places], pa.int64()))
    return Decoded(rows.take(order), bad, found[0][1].fields)


def _aligned(tables: list[pa.Table]) -> list[pa.Table]:
    """Columns whose types have nothing in common become text."""
    try:
        pa.unify_schemas([table.schema for table in tables], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        kinds: dict[str, set[pa.DataType]] = {}
        for field in (field for table in tables for field in table.schema):
            kinds.setdefault(field.name, set()).add(field.type)
        mixed = {name for name, those in kinds.items() if len(those) > 1}
        return [
            pa.table(
                [fit(table[name], pa.string()).values if name in mixed else table[name] for name in table.column_names],
                names=table.column_names,
            )
            for table in tables
        ]
    return tables


def _header(schema: AvroSchema) -> bytes:
    wrapped = {
        "type": "record",
        "name": "penstock_guarded",
        "fields": [{"name": "v", "type": schema}, {"name": "g", "type": "long"}],
    }
    text = json.dumps(wrapped).encode()
    name = b"avro.schema"
    return b"".join((b"Obj\x01", _number(1), _number(len(name)), name, _number(len(text)), text, b"\x00", _SYNC))


def _number(value: int) -> bytes:
    """A long that is not negative, as Avro writes it: zigzag, seven bits a byte."""
    value <<= 1
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _why(error: Exception) -> str:
    text = str(error)
    return "it ends too early" if isinstance(error, EOFError) and not text else f"{text or type(error).__name__}"
