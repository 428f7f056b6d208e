"""How a journal must tell what came to many runs, and how many there are."""
# ruff: noqa: D102 - the name of a duty says what it is

from __future__ import annotations

from penstock.core.events import Record, RunCompleted
from penstock.core.model import LogLine, RunFilter, RunKey
from penstock.core.ports import Journal
from penstock.testing.journal_search import born, fail
from penstock.testing.openings import Openings

_SECOND = 1_000_000
_BEGIN = 1_700_000_000 * _SECOND
_EVERY = (0, 0)


def logged(journal: Journal, run_id: str, *messages: str) -> None:
    """Write log lines of a run."""
    journal.write_logs([LogLine(run_id, None, 5, 20, "here", message) for message in messages])


class NewsDuties(Openings):
    """Runs by tens of thousands, counted and looked through."""

    def test_news_of_several_runs(self) -> None:
        journal = self.opened()
        first, second, other = (born(journal, name=name) for name in ("a", "b", "c"))
        logged(journal, first, "one", "two")
        logged(journal, other, "no")
        logged(journal, second, "three")
        fail(journal, second, "it broke")
        events, lines = journal.news({first: _EVERY, second: (1, 0)})
        assert [(each.stream, each.seq) for each in events] == [(first, 1), (first, 2), (second, 2), (second, 3)]
        assert [(line.run_id, line.message) for line in lines] == [(first, "one"), (first, "two"), (second, "three")]
        assert lines == [*journal.logs(first), *journal.logs(second)]
        assert events[0] == next(iter(journal.load(first)))._replace(data=None)
        assert journal.news({first: (2, lines[0].id), second: (3, lines[2].id)}) == ([], [lines[1]])
        assert journal.news({}) == journal.news({"nothing": _EVERY}) == ([], [])

    def test_news_come_in_parts(self) -> None:
        journal = self.opened()
        runs = [born(journal, _BEGIN + number, name=str(number)) for number in range(7)]
        for run_id in runs:
            logged(journal, run_id, *(f"{run_id} {number}" for number in range(3)))
        places = dict.fromkeys(runs, _EVERY)
        heard: dict[str, list[object]] = {run_id: [] for run_id in runs}
        for _ in range(100):
            events, lines = journal.news(places, limit=4)
            assert len(events) <= 4
            assert len(lines) <= 4
            for each in events:
                heard[each.stream].append(each.seq)
                places[each.stream] = (each.seq, places[each.stream][1])
            for line in lines:
                heard[line.run_id].append(line.message)
                places[line.run_id] = (places[line.run_id][0], line.id)
            if not events and not lines:
                break
        for run_id in runs:
            assert [each for each in heard[run_id] if isinstance(each, int)] == [1, 2]
            assert [each for each in heard[run_id] if isinstance(each, str)] == [f"{run_id} {n}" for n in range(3)]

    def test_news_of_very_many_runs(self) -> None:
        journal = self.opened()
        runs = [born(journal, _BEGIN + number * 1000, name=str(number)) for number in range(5)]
        logged(journal, runs[3], "here")
        places = dict.fromkeys([*(f"none {number}" for number in range(1200)), *runs], _EVERY)
        events, lines = journal.news(places)
        assert [(each.stream, each.seq) for each in events] == [(run_id, seq) for run_id in runs for seq in (1, 2)]
        assert [line.message for line in lines] == ["here"]

    def test_news_of_a_deleted_run(self) -> None:
        journal = self.opened()
        run_id = born(journal)
        fail(journal, run_id, None)
        journal.delete([run_id])
        assert journal.news({run_id: _EVERY}) == ([], [])

    def test_a_glance_is_of_bounded_length(self) -> None:
        journal = self.opened()
        assert journal.glance(None, ("RunCreated",), 10, 10) == ([], None)
        runs = [born(journal, _BEGIN + number * _SECOND, name=str(number)) for number in range(9)]
        whole = [each for each in self.settled(journal, 0, 9) if each.event.stored == "RunCreated"]
        found, further = journal.glance(None, ("RunCreated", "RunFailed"), 100, 100)
        assert (found, further) == ([each._replace(data=None) for each in whole[::-1]], None)
        seen, before, looks = [], None, 0
        while True:
            page, before = journal.glance(before, ("RunCreated",), 2, 5)
            assert len(page) <= 2
            seen += [each.stream for each in page]
            looks += 1
            if before is None:
                break
        assert seen == runs[::-1]
        assert journal.glance(None, ("RunFailed",), 100, 5)[0] == []
        assert journal.glance(whole[3].position, ("RunCreated",), 1, 100)[0][0].stream == runs[2]

    def test_what_runs_are_sorted_by(self) -> None:
        journal = self.opened()
        runs = [born(journal, _BEGIN + number * _SECOND, name=f"r{number}", tags=("x",)) for number in range(5)]
        fail(journal, runs[2], None)
        keys = journal.run_keys(RunFilter(limit=3))
        assert [key.id for key in keys] == runs[:1:-1]
        assert [key.name for key in keys] == ["r4", "r3", "r2"]
        whole = journal.runs(RunFilter(limit=3))
        assert [(run.started_at, run.ended_at) for run in whole] == [(key.started_at, key.ended_at) for key in keys]
        assert journal.run_keys(RunFilter(limit=2), bare=True) == [RunKey(runs[4]), RunKey(runs[3])]
        assert [key.id for key in journal.run_keys(RunFilter(states=("Failed",), tags=("x",)))] == [runs[2]]
        assert [run.id for run in journal.runs_of([runs[1], "none", runs[4], runs[0]])] == [runs[1], runs[4], runs[0]]
        assert journal.runs_of([]) == []

    def test_runs_with_any_of_some_tags(self) -> None:
        journal = self.opened()
        both, one, other, none = (
            born(journal, _BEGIN + n * _SECOND, name=str(n), tags=tags)
            for n, tags in enumerate((("a", "b"), ("b",), ("c",), ()))
        )
        below = born(journal, _BEGIN, "below", parent=none, tags=("a",))

        def found(**where: object) -> list[str]:
            return [run.id for run in journal.runs(RunFilter(**where))]  # type: ignore[arg-type]

        assert found(any_tags=("a", "b")) == [one, both]
        assert found(any_tags=("a", "c", "a")) == [other, both]
        assert found(any_tags=("b",), tags=("a",)) == [both]
        assert found(any_tags=("nothing",)) == found(any_tags=()) == []
        assert found(any_tags=("a",), parent_id=none) == [below]
        assert set(found(any_tags=("a",), children=True)) == {below, both}
        assert set(found()) == {both, one, other, none}

    def test_runs_of_a_pool(self) -> None:
        journal = self.opened()
        mine = [born(journal, _BEGIN + n * _SECOND, name=str(n), pool="mine", queue="default") for n in range(3)]
        born(journal, name="other", pool="other", queue="default")
        fail(journal, mine[1], None)
        assert [run.id for run in journal.runs(RunFilter(pool="mine"))] == mine[::-1]
        assert [run.id for run in journal.runs(RunFilter(pool="mine", states=("Failed",)))] == [mine[1]]
        assert journal.runs(RunFilter(pool="none")) == []

    def test_how_many_runs_there_are(self) -> None:
        journal = self.opened()
        assert set(journal.run_counts(0, 10).values()) == {0}
        runs = [born(journal, _BEGIN + number * _SECOND, name=str(number)) for number in range(6)]
        born(journal, _BEGIN, "below", parent=runs[0])
        for run_id in runs[:3]:
            fail(journal, run_id, None)
        journal.append(runs[3], 2, [Record(RunCompleted(at=9))])
        counts = journal.run_counts(0, 10)
        assert {state: number for state, number in counts.items() if number} == {
            "Failed": 3, "Completed": 1, "Running": 2
        }  # fmt: skip
        assert journal.run_counts(0, 2)["Failed"] == 2
        assert [each.runs for each in journal.flows()] == [6]
        assert [each.runs for each in journal.flows(4)] == [4]
        later = journal.run_counts(_BEGIN + 2 * _SECOND, 10)
        assert (later["Failed"], later["Completed"], later["Running"]) == (1, 1, 2)
