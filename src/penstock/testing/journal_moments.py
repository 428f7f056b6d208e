"""How a journal must tell that something was written."""
# ruff: noqa: D102 - the name of a duty says what it is

from __future__ import annotations

import threading

from penstock.core.events import Record, RunCompleted, RunCreated, RunStarted
from penstock.testing.openings import Openings


class MomentDuties(Openings):
    """The moment is another one after every commit, and the same while nothing is written."""

    def test_it_is_another_one_after_every_commit_by_whomever(self) -> None:
        first = self.opened()
        second = self.again(first)
        seen = {first.moment()}
        for number, journal in enumerate([first, second, first, second]):
            journal.append(f"run-{number}", 0, [Record(RunCreated(at=1, flow="f", name="n"))])
            moments = {first.moment(), second.moment()}
            assert not moments & seen
            seen |= moments
        first.delete(["run-3"])
        assert first.moment() not in seen
        seen.add(first.moment())
        first.append("run-0", 1, [Record(RunStarted(at=2, owner="o", lease_until=1 << 60)), Record(RunCompleted(at=3))])
        first.append("run-4", 0, [Record(RunCreated(at=1, flow="f", name="n"))])
        seen.add(first.moment())
        first.delete(["run-0"])  # neither its events nor itself are the newest there are
        assert first.moment() not in seen
        assert second.moment() == first.moment()

    def test_whoever_sees_the_same_moment_twice_sees_the_same_runs(self) -> None:
        journal = self.opened()
        done = threading.Event()

        def write(place: int) -> None:
            mine = self.again(journal)
            for number in range(25):
                run_id = f"run-{place}-{number}"
                started = RunStarted(at=2, owner="o", lease_until=1 << 60)
                mine.append(run_id, 0, [Record(RunCreated(at=1, flow="f", name="n")), Record(started)])
                mine.append(run_id, 2, [Record(RunCompleted(at=3))])

        def writing() -> None:
            threads = [threading.Thread(target=write, args=(place,)) for place in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            done.set()

        writer = threading.Thread(target=writing)
        writer.start()
        seen: dict[str, list[object]] = {}
        over = False
        while not over:
            over = done.is_set()  # and look once more
            before = journal.moment()
            runs: list[object] = [(each.flow, each.runs) for each in journal.flows()]
            if journal.moment() == before:
                assert seen.setdefault(before, runs) == runs
        writer.join()
        assert ("f", 75) in runs
