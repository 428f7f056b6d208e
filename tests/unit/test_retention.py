"""Retention: what leaves, what stays, in what steps, and what is told of it."""

from __future__ import annotations

import datetime
import os
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from penstock import flow, task
from penstock.app import Penstock, Settings, keep_of, load_settings
from penstock.core.deployments import Deployment
from penstock.core.errors import ConfigurationError
from penstock.core.events import DeadlineMissed, Record, RunCompleted, RunFailed, now_us
from penstock.core.ids import derived_run_id
from penstock.core.model import RunFilter
from penstock.core.partitions import Partition, daily
from penstock.core.plans import (
    ActionEnded,
    ActionTried,
    AutomationDeclared,
    AutomationFired,
    BackfillEnded,
    Owed,
    ScheduleMoved,
)
from penstock.core.ports import Journal
from penstock.core.retention import KEPT, OF_RUNS, PASSING, PURGEABLE, Keep
from penstock.engine.recovery import fork
from penstock.journal import MemoryJournal, SqliteJournal
from penstock.journal.results import FileResultStore
from penstock.orchestrator import backfill, purging, retention
from penstock.orchestrator.deployments import declare, trigger
from penstock.orchestrator.firings import firings_of
from penstock.orchestrator.purging import MOST_ROWS, Purged
from penstock.orchestrator.retention import CURSOR, STREAM, Purge, Retention
from penstock.testing import Simulation
from penstock.testing.journal_events import every_event
from penstock.testing.journal_retention import _BEGIN as BEGIN
from penstock.testing.journal_retention import aged
from penstock.testing.samples import begin_run, happened, log_line, started, task_completed

DAY = 86_400_000_000
NOW = BEGIN + 100 * DAY


@flow(partitions=daily(start="2026-01-01"))
def load() -> None: ...


@flow
def nightly() -> None: ...


@pytest.fixture
def journal() -> Journal:
    return MemoryJournal()


@pytest.fixture
def results(tmp_path: Path) -> FileResultStore:
    return FileResultStore(tmp_path / "results", inline_bytes=10)


def purge(journal: Journal, results: Any = None, day: int = 90, **options: Any) -> Purged:
    """Remove everything that had ended by this day."""
    before = dict.fromkeys(("Completed", "Failed", "Crashed", "Cancelled"), BEGIN + day * DAY)
    done = Purge(journal, results or FileResultStore(Path("none")), before, NOW, rest=lambda _: None, **options)
    for _ in done.steps():
        pass
    return done.done


def ids(journal: Journal, **where: Any) -> set[str]:
    return {run.id for run in journal.runs(RunFilter(**{"children": True, "limit": 10_000, **where}))}


