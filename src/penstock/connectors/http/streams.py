"""Answers of any length, one record a line (NDJSON) or CSV, read while they come.

How far one was read is a mark: so many bytes, and a digest of them. Another try, or another process, reads the same
bytes again, and goes on behind them if they are still the same.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from penstock.connectors.http.answers import Answer
from penstock.connectors.http.json_pages import RAW_MOST, refuse_web_page, transcoded
from penstock.connectors.http.paths import outline
from penstock.connectors.http.retries import Again
from penstock.core.errors import BadData
from penstock.core.ports.data import Rejected

_LINE_MOST = 16 << 20
_CHUNK_BYTES = 1 << 20
_BOM = b"\xef\xbb\xbf"


class Differs(Exception):
    """What was read before is not what is there now."""


@dataclass(slots=True)
class Chunk:
    """Some records of a stream.

    Attributes:
        mark: how far the stream was read with them.
        records: in their order.
        rejected: what is among them and is no record.
    """

    mark: dict[str, Any]
    records: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


class _Lines:
    """The lines of a body, their ends included, and where the last one that was taken ends."""

    def __init__(self, answer: Answer, mark: Mapping[str, Any] | None) -> None:
        self._answer = answer
        self._hash = hashlib.blake2b(digest_size=8)
        self._known = dict(mark or {})
        self.known: int = self._known.get("bytes", 0)
        self.bytes = 0
        self.number = 0

    def __iter__(self) -> Iterator[bytes]:
        rest: list[bytes] = []
        held = 0
        first = True
        for piece in self._answer.pieces():
            if first:
                refuse_web_page(self._answer, piece)
                first = False
            start = 0
            while (end := piece.find(b"\n", start)) >= 0:
                line = piece[start : end + 1]
                if rest:
                    line = b"".join((*rest, line))
                    rest, held = [], 0
                start = end + 1
                yield self._taken(line)
            if start < len(piece):
                rest.append(piece[start:])
                held += len(piece) - start
            if held > _LINE_MOST:
                raise BadData(f"{self._answer.name}: line {self.number + 1} is longer than {_LINE_MOST:,} bytes.")
        if rest:
            yield self._taken(b"".join(rest))
        if self.bytes < self.known:
            raise Differs

    def _taken(self, line: bytes) -> bytes:
        before, self.bytes = self.bytes, self.bytes + len(line)
        self.number += 1
        if before < self.known <= self.bytes:
            self._hash.update(line[: self.known - before])
            if self._hash.hexdigest() != self._known["digest"]:
                raise Differs
            self._hash.update(line[self.known - before :])
        else:
            self._hash.update(line)
        return line

    def mark(self) -> dict[str, Any]:
        return {"bytes": self.bytes, "digest": self._hash.hexdigest()}


def read_ndjson(answer: Answer, mark: Mapping[str, Any] | None, encoding: str, most: int) -> Iterator[Chunk]:
    """The records behind a mark, at most so many in a chunk.

    Raises:
        Again: it broke off.
        Differs: what is before the mark has changed.
        BadData: a line is longer than any record.
    """
    lines = _Lines(answer, mark)
    chunk, size = Chunk({}), 0
    decode = msgspec.json.Decoder().decode
    for line in lines:
        if lines.bytes - len(line) < lines.known:
            continue
        size += len(line)
        if not line.strip():
            continue
        try:
            value = decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            fault = str(error)
            if not line.endswith(b"\n") and "truncated" in fault:
                raise Again(f"the answer ends in the middle of line {lines.number}") from None
            _one_line(answer, line, lines.number, encoding, fault, chunk)
        else:
            if type(value) is dict:
                chunk.records.append(value)
            else:
                _no_record(answer, line, lines.number, f"this is {outline(value)}, and a record is an object", chunk)
        if size >= _CHUNK_BYTES or len(chunk.records) >= most:
            chunk.mark = lines.mark()
            yield chunk
            chunk, size = Chunk({}), 0
    chunk.mark = lines.mark()
    yield chunk


def _one_line(answer: Answer, line: bytes, number: int, encoding: str, fault: str, chunk: Chunk) -> None:
    """A line that is not what it should be may be in another charset."""
    text = transcoded(line, encoding or answer.charset)
    try:
        value = json.loads(text) if text is not None else None
    except (ValueError, RecursionError):
        value = None
    if type(value) is dict:
        chunk.records.append(value)
    else:
        _no_record(answer, line, number, f"this is no JSON: {fault}", chunk)


def _no_record(answer: Answer, line: bytes, number: int, reason: str, chunk: Chunk) -> None:
    raw = line[:RAW_MOST].decode("utf-8", "backslashreplace").rstrip("\r\n")
    chunk.rejected.append(Rejected(reason, f"{answer.name}, line {number}", raw))


def read_csv(
    answer: Answer, mark: Mapping[str, Any] | None, encoding: str, most: int, delimiter: str
) -> Iterator[Chunk]:
    """The rows behind a mark, as text; an empty field is null. The first line has the names. See `read_ndjson`."""
    lines = _Lines(answer, mark)
    charset = encoding or answer.charset
    rows = csv.reader(_texts(lines, charset), delimiter=delimiter, strict=True)
    names: list[str] | None = None
    chunk = Chunk({})
    while True:
        start, number, row = lines.bytes, lines.number + 1, None
        fault = ""
        try:
            row = next(rows, None)
        except csv.Error as error:
            fault = str(error)
        if "unexpected end" in fault:
            raise Again(f"the answer ends in the middle of line {lines.number}")
        if row is None and not fault:
            break
        if names is None:
            names = _names(answer, row or [])
        elif (row or fault) and start >= lines.known:
            _row(f"{answer.name}, line {number}", names, row or [], fault, chunk)
            if len(chunk.records) + len(chunk.rejected) >= most:
                chunk.mark = lines.mark()
                yield chunk
                chunk = Chunk({})
    chunk.mark = lines.mark()
    yield chunk


def _texts(lines: _Lines, charset: str) -> Iterator[str]:
    for line in lines:
        text = line.removeprefix(_BOM) if lines.number == 1 else line
        try:
            yield text.decode("utf-8")
        except UnicodeDecodeError:
            other = transcoded(text, charset)
            yield text.decode("utf-8", "surrogateescape") if other is None else other


def _names(answer: Answer, row: list[str]) -> list[str]:
    names = [name.strip() for name in row]
    twice = {name for name in names if names.count(name) > 1}
    if twice or "" in names:
        what = f"the column {min(twice)!r} twice" if twice else "a column without a name"
        raise BadData(
            f"{answer.name}: the first line of the CSV has {what}.", hint="it must hold the names of the columns"
        )
    return names


def _row(where: str, names: list[str], row: list[str], fault: str, chunk: Chunk) -> None:
    if fault:
        fault = f"this is no CSV: {fault}"
    elif len(row) != len(names):
        fault = f"there are {len(row)} fields, and the first line names {len(names)}"
    elif any("\udc80" <= letter <= "\udcff" for value in row if not value.isascii() for letter in value):
        fault = "this is not UTF-8: name the charset with encoding="
    if fault:
        raw = ",".join(row).encode("utf-8", "surrogateescape")[:RAW_MOST].decode("utf-8", "backslashreplace")
        chunk.rejected.append(Rejected(fault, where, raw))
    else:
        chunk.records.append({name: value or None for name, value in zip(names, row, strict=True)})
