"""Events, written and read in order; and who is told that there are more."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # these cost more than the rest of `import penstock`
    from penstock.core.events import Append, Record, Stored
    from penstock.core.model import LogLine


class Records(ABC):
    """Events, written and read in order; and who is told that there are more. A part of `Journal`."""

    @abstractmethod
    def append(self, stream: str, expected_seq: int, records: Sequence[Record], logs: Sequence[LogLine] = ()) -> None:
        """Write the records as expected_seq + 1, +2, ... together with their projections and the log lines.

        One transaction: when this returns, all of it survives the death of the process; when it raises, nothing of
        it was written. Repeating an append whose answer was lost is the journal's own duty, not the caller's.

        Raises:
            SequenceConflict: the stream's last record is not expected_seq.
            JournalError: anything else.
        """

    @abstractmethod
    def commit(self, appends: Sequence[Append], cursor: tuple[str, int, int] | None = None) -> None:
        """Append to several streams, and move a subscriber's cursor, in one transaction: all of it or nothing.

        What a subscriber appends because of an event, together with its step past that event, is there exactly once.

        Args:
            appends: each stream at most once.
            cursor: the subscriber's name, where it is, and where it will be.

        Raises:
            SequenceConflict: a stream's last record is another than expected (`stream` names it), or the cursor was
                moved by somebody else (`stream` is None).
        """

    @abstractmethod
    def load(self, stream: str, after: int = 0) -> Iterator[Stored]:
        """The records of one stream with a sequence number above `after`, in order."""

    @abstractmethod
    def last_seq(self, stream: str) -> int:
        """The sequence number of a stream's last record; 0 for a stream without any."""

    @abstractmethod
    def read(self, after: int, limit: int = 1000, types: Sequence[str] = ()) -> list[Stored]:
        """Records of all streams behind a position, in an order that no later commit can change.

        Args:
            after: the position.
            limit: at most so many.
            types: the names events are stored under; records of other events are passed over. Empty for all.
        """

    @abstractmethod
    def read_back(self, before: int | None = None, limit: int = 1000, types: Sequence[str] = ()) -> list[Stored]:
        """Records before a position, the newest first: all that are committed, also those that `read` holds back."""

    @abstractmethod
    def glance(
        self, before: int | None, types: Sequence[str], limit: int, span: int
    ) -> tuple[list[Stored], int | None]:
        """Records of these types (at least one), the newest first, without their data; a look of bounded length.

        Args:
            before: those before this position; None for the newest.
            types: the names events are stored under.
            limit: at most so many.
            span: look through so many records, of whatever type.

        Returns:
            The records, and before which position to look next; None where there is nothing more.
        """

    @abstractmethod
    def settled(self) -> bool:
        """Whether `read` gives every record that is committed: it may hold some back that others could precede."""

    @abstractmethod
    def head(self) -> int:
        """The position of the newest record that `read` gives; whoever starts there reads all that comes later."""

    @abstractmethod
    def moment(self) -> str:
        """A text that is another one after every commit of events, by whatever process.

        While it is the same, so is everything that is projected from events.
        """

    @abstractmethod
    def cursor(self, name: str) -> int:
        """The position a named subscriber has reached; 0 for a new one."""

    @abstractmethod
    def move_cursor(self, name: str, expected: int, position: int) -> bool:
        """Advance a subscriber from `expected` to `position`; False when it was no longer there."""

    @abstractmethod
    def news(self, places: Mapping[str, tuple[int, int]], limit: int = 1000) -> tuple[list[Stored], list[LogLine]]:
        """What came to several runs: records behind a sequence number, and log lines behind a log id, each in order.

        The records come without their data.

        Args:
            places: the number and the id for each run.
            limit: at most so many of either; what is left out comes next time.
        """

    @abstractmethod
    def join(self) -> Joined:
        """A transaction in the journal's own database, which can also hold an append.

        Raises:
            ConfigurationError: this journal has no database that others could write to.
        """

    @abstractmethod
    def watch(self) -> Watch:
        """Be woken when a run becomes due, is answered, is to be cancelled or gives slots back."""


class Watch(ABC):
    """Wakes whoever waits for something in a journal. It only wakes: what is to be done, the journal says."""

    @abstractmethod
    def wait(self, seconds: float) -> bool:
        """Wait until something happened, or so long; True when something happened since the last wait."""

    @abstractmethod
    def wake(self) -> None:
        """Wake it from another thread of this process."""

    @abstractmethod
    def close(self) -> None:
        """Stop watching."""


class Joined(ABC):
    """A transaction of a step's own in the journal's database. It ends with the step: committed, or rolled back."""

    @abstractmethod
    def block(self) -> AbstractContextManager[Any]:
        """The connection; what is done in a block that raises is undone."""

    @abstractmethod
    def append(self, stream: str, expected_seq: int, records: Sequence[Record], logs: Sequence[LogLine] = ()) -> None:
        """See `Journal.append`: the records are written in this transaction, and then it is committed.

        Raises:
            SequenceConflict: the stream's last record is not expected_seq; it can be tried again with another.
            StepTransactionFailed: it was rolled back.
        """

    @abstractmethod
    def undo(self) -> None:
        """Roll it back, if it is still open."""
