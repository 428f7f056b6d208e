"""A block of an access log, read all at once: the places of quotes and line ends say where every field is.

Nothing here looks at a line by itself. A line is taken if everything about it is as it mostly is (so many quotes, and
digits, blanks and brackets where they belong); every other line is read by `access.read`, which is the rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from penstock.processing.logs import access
from penstock.processing.logs.access_words import (
    dashes_before,
    date_words,
    requests_of,
    seconds_of,
    size_of,
    status_of,
    windows_of,
    words_of,
)
from penstock.processing.logs.addresses import numbers_of
from penstock.processing.logs.blocks import LONGEST, SAMPLE, Block
from penstock.processing.logs.extras import Array, np
from penstock.processing.logs.views import views_of

_PIECE = 128 << 10
_READ_AT_ONCE = 2 << 20
"""So many bytes are read at once: what is told of them then stays in the processor's cache."""

_QUOTE, _LINE_END, _BLANK, _BACKSLASH, _QUESTION, _RETURN = 34, 10, 32, 92, 63, 13
_BOTH, _EITHER = 0xD7, 0x02
"""The bits that a quote and a line end have in common; two other bytes, which are rare, have them too."""

_BRACKET = 29
"""So far before the first quote is the bracket that opens the date."""

_NO_MINUTE = -(1 << 62)
_MOST_MINUTES = 100_000


@dataclass
class Rows:
    """The lines of a block that were read at once; each array has an element for each.

    Attributes:
        line: number within the block, from 0.
        size: bytes sent, -1 for `-`.
        taken: seconds, not a number where the line does not say; None where no line says.
        bounds: where things are in the block, ascending: client, its end, path, its end, the end of the query, and
            if the log has them referrer, its end, agent, its end. A row for each, with an element for each line.
        number: of the client; see `addresses`.
        numbered: where it has one.
        path, referrer, agent: views of them; None where the log does not say. They are made along with the rest, as
            long as the lines are in the processor's cache.
    """

    line: Array
    minute: Array
    second: Array
    status: Array
    size: Array
    method: Array
    protocol: Array
    taken: Array | None
    bounds: Array
    number: Array
    numbered: Array
    path: Array
    referrer: Array | None
    agent: Array | None


@dataclass
class Parsed:
    """A block of lines, every line accounted for.

    Attributes:
        lines: how many.
        blank: those without anything in them.
        malformed: number within the block and beginning of those that mean nothing.
        rows: those that were read at once; some stretches of them.
        entries: those that were read one by one, with their numbers.
    """

    lines: int
    blank: int
    malformed: list[tuple[int, bytes]]
    rows: list[Rows]
    entries: list[tuple[int, access.Entry]]

    @property
    def good(self) -> int:
        """Lines that mean something."""
        return sum(len(rows.line) for rows in self.rows) + len(self.entries)


