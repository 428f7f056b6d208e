"""Eight bytes at a time: digits, dates and requests of many lines read with arithmetic on words.

A word holds the first of its bytes in its lowest eight bits, on any machine.
"""

from __future__ import annotations

from penstock.processing.logs.access import METHODS
from penstock.processing.logs.extras import Array, np

_ALL = (1 << 64) - 1


def _word(text: bytes) -> int:
    return int.from_bytes(text.ljust(8, b"\0"), "little")


def _mask(text: bytes) -> int:
    """All bits of the bytes that are no zeros."""
    return int.from_bytes(bytes(255 if each else 0 for each in text.ljust(8, b"\0")), "little")


_DASHES, _DASHES_MASK = _word(b"\0\0\0 - - "), _mask(b"\0\0\0 - - ")
_DATE_MASKS = (_ALL, _ALL, _ALL & ~_mask(b"\0\0\0SS"), _mask(b'zzz] "'))
_STATUS, _STATUS_MASK = _word(b'" 000 '), _word(b"\xff\xff\xf0\xf0\xf0\xff")
_STATUS_OVER, _STATUS_SIX = _word(b"\0\0\x10\x10\x10"), _word(b"\0\0\x06\x06\x06")
_LOW_NIBBLES = 0x0F0F0F0F0F0F0F0F
_HIGH_NIBBLES = 0xF0F0F0F0F0F0F0F0
_ZEROS = 0x3030303030303030
_SIXES = 0x0606060606060606
_PROTOCOL, _PROTOCOL_MASK = _word(b" HTTP/\0."), _mask(b" HTTP/\0.")
_SHORT, _SHORT_MASK = _word(b" HTTP/"), _mask(b" HTTP/")
_DASH = 0x2D
_POINT = 0x2E


def words_of(data: Array) -> Array:
    """The eight bytes from each place on, without a copy."""
    return np.ndarray((len(data) - 7,), np.dtype("<u8"), data, 0, (1,))


def windows_of(data: Array, width: int) -> Array:
    """So many bytes from each place on, without a copy."""
    return np.ndarray((len(data) - width + 1,), np.dtype(f"V{width}"), data, 0, (1,))


def dashes_before(word: Array) -> Array:
    """Where the eight bytes end with ` - - `: nobody has said who they are."""
    return (word & np.uint64(_DASHES_MASK)) == np.uint64(_DASHES)


def date_words(dated: Array, good: Array) -> tuple[list[Array], Array]:
    """Four words that say the minute, and the second.

    Args:
        dated: five words of each line; the date is in the last four: `[17/May/2015:10:05:03 +0000] "GE`.
        good: is made false where there is no second.
    """
    keys = [dated[:, place + 1] & np.uint64(mask) for place, mask in enumerate(_DATE_MASKS)]
    third = dated[:, 3]
    tens = ((third >> np.uint64(24)) & np.uint64(255)).astype(np.int16) - 48
    ones = ((third >> np.uint64(32)) & np.uint64(255)).astype(np.int16) - 48
    good &= (tens >= 0) & (tens <= 5) & (ones >= 0) & (ones <= 9)
    return keys, tens * 10 + ones


def status_of(word: Array, good: Array) -> Array:
    """The status in `" 200 12`; `good` is made false where there is none."""
    good &= (word & np.uint64(_STATUS_MASK)) == np.uint64(_STATUS)
    low = word & np.uint64(_LOW_NIBBLES)
    good &= ((low + np.uint64(_STATUS_SIX)) & np.uint64(_STATUS_OVER)) == np.uint64(0)
    digits = [((low >> np.uint64(shift)) & np.uint64(15)).astype(np.int16) for shift in (16, 24, 32)]
    return digits[0] * 100 + digits[1] * 10 + digits[2]


