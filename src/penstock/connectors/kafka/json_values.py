"""JSON objects made into columns, all of a batch at once.

Arrow reads a whole batch in one go, and reads most of JSON right. What it reads differently from what is written there
is noticed, and such batches are read value by value: numbers too large for a float to keep, NaN, two objects in one
message, bytes that are no UTF-8, types that differ from message to message.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.connectors.kafka.driver import pa_json
from penstock.connectors.kafka.formats import ONLY, Decoded, Format
from penstock.core.rows.casting import json_text

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    from penstock.core.rows.arrow import pa, pc

_EXACT = float(2**53)
_MOST = 1 << 30
_DEEPEST = 100


class Json(Format):
    """Values that are JSON objects; their fields are the columns.

    A column has the type of what is in it: integers (64 bit), floats, text, truth values, structs, lists. Whole numbers
    and others in one column are floats; other mixtures are text, with JSON for what is no text. Moments stay text.

    Args:
        scalars: values need not be objects.
    """

    def __init__(self, *, scalars: bool = False) -> None:
        self._scalars = scalars
        self._known: Any = None  # the schema so far: what was once a float stays one

    def decode(self, values: Sequence[bytes]) -> Decoded:
        """See `Format.decode`."""
        rows = self._at_once(values)
        if rows is not None:
            return Decoded(rows, {})
        objects, bad = self._one_by_one(values)
        if self._scalars and not all(isinstance(value, dict) for value in objects):
            return Decoded(pa.table({ONLY: column_of(objects)}), bad, fields=False)
        if bad:
            rows = self._at_once([value for place, value in enumerate(values) if place not in bad])
        if rows is None:
            rows = table_of(objects)
            self._known = rows.schema if self._known is None else _merged(self._known, rows.schema)
        return Decoded(rows, bad)

    def _at_once(self, values: Sequence[bytes]) -> pa.Table | None:
        """A table, where it is sure that it says what is written there."""
        text = b"\n".join(values)
        # Line breaks inside an object, or lines that begin otherwise: two halves might pass for two objects.
        if text[:1] != b"{" or not text.count(b"\n") == text.count(b"\n{") == len(values) - 1:
            return None
        try:
            text.decode()
            return self._parsed(text, len(values))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError):
            return None

    def _parsed(self, text: bytes, count: int) -> pa.Table | None:
        table = self._read(text)
        if any(_deeper(kind, _DEEPEST) for kind in table.schema.types):
            return None
        # Each line holds one object at least, for it begins with one: as many rows as lines are one for each.
        if table.num_rows != count or not all(map(_exact, table.columns)):
            return None
        if any(map(_bare, table.schema.types)):
            return None
        self._known = table.schema if self._known is None else _merged(self._known, table.schema)
        return table

    def _read(self, text: bytes) -> pa.Table:
        """As what was there before, or as what fits both, or as what it is now."""
        if self._known is None:
            return _read(text, None)
        try:
            return _read(text, self._known)
        except pa.ArrowInvalid:
            table = _read(text, None)
            self._known = _merged(self._known, table.schema)
        try:
            return _read(text, self._known)
        except pa.ArrowInvalid:
            return table

    def _one_by_one(self, values: Sequence[bytes]) -> tuple[list[Any], dict[int, str]]:
        decode = msgspec.json.Decoder().decode
        good: list[Any] = []
        bad: dict[int, str] = {}
        for place, value in enumerate(values):
            try:
                found = decode(value)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                bad[place] = f"is no JSON: {error}"
            except RecursionError:
                bad[place] = f"is JSON nested more than {_DEEPEST} deep"
            else:
                if _nested_deeper(found, _DEEPEST + 1):
                    bad[place] = f"is JSON nested more than {_DEEPEST} deep"
                elif self._scalars or isinstance(found, dict):
                    good.append(found)
                else:
                    bad[place] = f"is no JSON object but {_kind(found)}; read the topic as text to have it"
        return good, bad


def _merged(before: pa.Schema, now: pa.Schema) -> pa.Schema:
    """The columns of both; a number that was or is a float is one."""
    kinds = {field.name: field.type for field in before}
    for field in now:
        known = kinds.get(field.name)
        if pa.types.is_null(field.type) or (known is not None and pa.types.is_floating(known)):
            continue
        kinds[field.name] = field.type
    return pa.schema(list(kinds.items()))


def _read(text: bytes, schema: pa.Schema | None) -> pa.Table:
    if schema is not None:
        schema = pa.schema([field for field in schema if not pa.types.is_null(field.type)])
    if len(text) >= _MOST:
        raise pa.ArrowInvalid("too long for one block")
    one_block = pa_json.ReadOptions(use_threads=False, block_size=len(text) + 1)
    table = pa_json.read_json(
        pa.BufferReader(text), read_options=one_block, parse_options=pa_json.ParseOptions(explicit_schema=schema)
    )
    table.validate()  # pyarrow 26 makes [null, 1] an array that is too short, unless it has been told its type
    shallow = not any(_deeper(kind, _DEEPEST) for kind in table.schema.types)
    if shallow and any(map(_has_moments, table.schema.types)):
        told = pa.schema([pa.field(field.name, _as_text(field.type)) for field in table.schema])
        return _read(text, told)
    return table


def _deeper(kind: pa.DataType, most: int) -> bool:
    """Nested more than so deep; found without going as deep as it is."""
    level = [kind]
    for _ in range(most):
        level = [one.field(at).type for one in level for at in range(one.num_fields)]
        if not level:
            return False
    return True


def _nested_deeper(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most):
        lists = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, (dict, list))]
        if not lists:
            return False
        level = [inner for one in lists for inner in one]
    return any(isinstance(one, (dict, list)) for one in level)


def _has_moments(kind: pa.DataType) -> bool:
    return bool(pa.types.is_temporal(kind)) or any(_has_moments(kind.field(i).type) for i in range(kind.num_fields))


def _bare(kind: pa.DataType) -> bool:
    """It holds a struct without fields, which no table keeps."""
    if pa.types.is_struct(kind) and kind.num_fields == 0:
        return True
    return any(_bare(kind.field(i).type) for i in range(kind.num_fields))


def _as_text(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_temporal(kind):
        return pa.string()
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _as_text(field.type)) for field in kind])
    return pa.list_(_as_text(kind.value_type)) if pa.types.is_list(kind) else kind


def _exact(column: pa.ChunkedArray) -> bool:
    """Every float in it is what was written: not a large integer rounded, nor NaN, which is no JSON."""
    return all(
        pc.all(pc.less(pc.abs(leaf), _EXACT), min_count=0).as_py() for chunk in column.chunks for leaf in _floats(chunk)
    )


def _floats(values: pa.Array) -> Iterator[pa.Array]:
    kind = values.type
    if pa.types.is_floating(kind):
        yield values
    elif pa.types.is_struct(kind):
        for part in values.flatten():
            yield from _floats(part)
    elif pa.types.is_list(kind):
        yield from _floats(values.flatten())


def table_of(objects: Sequence[dict[str, Any]]) -> pa.Table:
    """Columns of decoded objects, in the order in which their names come up."""
    names = list(dict.fromkeys(name for one in objects for name in one))
    return pa.table([column_of([one.get(name) for one in objects]) for name in names], names=names)


def column_of(values: list[Any]) -> pa.Array:
    """A column with the one type that they have, else text."""
    if _mixed(values):
        return text_of(values)
    try:
        column = pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        return text_of(values)
    return text_of(values) if _bare(column.type) else column


def _mixed(values: Sequence[Any]) -> bool:
    """Values of different kinds in one place; Arrow takes some of them for others, such as False for 0.0."""
    kinds: dict[tuple[str, ...], str] = {}
    level: list[tuple[tuple[str, ...], Any]] = [((), value) for value in values]
    while level:
        below: list[tuple[tuple[str, ...], Any]] = []
        for path, value in level:
            if value is None:
                continue
            if kinds.setdefault(path, _kind(value)) != _kind(value):
                return True
            if isinstance(value, dict):
                below += [((*path, name), inner) for name, inner in value.items()]
            elif isinstance(value, list):
                below += [((*path, "[]"), inner) for inner in value]
        level = below
    return False


def text_of(values: Sequence[Any]) -> pa.Array:
    """A column of text; what is none as JSON."""
    return pa.array([one if one is None or isinstance(one, str) else json_text(one) for one in values], pa.string())


def _kind(value: Any) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "a truth value",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "null")