class Reader:
    """Reads blocks; remembers the minutes it has met. Not for several threads at once.

    Args:
        longest: bytes of a line that is looked at.
        sample: so much of a malformed line is kept.
    """

    def __init__(self, longest: int = LONGEST, sample: int = SAMPLE) -> None:
        self._longest, self._sample = longest, sample
        self._minutes: dict[bytes, int] = {}

    def read(self, block: Block, *, careful: bool = False) -> Parsed:
        """Every line of a block.

        Args:
            block: what to read.
            careful: a client may have a blank in it, which means that it is none; without this it is not looked for.
        """
        parts, first = [], 0
        for start, end in _pieces(block):
            parts.append(self._read_piece(block, start, end, first, careful))
            first += parts[-1].lines
        return _joined(parts)

    def _read_piece(self, block: Block, start: int, end: int, first: int, careful: bool) -> Parsed:
        data = block.data
        marks = _places(data, start, end)
        ends = np.flatnonzero(data[marks] == _LINE_END)
        line_ends = marks[ends]
        count = len(ends)
        starts = np.empty(count, np.int64)
        starts[0] = start
        starts[1:] = line_ends[:-1] + 1
        rows = self._rows(block, _Marks(data, marks, ends, starts, line_ends), careful)
        parsed = Parsed(count, 0, [], [], [])
        done = np.zeros(count, bool)
        if rows is not None:
            done[rows.line] = True
            rows.line += first
            parsed.rows.append(rows)
        rest = np.flatnonzero(~done)
        for line, begin, stop in zip(rest.tolist(), starts[rest].tolist(), line_ends[rest].tolist(), strict=True):
            self._read_alone(block, parsed, first + line, begin, stop)
        return parsed

    def _read_alone(self, block: Block, parsed: Parsed, line: int, start: int, end: int) -> None:
        if end - start > self._longest:
            parsed.malformed.append((line, bytes(block.buffer[start : start + SAMPLE])))
            return
        text = bytes(block.buffer[start:end])
        entry = access.read(text)
        if entry is not None:
            parsed.entries.append((line, entry))
        elif text.strip():
            parsed.malformed.append((line, text[: self._sample]))
        else:
            parsed.blank += 1

    def _rows(self, block: Block, marks: _Marks, careful: bool) -> Rows | None:
        lines, number = marks.usual()
        if not len(lines):
            return None
        data, words = marks.data, words_of(marks.data)
        places = marks.of(lines, number)
        start, opened, closed, end = marks.starts[lines], places[0], places[1], places[-1]
        good = (opened - _BRACKET - start >= 6) & (end - start <= self._longest)
        dated = windows_of(data, 40)[opened - 37].view(np.dtype("<u8")).reshape(-1, 5)
        minute, second = self._times(dated, good)
        client_end = opened - (_BRACKET + 5)
        named = good if careful else good & ~dashes_before(dated[:, 0])
        _find_clients(block.buffer, np.flatnonzero(named), start, opened - (_BRACKET + 1), client_end, good)
        status = status_of(words[closed], good)
        stop = places[2] - 1 if number > 2 else end - (data[end - 1] == _RETURN)
        size = size_of(words[stop - 8], stop - closed - 6, good)
        taken = None
        if number > 2:
            taken = _check_quoted(data, words, places, stop, good)
        else:
            good &= data[closed - 1] != _BACKSLASH
        method, protocol, path, query_end = requests_of(data, words, opened, closed)
        columns = [start, client_end, path, _path_ends(marks, lines, method, path, query_end), query_end]
        if number > 2:
            columns += [places[2] + 1, places[3], places[4] + 1, places[5]]
        arrays = [lines, minute, second, status, size, method, protocol]
        if not good.all():
            kept = np.flatnonzero(good)
            columns = [column[kept] for column in columns]
            arrays = [array[kept] for array in arrays]
            taken = taken[kept] if taken is not None else None
        texts = [views_of(words, *columns[at : at + 2]) if at < len(columns) else None for at in (2, 5, 7)]
        client = numbers_of(words, columns[0], columns[1] - columns[0])
        return Rows(*[*arrays, taken, np.array(columns, np.int32), *client, *texts])

    def _times(self, dated: Array, good: Array) -> tuple[Array, Array]:
        """Minutes since 1970, and seconds in them; each minute is read once, where it begins."""
        keys, second = date_words(dated, good)
        changed = np.zeros(len(good), bool)
        changed[:1] = True
        for word in keys:
            changed[1:] |= word[1:] != word[:-1]
        edges = np.flatnonzero(changed)
        told = np.stack([word[edges] for word in keys], axis=1).tobytes()
        values = [self._minute(told[at : at + 32]) for at in range(0, len(told), 32)]
        minute = np.repeat(np.array(values, np.int64), np.diff(edges, append=len(good)))
        good &= minute != _NO_MINUTE
        return minute, second

    def _minute(self, told: bytes) -> int:
        """Of `[17/May/2015:10:05:__ +0000] "__`, where something else is for each `_`."""
        known = self._minutes.get(told)
        if known is None:
            found = None
            if (told[:1], told[18:19], told[21:22], told[27:30]) == (b"[", b":", b" ", b'] "'):
                found = access.minute_of(told[1:18], told[22:27])
            known = _NO_MINUTE if found is None else found
            if len(self._minutes) >= _MOST_MINUTES:
                self._minutes.clear()
            self._minutes[told] = known
        return known


