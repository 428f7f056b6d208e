"""CSV: blocks of whole records through Arrow, and record by record where a block has something wrong in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from penstock.connectors.files.dialects import Dialect, lines_in
from penstock.connectors.files.opening import Text
from penstock.connectors.files.reading import Job, Piece, Types, cut, typed
from penstock.core.extras import require
from penstock.core.packed import Broken, Compression
from penstock.core.ports.data import Rejected
from penstock.core.words import counted

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

_EXACT = 32 << 10


@dataclass
class _Part:
    """Records of a block that were parsed together.

    Attributes:
        text: the bytes.
        offset, line: of its beginning, in the file.
        rows: columns of text.
        places: offset and line of each row in the file, where they are known already.
    """

    text: bytes
    offset: int
    line: int
    rows: pa.Table
    places: list[tuple[int, int, int]] | None = None


@dataclass(frozen=True)
class Delimited:
    """Reads CSV.

    Attributes:
        dialect: delimiter and quote.
        header: the first record names the columns.
        names: of the columns; instead of those of the header, where there is one.
        nulls: unquoted texts that mean that nothing is there; in columns that are not text, quoted ones too.
        encoding, compression: see `Text`.
        block: bytes to read at once.
        longest: bytes of a record; a longer one is malformed.
    """

    dialect: Dialect = field(default_factory=Dialect)
    header: bool = True
    names: tuple[str, ...] = ()
    nulls: tuple[str, ...] = ("",)
    encoding: str | None = None
    compression: Compression | None = None
    block: int = 8 << 20
    longest: int = 64 << 20

    def pieces(self, job: Job) -> Iterator[Piece]:
        """See `Reader.pieces`."""
        text = Text(job.file, encoding=self.encoding, compression=self.compression)
        reading = _Reading(self, job, text)
        try:
            if reading.begin():
                yield from reading.pieces()
        finally:
            text.close()

    def table(self, text: bytes, names: Sequence[str]) -> tuple[pa.Table, list[int]] | None:
        """Whole records as columns of text, without those that have too many or too few fields, and which those are.

        None when one of them has something else wrong.
        """
        if text.startswith(b"\xef\xbb\xbf"):  # Arrow would leave it out, and this is not the beginning of the file
            return None
        csv = require("pyarrow.csv", "data")
        ragged: list[int] = []

        def skip(row: Any) -> str:
            ragged.append(row.number - 1)
            return "skip"

        for told in (None, skip):  # Arrow numbers the rows where it reads with one thread
            try:
                return self._arrow(csv, text, names, told), ragged
            except pa.ArrowInvalid as error:
                if "Empty CSV file" in str(error):
                    return self.columns([], names), []
                if "CSV parse error" not in str(error):
                    return None
        return None

    def _arrow(self, csv: Any, text: bytes, names: Sequence[str], told: Any) -> pa.Table:
        plain = not self.dialect.quote or self.dialect.quote.encode() not in text
        reads = csv.ReadOptions(column_names=list(names), block_size=len(text) + 1, use_threads=told is None)
        parses = csv.ParseOptions(
            delimiter=self.dialect.delimiter,
            quote_char=self.dialect.quote or False,
            newlines_in_values=not plain,
            invalid_row_handler=told,
        )
        converts = csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=list(self.nulls),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )
        return csv.read_csv(pa.BufferReader(text), reads, parses, converts)

    def columns(self, records: list[list[str | None]], names: Sequence[str]) -> pa.Table:
        """Records that were parsed one by one, as columns of text."""
        columns: list[Any] = list(zip(*records, strict=True)) if records else [[] for _ in names]
        return pa.table([pa.array(column, pa.string()) for column in columns], names=list(names))


class _Reading:
    """One file being read."""

    def __init__(self, how: Delimited, job: Job, text: Text) -> None:
        self._how, self._job, self._text = how, job, text
        self._buffer = b""
        self._ended: Broken | bool = False
        self._names: list[str] = list(how.names)
        self._line = 1
        self._offset = text.offset

    @property
    def _types(self) -> Types:
        return self._job.types

    def begin(self) -> bool:
        """Read the header, and go to where the file is to be read from; False where there is nothing."""
        start = self._job.at.get("offset", 0)
        if (self._how.header or not self._names) and not self._header():
            return False
        if start > self._offset:
            self._buffer, self._ended = b"", False
            self._text.to(start)
            self._offset, self._line = start, self._job.at["line"]
        return True

    def _header(self) -> bool:
        """The names; without a header, as many as the first record has fields."""
        fields: list[bytes] = []
        while not fields or fields == [b""]:
            end = self._fill(min(1 << 16, self._how.block))
            if not self._buffer:
                return False
            size = end or self._how.dialect.line(self._buffer, 0)
            first = self._how.dialect.record(self._buffer[:size], 0) or size
            fields = [field for field, _ in self._how.dialect.fields(self._buffer[:first])]
            if self._how.header or fields == [b""]:
                self._take(first)
        if not self._names:
            told = [field.decode("utf-8", "replace") for field in fields] if self._how.header else [""] * len(fields)
            self._names = unlike(told)
        return True

    def pieces(self) -> Iterator[Piece]:
        before = self._job.at.get("offset", 0)
        while True:
            end = self._fill(self._how.block)
            if isinstance(self._ended, Broken) and not end:
                raise self._ended
            if not self._buffer:
                return
            parts, rejected = self._block(end)
            rows = self._typed(parts, rejected)
            rejected.sort(key=lambda one: int(one.where.rpartition("@")[2]))
            yield Piece(rows, rejected, {"offset": self._offset, "line": self._line}, self._offset - before)
            before = self._offset

    def _block(self, end: int) -> tuple[list[_Part], list[Rejected]]:
        """All that is in the buffer, up to a record that is not there whole yet."""
        parts: list[_Part] = []
        rejected: list[Rejected] = []
        while True:
            if end:
                self._parse(self._buffer[:end], parts, rejected)
                self._take(end)
            else:
                rejected.append(self._malformed())
            end = self._how.dialect.whole(self._buffer)
            if not end and (isinstance(self._ended, Broken) or not self._buffer):
                return parts, rejected
            if not end and not self._ended and self._how.dialect.begun(self._buffer):
                return parts, rejected

    def _fill(self, size: int) -> int:
        """Read until there is a whole record, or what cannot become one; how many bytes are whole records."""
        while True:
            if not self._ended and len(self._buffer) < size:
                self._read(size - len(self._buffer))
                continue
            end = self._how.dialect.whole(self._buffer)
            if end or self._ended or len(self._buffer) > self._how.longest:
                return end
            if not self._how.dialect.begun(self._buffer):
                return 0
            size = 2 * len(self._buffer)

    def _read(self, size: int) -> None:
        try:
            more = self._text.read(size)
        except Broken as error:
            self._ended = error
            return
        if not more:
            self._ended = True
            more = b"" if self._buffer.endswith(b"\n") or not self._buffer else b"\n"
        self._buffer += more

    def _take(self, size: int) -> None:
        self._line += lines_in(self._buffer, size)
        self._buffer = self._buffer[size:]
        self._offset = min(self._offset + size, self._text.offset)

    def _malformed(self) -> Rejected:
        """Take a line that begins no record out."""
        size = self._how.dialect.line(self._buffer, 0)
        quote = self._how.dialect.quote
        why = (
            f"a quoted field is not closed before the end of the file, or is longer than {self._how.longest} bytes"
            if self._how.dialect.begun(self._buffer)
            else f"a quote inside a quoted field stands alone: write it twice ({quote}{quote})"
        )
        told = Rejected(why, self._job.where(self._line, self._offset), cut(self._buffer[:size].rstrip(b"\r\n")))
        self._take(size)
        return told

    def _parse(self, text: bytes, parts: list[_Part], rejected: list[Rejected]) -> None:
        waiting = [(text, self._offset, self._line)]
        while waiting:
            some, offset, line = waiting.pop()
            if (read := self._how.table(some, self._names)) is not None:
                parts.append(_Part(some, offset, line, read[0]))
                if read[1]:
                    parts[-1].places = self._without_ragged(some, offset, line, set(read[1]), rejected)
                continue
            half = self._how.dialect.whole(some[: len(some) // 2]) if len(some) > _EXACT else 0
            if half:
                waiting.append((some[half:], offset + half, line + lines_in(some[:half])))
                waiting.append((some[:half], offset, line))
            else:
                parts.append(self._exactly(some, offset, line, rejected))

    def _records(self, text: bytes, offset: int, line: int) -> Iterator[tuple[bytes, int, int]]:
        """Each record that is not an empty line, with its offset and line."""
        start = 0
        while start < len(text):
            end = self._how.dialect.record(text, start)
            record = text[start:end]
            if record.rstrip(b"\r\n"):
                yield record, offset + start, line
            line += lines_in(record)
            start = end

    def _without_ragged(
        self, text: bytes, offset: int, line: int, ragged: set[int], rejected: list[Rejected]
    ) -> list[tuple[int, int, int]]:
        """Tell the records that have too many or too few fields; where the others are."""
        places = []
        for place, (raw, at, number) in enumerate(self._records(text, offset, line)):
            if place in ragged:
                rejected.append(self._ragged(len(self._how.dialect.fields(raw)), raw, at, number))
            else:
                places.append((at, number, len(raw)))
        return places

    def _ragged(self, fields: int, raw: bytes, at: int, number: int) -> Rejected:
        why = f"{counted(fields, 'field')}, and there are {counted(len(self._names), 'column')}"
        return Rejected(why, self._job.where(number, at), cut(raw.rstrip(b"\r\n")))

    def _exactly(self, text: bytes, offset: int, line: int, rejected: list[Rejected]) -> _Part:
        records, places = [], []
        for raw, at, number in self._records(text, offset, line):
            fields = self._how.dialect.fields(raw)
            if len(fields) != len(self._names):
                rejected.append(self._ragged(len(fields), raw, at, number))
                continue
            try:
                told = [(value.decode(), quoted) for value, quoted in fields]
            except UnicodeDecodeError as error:
                why = f"byte {error.object[error.start]:#04x} is no UTF-8: give the encoding of the file"
                rejected.append(Rejected(why, self._job.where(number, at), cut(raw.rstrip(b"\r\n"))))
                continue
            records.append([None if not quoted and value in self._how.nulls else value for value, quoted in told])
            places.append((at, number, len(raw)))
        return _Part(text, offset, line, self._how.columns(records, self._names), places)

    def _typed(self, parts: list[_Part], rejected: list[Rejected]) -> pa.Table | None:
        if not parts:
            return None
        self._types.learn_texts(pa.concat_tables([part.rows for part in parts]), self._how.nulls)
        done = []
        quote = self._how.dialect.quote.encode()
        for part in parts:
            quoted = bool(quote) and quote in part.text  # the others are null already
            rows, misfits = typed(part.rows, self._types.known, self._how.nulls if quoted else ())
            done.append(rows)
            if misfits:
                rejected.extend(self._misfits(part, misfits))
        return pa.concat_tables(done)

    def _misfits(self, part: _Part, misfits: dict[int, str]) -> Iterator[Rejected]:
        places = part.places
        if places is None:
            every = self._records(part.text, part.offset, part.line)
            places = [(at, number, len(raw)) for raw, at, number in every]
        for row, why in misfits.items():
            at, number, size = places[row]
            raw = part.text[at - part.offset : at - part.offset + size].rstrip(b"\r\n")
            yield Rejected(why, self._job.where(number, at), cut(raw))


def unlike(names: list[str]) -> list[str]:
    """Names of columns, all of them different and none of them empty."""
    taken: set[str] = set()
    told = []
    for place, name in enumerate(names, start=1):
        base = name = name or f"column_{place}"
        number = 1
        while name in taken or (number > 1 and name in names):
            number += 1
            name = f"{base}_{number}"
        taken.add(name)
        told.append(name)
    return told
