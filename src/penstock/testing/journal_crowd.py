"""What a journal must stand when many write and read at once."""
# ruff: noqa: D102 - the name of a duty says what it is

from __future__ import annotations

import threading
from collections import defaultdict

from penstock.core.errors import SequenceConflict
from penstock.core.events import Record, RunCompleted, Stored
from penstock.core.ids import new_run_id
from penstock.core.model import RunFilter
from penstock.core.ports import Journal
from penstock.testing.openings import Openings
from penstock.testing.samples import begin_run, created, log_line, started, task_completed, together


class CrowdDuties(Openings):
    """Threads, several openings, and a subscriber that follows them."""

    def test_sixteen_threads_on_sixteen_runs(self) -> None:
        journal = self.opened()
        runs = [new_run_id() for _ in range(16)]

        def work(number: int) -> None:
            run_id = runs[number]
            journal.append(run_id, 0, [created(), started()])
            for seq in range(2, 42):
                journal.append(run_id, seq, [task_completed(seq)], [log_line(run_id, str(seq))])
                if seq % 10 == 0:
                    assert journal.run(run_id) is not None
            journal.append(run_id, 42, [Record(RunCompleted(at=1))])

        together(work, 16)
        for run_id in runs:
            assert [stored.seq for stored in journal.load(run_id)] == list(range(1, 44))
            assert len(journal.task_runs(run_id)) == len(journal.logs(run_id)) == 40
        assert {run.state for run in journal.runs(RunFilter())} == {"Completed"}
        assert len(self.settled(journal, 0, 16 * 43)) == 16 * 43

    def test_eight_threads_fight_for_one_run(self) -> None:
        journal = self.opened()
        openings = [journal, self.again(journal)]
        run_id = begin_run(journal)
        won: dict[int, list[int]] = defaultdict(list)

        def work(number: int) -> None:
            mine = openings[number % 2]
            for attempt in range(30):
                seq = list(mine.load(run_id))[-1].seq
                try:
                    mine.append(run_id, seq, [task_completed(number * 1000 + attempt)], [log_line(run_id)])
                except SequenceConflict:
                    continue
                won[seq + 1].append(number)

        together(work, 8)
        last = 2 + len(won)
        assert sorted(won) == list(range(3, last + 1)), "a sequence number was skipped"
        assert {len(winners) for winners in won.values()} == {1}, "a sequence number was given twice"
        assert [stored.seq for stored in journal.load(run_id)] == list(range(1, last + 1))
        assert len(journal.task_runs(run_id)) == len(journal.logs(run_id, limit=10_000)) == len(won)

    def test_a_subscriber_misses_nothing_and_sees_nothing_twice(self) -> None:
        journal = self.opened()
        openings = [self.again(journal) for _ in range(3)]
        reader = self.again(journal)
        batches, size = 30, 5
        done = threading.Event()
        seen: list[Stored] = []

        def follow() -> None:
            while True:
                ended = done.is_set()
                page = reader.read(seen[-1].position if seen else 0, 17)
                seen.extend(page)
                if ended and not page:
                    return

        def work(number: int) -> None:
            mine, run_id = openings[number % 3], new_run_id()
            mine.append(run_id, 0, [created(), started()])
            for batch in range(batches):
                first = 2 + batch * size
                mine.append(run_id, first, [task_completed(first + offset) for offset in range(size)])

        reading = threading.Thread(target=follow)
        reading.start()
        try:
            together(work, 9)
            expected = 9 * (2 + batches * size)
            assert len(self.settled(journal, 0, expected)) == expected
        finally:
            done.set()
            reading.join()
        positions = [stored.position for stored in seen]
        assert positions == sorted(set(positions))
        assert len(seen) == expected, "the subscriber missed records"
        by_run: dict[str, list[int]] = defaultdict(list)
        for stored in seen:
            by_run[stored.stream].append(stored.seq)
        assert all(seqs == list(range(1, 3 + batches * size)) for seqs in by_run.values())

    def test_one_of_many_moves_the_cursor(self) -> None:
        journal = self.opened()
        openings = [journal, self.again(journal)]
        moves: list[tuple[int, int]] = []

        def work(number: int) -> None:
            for _ in range(25):
                mine: Journal = openings[number % 2]
                at = mine.cursor("metrics")
                if mine.move_cursor("metrics", at, at + 1):
                    moves.append((at, at + 1))

        together(work, 8)
        assert sorted(moves) == [(at, at + 1) for at in range(len(moves))]
        assert journal.cursor("metrics") == len(moves)