def later() -> str:
    """The id of a run that is newer than all that are made now."""
    return derived_run_id(now_us() // 1000 + 1_000)


def stayed(found: Purged) -> dict[str, int]:
    return dict(found.kept)


def test_every_event_is_kept_or_purgeable() -> None:
    kinds = {event.stored for event in every_event()}
    assert kinds == KEPT | PURGEABLE
    assert not KEPT & PURGEABLE
    assert not OF_RUNS & PASSING


def test_old_runs_leave_and_young_ones_stay(journal: Journal) -> None:
    old = [aged(journal, day, f"old-{day}", end=(RunCompleted, RunFailed)[day % 2]) for day in range(5)]
    young = {aged(journal, 95, "young"), aged(journal, 96, "younger", end=RunFailed)}
    found = purge(journal)
    assert ids(journal) == young
    assert (found.runs, found.below, found.flows) == (5, 0, {"shop": Counter(Completed=3, Failed=2)})
    assert found.first is not None
    assert found.last is not None
    assert (found.first.id, found.last.id) == (old[0], old[4])
    told = [stored.event for stored in journal.load(STREAM)]
    assert sum(event.runs for event in told) == 5
    assert {(event.first, event.last) for event in told} == {(old[0], old[4]), (old[1], old[3])}
    assert Counter(state for event in told for state in event.flows["shop"]) == Counter(Completed=1, Failed=1)
    again = purge(journal)
    assert (again.runs, journal.last_seq(STREAM)) == (0, len(told)), "nothing is told where nothing goes"


def test_how_they_ended_decides_for_how_long(journal: Journal) -> None:
    runs = {(day, end): aged(journal, day, f"{end.__name__}-{day}", end=end) for day in (0, 50) for end in
            (RunCompleted, RunFailed)}  # fmt: skip
    aged(journal, 99, "newest")
    Retention(journal, FileResultStore(Path("none")), Keep(40 * DAY, 90 * DAY)).turn(NOW)
    assert ids(journal) & {*runs.values()} == {runs[50, RunFailed]}


def test_what_has_not_ended_stays_with_all_its_family(journal: Journal) -> None:
    open_run = aged(journal, 0, "open", ended=False)
    root = aged(journal, 0, "root")
    child = aged(journal, 0, "child", parent=root)
    deep = aged(journal, 0, "deep", parent=child, ended=False)
    whole = aged(journal, 0, "whole")
    aged(journal, 0, "below", parent=whole)
    newest = aged(journal, 99, "newest")
    found = purge(journal)
    assert ids(journal) == {open_run, root, child, deep, newest}
    assert (found.runs, found.below) == (1, 1)
    assert stayed(found) == {"a run of a subflow has not ended": 1}


def test_the_newest_run_of_a_flow_stays(journal: Journal) -> None:
    runs = [aged(journal, day, f"{flow_name}-{day}", flow=flow_name) for flow_name in ("a", "b") for day in (1, 2)]
    found = purge(journal)
    assert ids(journal) == {runs[1], runs[3]}
    assert stayed(found) == {"it is the newest run of its flow": 2}
    assert [each.flow for each in journal.flows()] == ["a", "b"]


def test_the_newest_completed_run_of_a_deployment_stays(journal: Journal) -> None:
    for name in ("nightly", "gone"):
        declare(journal, Deployment(name=name, flow="shop", entrypoint="x:y"))
    first, last = (aged(journal, day, f"n{day}", deployment="nightly") for day in (1, 2))
    aged(journal, 3, "n3", deployment="nightly", end=RunFailed)
    aged(journal, 4, "g", deployment="no such deployment")
    newest = aged(journal, 5, "newest")
    found = purge(journal)
    assert ids(journal) == {last, newest}
    assert first not in ids(journal)
    assert stayed(found) == {
        "it is the newest run of its flow": 1,
        "it is the newest completed run of its deployment": 1,
    }


def test_an_unfinished_backfill_keeps_its_runs(journal: Journal) -> None:
    made = backfill.create(journal, load, [Partition(key="a"), Partition(key="b")], backfill_id="b1")
    for run_id in sorted(ids(journal, flow="load")):
        journal.append(run_id, 1, [started(), Record(RunCompleted(at=BEGIN))])
    begin_run(journal, later(), flow="load")
    some = ids(journal, tags=("backfill:b1",))
    assert len(some) == 2
    before = {"Completed": now_us() + DAY}
    done = Purge(journal, FileResultStore(Path("none")), before, NOW, rest=lambda _: None)
    assert list(done.steps())
    assert stayed(done.done) == {"the backfill b1 has not ended": 2}
    assert ids(journal, tags=("backfill:b1",)) == some
    end = BackfillEnded(at=1, id=made.id, state="Completed")
    journal.append("backfill/b1", journal.last_seq("backfill/b1"), [Record(end)])
    list(Purge(journal, FileResultStore(Path("none")), before, NOW, rest=lambda _: None).steps())
    assert ids(journal, tags=("backfill:b1",)) == set()
    assert backfill.latest_states(journal, "load") == {"a": "Completed", "b": "Completed"}


def test_what_a_subscriber_has_not_read_stays(journal: Journal) -> None:
    read = aged(journal, 0, "read")
    assert journal.move_cursor("mail", 0, journal.head())
    unread = aged(journal, 0, "unread")
    newest = aged(journal, 99, "newest")
    found = purge(journal, passing=NOW)
    assert ids(journal) == {unread, newest}
    assert stayed(found) == {"mail has not read its events yet": 1}
    assert read not in ids(journal)
    assert journal.move_cursor("mail", journal.cursor("mail"), journal.head())
    purge(journal)
    assert ids(journal) == {newest}


def test_the_automations_count_while_there_are_some(journal: Journal) -> None:
    run_id, newest = aged(journal, 0), aged(journal, 99, "newest")
    assert journal.move_cursor("automations", 0, 1)
    journal.append("automation/a", 0, [Record(AutomationDeclared(at=1, name="a", spec={}))])
    assert stayed(purge(journal)) == {"automations has not read its events yet": 1}
    assert journal.move_cursor("automations", 1, journal.head())
    owed = Owed({"do": "nothing"}, outside=True)
    fired = AutomationFired(at=1, name="a", id="a/1", position=1, actions=(owed,))
    journal.append("automation/a", 1, [Record(fired)])
    assert journal.move_cursor("automations", journal.cursor("automations"), journal.head())
    assert stayed(purge(journal)) == {"actions has not read its events yet": 1}
    assert ids(journal) == {run_id, newest}


def test_a_key_and_a_broken_promise_are_remembered_as_long_as_their_run(journal: Journal) -> None:
    declare(journal, Deployment(name="nightly", flow="shop", entrypoint="x:y"))
    runs = [trigger(journal, "nightly", key=key) for key in ("one", "two")]
    assert trigger(journal, "nightly", key="one").id == runs[0].id
    missed = DeadlineMissed(at=1, promise="start", deadline=1, run_id=runs[0].id)
    journal.append(f"promise/{runs[0].id}/start", 0, [Record(missed)])
    journal.append(runs[0].id, 1, [started(), Record(RunFailed(at=NOW))])
    begin_run(journal, later())
    done = Purge(journal, FileResultStore(Path("none")), {"Failed": now_us() + DAY}, NOW, rest=lambda _: None)
    list(done.steps())
    assert done.done.runs == 1
    assert journal.last_seq(f"promise/{runs[0].id}/start") == 0
    assert trigger(journal, "nightly", key="one").id != runs[0].id
    assert trigger(journal, "nightly", key="two").id == runs[1].id


def test_results_that_nobody_else_refers_to(journal: Journal, results: FileResultStore) -> None:
    saved = {name: results.save(name * 100)[0] for name in ("own", "shared", "renewed", "orphan")}
    files = {name: results.folder / each.ref[:2] / each.ref[2:] for name, each in saved.items() if each.ref}
    for name in ("own", "shared", "renewed"):
        aged(journal, 0, name, ref=saved[name].ref)
    aged(journal, 99, "user", ref=saved["shared"].ref)
    for name, file in files.items():
        os.utime(file, (1, 1)) if name != "renewed" else None
    found = purge(journal, results)
    assert {name for name, file in files.items() if file.exists()} == {"shared", "renewed"}
    assert found.results == 2
    os.utime(files["renewed"], (1, 1))
    assert purge(journal, results, parts=range(0)).results == 0
    assert purge(journal, results).results == 1, "what was young is found later"
    assert {name for name, file in files.items() if file.exists()} == {"shared"}


def test_results_in_a_folder_of_several_journals_stay(tmp_path: Path) -> None:
    def place(journal: Journal) -> FileResultStore:
        return FileResultStore(tmp_path / "results", inline_bytes=10, journal=journal.identity)

    ours, theirs = MemoryJournal(), MemoryJournal()
    stores = place(ours), place(theirs)
    aged(ours, 0, "old", ref=stores[0].save("x" * 100)[0].ref)
    aged(ours, 99, "newest")
    files = list((tmp_path / "results").glob("??/*"))
    os.utime(files[0], (1, 1))
    assert purge(theirs, stores[1]).shared, "it has kept nothing there, and finds what is another's"
    stores[1].save("x" * 100)
    os.utime(files[0], (1, 1))
    found = purge(ours, stores[0])
    assert (found.runs, found.results, found.shared) == (1, 0, True)
    assert files[0].exists()


def test_a_fork_keeps_what_it_took_over(journal: Journal, tmp_path: Path) -> None:
    app = Penstock(Settings(home=str(tmp_path), log_console=False, inline_bytes=100), journal=journal)

    @task
    def make() -> str:
        return "long enough for a file" * 10

    @flow
    def shop(bad: bool = True) -> str:
        found = make()
        if bad:
            raise ValueError
        return found

    with app.activate():
        shop(return_state=True)
        (run,) = journal.runs(RunFilter())
        made = fork(journal, run, None, "resume")
        newest = begin_run(journal, later())
        for file in (tmp_path / "results").glob("*/*"):
            os.utime(file, (1, 1))
        list(Purge(journal, app.results, {"Failed": now_us()}, now_us(), rest=lambda _: None).steps())
        assert ids(journal) == {made.id, newest}
        refs = {file.parent.name + file.name for file in (tmp_path / "results").glob("*/*")}
        assert refs == journal.refs() == journal.refs_of([made.id])
        assert len(refs) == 1


def test_a_removal_that_is_cut_short_anywhere_is_gone_on_with(
    results: FileResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (retention, purging):
        monkeypatch.setattr(module, "MOST_ROWS", 200)

    def filled() -> tuple[Journal, set[str]]:
        journal = MemoryJournal()
        root = aged(journal, 0, "root", ended=False)
        journal.append(root, 3, [task_completed(number) for number in range(2, 600)])
        journal.append(root, journal.last_seq(root), [Record(RunCompleted(at=BEGIN))], [log_line(root)] * 300)
        for number in range(30):
            aged(journal, 1, f"small-{number}")
            aged(journal, 1, f"below-{number}", parent=root)
        return journal, {aged(journal, 99, "newest"), aged(journal, 1, "open", ended=False)}

    journal, left = filled()
    before = {"Completed": BEGIN + 90 * DAY}
    cuts = len(list(Purge(journal, results, before, NOW, parts=range(0), rest=lambda _: None).steps()))
    assert cuts > 8
    assert ids(journal) == left
    for cut in range(cuts):
        journal, left = filled()
        steps = Purge(journal, results, before, NOW, parts=range(0), rest=lambda _: None).steps()
        for _ in range(cut):
            next(steps)
        del steps
        assert ids(journal) >= left
        list(Purge(journal, results, before, NOW, parts=range(0), rest=lambda _: None).steps())
        assert ids(journal) == left
        told = [stored.event for stored in journal.load(STREAM)]
        assert (sum(e.runs for e in told), sum(e.below for e in told)) == (31, 30)
        status = journal.status()
        assert (status["runs"], status["task_runs"], status["logs"]) == (2, 2, 2)
        assert status["events"] == 7 + len(told)
        assert {row[0] for row in journal._fetch("SELECT DISTINCT run_id FROM terms")} == left


def test_no_transaction_removes_very_much(results: FileResultStore) -> None:
    journal = MemoryJournal()
    big = begin_run(journal, derived_run_id(1_000))
    journal.append(big, 2, [task_completed(number) for number in range(1, 6 * MOST_ROWS)], [log_line(big)] * 9_000)
    journal.append(big, journal.last_seq(big), [Record(RunCompleted(at=BEGIN))])
    for number in range(600):
        aged(journal, 1, f"small-{number}", tags=tuple("abcdefgh"))
    newest = aged(journal, 99, "newest")
    changes = [journal._connection.total_changes]
    sizes: list[int] = []

    def rest(_: float) -> None:
        sizes.append(journal._connection.total_changes - changes[0])
        changes[0] = journal._connection.total_changes

    list(Purge(journal, results, {"Completed": now_us() + DAY}, NOW, parts=range(0), rest=rest).steps())
    assert ids(journal) == {newest}
    assert sum(sizes) > 30_000
    assert max(sizes) < 3 * MOST_ROWS


def test_two_that_purge_at_once_count_every_run_once(results: FileResultStore, tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    other = SqliteJournal(tmp_path / "journal.db")
    runs = {aged(journal, 1, f"run-{number}") for number in range(500)}
    newest = aged(journal, 99, "newest")
    before = {"Completed": BEGIN + 90 * DAY}
    both = [Purge(each, results, before, NOW, parts=range(0), rest=lambda _: None) for each in (journal, other)]
    steps = [each.steps() for each in both]
    while steps:
        steps = [each for each in steps if next(each, "over") != "over"]
    assert ids(journal) == {newest}
    assert sum(each.done.runs for each in both) == len(runs)
    assert sum(stored.event.runs for stored in journal.load(STREAM)) == len(runs)  # type: ignore[attr-defined]
    journal.close()
    other.close()


def test_old_events_of_other_streams_leave(journal: Journal) -> None:
    def moved(day: float) -> Record:
        return Record(ScheduleMoved(at=BEGIN + int(day * DAY), deployment="d", schedule="s", until=1))

    def told(name: str, day: float) -> Record:
        record = happened(name)
        return Record(type(record.event)(at=BEGIN + int(day * DAY), name=name))

    journal.append("event/one", 0, [told("old", 1), told("dated ahead", 500)])
    journal.append("deployment/d", 0, [moved(1), Record(AutomationDeclared(at=BEGIN, name="a", spec={})), moved(2)])
    journal.append("event/two", 0, [told("dated back", -500)])
    journal.append("deployment/d", 3, [moved(95), moved(96)])
    run_id = aged(journal, 99)
    found = purge(journal, passing=BEGIN + 90 * DAY)
    left = [(stored.stream, stored.seq) for stored in journal.read(0, 100) if stored.stream != run_id]
    assert left == [("deployment/d", 2), ("event/two", 1), ("deployment/d", 4), ("deployment/d", 5)]
    assert found.events == 4
    assert purge(journal, passing=BEGIN + 90 * DAY).events == 0
    assert purge(journal, passing=BEGIN + 97 * DAY).events == 2
    assert journal.cursor(CURSOR) > 0
    assert [stored.seq for stored in journal.load("deployment/d")] == [2, 5]


def test_what_became_of_a_firing_stays_with_it(journal: Journal) -> None:
    def fire(position: int, seq: int, day: float) -> None:
        at = BEGIN + int(day * DAY)
        actions = (Owed({"type": "run-workflow"}), Owed({"type": "notify"}))
        fired = AutomationFired(at=at, name="push", id=f"push/{position}", position=position, actions=actions)
        journal.append("automation/push", seq, [Record(fired)])
        ended = [ActionEnded(at=at, name="push", id=fired.id, action=each, facts={"n": each}) for each in (0, 1)]
        journal.append(f"action/{fired.id}/0", 0, [Record(ended[0])])
        tried = ActionTried(at=at, name="push", id=fired.id, action=1, attempt=1, due_at=at)
        journal.append(f"action/{fired.id}/1", 0, [Record(tried), Record(ended[1])])

    declared = AutomationDeclared(at=BEGIN, name="push", spec={})
    journal.append("automation/push", 0, [Record(declared)])
    fire(1, 1, 1)
    fire(2, 2, 2)
    moved = ScheduleMoved(at=BEGIN + 99 * DAY, deployment="d", schedule="s", until=1)
    journal.append("deployment/d", 0, [Record(moved), Record(moved)])

    def told() -> list[tuple[str, list[str], list[dict[str, int]]]]:
        found = firings_of(journal, "push", 10)[1]
        return [
            (each["id"], [one["state"] for one in each["actions"]], [one["facts"] for one in each["actions"]])
            for each in found
        ]

    before = told()
    assert purge(journal, passing=BEGIN + 90 * DAY).events == 4
    assert told() == before[:1] == [("push/2", ["done", "done"], [{"n": 0}, {"n": 1}])]
    fire(3, 3, 100)
    assert purge(journal, passing=BEGIN + 90 * DAY).events == 0
    assert [states for _, states, _ in told()] == [["done", "done"]] * 2


def test_expired_cached_results_leave(journal: Journal, results: FileResultStore) -> None:
    run_id = begin_run(journal)
    for number, until in enumerate((NOW - 1, NOW + 1, None)):
        journal.append(run_id, 2 + number, [task_completed(number, cache_key=f"k{number}", cache_until=until)])
    assert purge(journal, results).cached == 1
    assert [journal.cached(f"k{number}", 0) is not None for number in range(3)] == [False, True, True]


def test_a_dry_run_changes_nothing(journal: Journal, results: FileResultStore) -> None:
    saved = results.save("x" * 100)[0]
    aged(journal, 0, "old", ref=saved.ref)
    aged(journal, 99, "newest")
    before = (journal.status(), journal.head(), ids(journal))
    found = purge(journal, results, dry=True, passing=NOW)
    assert (found.runs, found.flows) == (1, {"shop": Counter(Completed=1)})
    assert (journal.status(), journal.head(), ids(journal)) == before


def test_a_turn_is_short_and_a_look_is_hourly(journal: Journal, results: FileResultStore) -> None:
    for number in range(1_000):
        aged(journal, 1, f"run-{number}")
    newest = aged(journal, 99, "newest")
    retention = Retention(journal, results, Keep(DAY, DAY))
    left = [len(ids(journal))]
    while len(ids(journal)) > 1:
        retention.turn(NOW)
        left.append(len(ids(journal)))
    assert len(left) > 3
    assert ids(journal) == {newest}
    for _ in range(20):
        retention.turn(NOW)
    aged(journal, 1, "later")
    retention.turn(NOW + 3_000_000_000)
    assert len(ids(journal)) == 2, "its hour has not come"
    retention.turn(NOW + 3_700_000_000)
    assert ids(journal) == {newest}
    aged(journal, 1, "clock set back")
    for _ in range(20):
        retention.turn(NOW - 50 * DAY)
    assert ids(journal) == {newest}


def test_off_is_off(journal: Journal, results: FileResultStore) -> None:
    aged(journal, 0, "old")
    aged(journal, 0, "failed", end=RunFailed)
    aged(journal, 99, "newest")
    Retention(journal, results, Keep(None, None)).turn(NOW)
    assert len(ids(journal)) == 3
    Retention(journal, results, Keep(None, DAY)).turn(NOW)
    assert {run.state for run in journal.runs(RunFilter())} == {"Completed"}


def test_half_a_year_passes() -> None:
    """Daily runs with the retention that is on by default: a quarter of them is there in the end."""

    with Simulation("2026-01-01T00:30:00") as world:
        world.deploy(nightly.to_deployment("nightly", cron="0 2 * * *"))
        world.run(days=200)
        runs = world.runs()
        journal = world.app.journal
        told = [stored.event for stored in journal.load(STREAM)]
        assert sum(event.runs for event in told) + len(runs) == 200
        assert 90 <= len(runs) <= 95, "a look takes several turns, and here there are few of them"
        oldest = datetime.datetime.fromtimestamp(runs[-1].created_at / 1e6, datetime.UTC)
        assert world.clock.moment - oldest < datetime.timedelta(days=95)
        due = [run.scheduled_at for run in reversed(runs)]
        assert all(later - earlier == DAY for earlier, later in pairwise(due))  # type: ignore[operator]


def test_settings(tmp_path: Path) -> None:
    def told(text: str, **environ: str) -> Keep:
        (tmp_path / "pyproject.toml").write_text(text)
        found: Keep = keep_of(load_settings(environ, tmp_path))
        return found

    assert told("") == Keep(90 * DAY, 180 * DAY)
    table = '[tool.penstock.retention]\nkeep = "1 week"\nkeep_failed = "off"\n'
    assert told(table) == Keep(7 * DAY, None)
    assert told(table, PENSTOCK_RETENTION_KEEP="12h") == Keep(DAY // 2, None)
    for text, why in (
        ('keep = "soon"', "keep is 'soon', which is no length of time"),
        ('keep_failed = "0d"', "nothing would be kept"),
        ('kep = "3d"', "unknown settings: retention_kep"),
        ("keep = 90", "A Penstock setting is wrong"),
    ):
        with pytest.raises(ConfigurationError, match=why):
            told(f"[tool.penstock.retention]\n{text}\n")


def test_a_retention_of_nothing_is_refused_in_every_place(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.penstock]\nretention = "90d"\n')
    with pytest.raises(ConfigurationError, match="unknown settings: retention"):
        load_settings({}, tmp_path)
