"""What brings data in, and what keeps it.

A source hands out batches with a position; a sink commits the batch and the position in one transaction. Everything
else follows from that: whatever is killed whenever, the source is asked again for what comes after the last position
that was committed, so that each record lands once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    import pyarrow as pa

Position: TypeAlias = Mapping[str, Any]
"""Where a source goes on: JSON that only the source itself understands. Sinks keep it as it is."""

How: TypeAlias = Literal["append", "upsert", "delete", "truncate"]


@dataclass(frozen=True, slots=True)
class Part:
    """Rows for one table.

    Attributes:
        rows: what lands; of `delete` the keys of what leaves, of `truncate` nothing that counts. Columns that are not
            there are left as they are by an upsert, and null in a new row.
        table: one of the tables of a sink that has several; empty for the one that the sink was made for.
        how: `append`: records, which the sink adds, merges or replaces as it was told to. The others are changes of a
            table elsewhere, at most one for a key, and are carried out as they are.
        key: of `upsert` and `delete`, the columns that tell rows apart, where the source knows them; a sink of one
            table may have been told.
    """

    rows: pa.Table
    table: str = ""
    how: How = "append"
    key: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot land as it is.

    Attributes:
        reason: why, in a sentence that tells what to mend.
        where: where it is, as exactly as the source can say: `orders.csv:17`, `orders/3@1042`.
        raw: the record as it came; cut where it is very long.
        table: the table that it was meant for; see `Part.table`.
    """

    reason: str
    where: str
    raw: str
    table: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """What was read, and where to go on when it has landed.

    Attributes:
        parts: carried out in this order. There may be none: then only the position moves.
        position: where the source goes on.
        rejected: goes to the quarantine of its table in the same transaction.
        superseded: how many records were read that a later one of this batch has replaced.
        last: what was to be read has been read (a sink that replaces its table does so now). Every reading ends with
            such a batch, with nothing in it where there was nothing; only a source that follows has none.
        order: a number that grows from batch to batch, and is the same when a batch is read again; only for sources
            that hand out parts for several tables, so that a sink without transactions over several tables can tell
            what each of them has.
        size: bytes read from the source, for progress.
    """

    parts: tuple[Part, ...]
    position: Position
    rejected: tuple[Rejected, ...] = ()
    superseded: int = 0
    last: bool = False
    order: int | None = None
    size: int = 0

    @property
    def read(self) -> int:
        """How many source records are behind this batch: each of them lands, is rejected, or was superseded."""
        rows: int = sum(part.rows.num_rows for part in self.parts if part.how != "truncate")
        return rows + len(self.rejected) + self.superseded


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the records that were read: `read == landed + superseded + rejected`, always.

    Attributes:
        read: records handed out by the source.
        landed: rows that were added, changed or deleted by a record.
        superseded: records that a later one with the same key replaced before they had landed.
        rejected: records in quarantine.
    """

    read: int = 0
    landed: int = 0
    superseded: int = 0
    rejected: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.read + other.read,
            self.landed + other.landed,
            self.superseded + other.superseded,
            self.rejected + other.rejected,
        )

    @property
    def balanced(self) -> bool:
        """Nothing was lost, and nothing came from nowhere."""
        return self.read == self.landed + self.superseded + self.rejected


@dataclass(frozen=True, slots=True)
class Size:
    """What there is to read, as far as it can be told cheaply; for progress only."""

    rows: int | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where data is, as lineage names it (OpenLineage's naming): no user, no password.

    Attributes:
        namespace: the system: `postgres://host:5432`, `s3://bucket`, `kafka://host:9092`, `file`.
        name: the thing in it: `shop.public.orders`, `raw/orders`, a topic, a path.
    """

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace.rstrip('/')}/{self.name.lstrip('/')}"


class Source(ABC):
    """Hands out batches of records, from any position on.

    An instance may be asked for batches several times, one after another, and is used by one thread at a time.
    """

    @property
    @abstractmethod
    def place(self) -> Place:
        """What is read."""

    @abstractmethod
    def batches(self, position: Position | None) -> Iterator[Batch]:
        """What comes after a position; from the beginning where it is None.

        Every record after the position is handed out once, in the source's order; records of one key keep theirs.
        How records are cut into batches may differ from time to time. What cannot be read at all is rejected, and
        counted; nothing is left out in silence. The iterator ends when there is nothing more to read; closing it lets
        go of whatever it holds. A source that follows goes on for ever, and hands out a batch with nothing in it and
        the same position at least once a second when there is nothing new, so that whoever reads it can stop.

        Args:
            position: one that a batch of this source had, perhaps long ago and in another process.

        Raises:
            SourceUnavailable: it cannot be reached, after the tries it was told to make.
            SourceChanged: what the position says is not there any more (a file was cut, a log was purged).
            BadData: no record can be told from the next any more.
        """

    def landed(self, position: Position) -> None:  # noqa: B027 (most sources keep nothing)
        """Everything up to here has been committed: the source need not keep it any longer."""

    def size(self, position: Position | None) -> Size:
        """What comes after a position."""
        return Size()

    def interrupt(self) -> None:  # noqa: B027 (most never wait for long)
        """Nobody wants more: called in another thread, a reading that waits ends soon, with an error or without one."""

    def close(self) -> None:  # noqa: B027 (some hold nothing)
        """Let go of connections and files."""

    def __enter__(self) -> Source:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Landed:
    """What a commit did.

    Attributes:
        counts: what became of the batch.
        version: the version of the dataset after it, where it has versions.
        written: bytes written, where that is known.
        columns: columns that were added to the table by it, and their types.
    """

    counts: Counts
    version: str = ""
    written: int = 0
    columns: Mapping[str, str] = field(default_factory=dict)


class Landing(ABC):
    """One pipe's end in a sink. Whoever opened it last is the only one that can commit.

    Attributes:
        position: the last one committed; None where nothing has been.
        counts: everything that this pipe has ever committed.
    """

    position: Position | None
    counts: Counts

    @abstractmethod
    def land(self, batch: Batch) -> Landed:
        """Commit the rows, the rejected records, the position and the counts, all or nothing.

        Rows whose values do not fit the table are rejected one by one; the rest of the batch lands. A batch with
        nothing in it and no new position need not be committed. A sink that replaces its table starts from no position
        again when a last batch has landed.

        Raises:
            PipeTakenOver: another process has opened the same pipe since, or committed. Nothing was written.
            SinkUnavailable: it cannot be reached, or is full. Nothing was written; or, where the answer to the commit
                was lost, all of it: the next `open` knows.
            SchemaRefused: the table and the rows do not go together at all.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of connections; what was not committed is gone."""

    def __enter__(self) -> Landing:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class Sink(ABC):
    """Keeps records, and how far they go."""

    @property
    @abstractmethod
    def place(self) -> Place:
        """What is written."""

    @abstractmethod
    def open(self, pipe: str) -> Landing:
        """Begin or go on with a pipe. Whoever had it open before can commit nothing more.

        Args:
            pipe: names the pipe in this sink; two pipes into one table know nothing of each other.

        Raises:
            SinkUnavailable: it cannot be reached.
        """

    @abstractmethod
    def forget(self, pipe: str) -> None:
        """Forget how far a pipe has come, so that it begins anew. What has landed stays."""
