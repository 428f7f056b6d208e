"""What the journal owes to the rooms above it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # these cost more than the rest of `import penstock`
    from penstock.core.datasets import StoredDataset
    from penstock.core.events import Append, Record, Stored
    from penstock.core.model import (
        Artifact,
        Backfill,
        Cached,
        CacheFilter,
        Claim,
        DueSchedule,
        FlowSummary,
        Limit,
        LogLine,
        Member,
        OwedAction,
        Pool,
        RememberedGroup,
        Run,
        RunFilter,
        StoredAutomation,
        StoredDeployment,
        TaskRun,
        Ticket,
        Worker,
    )
    from penstock.core.ports.bookmarks import Bookmark
    from penstock.core.sealed import SealedConnection
    from penstock.core.webhooks import StoredDelivery, StoredWebhook
    from penstock.core.workflows import StoredWorkflow, WorkflowFilter


class Journal(ABC):
    """The append-only record of events, and the tables projected from it.

    Events belong to streams: one for each run (its id), deployment, pool, limit and automation. What is no history but
    only says who holds what at the moment (leases, slots, tickets, cursors) is kept beside the events.

    Every implementation passes `penstock.testing.JournalConformance`. All methods may be called from any thread.
    Driver errors are translated to `JournalError`s.
    """

    kind: str = ""
    location: str = ""
    remote: bool = False
    """An append waits for a network; async flows then append from a thread."""

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
        """Records before a position, the newest first; those that `read` does not give yet are left out."""

    @abstractmethod
    def settled(self) -> bool:
        """Whether `read` gives every record that is committed: it may hold some back that others could precede."""

    @abstractmethod
    def head(self) -> int:
        """The position of the newest record that `read` gives; whoever starts there reads all that comes later."""

    @abstractmethod
    def cursor(self, name: str) -> int:
        """The position a named subscriber has reached; 0 for a new one."""

    @abstractmethod
    def move_cursor(self, name: str, expected: int, position: int) -> bool:
        """Advance a subscriber from `expected` to `position`; False when it was no longer there."""

    @abstractmethod
    def extend_leases(self, run_ids: Sequence[str], owner: str, until: int) -> set[str]:
        """Extend the leases this owner still holds, and return the ids of those runs."""

    @abstractmethod
    def cancel_requested(self, run_ids: Sequence[str]) -> set[str]:
        """Which of these runs somebody asked to stop."""

    @abstractmethod
    def claim(self, claim: Claim) -> list[Run]:
        """Take due runs out of a pool, as RunClaimed events: by queue priority, then priority, then due time.

        Never more than the limits of the pool, its queues and the deployments leave room for; a run counts while its
        lease holds. A run is taken once, by whoever claims it first.
        """

    @abstractmethod
    def next_due(self, pool: str, queues: Sequence[str] = ()) -> int | None:
        """When the next run of a pool is due."""

    @abstractmethod
    def lost_runs(self, now: int, limit: int = 100) -> list[Run]:
        """Runs of pools whose lease has expired."""

    @abstractmethod
    def held_runs(self, pool: str | None = None) -> list[Run]:
        """Unfinished runs that some process holds, of one pool or of all."""

    @abstractmethod
    def due_schedules(self, now: int, limit: int = 1000) -> list[DueSchedule]:
        """Schedules that are due, longest due first."""

    @abstractmethod
    def next_schedule(self) -> int | None:
        """When the next schedule is due."""

    @abstractmethod
    def deployments(self, name: str | None = None) -> list[StoredDeployment]:
        """Every deployment by name, or the one of this name."""

    @abstractmethod
    def pools(self, name: str | None = None) -> list[Pool]:
        """Every pool by name (or the one of this name), with its queues and what is in it."""

    @abstractmethod
    def backfills(self, backfill_id: str | None = None, limit: int = 100) -> list[Backfill]:
        """Backfills, newest first, or the one with this id."""

    @abstractmethod
    def report_worker(self, worker: Worker) -> None:
        """A worker says how it is."""

    @abstractmethod
    def forget_worker(self, worker_id: str) -> None:
        """A worker is gone."""

    @abstractmethod
    def workers(self, pool: str | None = None) -> list[Worker]:
        """Workers that have reported themselves and not left."""

    @abstractmethod
    def hold(self, name: str, owner: str, now: int, until: int) -> bool:
        """Get or extend a lease that is nobody's or one's own; False when somebody else holds it."""

    @abstractmethod
    def holder(self, name: str) -> str | None:
        """Who held a lease last and did not give it back, whether or not its time is over."""

    @abstractmethod
    def let_go(self, name: str, owner: str) -> None:
        """Give a lease back."""

    @abstractmethod
    def queue_up(self, limit: str, run_id: str, owner: str, step: str | None, occupy: int, now: int) -> int:
        """Draw a ticket for slots of a limit; it counts while the run's lease is the owner's."""

    @abstractmethod
    def admitted(self, ticket: int, now: int, slots: int | None = None) -> bool | None:
        """Whether a ticket holds its slots: those of live runs that were drawn before leave room for it.

        None where the ticket is gone (its run was thought dead). Tickets before it of runs that are no more are
        removed. `slots` is how many there are where the limit is not declared; without it, such a limit has no end.
        """

    @abstractmethod
    def hand_back(self, tickets: Sequence[int]) -> int:
        """Give slots back; returns how many of these tickets were still there."""

    @abstractmethod
    def tickets(self, limit: str | None = None, owner: str | None = None, most: int = 1000) -> list[Ticket]:
        """The first tickets of a limit, or of an owner, in the order in which they were drawn."""

    @abstractmethod
    def reset_limit(self, limit: str) -> int:
        """Forget a limit's reserved turns and all its tickets; returns how many there were."""

    @abstractmethod
    def reserve(
        self,
        limit: str,
        amount: float,
        per_second: float | None,
        burst: int | None,
        now: int,
        latest: int | None = None,
    ) -> int:
        """Take a turn of a rate limit, in one step; returns from when on it may be used (microseconds).

        Args:
            limit: its name.
            amount: how many turns.
            per_second: its rate where it has not been declared; declared ones keep theirs.
            burst: so many turns may be used at once.
            now: the time.
            latest: take none that comes after this time.

        Raises:
            LimitNotFound: it is not declared, and no rate is given.
        """

    @abstractmethod
    def limits(self, name: str | None = None, counted: bool = True) -> list[Limit]:
        """Every declared limit by name, or the one of this name; `counted`: with how many hold slots and wait."""

    @abstractmethod
    def cached(self, key: str, now: int) -> Cached | None:
        """A result that was recorded under this key and has not expired."""

    @abstractmethod
    def cache_entries(self, which: CacheFilter, after: str = "", limit: int = 100) -> list[Cached]:
        """What is cached (without its data), by key, from the first key after this one."""

    @abstractmethod
    def forget_cached(self, which: CacheFilter) -> int:
        """Invalidate cached results, some at a time; how many there were."""

    @abstractmethod
    def artifacts(
        self,
        run_id: str | None = None,
        key: str | None = None,
        before: str | None = None,
        limit: int = 50,
        *,
        named: str | None = None,
        latest: bool = False,
        bare: bool = False,
    ) -> list[Artifact]:
        """Artifacts of a run, all versions of one, or all there are, newest first.

        Args:
            run_id: only those of this run.
            key: only versions of this one.
            before: only those whose id sorts before this one.
            limit: at most so many.
            named: only those whose id is, or ends with, this text.
            latest: of each key only the newest version.
            bare: their size instead of their content.
        """

    @abstractmethod
    def connections(self, name: str | None = None) -> list[SealedConnection]:
        """Every saved connection by name, or the one of this name."""

    @abstractmethod
    def keep_connection(self, told: Append, kept: SealedConnection) -> None:
        """Append what is told of a connection, and keep its sealed fields in the place of former ones: all or nothing.

        Raises:
            SequenceConflict: somebody else has changed it meanwhile; nothing was kept.
        """

    @abstractmethod
    def drop_connection(self, told: Append, name: str) -> None:
        """Append what is told of a connection, and remove its sealed fields: all or nothing.

        Raises:
            SequenceConflict: somebody else has changed it meanwhile; nothing was removed.
        """

    @abstractmethod
    def bookmark(self, name: str) -> Bookmark | None:
        """What was kept last under this name."""

    @abstractmethod
    def keep_bookmark(self, name: str, expected: int, data: bytes) -> bool:
        """Keep something in the place of what was kept before.

        Args:
            name: whose it is.
            expected: the `seq` of what is there; 0 for nothing.
            data: what to keep.

        Returns:
            False when something else was there; nothing was kept.
        """

    @abstractmethod
    def drop_bookmark(self, name: str) -> bool:
        """Forget what was kept under this name; False where nothing was."""

    @abstractmethod
    def datasets(self, called: str | None = None) -> list[StoredDataset]:
        """Every dataset by name, or those that have this name or this place."""

    @abstractmethod
    def webhooks(self, name: str | None = None) -> list[StoredWebhook]:
        """Every webhook by name, or the one of this name."""

    @abstractmethod
    def deliveries(
        self,
        hook: str | None = None,
        status: str | None = None,
        before: str | None = None,
        limit: int = 100,
        *,
        named: str | None = None,
    ) -> list[StoredDelivery]:
        """Requests that came to webhooks, newest first.

        Args:
            hook: only those to this webhook.
            status: only those that were accepted, refused or failed.
            before: only those whose id sorts before this one.
            limit: at most so many.
            named: only those whose id ends with this text, or that their sender gave this id.
        """

    @abstractmethod
    def workflows(self, where: WorkflowFilter) -> list[StoredWorkflow]:
        """A page of workflows, by name."""

    @abstractmethod
    def count_workflows(self, where: WorkflowFilter) -> int:
        """How many there are on all pages together (`after`, `skip` and `limit` do not count)."""

    @abstractmethod
    def automations(self, name: str | None = None) -> list[StoredAutomation]:
        """Every automation by name, or the one of this name."""

    @abstractmethod
    def remembered(self, automation: str | None = None) -> list[RememberedGroup]:
        """What automations (or this one) remember between events."""

    @abstractmethod
    def owed_actions(self, now: int, outside: bool, limit: int = 100, but_of: Sequence[str] = ()) -> list[OwedAction]:
        """Actions that are due and have not ended, longest due first: inside the journal, or outside.

        Args:
            now: due by then.
            outside: which of the two.
            limit: at most so many.
            but_of: none of these automations (a few).
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

    @abstractmethod
    def run(self, run_id: str) -> Run | None:
        """One run."""

    @abstractmethod
    def find(self, prefix: str, limit: int = 10) -> list[Run]:
        """Runs whose id starts or ends with this text, or whose name is this text, newest first."""

    @abstractmethod
    def runs(self, where: RunFilter) -> list[Run]:
        """A page of runs, newest first."""

    @abstractmethod
    def flows(self) -> list[FlowSummary]:
        """Every flow that has runs (subflow runs are not counted)."""

    @abstractmethod
    def task_runs(self, run_id: str) -> list[TaskRun]:
        """The steps of a run, in the order they were called."""

    @abstractmethod
    def write_logs(self, lines: Sequence[LogLine]) -> None:
        """Write log lines on their own."""

    @abstractmethod
    def logs(self, run_id: str, key: str | None = None, after: int = 0, limit: int = 1000) -> list[LogLine]:
        """Log lines of a run (of one step, with `key`) behind a log id, in order."""

    @abstractmethod
    def delete(self, run_ids: Sequence[str]) -> int:
        """Remove runs with all that belongs to them (not their subflow runs); returns how many there were."""

    @abstractmethod
    def ended_before(self, state: str, until: int, after: str = "", limit: int = 100) -> list[Run]:
        """Runs that nobody called from a flow and that ended in this state before this time, by id, from `after` on."""

    @abstractmethod
    def families(self, run_ids: Sequence[str]) -> dict[str, list[Member]]:
        """Each of these runs with all runs of subflows below it, the deepest first."""

    @abstractmethod
    def needed_from(self) -> dict[str, int]:
        """The first position that each subscriber has not read yet, by name, and that `actions` which are owed need."""

    @abstractmethod
    def thin(self, run_id: str, rows: int) -> int:
        """Remove at most so many rows of what an ended run has left behind, in one short transaction.

        Its beginning and the run itself stay, and the newest record of all. Returns how many it were; 0 when nothing
        is left to remove.
        """

    @abstractmethod
    def purge(self, run_ids: Sequence[str], told: Append, streams: Sequence[str] = (), needed: int = 1 << 62) -> None:
        """Remove runs that have ended, with all that belongs to them, and append what is told of it: all or nothing.

        Cached results stay where they say until when, and that is to come.

        Args:
            run_ids: the runs; not those of their subflows.
            told: one record, in a stream that everybody who purges appends to.
            streams: these go with them.
            needed: but for what is in them from this position on.

        Raises:
            SequenceConflict: somebody else has purged meanwhile; nothing was removed.
        """

    @abstractmethod
    def forget(self, positions: Sequence[int]) -> int:
        """Remove these records of streams that are no runs; the last record of a stream that goes on stays."""

    @abstractmethod
    def purged_partitions(self, flow: str) -> set[str]:
        """Partitions of a flow with a completed run that was purged."""

    @abstractmethod
    def identity(self) -> str:
        """What tells this journal from every other one, wherever it is reached from."""

    @abstractmethod
    def refs_of(self, run_ids: Sequence[str]) -> set[str]:
        """References to the result store in the records of these runs."""

    @abstractmethod
    def unused(self, refs: Sequence[str]) -> set[str]:
        """Which of these references nothing in the journal holds."""

    @abstractmethod
    def refs(self) -> set[str]:
        """Every result-store reference that some record still uses."""

    @abstractmethod
    def status(self) -> Mapping[str, Any]:
        """Schema version, sizes and counts, for people."""

    @abstractmethod
    def vacuum(self) -> None:
        """Give freed space back."""

    @abstractmethod
    def close(self) -> None:
        """Release connections. Closing twice is fine."""


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
