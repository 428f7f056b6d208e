"""Values as they came over the wire, found column by column for many rows at once.

Both a row of COPY and a row of the replication stream are a run of fields, each after its size. Where the fields of a
row are can only be told from its first to its last; but it can be told for all rows together, one column after another,
with a handful of operations on arrays. Nothing is done for each row in Python, and no value is copied before Arrow
makes a column of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.core.extras import require

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray
else:
    from penstock.core.rows.arrow import pa

    np = require("numpy", "data")

Numbers: TypeAlias = "NDArray[np.int64]"

NULL, UNCHANGED = -1, -2
"""Sizes of what has none: a null, and a value that was left out because it is as it was before."""
_TEXT, _BINARY, _UNCHANGED = b"tbu"
_PADDING = bytes(16)


class Buffer:
    """Bytes, and the numbers that begin at any of them.

    Args:
        data: the bytes; some more are added behind them, so that a number may begin at the last one.
    """

    def __init__(self, data: bytearray) -> None:
        data += _PADDING
        self.data = data
        self.bytes: NDArray[np.uint8] = np.frombuffer(self.data, np.uint8)
        self._views: dict[str, NDArray[Any]] = {}

    def numbers(self, kind: str, at: Numbers) -> NDArray[Any]:
        """Numbers of a kind (numpy's name, such as `>i4`) that begin at these bytes."""
        view = self._views.get(kind)
        if view is None:
            size = np.dtype(kind).itemsize
            view = np.ndarray((len(self.data) - size + 1,), kind, self.data, strides=(1,))
            self._views[kind] = view
        return view[at]


class Field:
    """One column of some rows: where each value begins, and its size (or `NULL`, or `UNCHANGED`)."""

    __slots__ = ("buffer", "sizes", "starts")

    def __init__(self, buffer: Buffer, starts: Numbers, sizes: Numbers) -> None:
        self.buffer, self.starts, self.sizes = buffer, starts, sizes

    def __len__(self) -> int:
        return len(self.sizes)

    def take(self, rows: Any) -> Field:
        """The column of some of the rows, chosen by number or by a mask."""
        return Field(self.buffer, self.starts[rows], self.sizes[rows])

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Which rows have no value here."""
        return self.sizes < 0

    def numbers(self, kind: str) -> NDArray[Any]:
        """The values as numbers of a fixed size, in the machine's own order of bytes; where there is none, anything."""
        found = self.buffer.numbers(kind, np.where(self.missing, 0, self.starts))
        return found.astype(found.dtype.newbyteorder("="))

    def text(self) -> pa.Array:
        """The values as Arrow's strings."""
        return self._gathered(pa.string())

    def binary(self) -> pa.Array:
        """The values as they are."""
        return self._gathered(pa.binary())

    def value(self, row: int) -> str | None:
        """One value."""
        size = int(self.sizes[row])
        start = int(self.starts[row])
        return None if size < 0 else self.buffer.data[start : start + size].decode("utf-8", "replace")

    def _gathered(self, kind: pa.DataType) -> pa.Array:
        """Every second value of a column of which the others are what lies between: Arrow copies what is taken."""
        count = len(self.sizes)
        missing = self.missing
        offsets = np.empty(2 * count + 1, np.int32)
        starts = np.where(missing, 0, self.starts)  # those of nothing may be behind the end
        offsets[0:-1:2] = starts
        offsets[1::2] = starts + np.maximum(self.sizes, 0)
        offsets[-1] = len(self.buffer.data) - len(_PADDING)
        both = pa.Array.from_buffers(kind, 2 * count, [None, pa.py_buffer(offsets), pa.py_buffer(self.buffer.data)])
        chosen = pa.array(np.arange(0, 2 * count, 2), mask=missing if missing.any() else None)
        return both.take(chosen)


def joined(fields: Sequence[Field]) -> Field:
    """The rows of several fields of one buffer, one after another."""
    if len(fields) == 1:
        return fields[0]
    starts = np.concatenate([field.starts for field in fields])
    return Field(fields[0].buffer, starts, np.concatenate([field.sizes for field in fields]))


def of_copy(buffer: Buffer, at: Numbers, columns: int) -> list[Field]:
    """The fields of rows of a binary COPY; `at` is where each row begins."""
    fields = []
    place = at + 2
    for _ in range(columns):
        sizes = buffer.numbers(">i4", place).astype(np.int64)
        starts = place + 4
        fields.append(Field(buffer, starts, sizes))
        place = starts + np.maximum(sizes, 0)
    return fields


def of_tuples(buffer: Buffer, at: Numbers, columns: int) -> tuple[list[Field], Numbers]:
    """The fields of rows of the replication stream (TupleData), and where each row ends."""
    fields = []
    place = at + 2
    for _ in range(columns):
        kinds = buffer.bytes[place]
        there = (kinds == _TEXT) | (kinds == _BINARY)
        if there.all():
            sizes = buffer.numbers(">i4", place + 1).astype(np.int64)
            starts = place + 5
            place = starts + sizes
        else:
            none = np.where(kinds == _UNCHANGED, UNCHANGED, NULL)
            sizes = np.where(there, buffer.numbers(">i4", place + 1).astype(np.int64), none)
            starts = place + 5
            place = np.where(there, starts + sizes, place + 1)
        fields.append(Field(buffer, starts, sizes))
    return fields, place
