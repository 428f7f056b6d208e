"""What a dataset asks of checks that are declared on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa


class Judged(NamedTuple):
    """Rows that were checked.

    Attributes:
        rows: all of them, repaired.
        refused: places in `rows` of those that may not land, and why; in their order.
        removed: how many rows repairs have removed.
    """

    rows: pa.Table
    refused: Sequence[tuple[int, str]] = ()
    removed: int = 0


class Gate(ABC):
    """What rows pass on their way into a dataset."""

    @abstractmethod
    def judge(self, rows: pa.Table, last: bool, id: str) -> Judged:
        """Check rows before they land, and record what was found.

        Args:
            rows: of one commit.
            last: no more come after them.
            id: tells these rows from others of the dataset; the same when they come again because a step is executed
                again.

        Raises:
            DataError: they are stopped; nothing of them may land.
        """


class Checks(ABC):
    """Checks that can be declared on a dataset."""

    @abstractmethod
    def gate(self, dataset: str, place: str) -> Gate:
        """What rows have to pass.

        Raises:
            ConfigurationError: the checks cannot be.
        """

    @abstractmethod
    def told(self) -> str:
        """What is put on record of them."""
