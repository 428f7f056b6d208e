"""Which files have been read, in three kilobytes, however many there are.

An invertible Bloom lookup table (Goodrich and Mitzenmacher, 2011): each identity is added to four cells, which keep a
number, and the exclusive or of identities and of check sums. The difference of two such tables is the table of what is
in one of them and not in the other, and while that is not much (some 60 files) it can be read out: a cell that holds
one identity gives it away, and with it taken out of its other three cells, others follow. When it cannot be read out,
that is known.
"""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib
from collections.abc import Iterator

from penstock.core.errors import SourceChanged

_QUARTER = 31
_CELLS = 4 * _QUARTER
_CELL = struct.Struct("<q16sI")


class Summary:
    """A set of identities.

    Attributes:
        count: how many there are.
    """

    def __init__(self) -> None:
        self.count = 0
        self._counts = [0] * _CELLS
        self._keys = [0] * _CELLS
        self._checks = [0] * _CELLS

    def add(self, identity: bytes) -> None:
        """Take one in; it is not there yet."""
        self._change(identity, 1)

    def remove(self, identity: bytes) -> None:
        """Take one out; it is there."""
        self._change(identity, -1)

    def _change(self, identity: bytes, by: int) -> None:
        key = int.from_bytes(identity, "little")
        cells, check = _cells(identity)
        for cell in cells:
            self._counts[cell] += by
            self._keys[cell] ^= key
            self._checks[cell] ^= check
        self.count += by

    def differences(self, other: Summary) -> tuple[set[bytes], set[bytes]] | None:
        """What is here and not there, and there and not here; None when that is too much to be told."""
        left = Summary()
        for cell in range(_CELLS):
            left._counts[cell] = self._counts[cell] - other._counts[cell]
            left._keys[cell] = self._keys[cell] ^ other._keys[cell]
            left._checks[cell] = self._checks[cell] ^ other._checks[cell]
        here: set[bytes] = set()
        there: set[bytes] = set()
        waiting = list(range(_CELLS))
        while waiting:
            cell = waiting.pop()
            identity = left._alone(cell)
            if identity is None:
                continue
            sign = left._counts[cell]
            (here if sign > 0 else there).add(identity)
            left._change(identity, -sign)
            waiting.extend(_cells(identity)[0])
        return None if any(left._counts) or any(left._keys) else (here, there)

    def _alone(self, cell: int) -> bytes | None:
        if abs(self._counts[cell]) != 1:
            return None
        identity = self._keys[cell].to_bytes(16, "little")
        places, check = _cells(identity)
        return identity if check == self._checks[cell] and cell in places else None

    def packed(self) -> str:
        """As text, for a position."""
        raw = b"".join(
            _CELL.pack(count, key.to_bytes(16, "little"), check)
            for count, key, check in zip(self._counts, self._keys, self._checks, strict=True)
        )
        return base64.b64encode(zlib.compress(raw, 9)).decode()

    @classmethod
    def unpacked(cls, text: str, count: int) -> Summary:
        """The reverse of `packed`."""
        made = cls()
        made.count = count
        for cell, (number, key, check) in enumerate(_unpacked(text)):
            made._counts[cell], made._keys[cell], made._checks[cell] = number, int.from_bytes(key, "little"), check
        return made


def _unpacked(text: str) -> Iterator[tuple[int, bytes, int]]:
    try:
        raw = zlib.decompress(base64.b64decode(text, validate=True))
        if len(raw) != _CELLS * _CELL.size:
            raise ValueError(len(raw))
    except (ValueError, zlib.error):
        raise SourceChanged(
            "This is no position of a files source.", hint="begin anew: let the sink forget the pipe"
        ) from None
    return _CELL.iter_unpack(raw)


def _cells(identity: bytes) -> tuple[tuple[int, ...], int]:
    *places, check = struct.unpack("<HHHHQ", hashlib.blake2b(identity, digest_size=16).digest())
    return tuple(quarter * _QUARTER + place % _QUARTER for quarter, place in enumerate(places)), check & 0xFFFFFFFF
