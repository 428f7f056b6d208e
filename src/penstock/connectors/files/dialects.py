r"""How a CSV file parts its fields, and where its records end.

A quote opens a quoted field only at its beginning; inside one, two quotes are a quote, and line ends are text. What
follows the closing quote up to the next delimiter belongs to the field. A line ends with `\n`, `\r\n` or `\r`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from penstock.core.extras import require

_LINE_END = rb"\r\n|\n|\r"
_NEWLINE, _RETURN = 10, 13


@dataclass(frozen=True)
class Dialect:
    """Delimiter and quote.

    Attributes:
        delimiter: one ASCII character.
        quote: one ASCII character; empty where nothing is quoted.
    """

    delimiter: str = ","
    quote: str = '"'

    @cached_property
    def _field(self) -> bytes:
        delimiter, quote = re.escape(self.delimiter.encode()), re.escape(self.quote.encode())
        if not quote:
            return rb"[^%s\r\n]*+" % delimiter
        quoted = rb"%s(?:[^%s]++|%s%s)*+%s[^%s%s\r\n]*+" % (quote, quote, quote, quote, quote, delimiter, quote)
        return rb"(?:%s|[^%s%s\r\n][^%s\r\n]*+|)" % (quoted, quote, delimiter, delimiter)

    @cached_property
    def _record(self) -> bytes:
        return rb"(?:%s%s)*+%s" % (self._field, re.escape(self.delimiter.encode()), self._field)

    @cached_property
    def _records(self) -> re.Pattern[bytes]:
        return re.compile(rb"(?:%s(?:\r\n|\n|\r(?!\Z)))*+" % self._record)

    @cached_property
    def _one(self) -> re.Pattern[bytes]:
        return re.compile(rb"%s(?:%s|\Z)" % (self._record, _LINE_END))

    @cached_property
    def _begun(self) -> re.Pattern[bytes]:
        """A record whose end is not there yet."""
        quote, field = re.escape(self.quote.encode()), self._field
        delimiter = re.escape(self.delimiter.encode())
        if not quote:
            return re.compile(rb"%s\r?\Z" % self._record)
        opened = rb"%s(?:[^%s]++|%s%s)*+" % (quote, quote, quote, quote)
        return re.compile(rb"(?:%s%s)*+(?:%s\Z|%s\r?\Z)" % (field, delimiter, opened, field))

    @cached_property
    def _fields(self) -> re.Pattern[bytes]:
        quote, delimiter = re.escape(self.quote.encode()), re.escape(self.delimiter.encode())
        plain = rb"(?P<plain>[^%s\r\n]*+)" % delimiter
        if not quote:
            return re.compile(rb"%s(?P<next>%s|(?:%s)?\Z)" % (plain, delimiter, _LINE_END))
        quoted = rb"%s(?P<quoted>(?:[^%s]++|%s%s)*+)%s(?P<rest>[^%s\r\n]*+)" % (*(quote,) * 5, delimiter)
        return re.compile(rb"(?:%s|%s)(?P<next>%s|(?:%s)?\Z)" % (quoted, plain, delimiter, _LINE_END))

    def whole(self, text: bytes) -> int:
        """How many of these bytes are whole records with their line ends, all of them well-formed."""
        if b"\r" not in text or text.count(b"\r") == text.count(b"\r\n"):
            if not self.quote or self.quote.encode() not in text:
                return text.rfind(b"\n") + 1
            end = self._after_plain_quotes(text)
            if end is not None:
                return end
        found = self._records.match(text)
        return found.end() if found else 0

    def _after_plain_quotes(self, text: bytes) -> int | None:
        """The same, quickly, where each quote opens a field, closes one, or is one of two; None where one does not."""
        numpy = require("numpy", "data")
        signs = numpy.frombuffer(text, numpy.uint8)
        quotes = numpy.flatnonzero(signs == ord(self.quote))
        opening, closing = quotes[::2], quotes[1::2]
        before, after = signs[opening - 1], signs[numpy.minimum(closing + 1, len(signs) - 1)]
        opens = (before == ord(self.delimiter)) | (before == _NEWLINE) | (opening == 0)
        opens[1:] |= opening[1:] == closing[: len(opening) - 1] + 1
        closes = (after == ord(self.delimiter)) | (after == _NEWLINE) | (after == _RETURN) | (after == ord(self.quote))
        if not opens.all() or not (closes | (closing == len(signs) - 1)).all():
            return None
        end = len(text)
        while (newline := text.rfind(b"\n", 0, end)) >= 0:
            earlier = int(numpy.searchsorted(quotes, newline))
            if earlier % 2 == 0:
                break
            end = int(quotes[earlier - 1])  # it is inside a quoted field, which begins there
        return newline + 1

    def begun(self, text: bytes) -> bool:
        """More text may make a record of it."""
        return self._begun.match(text) is not None

    def record(self, text: bytes, start: int) -> int:
        """Where the record that begins there ends; its start where it is malformed."""
        found = self._one.match(text, start)
        return found.end() if found else start

    def line(self, text: bytes, start: int) -> int:
        """Where the line that begins there ends."""
        found = re.compile(_LINE_END).search(text, start)
        return found.end() if found else len(text)

    def fields(self, record: bytes) -> list[tuple[bytes, bool]]:
        """The fields of one record, and which of them are quoted."""
        quote = self.quote.encode()
        found = []
        for match in self._fields.finditer(record):
            if (quoted := match.groupdict().get("quoted")) is not None:
                found.append((quoted.replace(quote + quote, quote) + match["rest"], True))
            else:
                found.append((match["plain"], False))
            if match["next"] != self.delimiter.encode():
                break
        return found


def lines_in(text: bytes, size: int | None = None) -> int:
    """How many line ends there are, in so many bytes of it."""
    lines = text.count(b"\n", 0, size)
    if text.find(b"\r", 0, size) >= 0:  # to look for it is much quicker than to count it
        lines += text.count(b"\r", 0, size) - text.count(b"\r\n", 0, size)
    return lines
