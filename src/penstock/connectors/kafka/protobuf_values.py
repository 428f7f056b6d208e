"""Protobuf messages made into columns, field by field."""

from __future__ import annotations

import base64
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock.connectors.kafka.driver import pb, pb_descriptor, pb_descriptors, pb_json, pb_message, pb_messages
from penstock.connectors.kafka.formats import Decoded, Format
from penstock.connectors.kafka.registry import FRAME, Schema, SchemaRegistry, UnknownSchema, framed
from penstock.core.errors import ConfigurationError

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

_DEEPEST = 8


class Protobuf(Format):
    """Values that are Protobuf messages; their fields are the columns.

    A field that tells whether it is there is null where it is not; another has its default. Enumerations are text,
    `Timestamp` is a moment (to the microsecond), wrappers are what they wrap. `Struct`, `Value`, `Any` and `Duration`
    are text as Protobuf's JSON has them; so is what is nested more than eight deep.

    Args:
        message: the generated class, of values without a header.
        registry: has the schemas of values that begin with a schema's id, as Confluent's serializers write them. It
            must be able to give them serialized (`?format=serialized`).

    Raises:
        ConfigurationError: not exactly one of the two is given.
    """

    def __init__(self, *, message: Any = None, registry: SchemaRegistry | None = None) -> None:
        if (message is None) == (registry is None):
            raise ConfigurationError(
                "Protobuf needs to know its messages.", hint="give a registry, or message=: one of the two"
            )
        if message is not None and not hasattr(message, "DESCRIPTOR"):
            raise ConfigurationError(f"{message!r} is no generated message class.", hint="such as orders_pb2.Order")
        self._message, self._registry = message, registry
        self._files: dict[int, Any] = {}
        self._classes: dict[tuple[int, tuple[int, ...]], Any] = {}

    def decode(self, values: Sequence[bytes]) -> Decoded:
        """See `Format.decode`."""
        groups: dict[Any, tuple[list[int], list[Any]]] = {}
        bad: dict[int, str] = {}
        for place, value in enumerate(values):
            try:
                kind, body = (self._message, value) if self._registry is None else self._opened(value)
                message = kind.FromString(body)
            except (pb_message.DecodeError, UnknownSchema) as error:
                bad[place] = str(error) or "is no message of its type"
            else:
                places, messages = groups.setdefault(kind, ([], []))
                places.append(place)
                messages.append(message)
        if not groups:
            return Decoded(pa.table({}), bad)
        tables = [table_of(kind.DESCRIPTOR, messages) for kind, (_, messages) in groups.items()]
        rows = pa.concat_tables(tables, promote_options="permissive")
        if len(groups) > 1:
            places = [place for some, _ in groups.values() for place in some]
            rows = rows.take(sorted(range(len(places)), key=places.__getitem__))
        return Decoded(rows, bad)

    def close(self) -> None:
        """See `Format.close`."""
        if self._registry is not None:
            self._registry.close()

    def _opened(self, value: bytes) -> tuple[Any, bytes]:
        """The class of a message behind a header: which schema, and which message of its file."""
        number = framed(value)
        if number is None:
            raise UnknownSchema("does not begin with the id of a schema")
        way, start = _way(value, FRAME)
        key = (number, way)
        if key not in self._classes:
            self._classes[key] = pb_messages.GetMessageClass(self._descriptor(number, way))
        return self._classes[key], value[start:]

    def _descriptor(self, number: int, way: tuple[int, ...]) -> Any:
        if number not in self._files:
            assert self._registry is not None
            schema = self._registry.schema(number, form="serialized")
            if schema.kind != "PROTOBUF":
                raise UnknownSchema(f"schema {number} is {schema.kind}, not PROTOBUF")
            self._files[number] = _file(schema, number)
        found: Any = self._files[number]
        try:
            found = list(found.message_types_by_name.values())[way[0]]
            for index in way[1:]:
                found = found.nested_types[index]
        except IndexError:
            raise UnknownSchema(f"schema {number} has no message at {list(way)}") from None
        return found


def _way(value: bytes, start: int) -> tuple[tuple[int, ...], int]:
    """The indexes that lead to a message in its file, and where the message itself begins."""
    count, start = _varint(value, start)
    found = []
    for _ in range(count):
        index, start = _varint(value, start)
        found.append(index)
    return tuple(found) or (0,), start


def _varint(value: bytes, start: int) -> tuple[int, int]:
    raw = shift = 0
    while start < len(value) and shift < 64:
        byte = value[start]
        raw |= (byte & 0x7F) << shift
        start, shift = start + 1, shift + 7
        if byte < 0x80:
            return (raw >> 1) ^ -(raw & 1), start
    raise UnknownSchema("ends within its header")


def _file(schema: Schema, number: int) -> Any:
    """A file's descriptor, in a pool of its own: two versions of one message may not meet."""
    pool = pb.DescriptorPool()
    default = pb.Default()

    def add(one: Schema, name: str) -> Any:
        for needed, behind in one.references:
            add(behind, needed)
        proto = pb_descriptors.FileDescriptorProto.FromString(base64.b64decode(one.text, validate=True))
        proto.name = name
        for needed in proto.dependency:
            _import(pool, default, needed)
        pool.Add(proto)
        return pool.FindFileByName(name)

    try:
        return add(schema, f"schema-{number}.proto")
    except (TypeError, ValueError, KeyError, pb_message.DecodeError) as error:
        raise UnknownSchema(
            f"schema {number} cannot be read ({error}); the registry must give it with ?format=serialized"
        ) from None


