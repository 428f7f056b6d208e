"""From the text that PostgreSQL has for a value to a column of Arrow, for all rows at once.

A reader takes a column of strings, and gives a column of its type and the rows whose value that type cannot hold, with
the reason. Values that are rare (infinity, years before Christ) are read one by one; the others never are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.core.extras import require

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    from penstock.core.rows.arrow import pa, pc

    np = require("numpy", "data")

Bad: TypeAlias = Mapping[int, str]
Read: TypeAlias = Callable[[Any], tuple[Any, Bad]]

_FINE: Bad = {}
FIRST, LAST = "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"
"""What stands for -infinity and infinity in columns of dates and times."""
_PLAIN_MOMENT = r"^\d{4}-\d\d-\d\d([^C]*)$"
_PLAIN_NUMBER = r"^-?\d+(\.\d+)?$"
_PLAIN_LIST = r'^\{[^{}"\\]*\}$'


def as_text(strings: pa.Array) -> tuple[pa.Array, Bad]:
    """Text stays as it is."""
    return strings, _FINE


def as_bool(strings: pa.Array) -> tuple[pa.Array, Bad]:
    """`t` and `f`."""
    return pc.equal(strings, "t"), _FINE


def as_number(kind: pa.DataType) -> Read:
    """Integers and floating point numbers."""
    return lambda strings: (pc.cast(strings, kind), _FINE)


def as_decimal(precision: int, scale: int) -> Read:
    """Numbers of so many digits, so many of them after the point; `NaN` and what has more digits cannot be held."""
    kind = pa.decimal128(precision, scale)

    def convert(strings: pa.Array) -> pa.Array:
        return pc.cast(strings, kind)

    def one(text: str) -> tuple[Any, str]:
        try:
            return convert(pa.array([text]))[0].as_py(), ""
        except pa.ArrowInvalid:
            return None, f"{text} is no number of {precision} digits, {scale} of them after the point"

    return partial(_mostly, kind, convert, _PLAIN_NUMBER, one)


def as_money(places: int) -> Read:
    """Amounts as the server shows them, with so many digits after the point, whatever the signs around them."""
    kind = pa.decimal128(19, places)

    def read(strings: pa.Array) -> tuple[pa.Array, Bad]:
        digits = pc.replace_substring_regex(strings, "[^0-9]", "")
        negative = pc.match_substring_regex(strings, r"[-(]")
        whole = pc.cast(pc.binary_join_element_wise(pc.if_else(negative, "-", ""), digits, ""), pa.decimal128(19, 0))
        return pa.Array.from_buffers(kind, len(whole), whole.buffers(), offset=whole.offset), _FINE

    return read


def as_timestamp(zone: str | None) -> Read:
    """Moments in microseconds; those of a zone come in UTC."""
    kind = pa.timestamp("us", zone)
    return partial(_mostly, kind, lambda strings: pc.cast(strings, kind), _PLAIN_MOMENT, _moment)


def as_date(strings: pa.Array) -> tuple[pa.Array, Bad]:
    """Days."""
    days, bad = _mostly(pa.date32(), lambda some: pc.cast(some, pa.date32()), _PLAIN_MOMENT, _day, strings)
    return days, bad


def as_time(strings: pa.Array) -> tuple[pa.Array, Bad]:
    """Times of day in microseconds; `24:00:00` is none of them."""
    late = pc.fill_null(pc.starts_with(strings, "24"), False)
    plain = pc.if_else(late, None, strings)
    moments = pc.cast(pc.binary_join_element_wise("1970-01-01 ", plain, ""), pa.timestamp("us"))
    reason = 'no time of day in other systems; types={"table.column": "text"} keeps it'
    return moments.cast(pa.int64()).cast(pa.time64("us")), dict.fromkeys(_rows(late), f"24:00:00 is {reason}")


def as_bytes(strings: pa.Array) -> tuple[pa.Array, Bad]:
    """Two hexadecimal digits for each byte, after a backslash and an x."""
    digits = pc.utf8_slice_codeunits(strings, 2)
    _, offsets, data = digits.buffers()
    ends = np.frombuffer(offsets, np.int32, len(digits) + 1, digits.offset * 4)
    text = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    values = _NIBBLES[text[ends[0] : ends[-1]]]
    found = (values[0::2] << 4) | values[1::2]
    places = ((ends - ends[0]) // 2).astype(np.int32)
    valid = pc.is_valid(strings).buffers()[1] if strings.null_count else None
    return pa.Array.from_buffers(pa.binary(), len(digits), [valid, pa.py_buffer(places), pa.py_buffer(found)]), _FINE


def as_list(element: Read, kind: pa.DataType) -> Read:
    """Arrays of one dimension, of values that `element` reads; others cannot be held by a column of lists."""

    def read(strings: pa.Array) -> tuple[pa.Array, Bad]:
        plain = pc.match_substring_regex(strings, _PLAIN_LIST)
        hard = _rows(pc.invert(pc.fill_null(plain, True)))
        lists, bad = _plain_lists(strings if not len(hard) else pc.if_else(plain, strings, None)), {}
        if len(hard):
            parsed = [_elements(strings[int(row)].as_py()) for row in hard]
            reason = 'it has several dimensions; types={"table.column": "text"} keeps it'
            bad = {int(row): reason for row, found in zip(hard, parsed, strict=True) if found is None}
            both = pa.concat_arrays([lists, pa.array(parsed, pa.list_(pa.string()))])
            order = np.arange(len(strings))
            order[hard] = len(strings) + np.arange(len(hard))
            lists = both.take(pa.array(order))
        values, worse = element(lists.flatten())
        ends = np.concatenate(([0], np.cumsum(pc.fill_null(pc.list_value_length(lists), 0).to_numpy())))
        for place, why in worse.items():
            bad.setdefault(int(np.searchsorted(ends, place, "right")) - 1, why)
        missing = pc.is_null(lists) if lists.null_count else None
        offsets = pa.array(ends, pa.int32())
        return pa.ListArray.from_arrays(offsets, values, type=pa.list_(kind), mask=missing), bad

    return read


def _plain_lists(strings: pa.Array) -> pa.Array:
    """`{1,2,NULL}` without quotes, as lists of strings."""
    inner = pc.utf8_slice_codeunits(strings, 1, -1)
    empty = pc.equal(inner, "")
    split = pc.split_pattern(pc.if_else(empty, None, inner), ",")
    values = split.flatten()
    values = pc.if_else(pc.equal(values, "NULL"), None, values)
    ends = np.concatenate(([0], np.cumsum(pc.fill_null(pc.list_value_length(split), 0).to_numpy())))
    missing = pc.is_null(strings) if strings.null_count else None
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), values, mask=missing)


def _elements(text: str) -> list[str | None] | None:
    """The elements of an array with quotes; None where it has several dimensions or does not begin at 1."""
    found: list[str | None] = []
    here, end = 1, len(text) - 1
    if not text.startswith("{"):
        return None
    while here < end:
        if text[here] == "{":
            return None
        if text[here] == '"':
            here += 1
            letters = []
            while text[here] != '"':
                here += text[here] == "\\"
                letters.append(text[here])
                here += 1
            found.append("".join(letters))
            here += 2
        else:
            stop = text.find(",", here)
            stop = end if stop < 0 else stop
            word = text[here:stop]
            found.append(None if word == "NULL" else word)
            here = stop + 1
    return found


def _mostly(
    kind: pa.DataType,
    convert: Callable[[pa.Array], pa.Array],
    plain: str,
    one: Callable[[str], tuple[Any, str]],
    strings: pa.Array,
) -> tuple[pa.Array, Bad]:
    """Convert all at once; where that fails, those that are not plain one by one, and then all of them."""
    try:
        return convert(strings), _FINE
    except pa.ArrowInvalid:
        odd = pc.invert(pc.fill_null(pc.match_substring_regex(strings, plain), True))
    try:
        found = convert(pc.if_else(odd, None, strings))
    except pa.ArrowInvalid:
        odd = pc.is_valid(strings)
        found = pa.nulls(len(strings), kind)
    instead, bad, known = [], {}, dict[str, tuple[Any, str]]()
    for row in _rows(odd):
        text = strings[int(row)].as_py()
        if text not in known:
            known[text] = one(text)
        value, why = known[text]
        if why:
            bad[int(row)] = why
        instead.append(value)
    return pc.replace_with_mask(found, odd, pa.array(instead, kind)), bad


def _moment(text: str) -> tuple[Any, str]:
    """Microseconds since 1970 of infinity, of a year before Christ, or of one of more than four digits."""
    if text in ("infinity", "-infinity"):
        text = LAST if text == "infinity" else FIRST
    plain, before, _ = text.partition(" BC")
    date, _, clock = plain.partition(" ")
    year, month, day = date.split("-")
    number = 1 - int(year) if before else int(year)
    clock = clock.split("+")[0] or "00:00:00"
    if number > _LAST_YEAR:
        return None, f"{text} is later than a column of microseconds can hold"
    return int(np.datetime64(f"{number:05d}-{month}-{day}T{clock}", "us").astype(np.int64)), ""


def _day(text: str) -> tuple[Any, str]:
    """Days since 1970, see `_moment`."""
    if text in ("infinity", "-infinity"):
        text = (LAST if text == "infinity" else FIRST)[:10]
    plain, before, _ = text.partition(" BC")
    year, month, day = plain.split("-")
    number = 1 - int(year) if before else int(year)
    return int(np.datetime64(f"{number:05d}-{month}-{day}", "D").astype(np.int64)), ""


def _rows(mask: Any) -> Any:
    """The numbers of the rows that a mask is true for."""
    return np.flatnonzero(mask.to_numpy(zero_copy_only=False))


_LAST_YEAR = 294_246
_NIBBLES = np.zeros(256, np.uint8)
_NIBBLES[ord("0") : ord("9") + 1] = np.arange(10)
_NIBBLES[ord("a") : ord("f") + 1] = np.arange(10, 16)
