"""NDJSON: one JSON object on each line. Through Arrow where a block is as expected, line by line where it is not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from penstock.connectors.files.opening import Text
from penstock.connectors.files.reading import Job, Piece, Types, cut
from penstock.core.extras import require
from penstock.core.packed import Broken, Compression
from penstock.core.ports.data import Rejected
from penstock.core.rows import conform, gather

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_BLANK = b" \t\r\n"


class Malformed(ValueError):
    """This is no JSON.

    Attributes:
        at: the character where it goes wrong.
    """

    def __init__(self, why: str, at: int = 0) -> None:
        super().__init__(why)
        self.at = at


def _no_number(text: str) -> NoReturn:
    raise Malformed(f"{text} is no JSON")


DECODER = json.JSONDecoder(parse_constant=_no_number)


def decoded(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        Malformed: it is none, or holds half a character, or is nested deeper than can be read.
    """
    try:
        value = DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise Malformed(error.msg, error.pos) from None
    except RecursionError:
        raise Malformed("it is nested too deeply") from None
    check_text(text, value)
    return value


def check_text(source: str, value: Any) -> None:
    """Refuse a text that holds half of a character: it cannot be stored anywhere.

    Raises:
        Malformed: there is one.
    """
    if _HALF.search(source):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            found = _HALF.search(source)
            raise Malformed("half of a surrogate pair is no text", found.start() if found else 0) from None


def record_of(value: Any) -> dict[str, Any]:
    """The value as a record.

    Raises:
        Malformed: it is no object, or one of its names is empty.
    """
    if not isinstance(value, dict):
        kind = {list: "an array", str: "a text", bool: "a truth value", type(None): "null"}.get(type(value), "a number")
        raise Malformed(f"a record is a JSON object, and this is {kind}")
    return value


def rows_of(records: list[dict[str, Any]], types: Types) -> tuple[pa.Table, dict[int, str]]:
    """Records as rows, and why some of them do not fit; what is new about the columns is remembered."""
    rows, misfits = gather(records, types.known)
    for field in rows.schema:
        if field.name not in types.known and (len(rows.column(field.name)) > rows.column(field.name).null_count):
            types.learn(field.name, field.type)
    return rows, dict(misfits)


@dataclass(frozen=True)
class JsonLines:
    """Reads NDJSON.

    Attributes:
        encoding, compression: see `Text`.
        block: bytes to read at once.
        longest: bytes of a line; after a longer one nothing can be read.
    """

    encoding: str | None = None
    compression: Compression | None = None
    block: int = 8 << 20
    longest: int = 64 << 20

    def pieces(self, job: Job) -> Iterator[Piece]:
        """See `Reader.pieces`."""
        text = Text(job.file, encoding=self.encoding, compression=self.compression)
        try:
            yield from self._pieces(job, text)
        finally:
            text.close()

    def _pieces(self, job: Job, text: Text) -> Iterator[Piece]:
        if job.at:
            text.to(job.at["offset"])
        offset, line, waiting = text.offset, job.at.get("line", 1), b""
        size = self.block if job.types.known else min(self.block, 1 << 20)
        broken: Broken | None = None
        while True:
            try:
                more = text.read(size)
            except Broken as error:
                broken, more = error, b""
            whole = (waiting + more).rfind(b"\n") + 1 if more or broken else len(waiting)
            some, waiting = (waiting + more)[:whole], (waiting + more)[whole:]
            if some:
                rows, rejected = self.block_of(job, some, offset, line)
                offset, line, size = offset + len(some), line + some.count(b"\n"), self.block
                yield Piece(rows, rejected, {"offset": offset, "line": line}, len(some))
            if broken:
                raise broken
            if not more:
                return
            if len(waiting) > self.longest:
                raise Broken(f"line {line} is longer than {self.longest} bytes")

    def block_of(self, job: Job, some: bytes, offset: int, line: int) -> tuple[pa.Table | None, list[Rejected]]:
        """Whole lines, the first of which begins at an offset and has a number."""
        if (rows := fast(some, job.types.known)) is not None:
            return rows, []
        records: list[dict[str, Any]] = []
        places: list[tuple[bytes, str]] = []
        rejected: list[tuple[int, Rejected]] = []
        for number, raw in enumerate(some.split(b"\n"), start=line):
            where = job.where(number, offset)
            offset += len(raw) + 1
            if not raw.strip(_BLANK):
                continue
            try:
                records.append(record_of(decoded(raw.decode())))
                places.append((raw, where))
            except UnicodeDecodeError as error:
                told = f"byte {error.object[error.start]:#04x} at column {error.start + 1} is no UTF-8"
                rejected.append((number, Rejected(told, where, cut(raw))))
            except Malformed as error:
                at = f" (column {error.at + 1})" if error.at else ""
                rejected.append((number, Rejected(f"{error}{at}", where, cut(raw.rstrip(b"\r")))))
        rows, misfits = rows_of(records, job.types) if records else (None, {})
        told_misfits = [Rejected(why, places[row][1], cut(places[row][0])) for row, why in misfits.items()]
        return rows, sorted([one for _, one in rejected] + told_misfits, key=_by_offset)


def _by_offset(rejected: Rejected) -> int:
    return int(rejected.where.rpartition("@")[2])


def fast(some: bytes, kinds: Mapping[str, pa.DataType]) -> pa.Table | None:
    """The rows of a block, where each line is one object whose columns are known and whose values fit."""
    lines = some.count(b"\n") + (not some.endswith(b"\n"))
    if not kinds or some.count(b"}\n{") + some.count(b"}\r\n{") != lines - 1:
        return None
    try:
        some.decode()
        schema = pa.schema({name: kind if _read_as_it_is(kind) else pa.string() for name, kind in kinds.items()})
        reader = require("pyarrow.json", "data")
        parses = reader.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
        rows = reader.read_json(pa.BufferReader(some), reader.ReadOptions(block_size=len(some) + 1), parses)
    except (pa.ArrowException, UnicodeDecodeError):
        return None
    if rows.num_rows != lines:
        return None
    if rows.schema == pa.schema(dict(kinds)):
        return rows
    done, misfits = conform(rows, pa.schema(dict(kinds)))
    return None if misfits else done


def _read_as_it_is(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return all(_read_as_it_is(field.type) for field in kind)
    if pa.types.is_list(kind):
        return _read_as_it_is(kind.value_type)
    return bool(kind in (pa.int64(), pa.float64(), pa.bool_(), pa.string()))
