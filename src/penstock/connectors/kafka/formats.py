"""What bytes in Kafka mean: the part that all formats share, and the two that need no more than this."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

ONLY = "value"
"""The column of a format whose values have no fields."""


class Decoded(NamedTuple):
    """Values made into columns.

    Attributes:
        rows: one row for each value that could be read, in their order.
        bad: the places of the others, and why they cannot be read.
        fields: the values have fields, which are the columns; else there is one column, `ONLY`.
    """

    rows: pa.Table
    bad: dict[int, str]
    fields: bool = True


class Format(ABC):
    """Makes values of messages into columns."""

    @abstractmethod
    def decode(self, values: Sequence[bytes]) -> Decoded:
        """All values at once; what cannot be read is told, and hinders nothing else."""

    def close(self) -> None:  # noqa: B027 (most hold nothing)
        """Let go of connections."""


class Bytes(Format):
    """Values as they are, in a column `value`."""

    def decode(self, values: Sequence[bytes]) -> Decoded:
        """See `Format.decode`."""
        return Decoded(pa.table({ONLY: pa.array(values, pa.binary())}), {}, fields=False)


class Text(Format):
    """Values that are text (UTF-8), in a column `value`."""

    def decode(self, values: Sequence[bytes]) -> Decoded:
        """See `Format.decode`."""
        column = pa.array(values, pa.binary())
        try:
            return Decoded(pa.table({ONLY: column.cast(pa.string())}), {}, fields=False)
        except pa.ArrowInvalid:
            return self._one_by_one(values)

    @staticmethod
    def _one_by_one(values: Sequence[bytes]) -> Decoded:
        good, bad = [], {}
        for place, value in enumerate(values):
            try:
                good.append(value.decode())
            except UnicodeDecodeError as error:
                bad[place] = f"is no UTF-8 from byte {error.start + 1} on"
        return Decoded(pa.table({ONLY: pa.array(good, pa.string())}), bad, fields=False)