@dataclass
class _Marks:
    """Where quotes and line ends are.

    Attributes:
        places: of both, ascending.
        ends: which of the places are line ends.
        starts: where lines start.
        line_ends: where lines end.
    """

    data: Array
    places: Array
    ends: Array
    starts: Array
    line_ends: Array

    def usual(self) -> tuple[Array, int]:
        """The lines that have as many quotes as most lines have, and how many that is: 2, 6 or 8."""
        quotes = np.diff(self.ends, prepend=-1) - 1
        _, number = max((int((quotes == number).sum()), number) for number in (2, 8, 6))
        return np.flatnonzero(quotes == number), number

    def of(self, lines: Array, number: int) -> list[Array]:
        """The places of the quotes of these lines, and of their ends."""
        if len(lines) == len(self.ends):
            return list(np.ascontiguousarray(self.places.reshape(-1, number + 1).T))
        first = self.ends[lines] - number
        return [self.places[first + place] for place in range(number + 1)]


def _pieces(block: Block) -> Iterator[tuple[int, int]]:
    """A block as smaller ones of whole lines."""
    start = block.start
    while start < block.end:
        end = min(start + _READ_AT_ONCE, block.end)
        cut = block.buffer.rfind(b"\n", start, end) + 1 or block.buffer.find(b"\n", end, block.end) + 1
        yield start, cut
        start = cut


def _joined(parts: list[Parsed]) -> Parsed:
    if len(parts) == 1:
        return parts[0]
    whole = Parsed(0, 0, [], [], [])
    for part in parts:
        whole.lines += part.lines
        whole.blank += part.blank
        whole.malformed += part.malformed
        whole.entries += part.entries
        whole.rows += part.rows
    return whole


def _places(data: Array, start: int, end: int) -> Array:
    """Of quotes and line ends; in pieces that stay in the processor's cache."""
    masked, found = np.empty(_PIECE, np.uint8), list[Array]()
    for at in range(start, end, _PIECE):
        piece = data[at : min(at + _PIECE, end)]
        places = np.flatnonzero(np.bitwise_and(piece, _BOTH, out=masked[: len(piece)]) == _EITHER)
        places += at
        found.append(places)
    places = np.concatenate(found)
    there = data[places]
    wrong = (there != _QUOTE) & (there != _LINE_END)
    return places[~wrong] if wrong.any() else places


def _find_clients(buffer: bytearray, rows: Array, start: Array, stop: Array, end: Array, good: Array) -> None:
    """Where the client ends, of lines that name a user; `good` is made false where there is no user."""
    for row, begin, last in zip(rows.tolist(), start[rows].tolist(), stop[rows].tolist(), strict=True):
        first = buffer.find(b" ", begin, last)
        second = buffer.find(b" ", first + 1, last) if first > begin else -1
        if second > first + 1 and second + 1 < last and buffer[last] == _BLANK:
            end[row] = first
        else:
            good[row] = False


def _check_quoted(data: Array, words: Array, places: list[Array], stop: Array, good: Array) -> Array | None:
    """Blanks between the quoted fields, and nothing escaped at their ends; the seconds behind them."""
    good &= data[stop] == _BLANK
    for place in range(3, len(places) - 2, 2):
        good &= (places[place + 1] - places[place] == 2) & (data[places[place] + 1] == _BLANK)
    for place in range(1, len(places) - 1, 2):
        good &= data[places[place] - 1] != _BACKSLASH
    last, end = places[-2], places[-1]
    if not (end - last > 1).any():
        return None
    end = end - (data[end - 1] == _RETURN)
    length = end - last - 2
    seconds, there = seconds_of(words[end - 8], length)
    there &= data[last + 1] == _BLANK
    good &= (length == -1) | there
    return np.where(length == -1, np.nan, seconds)


def _path_ends(marks: _Marks, lines: Array, method: Array, path: Array, query_end: Array) -> Array:
    """Where paths end: at the first question mark of the request, if it has one."""
    found = []
    first, last = int(marks.starts[0]), int(marks.line_ends[-1])
    for at in range(first, last, _PIECE):
        places = np.flatnonzero(marks.data[at : min(at + _PIECE, last)] == _QUESTION)
        places += at
        found.append(places)
    places = np.concatenate(found) if found else np.empty(0, np.int64)
    ends = query_end.copy()
    if not len(places):
        return ends
    row_of = np.full(len(marks.ends), -1, np.int64)
    row_of[lines] = np.arange(len(lines))
    rows = row_of[np.searchsorted(marks.line_ends, places)]
    fits = (rows >= 0) & (places >= path[rows]) & (places < query_end[rows]) & (method[rows] > 0)
    rows, places = rows[fits], places[fits]
    ends[rows[::-1]] = places[::-1]  # of several in a line the first stays
    return ends