def number_of(word: Array, length: Array) -> tuple[Array, Array]:
    """The number that the last `length` bytes of each word spell, and where they do spell one (1 to 8 digits)."""
    there = (length >= 1) & (length <= 8)
    shift = (np.uint64(8) - np.clip(length, 1, 8).astype(np.uint64)) << np.uint64(3)
    fill = (np.uint64(1) << shift) - np.uint64(1)
    word = (word & ~fill) | (np.uint64(_ZEROS) & fill)
    there &= (word & np.uint64(_HIGH_NIBBLES)) == np.uint64(_ZEROS)
    there &= ((word + np.uint64(_SIXES)) & np.uint64(_HIGH_NIBBLES)) == np.uint64(_ZEROS)
    word = word & np.uint64(_LOW_NIBBLES)
    word = (word * np.uint64(10)) + (word >> np.uint64(8))  # pairs of digits
    pairs = np.uint64(0x000000FF000000FF)
    upper = (word & pairs) * np.uint64(0x000F424000000064)
    lower = ((word >> np.uint64(16)) & pairs) * np.uint64(0x0000271000000001)
    return ((upper + lower) >> np.uint64(32)).astype(np.int64), there


def size_of(word: Array, length: Array, good: Array) -> Array:
    """The number of bytes at the end of each word, -1 for a dash; `good` is made false where there is neither."""
    size, there = number_of(word, length)
    dash = (length == 1) & ((word >> np.uint64(56)) == np.uint64(_DASH))
    size[dash] = -1
    good &= there | dash
    return size


def seconds_of(word: Array, length: Array) -> tuple[Array, Array]:
    """The seconds that the last bytes of each word spell, such as `0.123`, and where they do."""
    whole = (word & np.uint64(0xFFFFFFFF)) << np.uint64(8)
    number, there = number_of((word & np.uint64(0xFFFFFF0000000000)) | whole, length - 1)
    there &= (length >= 5) & (((word >> np.uint64(32)) & np.uint64(255)) == np.uint64(_POINT))
    return number / 1000.0, there


def requests_of(data: Array, words: Array, opened: Array, closed: Array) -> tuple[Array, Array, Array, Array]:
    """Method, protocol, and where path and query begin and end, of what is between two quotes."""
    begin = words[opened + 1]
    method = np.zeros(len(opened), np.uint8)
    path = opened + 1
    rest = None
    for code, name in enumerate(METHODS[1:6], 1):
        text = name + b" "
        found = (begin if rest is None else begin[rest]) & np.uint64(_mask(text)) == np.uint64(_word(text))
        chosen = np.flatnonzero(found) if rest is None else rest[found]
        method[chosen] = code
        path[chosen] += len(text)
        rest = np.flatnonzero(~found) if rest is None else rest[~found]
        if not len(rest):
            break
    _rarely(data, words, method, path, opened, rest)
    protocol, end = _protocols(data, words, closed)
    odd = (method == 0) | (end <= path)
    if odd.any():
        method[odd], protocol[odd] = 0, 0
        path[odd], end[odd] = opened[odd] + 1, closed[odd]
    return method, protocol, path, end


def _rarely(data: Array, words: Array, method: Array, path: Array, opened: Array, rest: Array) -> None:
    """The other methods: their names, with the blank, may be longer than a word."""
    for row in rest.tolist():
        start = int(opened[row]) + 1
        text = bytes(data[start : start + 12])
        for code, name in enumerate(METHODS[6:], 6):
            if text.startswith(name + b" "):
                method[row] = code
                path[row] += len(name) + 1


def _protocols(data: Array, words: Array, closed: Array) -> tuple[Array, Array]:
    """Version times ten, and where it begins; the end of a request without one is before all requests."""
    word = words[closed - 9]
    major = ((word >> np.uint64(48)) & np.uint64(255)).astype(np.int16) - 48
    minor = data[closed - 1].astype(np.int16) - 48
    good = (word & np.uint64(_PROTOCOL_MASK)) == np.uint64(_PROTOCOL)
    good &= (major >= 0) & (major <= 9) & (minor >= 0) & (minor <= 9)
    protocol, end = major * 10 + minor, closed - 9
    others = np.flatnonzero(~good)
    if len(others):
        there = closed[others]
        digit = data[there - 1].astype(np.int16) - 48
        short = ((words[there - 7] & np.uint64(_SHORT_MASK)) == np.uint64(_SHORT)) & (digit >= 0) & (digit <= 9)
        protocol[others] = np.where(short, digit * 10, 0)
        end[others] = np.where(short, there - 7, -1)
    return protocol, end