def _import(pool: Any, default: Any, name: str) -> None:
    """Google's own files come from the protobuf package."""
    try:
        pool.FindFileByName(name)
    except KeyError:
        proto = pb_descriptors.FileDescriptorProto()
        if name.startswith("google/protobuf/"):
            importlib.import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
        default.FindFileByName(name).CopyToProto(proto)
        for needed in proto.dependency:
            _import(pool, default, needed)
        pool.Add(proto)


def table_of(descriptor: Any, messages: Sequence[Any]) -> pa.Table:
    """A column for each field."""
    columns = [pa.array(map(_reader_of(field, 1), messages), _kind_of(field, 1)) for field in descriptor.fields]
    return pa.table(columns, names=[field.name for field in descriptor.fields])


def _is_map(field: Any) -> bool:
    return bool(field.message_type is not None and field.message_type.GetOptions().map_entry)


def _kind(field: Any, depth: int) -> pa.DataType:
    """The Arrow type of one value of a field."""
    kinds = pb_descriptor.FieldDescriptor
    if field.cpp_type == kinds.CPPTYPE_MESSAGE:
        name = field.message_type.full_name
        if name in _WELL_KNOWN:
            return _WELL_KNOWN[name][0]()
        if name.startswith("google.protobuf.") or depth >= _DEEPEST:
            return pa.string()
        return pa.struct([pa.field(one.name, _kind_of(one, depth + 1)) for one in field.message_type.fields])
    return {
        kinds.CPPTYPE_INT32: pa.int32,
        kinds.CPPTYPE_INT64: pa.int64,
        kinds.CPPTYPE_UINT32: pa.uint32,
        kinds.CPPTYPE_UINT64: pa.uint64,
        kinds.CPPTYPE_DOUBLE: pa.float64,
        kinds.CPPTYPE_FLOAT: pa.float32,
        kinds.CPPTYPE_BOOL: pa.bool_,
        kinds.CPPTYPE_ENUM: pa.string,
        kinds.CPPTYPE_STRING: pa.binary if field.type == kinds.TYPE_BYTES else pa.string,
    }[field.cpp_type]()


def _kind_of(field: Any, depth: int) -> pa.DataType:
    if _is_map(field):
        entry = {part.name: part for part in field.message_type.fields}
        return pa.map_(_kind(entry["key"], depth), _kind(entry["value"], depth + 1))
    return pa.list_(_kind(field, depth)) if field.is_repeated else _kind(field, depth)


def _reader(field: Any, depth: int) -> Callable[[Any], Any]:
    """What makes one value of a field into what Arrow takes."""
    kinds = pb_descriptor.FieldDescriptor
    if field.cpp_type == kinds.CPPTYPE_ENUM:
        names = {number: value.name for number, value in field.enum_type.values_by_number.items()}
        return lambda value: names.get(value, str(value))
    if field.cpp_type != kinds.CPPTYPE_MESSAGE:
        return lambda value: value
    name = field.message_type.full_name
    if name in _WELL_KNOWN:
        return _WELL_KNOWN[name][1]
    if name.startswith("google.protobuf.") or depth >= _DEEPEST:
        return lambda value: pb_json.MessageToJson(value, indent=None, ensure_ascii=False)
    parts = [(one.name, _reader_of(one, depth + 1)) for one in field.message_type.fields]
    return lambda value: {part: read(value) for part, read in parts}


def _reader_of(field: Any, depth: int) -> Callable[[Any], Any]:
    """What takes one field out of a message."""
    name = field.name
    if _is_map(field):
        entry = next(part for part in field.message_type.fields if part.name == "value")
        inner = _reader(entry, depth + 1)
        return lambda message: [(key, inner(value)) for key, value in getattr(message, name).items()]
    read = _reader(field, depth)
    if field.is_repeated:
        return lambda message: [read(value) for value in getattr(message, name)]
    if field.has_presence:
        return lambda message: read(getattr(message, name)) if message.HasField(name) else None
    return lambda message: read(getattr(message, name))


def _moment(value: Any) -> int:
    return int(value.seconds) * 1_000_000 + int(value.nanos) // 1000


def _wrapped(value: Any) -> Any:
    return value.value


_WELL_KNOWN: Mapping[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "google.protobuf.Timestamp": (lambda: pa.timestamp("us", "UTC"), _moment),
    "google.protobuf.BoolValue": (lambda: pa.bool_(), _wrapped),
    "google.protobuf.BytesValue": (lambda: pa.binary(), _wrapped),
    "google.protobuf.DoubleValue": (lambda: pa.float64(), _wrapped),
    "google.protobuf.FloatValue": (lambda: pa.float32(), _wrapped),
    "google.protobuf.Int32Value": (lambda: pa.int32(), _wrapped),
    "google.protobuf.Int64Value": (lambda: pa.int64(), _wrapped),
    "google.protobuf.StringValue": (lambda: pa.string(), _wrapped),
    "google.protobuf.UInt32Value": (lambda: pa.uint32(), _wrapped),
    "google.protobuf.UInt64Value": (lambda: pa.uint64(), _wrapped),
}
