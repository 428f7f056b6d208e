"""How a journal must let old runs and events go."""
# ruff: noqa: D102 - the name of a duty says what it is

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from penstock.core.clock import now_us
from penstock.core.errors import SequenceConflict
from penstock.core.events import (
    Append,
    ArtifactSaved,
    DeadlineMissed,
    Record,
    RunCompleted,
    RunFailed,
    Saved,
    TaskCompleted,
)
from penstock.core.ids import child_run_id, derived_run_id
from penstock.core.model import CacheFilter, RunFilter
from penstock.core.plans import AutomationDeclared, AutomationFired, Owed, RunsPurged
from penstock.core.ports import Journal
from penstock.testing.openings import Openings
from penstock.testing.samples import (
    bare,
    begin_run,
    contents,
    created,
    happened,
    log_line,
    refused,
    started,
    step,
    task_completed,
)

_DAY = 86_400_000_000
_BEGIN = 1_700_000_000_000_000
_PURGES = "retention/runs"


def aged(journal: Journal, day: int, name: str = "amber-otter", *, ended: bool = True, **more: Any) -> str:
    """Make a run on this day, which ends within the hour; a subflow run with `parent`."""
    at = _BEGIN + day * _DAY
    parent = more.pop("parent", None)
    kind = more.pop("end", RunCompleted)
    ref = more.pop("ref", None)
    if parent is not None:
        more = {"parent_id": parent, "root_id": parent, **more}
    run_id = child_run_id(parent, name, 1) if parent is not None else derived_run_id(at // 1000, name)
    records = [created(name=name, **more), started(), task_completed()]
    if ended:
        records.append(Record(kind(at=at + 3_600_000_000, result=Saved("pickle", 99, ref) if ref else None)))
    journal.append(run_id, 0, records, [log_line(run_id)])
    return run_id


def purge(
    journal: Journal,
    *run_ids: str,
    streams: Sequence[str] = (),
    needed: int = 1 << 62,
    at: int | None = None,
    **told: Any,
) -> None:
    """Let these runs go."""
    event = RunsPurged(at=at or now_us(), runs=len(run_ids), before=1, **told)
    append = Append(_PURGES, journal.last_seq(_PURGES), [Record(event)])
    journal.purge(run_ids, append, streams, needed)


class RetentionDuties(Openings):
    """What is old is found, and goes without a trace of it, and without anything else."""

    def test_what_has_ended_before(self) -> None:
        journal = self.opened()
        runs = [aged(journal, day, f"run-{day}") for day in range(5)]
        failed = aged(journal, 2, "failed", end=RunFailed)
        aged(journal, 0, "open", ended=False)
        aged(journal, 0, "child", parent=runs[0])
        late = derived_run_id((_BEGIN - _DAY) // 1000, "late")
        journal.append(late, 0, [created(), started(), Record(RunCompleted(at=_BEGIN + 9 * _DAY))])

        def old(state: str, day: float, after: str = "", limit: int = 100) -> list[str]:
            return [run.id for run in journal.ended_before(state, _BEGIN + int(day * _DAY), after, limit)]

        assert old("Completed", 3) == runs[:3]
        assert old("Completed", 3.01) == runs[:3], "it was made before, and has not ended by then"
        assert old("Completed", 3.5) == runs[:4]
        assert old("Completed", 3, runs[0]) == runs[1:3]
        assert old("Completed", 3, limit=2) == runs[:2]
        assert old("Completed", 99) == [late, *runs]
        assert old("Failed", 99) == [failed]
        assert old("Running", 99) == old("Completed", 0) == old("Completed", -99_999) == []

    def test_families(self) -> None:
        journal = self.opened()
        root, other = aged(journal, 0, "root"), aged(journal, 0, "other")
        child = aged(journal, 0, "child", parent=root)
        deep = aged(journal, 0, "deep", parent=child, ended=False)
        found = journal.families([root, other, derived_run_id(1, "nobody")])
        assert [member.id for member in found.pop(root)] == [deep, child, root]
        assert [member.id for member in found.pop(other)] == [other]
        assert found == {}
        (member,) = journal.families([deep])[deep]
        assert (member.ended, member.rows) == (False, 5)
        assert [member.ended for member in journal.families([root])[root]] == [False, True, True]
        events = self.settled(journal, 0, 15)
        last = {stored.stream: stored.position for stored in events}
        assert all(member.position == last[member.id] for member in journal.families([root])[root])
        assert journal.families([]) == {}

    def test_a_purged_run_leaves_nothing(self) -> None:
        journal = self.opened()
        gone, kept = (aged(journal, 0, name, tags=("x",), shown={"a": 1}, partition="p") for name in ("go-e", "stay"))
        for run_id in (gone, kept):
            artifact = ArtifactSaved(at=1, id=f"{run_id}-a", kind="markdown", key="k")
            journal.append(run_id, 4, [Record(artifact, b"{}")])
        before = contents(journal, kept)
        purge(journal, gone)
        assert contents(journal, gone) == ([], None, [], [])
        assert contents(self.again(journal), kept) == before
        assert [each.run_id for each in journal.artifacts()] == [kept]
        for where in ({"tags": ("x",)}, {"parameters": {"a": "1"}}, {"partition": "p"}, {"flow": "shop"}, {}):
            assert [run.id for run in journal.runs(RunFilter(**where))] == [kept]
        assert journal.find(gone[-12:]) == journal.find("go-e") == []
        assert journal.last_seq(gone) == 0
        assert [bare(each)[1].runs for each in journal.load(_PURGES)] == [1]
        begin_run(journal, gone)
        assert journal.last_seq(gone) == 2

    def test_many_runs_at_once(self) -> None:
        journal = self.opened()
        runs = [aged(journal, 0, f"run-{number}") for number in range(620)]
        purge(journal, *runs[:610])
        assert [run.id for run in journal.runs(RunFilter(limit=700))] == sorted(runs[610:], reverse=True)
        assert journal.status()["events"] == 41

    def test_positions_never_go_back(self) -> None:
        journal = self.opened()
        last = aged(journal, 0)
        position = self.settled(journal, 0, 4)[-1].position
        assert journal.thin(last, 100)
        while journal.thin(last, 100):
            pass
        purge(journal, last)
        other = aged(self.again(journal), 1, "other")
        found = self.settled(journal, position, 5)
        assert [stored.stream for stored in found] == [_PURGES, *[other] * 4]

    def test_who_purges_at_once_is_told(self) -> None:
        journal = self.opened()
        runs = [aged(journal, 0, f"run-{number}") for number in range(3)]
        purge(journal, runs[0])
        with refused(SequenceConflict):
            journal.purge([runs[1]], Append(_PURGES, 0, [Record(RunsPurged(at=1, runs=1, before=1))]))
        assert journal.run(runs[1]) is not None
        outcomes: list[bool] = []
        gate = threading.Barrier(2)

        def work() -> None:
            mine = self.again(journal)
            told = Append(_PURGES, 1, [Record(RunsPurged(at=1, runs=2, before=1))])
            gate.wait()
            try:
                mine.purge(runs[1:], told)
                outcomes.append(True)
            except SequenceConflict:
                outcomes.append(False)

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == [False, True]
        assert journal.runs(RunFilter()) == []
        assert journal.last_seq(_PURGES) == 2

    def test_a_run_gets_thinner(self) -> None:
        journal = self.opened()
        run_id = begin_run(journal, parameters=Saved("json", 9, "par"))
        journal.append(run_id, 2, [task_completed(number) for number in range(1, 40)])
        journal.append(run_id, 41, [], [log_line(run_id) for _ in range(30)])
        assert journal.thin(run_id, 7) == 0, "it has not ended"
        journal.append(run_id, 41, [Record(RunCompleted(at=1))])
        other = aged(journal, 0)
        before = contents(journal, other)
        sizes = []
        while count := journal.thin(run_id, 7):
            assert count <= 7
            sizes.append(count)
            left = [stored.seq for stored in journal.load(run_id)]
            assert left == list(range(1, len(left) + 1)), "what is left is a beginning"
        assert sum(sizes) >= 30 + 39 + 41
        assert [stored.seq for stored in journal.load(run_id)] == [1]
        assert journal.run(run_id) is not None
        assert (journal.logs(run_id), journal.task_runs(run_id)) == ([], [])
        assert contents(journal, other) == before
        purge(journal, run_id)
        assert journal.run(run_id) is None

    def test_identity(self) -> None:
        journal = self.opened()
        identity = journal.identity()
        assert identity == journal.identity() == self.again(journal).identity()
        other = self.opened()
        assert other.identity() not in ("", identity)

    def test_references_that_nothing_holds(self) -> None:
        journal = self.opened()
        one = aged(journal, 0, "one", ref="shared")
        two = aged(journal, 0, "two", ref="shared", parameters=Saved("pickle", 99, "own"))
        assert journal.refs_of([one]) == {"shared"}
        assert journal.refs_of([one, two]) == journal.refs() == {"shared", "own"}
        assert journal.refs_of([]) == set()
        assert journal.unused(["shared", "own", "none", "none"]) == {"none"}
        purge(journal, two)
        assert journal.unused(["shared", "own"]) == {"own"}
        purge(journal, one)
        assert journal.unused(["shared"]) == {"shared"}
        assert journal.unused([]) == set()

    def test_cached_results(self) -> None:
        journal = self.opened()
        now = now_us()
        gone, kept = aged(journal, 0, "gone", ended=False), aged(journal, 0, "kept", ended=False)
        for run_id, until in ((gone, None), (gone, now - 1), (gone, now + _DAY), (kept, None)):
            key = f"{run_id}/{until}"
            result = Saved("pickle", 99, key)
            done = TaskCompleted(at=1, step=step(2), result=result, cache_key=key, cache_until=until)
            journal.append(run_id, journal.last_seq(run_id), [Record(done)])
        everything = journal.refs()
        purge(journal, gone, at=now)
        left = {f"{gone}/{now + _DAY}", f"{kept}/None"}
        assert {entry.key for entry in journal.cache_entries(CacheFilter())} == left
        assert everything - journal.unused(sorted(everything)) == left
        journal.forget_cached(CacheFilter(keys=(f"{gone}/{now + _DAY}",)))
        assert journal.unused(sorted(everything)) == everything - {f"{kept}/None"}

    def test_who_still_needs_events(self) -> None:
        journal = self.opened()
        assert journal.needed_from() == {}
        run_id = aged(journal, 0)
        position = self.settled(journal, 0, 4)[-1].position
        assert journal.move_cursor("mail", 0, position)
        assert journal.move_cursor("audit", 0, 7)
        assert journal.needed_from() == {"mail": position + 1, "audit": 8}
        owed = Owed({"do": "nothing"})
        fired = AutomationFired(at=5, name="a", id="a/9", position=9, actions=(owed,))
        journal.append("automation/a", 0, [Record(AutomationDeclared(at=1, name="a", spec={})), Record(fired)])
        assert journal.needed_from()["actions"] == 9
        purge(journal, run_id)
        assert journal.needed_from()["mail"] == position + 1

    def test_other_streams_go_with_their_run(self) -> None:
        journal = self.opened()
        run_id = aged(journal, 0)
        streams = [f"promise/{run_id}/{promise}" for promise in ("start", "finish")]
        for stream in streams:
            journal.append(stream, 0, [Record(DeadlineMissed(at=1, promise="finish", deadline=1, run_id=run_id))])
        other = f"promise/{aged(journal, 0, 'other')}/start"
        journal.append(other, 0, [Record(DeadlineMissed(at=1, promise="start", deadline=1))])
        position = next(iter(journal.load(streams[1]))).position
        purge(journal, run_id, streams=(*streams, "promise/none"), needed=position)
        assert [journal.last_seq(stream) for stream in (*streams, other)] == [0, 1, 1]

    def test_forgetting_events(self) -> None:
        journal = self.opened()
        journal.append("automation/a", 0, [happened(str(number)) for number in range(5)])
        journal.append("event/one", 0, [happened("first"), happened("second")])
        journal.append("action/a/9/0", 0, [happened("done")])
        aged(journal, 0)
        positions = [stored.position for stored in self.settled(journal, 0, 12) if "/" in stored.stream]
        assert journal.forget([]) == 0
        assert journal.forget([*positions[:2], positions[4], *positions[5:]]) == 5
        assert [stored.seq for stored in journal.load("automation/a")] == [3, 4, 5], "the last one tells where it is"
        assert list(journal.load("event/one")) == list(journal.load("action/a/9/0")) == []
        journal.append("automation/a", 5, [happened("next")])
        journal.append("event/one", 0, [happened("anew")])
        assert journal.forget(positions) == 3
        assert journal.forget([stored.position for stored in journal.load("event/one")]) <= 1

    def test_partitions_are_remembered(self) -> None:
        journal = self.opened()
        purge(journal, aged(journal, 0, "1"), partitions={"shop": ("a", "b"), "web": ("c",)})
        purge(journal, aged(journal, 0, "2"), partitions={"shop": ("b", "zoë\0")})
        assert len(journal.purged_partitions("shop")) == 3
        assert {"a", "b"} < journal.purged_partitions("shop")
        assert journal.purged_partitions("web") == {"c"}
        assert self.again(journal).purged_partitions("none") == set()
