"""How SQLite goes about what is asked of a journal with many runs: never by looking at all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.unit.listings import (
    RARE_ONES,
    RUNS,
    every_listing,
    questions_at_a_glance,
    questions_of_retention,
    statements_of,
)

from penstock.core.events import Append
from penstock.core.model import Claim, RunFilter
from penstock.journal import SqliteJournal
from penstock.testing.bulk import fill
from penstock.testing.samples import created


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteJournal]:
    found = SqliteJournal(tmp_path_factory.mktemp("plans") / "journal.db")
    fill(found, RUNS)
    yield found
    found.close()


def _scans(journal: SqliteJournal, sql: str, values: tuple[object, ...]) -> list[str]:
    """Steps of the plan that go through a whole table or a whole index of one."""
    plan = [row[3] for row in journal._connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    tables = ("runs", "terms", "r ", "r\n", "events", "task_runs", "logs", "schedules", "tickets")
    return [step for step in plan if step.startswith("SCAN ") and f"{step[5:]} ".startswith(tables)]


def test_no_listing_looks_at_every_run(journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    for analyzed in (False, True):
        if analyzed:
            journal._fetch("ANALYZE")
        for where in every_listing():
            for sql, values in statements_of(journal, partial(journal.runs, where), monkeypatch):
                assert _scans(journal, sql, tuple(values)) == [], f"{where}\n{sql}"
    journal._fetch("DROP TABLE sqlite_stat1")


def _steps(journal: SqliteJournal, work: Callable[[], object]) -> int:
    """How many hundreds of instructions SQLite executes for this."""
    count = [0]

    def step() -> int:
        count[0] += 1
        return 0

    journal._connection.set_progress_handler(step, 100)
    try:
        work()
    finally:
        journal._connection.set_progress_handler(None, 0)
    return count[0]


def test_a_page_costs_the_same_however_many_runs_there_are(journal: SqliteJournal, tmp_path: Path) -> None:
    few = SqliteJournal(tmp_path / "few.db")
    fill(few, RUNS // 5)
    pages = [
        RunFilter(),
        RunFilter(states=("Failed",)),
        RunFilter(flow="flow_1", tags=("prod",)),
        RunFilter(tags=("team-3",), text="amber"),
        RunFilter(deployment="deployment 7", states=("Completed",), limit=20),
        *(RunFilter(**{name: value}) for name, value in RARE_ONES.items()),
    ]
    for where in pages:
        small, large = (_steps(each, partial(each.runs, where)) for each in (few, journal))
        assert large < 3 * small + 20, f"{where}: {small} -> {large} for five times as many runs"
    few.close()


def test_a_rare_condition_is_looked_up_first(journal: SqliteJournal) -> None:
    everything = _steps(journal, lambda: journal._fetch("SELECT count(*) FROM runs WHERE state_name = 'x'"))
    for name, value in RARE_ONES.items():
        for more in ({"states": ("Failed", "Completed")}, {"children": True}, {"limit": 10_000}):
            where = RunFilter(**{name: value, **more})
            assert _steps(journal, partial(journal.runs, where)) < everything, where


def test_finding_a_run_looks_at_few(journal: SqliteJournal) -> None:
    run_id = journal.runs(RunFilter(limit=1))[0].id
    everything = _steps(journal, lambda: journal._fetch("SELECT count(*) FROM runs WHERE state_name = 'x'"))
    for text in (run_id, run_id[:8], run_id[:1], run_id[-12:], run_id[-8:], run_id[-4:], "no such run"):
        assert _steps(journal, partial(journal.find, text)) < everything, text


def test_claiming_looks_at_few_of_the_runs_that_wait(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    now = 1_000
    for number in range(40):
        due = [now, now, now, now + 10][number % 4]
        some = [created(pool="default", queue=f"q{number % 5}", due_at=due) for _ in range(100)]
        journal.commit([Append(f"run {number:02} {place:03}", 0, [record]) for place, record in enumerate(some)])
    claim = Claim(pool="default", owner="me", now=now, lease_until=now + 1, limit=5)
    everything = _steps(journal, lambda: journal._fetch("SELECT count(*) FROM runs WHERE state_name = 'x'"))
    for question in (partial(journal.claim, claim), partial(journal.next_due, "default")):
        assert _steps(journal, question) < everything / 4
    journal.close()


def test_what_workers_and_schedulers_ask_looks_at_few(journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = Claim(pool="default", owner="me", now=1, lease_until=2, limit=5)
    questions: tuple[Callable[[], object], ...] = (
        lambda: journal.claim(claim),
        lambda: journal.next_due("default"),
        lambda: journal.lost_runs(1),
        lambda: journal.held_runs("default"),
        lambda: journal.due_schedules(1),
        lambda: journal.next_schedule(),
        lambda: journal.last_seq("x"),
        lambda: journal.head(),
        lambda: journal.tickets("x"),
    )
    for question in questions:
        assert _steps(journal, question) < 40


def test_retention_costs_the_same_however_many_runs_there_are(tmp_path: Path) -> None:
    few, many = (SqliteJournal(tmp_path / f"{size}.db") for size in (500, 2_500))
    for journal, size in ((few, 500), (many, 2_500)):
        fill(journal, size)
    questions = zip(questions_of_retention(few, 500), questions_of_retention(many, 2_500), strict=True)
    for number, (small, large) in enumerate(questions):
        steps = _steps(few, small), _steps(many, large)
        assert steps[1] < 1.5 * steps[0] + 20, f"question {number}: {steps} for five times as many runs"
    few.close()
    many.close()


def test_a_glance_looks_at_few_of_the_runs_and_events(journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, ask in enumerate(questions_at_a_glance(journal)):
        for sql, values in statements_of(journal, ask, monkeypatch):
            assert _scans(journal, sql, tuple(values)) == [], f"question {number}: {sql}"
        assert _steps(journal, ask) < 1_000, f"question {number}"
