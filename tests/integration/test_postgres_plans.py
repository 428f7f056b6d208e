"""How PostgreSQL goes about what is asked of a journal with many runs: never by looking at all of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.integration.copying import copy_to_postgres
from tests.unit.listings import (
    RARE_ONES,
    RUNS,
    every_listing,
    questions_at_a_glance,
    questions_of_retention,
    statements_of,
)

from penstock.core.events import Append, Record
from penstock.core.model import Claim, RunFilter
from penstock.core.plans import RunsPurged
from penstock.journal import SqliteJournal
from penstock.journal.claims import Claiming
from penstock.journal.postgres import PostgresJournal
from penstock.journal.postgres.server import settings_sql
from penstock.journal.results import FileResultStore
from penstock.orchestrator.retention import Purge
from penstock.testing.bulk import BEGIN, SECOND, fill

pytestmark = pytest.mark.integration


@pytest.fixture
def journal(postgres_url: str, tmp_path: Path) -> Iterator[PostgresJournal]:
    """One to change something in."""
    with filled(postgres_url, tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def seen(shared_postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresJournal]:
    """One that is only looked at, by all that do."""
    with filled(shared_postgres_url, tmp_path_factory.mktemp("seen")) as found:
        yield found


@contextmanager
def filled(url: str, folder: Path) -> Iterator[PostgresJournal]:
    path = folder / "journal.db"
    source = SqliteJournal(path)
    fill(source, RUNS)
    source.close()
    copy_to_postgres(path, url)
    found = PostgresJournal(url)
    assert len(found.runs(RunFilter(limit=RUNS))) == RUNS
    yield found
    found.close()


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from _nodes(each)


def _plan(connection: psycopg.Connection[Any], sql: str, values: Sequence[Any]) -> list[dict[str, Any]]:
    text = re.sub(r"\?", "%s", sql.replace("%", "%%"))
    row = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {text}".encode(), values).fetchone()
    assert row is not None
    plan = row[0] if isinstance(row[0], list) else json.loads(row[0])
    return list(_nodes(plan[0]["Plan"]))


def _looked_at(nodes: list[dict[str, Any]]) -> float:
    """How many rows of tables and indexes were read."""
    scans = [
        node for node in nodes if "Scan" in node["Node Type"] and ("Index Name" in node or "Relation Name" in node)
    ]
    removed = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    return sum(node["Actual Loops"] * sum(node.get(name, 0) for name in removed) for node in scans)


def test_no_listing_looks_at_every_run(
    seen: PostgresJournal, shared_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(shared_postgres_url, autocommit=True) as connection:
        connection.execute(settings_sql(60.0))
        for where in every_listing():
            looked = 0.0
            for sql, values in statements_of(seen, partial(seen.runs, where), monkeypatch):
                nodes = _plan(connection, sql, values)
                scanned = [node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"]
                assert scanned == [], f"{where}\n{sql}"
                looked += _looked_at(nodes)
            assert looked < RUNS, where


def test_a_rare_condition_is_looked_up_first(
    seen: PostgresJournal, shared_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(shared_postgres_url, autocommit=True) as connection:
        connection.execute(settings_sql(60.0))
        for name, value in RARE_ONES.items():
            for more in ({"states": ("Failed", "Completed")}, {"tags": ("prod",)}, {"deployment": "deployment 7"}):
                if name in more:
                    continue
                where = RunFilter(**{name: value, **more})
                told = statements_of(seen, partial(seen.runs, where), monkeypatch)
                looked = sum(_looked_at(_plan(connection, sql, values)) for sql, values in told)
                assert looked < RUNS / 5, where


def test_finding_a_run_looks_at_few(
    seen: PostgresJournal, shared_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = seen.runs(RunFilter(limit=1))[0].id
    with psycopg.connect(shared_postgres_url, autocommit=True) as connection:
        connection.execute(settings_sql(60.0))
        for text in (run_id[:8], run_id[-12:], run_id[-8:], run_id[-4:], "amber-otter", "no such run"):
            for sql, values in statements_of(seen, partial(seen.find, text), monkeypatch):
                nodes = _plan(connection, sql, values)
                assert "Seq Scan" not in {node["Node Type"] for node in nodes}, sql
                assert _looked_at(nodes) < RUNS / 5


def test_a_glance_looks_at_few_of_the_runs_and_events(
    seen: PostgresJournal, shared_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(shared_postgres_url, autocommit=True) as connection:
        connection.execute(settings_sql(60.0))
        for number, ask in enumerate(questions_at_a_glance(seen)):
            looked = 0.0
            for sql, values in statements_of(seen, ask, monkeypatch):
                nodes = _plan(connection, sql, values)
                assert "Seq Scan" not in {node["Node Type"] for node in nodes}, f"question {number}: {sql}"
                looked += _looked_at(nodes)
            assert looked < RUNS / 2, f"question {number}"


def test_claiming_looks_at_few_of_the_runs_that_wait(journal: PostgresJournal, postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(settings_sql(60.0))
        connection.execute(
            "UPDATE runs SET pool = 'default', queue = 'q' || right(id, 1), due_at = 1, owner = NULL "
            "WHERE parent_id IS NULL"
        )
        connection.execute("UPDATE runs SET due_at = 1000 WHERE pool IS NOT NULL AND right(id, 2) < 'c'")
        statements: list[tuple[str, Sequence[Any]]] = []
        with connection.transaction(force_rollback=True):

            def execute(sql: str, values: Sequence[Any] = ()) -> list[Any]:
                statements.append((sql, values))
                return connection.execute(re.sub(r"\?", "%s", sql.replace("%", "%%")).encode(), values).fetchall()

            claim = Claim(pool="default", owner="me", now=500, lease_until=900, limit=7)
            lanes = Claiming(execute, claim, journal._claims)._lanes()
            assert len(lanes) > 10
            Claiming(execute, claim, journal._claims)._page(lanes[:7])
        for sql, values in statements:
            assert _looked_at(_plan(connection, sql, values)) < 200, sql


def test_retention_looks_at_what_it_removes(
    seen: PostgresJournal, shared_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = questions_of_retention(seen)
    statements: list[tuple[str, Sequence[Any]]] = []

    def only_noted(some: Sequence[tuple[str, Sequence[Any]]]) -> list[int]:
        statements.extend(some)
        return [0] * len(some)

    def fetched(sql: str, values: Sequence[Any] = ()) -> list[Any]:
        statements.append((sql, values))
        return fetch(sql, values)

    fetch = seen._fetch
    monkeypatch.setattr(seen, "_fetch", fetched)
    monkeypatch.setattr(seen, "_write", only_noted)
    monkeypatch.setattr(seen, "_append_with", lambda item, some: only_noted(some))
    for question in questions:
        question()
    assert len(statements) > 20
    with psycopg.connect(shared_postgres_url, autocommit=True) as connection:
        connection.execute(settings_sql(60.0))
        for sql, values in statements:
            with connection.transaction(force_rollback=True):
                nodes = _plan(connection, sql, values)
            scanned = {node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"}
            assert scanned <= {"cache", "artifacts", "tickets", "cursors", "owed_actions", "partitions"}, sql
            assert _looked_at(nodes) < 1_000, sql


def test_retention_waits_for_nobody_who_appends(journal: PostgresJournal, postgres_url: str) -> None:
    """Another transaction that has written and not committed stops no removal, and a removal stops no append."""
    runs = [run.id for run in journal.ended_before("Completed", BEGIN + RUNS * SECOND, limit=100)]
    told = Append("retention/runs", 0, [Record(RunsPurged(at=1, runs=100, before=1))])
    newest = journal.runs(RunFilter(limit=1))[0].id
    insert = "INSERT INTO penstock.events VALUES (-1, 'x', 1, 'Happened', 1, 1, '{}', NULL)"
    with psycopg.connect(postgres_url) as other:
        other.execute(insert)
        other.execute("UPDATE penstock.runs SET message = 'x' WHERE id = %s", (newest,))
        impatient = PostgresJournal(postgres_url, outage_seconds=5)
        impatient.purge(runs, told)
        impatient.close()
        other.commit()
    assert not {run.id for run in journal.runs(RunFilter(limit=RUNS))} & set(runs)
    results = FileResultStore(Path("none"))
    end = BEGIN + 2 * RUNS * SECOND
    done = Purge(journal, results, {"Completed": end}, end, parts=range(0), rest=lambda _: None)
    with psycopg.connect(postgres_url) as other:
        for number, _ in enumerate(done.steps()):
            other.execute(insert.replace("(-1, 'x', 1", f"(-{number + 2}, 'x', {number + 2}"))
        other.commit()
    left = journal.runs(RunFilter(states=("Completed",), limit=RUNS))
    assert done.done.runs > RUNS / 2
    assert len(left) == done.done.kept.total()
