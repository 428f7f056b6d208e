"""`penstock db purge`: shown first, asked for, and then gone."""

from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path

import pytest
from tests.acceptance.cli_lab import Cli

from penstock.core.events import Record, RunCompleted, RunFailed
from penstock.core.ids import derived_run_id
from penstock.journal import SqliteJournal
from penstock.journal.results import FileResultStore
from penstock.testing.samples import begin_run, created, log_line, started

pytestmark = pytest.mark.acceptance
DAY = 86_400_000_000


@pytest.fixture
def old(cli: Cli) -> Cli:
    """Runs that ended 10, 100 and 200 days ago, one of each kind and flow, the completed ones with a result file."""
    cli.home.mkdir(parents=True)
    results = FileResultStore(cli.home / "results", inline_bytes=1)
    now = int(time.time() * 1_000_000)
    with closing(SqliteJournal(cli.home / "journal.db")) as journal:
        for flow in ("load", "shop"):
            for days in (10, 100, 200):
                for kind in (RunCompleted, RunFailed):
                    name = f"{flow}-{days}-{kind.__name__.removeprefix('Run').lower()}"
                    run_id = derived_run_id((now - days * DAY) // 1000, name)
                    result = results.save(name)[0] if kind is RunCompleted else None
                    end = Record(kind(at=now - days * DAY + 1_000_000, result=result))
                    journal.append(run_id, 0, [created(flow, name), started(), end], [log_line(run_id)])
    for file in _files(cli):
        os.utime(file, (1, 1))
    return cli


def _files(cli: Cli) -> list[Path]:
    return [file for file in (cli.home / "results").rglob("*") if file.is_file()]


def _names(cli: Cli) -> set[str]:
    return {run["name"] for run in cli.json("runs", "list")["runs"]}


def test_what_the_settings_say_is_old(old: Cli) -> None:
    before = _names(old)
    told = old.run("db", "purge", "--dry-run").out
    assert "6 runs would be removed" in told
    assert "2 Completed, 1 Failed" in told
    assert _names(old) == before
    refused = old.run("db", "purge", code=2).err
    assert "there is nobody to ask" in refused
    assert "Hint: add --yes" in refused
    assert _names(old) == before
    assert "✓ Removed 6 runs" in old.run("db", "purge", "--yes").out
    gone = {"load-100-completed", "load-200-completed", "load-200-failed"}
    assert before - _names(old) == gone | {name.replace("load", "shop") for name in gone}
    assert len(_files(old)) == 2
    assert "There is nothing to remove." in old.run("db", "purge").out
    assert old.json("db", "status")["logs"] == 6


def test_in_so_many_words(old: Cli) -> None:
    answer = old.json("db", "purge", "--older-than", "50d", "--state", "failed", "--yes")
    assert (answer["runs"], answer["subflow_runs"], answer["dry_run"]) == (4, 0, False)
    assert answer["flows"] == {"load": {"Failed": 2}, "shop": {"Failed": 2}}
    assert list(answer["ended_before"]) == ["Failed"]
    answer = old.json("db", "purge", "--older-than", "1d", "--yes")
    assert answer["kept"] == {"it is the newest run of its flow": 2}
    assert len(_names(old)) == 2
    left = {name for name in _names(old) if "completed" in name}
    assert answer["result_files"] == 6 - len(left)
    assert len(_files(old)) == len(left)


def test_settings_and_mistakes(old: Cli) -> None:
    assert old.json("db", "purge", "--dry-run", code=0)["runs"] == 6
    old.environ["PENSTOCK_RETENTION_KEEP"] = "off"
    assert old.json("db", "purge", "--dry-run")["flows"] == {"load": {"Failed": 1}, "shop": {"Failed": 1}}
    old.environ["PENSTOCK_RETENTION_KEEP_FAILED"] = "off"
    assert "Retention is off" in old.run("db", "purge", "--yes").out
    old.environ["PENSTOCK_RETENTION_KEEP_FAILED"] = "soon"
    for command in (("runs", "list"), ("db", "purge")):
        told = old.run(*command, code=2).err
        assert "retention: keep_failed is 'soon', which is no length of time" in told
        assert "Hint:" in told
    del old.environ["PENSTOCK_RETENTION_KEEP_FAILED"]
    assert "No run ends 'running'" in old.run("db", "purge", "--state", "running", code=2).err
    assert "--older-than 'soon' is no time" in old.run("db", "purge", "--older-than", "soon", code=2).err


def test_without_a_journal_none_is_made(cli: Cli) -> None:
    results = cli.home / "results" / "ab"
    results.mkdir(parents=True)
    (results / "cdef").write_text("of a journal that is somewhere else")
    os.utime(results / "cdef", (1, 1))
    assert "There is no journal yet" in cli.run("db", "purge", "--yes", code=2).err
    assert [file.name for file in cli.home.rglob("*") if file.is_file()] == ["cdef"]


@pytest.mark.integration
def test_a_journal_in_postgresql(cli: Cli, postgres_url: str) -> None:
    from penstock.journal.postgres import PostgresJournal

    with closing(PostgresJournal(postgres_url)) as journal:
        old = derived_run_id(1_700_000_000_000)
        journal.append(old, 0, [created(), started(), Record(RunCompleted(at=1_700_000_001_000_000))])
        begin_run(journal)
    cli.environ["PENSTOCK_DATABASE_URL"] = postgres_url
    assert cli.json("db", "purge", "--yes")["runs"] == 1
    assert len(cli.json("runs", "list")["runs"]) == 1
