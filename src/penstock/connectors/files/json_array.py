"""JSON: an array of objects, element by element, or one object; a file of any size."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from penstock.connectors.files.json_lines import DECODER, Malformed, check_text, record_of, rows_of
from penstock.connectors.files.opening import Text
from penstock.connectors.files.reading import At, Job, Piece, cut
from penstock.core.packed import Broken, Compression
from penstock.core.ports.data import Rejected

_SPACE = " \t\n\r"
_NEAR = 16
"""Where a value ends so near to what has been read, more may belong to it (`1` and then `.5`, `tru` and then `e`)."""


class Fault(Broken):
    """The text is no JSON from here on.

    Attributes:
        line, column: where, counted from 1.
        offset: the byte.
    """

    def __init__(self, why: str, line: int, column: int, offset: int) -> None:
        super().__init__(f"{why} (line {line}, column {column}, byte {offset})")
        self.line, self.column, self.offset = line, column, offset


@dataclass(frozen=True, slots=True)
class Value:
    """A value that stands at the top of a file, or in the array at its top.

    Attributes:
        value: what it is.
        text: as it was written.
        line, offset: of its beginning.
    """

    value: Any
    text: str
    line: int
    offset: int


class Values:
    """The values of a JSON file; those of the array, where the file is one.

    Args:
        text: the file.
        at: where to begin; empty for the beginning.
        block: bytes to read at once.
        longest: characters of a value.
    """

    def __init__(self, text: Text, at: At, *, block: int, longest: int) -> None:
        self._text, self._block, self._longest = text, block, longest
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        if at:
            text.to(at["offset"])
        self._buffer, self._place = "", 0
        self._fault: tuple[str, int] | None = None
        self._broken: Broken | None = None
        self._pending: Broken | None = None
        self._ended = False
        self._state: str = at.get("state", "start")
        # Of a place in the buffer, `_known`; the others of it are told from there.
        self._known, self._offset, self._line, self._column = 0, text.offset, at.get("line", 1), 1

    @property
    def at(self) -> At:
        """Where to go on after the values handed out so far."""
        offset, line, _ = self._tell(self._place)
        return {"offset": offset, "line": line, "state": self._state}

    def _tell(self, place: int) -> tuple[int, int, int]:
        """Offset, line and column of a place that is not before the last one that was told."""
        between = self._buffer[self._known : place]
        lines = between.count("\n")
        column = len(between) - between.rfind("\n") if lines else self._column + len(between)
        self._known, self._column = place, column
        self._offset += len(between) if between.isascii() else len(between.encode("utf-8", "surrogatepass"))
        self._line += lines
        return self._offset, self._line, column

    def _drop(self) -> None:
        """Let go of the text before the place."""
        self._tell(self._place)
        if self._fault is not None:
            self._fault = (self._fault[0], self._fault[1] - self._place)
        self._buffer = self._buffer[self._place :]
        self._place = self._known = 0

    def _more(self) -> bool:
        """Read on; False at the end."""
        if self._ended:
            return False
        try:
            raw = self._text.read(self._block)
            self._ended = not raw
            self._buffer += self._decoder.decode(raw, self._ended)
        except Broken as error:
            self._broken, self._ended = error, True
        except UnicodeDecodeError as error:
            self._buffer += error.object[: error.start].decode()
            self._fault = (f"byte {error.object[error.start]:#04x} is no UTF-8", len(self._buffer))
            self._ended = True
        return True

    def _refused(self, why: str, place: int) -> Broken:
        """What to raise for something wrong at a place of the buffer."""
        if self._broken is not None:
            return self._broken
        if self._fault is not None and (place >= self._fault[1] or why.startswith("Unterminated")):
            why, place = self._fault
        offset, line, column = self._tell(max(place, self._known))
        return Fault(why, line, column, offset)

    def _sign(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            while self._place < len(self._buffer):
                if self._buffer[self._place] not in _SPACE:
                    return self._buffer[self._place]
                self._place += 1
            self._drop()
            if not self._more():
                if self._broken is not None or self._fault is not None:
                    raise self._refused("", len(self._buffer))
                return ""

    def some(self, most: int) -> list[Value]:
        """The next values; none at the end.

        Raises:
            Broken: what comes next is no JSON.
        """
        found: list[Value] = []
        size = 0
        if self._pending is not None:
            raise self._pending
        while size < most:
            try:
                value = self._next()
            except Broken as error:
                if not found:
                    raise
                self._pending = error
                return found
            if value is None:
                return found
            found.append(value)
            size += len(value.text) + 1
        return found

    def _next(self) -> Value | None:
        sign = self._sign()
        if self._state == "start":
            if sign != "[":
                return self._alone(sign)
            self._place += 1
            self._state = "first"
            sign = self._sign()
        if self._state == "end" or (self._state in ("first", "after") and sign == "]"):
            self._end(sign)
            return None
        if self._state == "after":
            if sign != ",":
                raise self._refused("a comma or ] is missing", self._place)
            self._place, self._state = self._place + 1, "comma"
            self._sign()
        return self._value("after")

    def _alone(self, sign: str) -> Value:
        if not sign:
            raise self._refused("the file is empty, and that is no JSON", self._place)
        return self._value("end")

    def _end(self, sign: str) -> None:
        if self._state != "end":
            self._place, self._state = self._place + 1, "end"
            sign = self._sign()
        if sign:
            hint = " (one object after another is NDJSON: say format='ndjson')" if sign == "{" else ""
            raise self._refused(f"there is more after the end{hint}", self._place)

    def _value(self, then: str) -> Value:
        while True:
            try:
                value, end = DECODER.raw_decode(self._buffer, self._place)
                whole = end < len(self._buffer) - _NEAR or self._buffer[end - 1] in '}]"'
                if whole or not self._read_on():
                    break
            except json.JSONDecodeError as error:
                near = error.pos >= len(self._buffer) - _NEAR or error.msg.startswith("Unterminated string")
                if not near or not self._read_on():
                    raise self._refused(error.msg, error.pos) from None
            except RecursionError:
                raise self._refused("it is nested too deeply", self._place) from None
            except Malformed as error:
                raise self._refused(str(error), self._place) from None
        text = self._buffer[self._place : end]
        offset, line, _ = self._tell(self._place)
        made = Value(value, text, line, offset)
        self._place, self._state = end, then
        return made

    def _read_on(self) -> bool:
        if len(self._buffer) - self._place > self._longest:
            raise self._refused(f"a value is longer than {self._longest} characters", self._place)
        return self._more()


@dataclass(frozen=True)
class JsonArray:
    """Reads JSON.

    Attributes:
        encoding, compression: see `Text`.
        block: bytes to read at once.
        longest: characters of a record; after a longer one nothing can be read.
    """

    encoding: str | None = None
    compression: Compression | None = None
    block: int = 4 << 20
    longest: int = 64 << 20

    def pieces(self, job: Job) -> Iterator[Piece]:
        """See `Reader.pieces`."""
        text = Text(job.file, encoding=self.encoding, compression=self.compression)
        try:
            values = Values(text, job.at, block=self.block, longest=self.longest)
            before = job.at.get("offset", 0)
            while some := values.some(self.block):
                yield self._piece(job, some, values.at, before)
                before = values.at["offset"]
        finally:
            text.close()

    def _piece(self, job: Job, values: list[Value], at: At, before: int) -> Piece:
        records: list[dict[str, Any]] = []
        whence: list[Value] = []
        rejected: list[tuple[int, Rejected]] = []
        for one in values:
            try:
                check_text(one.text, one.value)
                records.append(record_of(one.value))
                whence.append(one)
            except Malformed as error:
                rejected.append((one.offset, Rejected(str(error), job.where(one.line, one.offset), cut(one.text))))
        rows, misfits = rows_of(records, job.types) if records else (None, {})
        for row, why in misfits.items():
            one = whence[row]
            rejected.append((one.offset, Rejected(why, job.where(one.line, one.offset), cut(one.text))))
        rejected.sort(key=lambda pair: pair[0])
        return Piece(rows, [told for _, told in rejected], at, at["offset"] - before)
