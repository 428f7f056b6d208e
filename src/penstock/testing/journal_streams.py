"""What a journal must do with several streams at once."""
# ruff: noqa: D102 - the name of a duty says what it is

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.core.errors import SequenceConflict
from penstock.core.events import Append, Record, RunCompleted
from penstock.core.ids import new_run_id
from penstock.core.plans import Happened, stream_of
from penstock.core.ports import Journal
from penstock.testing.openings import Openings
from penstock.testing.samples import (
    HOSTILE,
    begin_run,
    contents,
    created,
    happened,
    refused,
    started,
    task_completed,
    together,
)


class StreamDuties(Openings):
    """Streams that are no runs, commits of several streams, cursors."""

    def test_a_stream_needs_no_run(self) -> None:
        journal = self.opened()
        stream = stream_of("dataset", "orders")
        journal.append(stream, 0, [happened("one"), happened("two")])
        journal.append(stream, 2, [happened("three")])
        assert names(self.again(journal), stream) == ["one", "two", "three"]
        with refused(SequenceConflict):
            journal.append(stream, 2, [happened("late")])
        assert journal.last_seq(stream) == 3
        assert journal.run(stream) is None

    def test_the_last_sequence_number(self) -> None:
        journal = self.opened()
        run_id = begin_run(journal)
        assert journal.last_seq(run_id) == 2
        journal.append(run_id, 2, [task_completed(number) for number in range(3)])
        assert self.again(journal).last_seq(run_id) == 5
        assert journal.last_seq(new_run_id()) == journal.last_seq("dataset/none") == 0
        journal.delete([run_id])
        assert journal.last_seq(run_id) == 0

    def test_whoever_starts_at_the_head_reads_all_that_comes_later(self) -> None:
        journal = self.opened()
        assert journal.head() == 0
        begin_run(journal)
        before = self.settled(journal, 0, 2)
        assert journal.head() == before[-1].position
        head = journal.head()
        journal.append("dataset/a", 0, [happened("later")])
        found = self.settled(journal, head, 1)
        assert [stored.stream for stored in found] == ["dataset/a"]
        assert self.again(journal).head() == found[-1].position

    def test_several_streams_in_one_commit(self) -> None:
        journal = self.opened()
        run_id, new = begin_run(journal), new_run_id()
        journal.commit(
            [
                Append(new, 0, [created(), started()]),
                Append("dataset/a", 0, [happened("one")]),
                Append(run_id, 2, [task_completed(1), task_completed(2), Record(RunCompleted(at=5))]),
                Append("dataset/none", 0, []),
                Append("dataset/b", 0, [happened("one"), happened("two")]),
            ]
        )
        other = self.again(journal)
        assert [other.last_seq(stream) for stream in (new, "dataset/a", run_id, "dataset/none")] == [2, 1, 5, 0]
        run, made = other.run(run_id), other.run(new)
        assert run is not None
        assert made is not None
        assert (run.state, made.state, len(other.task_runs(run_id))) == ("Completed", "Running", 2)
        found = self.settled(other, 0, 10)
        assert [(stored.stream, stored.seq) for stored in found] == [
            *((run_id, seq) for seq in (1, 2)),
            *((new, seq) for seq in (1, 2)),
            ("dataset/a", 1),
            *((run_id, seq) for seq in (3, 4, 5)),
            *(("dataset/b", seq) for seq in (1, 2)),
        ]
        assert len({stored.position for stored in found}) == 10

    def test_a_commit_is_all_or_nothing(self) -> None:
        journal = self.opened()
        first, second, unborn = begin_run(journal), begin_run(journal), new_run_id()
        before = contents(journal, first), contents(journal, second)
        good = [Append(first, 2, [task_completed(1)]), Append(unborn, 0, [created()])]
        for wrong in (0, 1, 3, 9):
            bad = Append(second, wrong, [task_completed(1), task_completed(2)])
            for appends in ([*good, bad], [bad, *good]):
                with refused(SequenceConflict) as error:
                    journal.commit(appends, ("reader", 0, 7))
                assert error.caught.stream == second, "the conflict must name the stream"
        assert (contents(journal, first), contents(journal, second)) == before
        assert contents(journal, unborn) == ([], None, [], [])
        assert journal.cursor("reader") == 0
        with refused(TypeError):
            journal.commit([*good, Append("dataset/a", 0, [created(shown={"thing": object()})])])
        assert contents(journal, unborn) == ([], None, [], [])
        journal.commit([*good, Append(second, 2, [task_completed(1)])])
        assert journal.last_seq(first) == journal.last_seq(second) == 3

    def test_a_commit_moves_the_cursor(self) -> None:
        journal = self.opened()
        other = self.again(journal)
        far = 1 << 60
        journal.commit([Append("dataset/a", 0, [happened("one")])], ("reader", 0, 5))
        with refused(SequenceConflict) as error:
            other.commit([Append("dataset/a", 1, [happened("two")])], ("reader", 4, 9))
        assert error.caught.stream is None, "this is about the cursor, not about a stream"
        with refused(SequenceConflict):
            other.commit([], ("reader", 0, 9))
        with refused(SequenceConflict):
            other.commit([], ("nobody", 4, 9))
        assert (other.cursor("reader"), other.last_seq("dataset/a")) == (5, 1)
        other.commit([], ("reader", 5, far))
        other.commit([Append("dataset/a", 1, [happened("two")])], ("reader", far, far + 1))
        journal.commit([])
        assert (journal.cursor("reader"), names(journal, "dataset/a")) == (far + 1, ["one", "two"])
        assert journal.move_cursor("reader", far + 1, far + 2)

    def test_what_follows_from_an_event_is_there_once(self) -> None:
        journal = self.opened()
        openings = [journal, self.again(journal), self.again(journal)]
        total = 40
        for number in range(total):
            journal.append("source/x", number, [happened(str(number))])
        self.settled(journal, 0, total)

        def follow(number: int) -> None:
            mine = openings[number % 3]
            while True:
                at = mine.cursor("echo")
                page = [stored for stored in mine.read(at, 7) if stored.stream == "source/x"]
                if not page:
                    return
                seq = mine.last_seq("echo/x")
                answers = [happened(f"echo of {stored.event.name}") for stored in page]  # type: ignore[attr-defined]
                try:
                    mine.commit([Append("echo/x", seq, answers)], ("echo", at, page[-1].position))
                except SequenceConflict:
                    continue

        together(follow, 6)
        assert names(journal, "echo/x") == [f"echo of {number}" for number in range(total)]

    def test_two_that_commit_at_once_do_not_mix(self) -> None:
        journal = self.opened()
        openings = [journal, self.again(journal)]
        streams = [f"dataset/{number}" for number in range(4)]
        won: list[int] = []
        lost: list[str | None] = []

        def work(number: int) -> None:
            mine = openings[number % 2]
            order = streams if number % 4 < 2 else streams[::-1]
            for attempt in range(8):
                seqs = {stream: mine.last_seq(stream) for stream in order}
                mark = f"{number}/{attempt}"
                try:
                    mine.commit([Append(stream, seqs[stream], [happened(mark)] * 2) for stream in order])
                except SequenceConflict as error:
                    lost.append(error.stream)
                else:
                    won.append(number)

        together(work, 6)
        assert set(lost) <= set(streams)
        told = [names(journal, stream) for stream in streams]
        assert told[0] == told[1] == told[2] == told[3]
        assert len(told[0]) == 2 * len(won) > 0

    def test_large_commits(self) -> None:
        journal = self.opened()
        runs = [new_run_id() for _ in range(700)]
        journal.commit([Append(run_id, 0, [created(name=f"run-{place}")]) for place, run_id in enumerate(runs)])
        large = [task_completed(number) for number in range(6_000)]
        journal.commit([Append(run_id, 1, large) for run_id in runs[:2]])
        assert len(journal.task_runs(runs[1])) == 6_000
        found = self.settled(journal, 0, 12_700)
        assert len({stored.position for stored in found}) == len(found) == 12_700

    def test_any_text_can_be_committed(self) -> None:
        journal = self.opened()
        for text in HOSTILE.values():
            run_id = new_run_id()
            event = Happened(at=1, name=text, about=text, facts={text: [text]})
            journal.commit([Append(run_id, 0, [created(name=text)]), Append(f"x/{run_id}", 0, [Record(event)])])
            assert journal.last_seq(run_id) == journal.last_seq(f"x/{run_id}") == 1
            assert journal.run(run_id) is not None


def names(journal: Journal, stream: str) -> Sequence[str]:
    """The names of what happened, by a stream."""
    events: list[Any] = [stored.event for stored in journal.load(stream)]
    return [event.name for event in events]
