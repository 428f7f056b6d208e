"""What a database must be able to do to be read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from penstock.core.ports.data import Place, Rejected

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Subject:
    """What is read.

    Attributes:
        table: `schema.table`; empty where it is a query.
        query: a SELECT.
        columns: some of the columns; empty for all.
        key: columns that tell rows apart, as they were given.
        types: what to read columns as, by name.
    """

    table: str
    query: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    types: Mapping[str, str]


@dataclass(frozen=True)
class Ask:
    """Which rows, in which order.

    Attributes:
        order: columns to order by.
        after: the rows after the one with these values in the columns of `order`, as JSON.
        since: a column, and the least value that it may have.
        span: a column, the least value and the one it may not reach; either may be None.
        skip: leave out so many rows.
    """

    order: tuple[str, ...] = ()
    after: Sequence[Any] | None = None
    since: tuple[str, Any] | None = None
    span: tuple[str, int | None, int | None] | None = None
    skip: int = 0


@dataclass(frozen=True)
class Page:
    """Some rows.

    Attributes:
        rows: those that could be read.
        count: how many there were.
        rejected: the others.
        last: the values of the columns of `Ask.order` in the last row, as JSON.
        size: bytes that came for them.
    """

    rows: pa.Table
    count: int
    rejected: tuple[Rejected, ...] = ()
    last: Sequence[Any] | None = None
    size: int = 0


@dataclass(frozen=True)
class Shape:
    """What a table or a query has.

    Attributes:
        columns: their names.
        key: the columns that tell rows apart, in the order of the primary key; empty where none are known.
        numbers: which of the columns are whole numbers.
    """

    columns: tuple[str, ...]
    key: tuple[str, ...]
    numbers: frozenset[str] = field(default_factory=frozenset)


class System(ABC):
    """A database, as far as reading goes. What it is asked at the same time comes from the same moment where it can."""

    @property
    @abstractmethod
    def place(self) -> Place:
        """What is read."""

    @abstractmethod
    def shape(self) -> Shape:
        """What there is, looked up anew.

        Raises:
            ConfigurationError: there is no such table, or the query cannot be understood.
            SourceUnavailable: it cannot be reached.
        """

    @abstractmethod
    def pages(self, ask: Ask, *, rows: int, size: int) -> Iterator[Page]:
        """The rows, so many or so many bytes at a time; on a connection of its own. There may be no page."""

    @abstractmethod
    def ends(self, column: str) -> tuple[int, int] | None:
        """The least and the greatest value of a column of whole numbers; None where there are no rows."""

    @abstractmethod
    def has_null(self, column: str) -> bool:
        """Whether a column has none somewhere."""

    def size(self) -> int | None:
        """How many rows there are, if that is known exactly and at once."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Let go of connections."""
