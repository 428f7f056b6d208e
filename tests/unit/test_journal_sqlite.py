"""The SQLite journal among damaged files, foreign files, full disks and other processes."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import (
    JournalCorrupt,
    JournalError,
    JournalFull,
    JournalOutdated,
    JournalReadOnly,
    JournalTooNew,
    JournalUnavailable,
    SequenceConflict,
)
from penstock.core.events import Record, RunCompleted, RunCreated
from penstock.core.model import RunFilter
from penstock.journal import SqliteJournal, sqlite, versions
from penstock.journal.upgrade import upgrade
from penstock.testing.samples import begin_run, contents, created, log_line, task_completed

pytest_plugins = ("tests.unit.disks",)


def _journal_with_a_run(path: Path, steps: int = 300) -> str:
    journal = SqliteJournal(path)
    run_id = begin_run(journal)
    journal.append(run_id, 2, [task_completed(number) for number in range(1, steps + 1)])
    journal.close()
    return run_id


def _bytes_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


GARBAGE = {
    "text": b"flow,runs\nshop,3\n" * 100,
    "zeros": bytes(8192),
    "a short one": b"x",
    "a header and no more": b"SQLite format 3\0" + bytes(50),
}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE)
def test_a_file_that_is_none_is_refused_untouched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(content)
    for action in (SqliteJournal, upgrade):
        with pytest.raises(JournalCorrupt) as caught:
            action(path)
        assert "move the file away" in str(caught.value)
    assert path.read_bytes() == content


def test_the_database_of_another_program_is_refused_untouched(tmp_path: Path) -> None:
    for name, script in {
        "other.db": "CREATE TABLE users (id INTEGER); INSERT INTO users VALUES (1)",
        "alembic.db": "CREATE TABLE users (id INTEGER); CREATE TABLE alembic_version (version_num TEXT)",
    }.items():
        path = tmp_path / name
        with sqlite3.connect(path) as connection:
            connection.executescript(script)
        connection.close()
        before = _bytes_in(tmp_path)
        for action in (SqliteJournal, upgrade):
            with pytest.raises(JournalCorrupt, match=r"(no|not a) Penstock journal"):
                action(path)
        assert _bytes_in(tmp_path) == before


def test_a_truncated_journal_is_noticed(tmp_path: Path) -> None:
    whole = tmp_path / "whole.db"
    run_id = _journal_with_a_run(whole)
    content = whole.read_bytes()
    for size in (100, 4096, len(content) // 2, len(content) - 4096):
        path = tmp_path / f"{size}.db"
        path.write_bytes(content[:size])
        with pytest.raises(JournalCorrupt):
            list(SqliteJournal(path).load(run_id))
        assert path.read_bytes() == content[:size]


def test_damage_inside_is_found_by_the_check(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    _journal_with_a_run(path)
    journal = SqliteJournal(path)
    assert journal.check() == []
    journal.close()
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = b"\xaa" * 4096
    path.write_bytes(content)
    journal = SqliteJournal(path)
    assert journal.check() != []
    journal.close()


def test_an_empty_file_becomes_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.touch()
    journal = SqliteJournal(path)
    assert journal.status()["layout"] == versions.HEAD
    journal.close()


def test_a_newer_layout_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    _journal_with_a_run(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    before = _bytes_in(tmp_path)
    for action in (SqliteJournal, upgrade):
        with pytest.raises(JournalTooNew, match="9999") as caught:
            action(path)
        assert "upgrade Penstock" in str(caught.value)
    assert _bytes_in(tmp_path) == before


def test_an_older_layout_is_refused_untouched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal.db"
    _journal_with_a_run(path)
    before = _bytes_in(tmp_path)
    monkeypatch.setattr(versions, "KNOWN", (versions.HEAD, "0999"))
    monkeypatch.setattr(versions, "HEAD", "0999")
    with pytest.raises(JournalOutdated, match="penstock db upgrade"):
        SqliteJournal(path)
    assert _bytes_in(tmp_path) == before


def test_a_folder_where_the_file_should_be(tmp_path: Path) -> None:
    (tmp_path / "journal.db").mkdir()
    with pytest.raises(JournalReadOnly):
        SqliteJournal(tmp_path / "journal.db")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(JournalReadOnly):
        SqliteJournal(tmp_path / "file" / "journal.db")
    assert (tmp_path / "file").read_text() == "mine"


def test_the_home_folder_is_made_and_kept_out_of_git(tmp_path: Path) -> None:
    SqliteJournal(tmp_path / "a" / ".penstock" / "journal.db").close()
    assert (tmp_path / "a" / ".penstock" / ".gitignore").read_text() == "*\n"


def test_a_read_only_home(read_only_folder: Path) -> None:
    with pytest.raises(JournalReadOnly) as caught:
        SqliteJournal(read_only_folder / "home" / "journal.db")
    assert "PENSTOCK_HOME" in str(caught.value)


def test_a_full_disk_loses_nothing_that_was_recorded(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_500_000))
    journal = SqliteJournal(small_disk / "journal.db")
    run_id = begin_run(journal)
    written = _fill(journal, run_id, 0)
    assert written > 3
    assert [task.ordinal for task in journal.task_runs(run_id)] == list(range(1, written + 1))
    assert len(journal.logs(run_id)) == written
    ballast.unlink()
    written = _fill(journal, run_id, written)
    journal.close()
    again = SqliteJournal(small_disk / "journal.db")
    assert again.check() == []
    assert [stored.seq for stored in again.load(run_id)] == list(range(1, written + 3))
    assert [task.ordinal for task in again.task_runs(run_id)] == list(range(1, written + 1))
    again.close()


def _fill(journal: SqliteJournal, run_id: str, written: int) -> int:
    """Append until the disk is full; returns how many steps are recorded."""
    while True:
        record = Record(task_completed(written + 1).event, os.urandom(60_000))
        try:
            journal.append(run_id, 2 + written, [record], [log_line(run_id)])
        except JournalFull:
            return written
        written += 1


def test_commits_are_synced_where_asked(tmp_path: Path) -> None:
    for full, level in ((False, 1), (True, 2)):
        journal = SqliteJournal(tmp_path / "journal.db", full=full)
        assert journal._fetch("PRAGMA synchronous")[0][0] == level
        assert journal._fetch("PRAGMA journal_mode")[0][0] == "wal"
        journal.close()


def test_who_waits_too_long_is_told(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path, wait_seconds=0.05)
    run_id = begin_run(journal)
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    for write in (
        lambda: journal.append(run_id, 2, [task_completed()]),
        lambda: journal.write_logs([log_line(run_id)]),
        lambda: journal.delete([run_id]),
    ):
        with pytest.raises(JournalUnavailable, match="locked"):
            write()
    assert journal.run(run_id) is not None
    blocker.execute("ROLLBACK")
    blocker.close()
    journal.append(run_id, 2, [task_completed()])
    journal.close()


def test_a_writer_waits_for_its_turn(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    run_id = begin_run(journal)
    blocker = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    blocker.execute("BEGIN IMMEDIATE")
    waiting = threading.Thread(target=lambda: journal.append(run_id, 2, [task_completed()]))
    waiting.start()
    waiting.join(timeout=0.2)
    assert waiting.is_alive()
    blocker.execute("COMMIT")
    blocker.close()
    waiting.join()
    assert len(list(journal.load(run_id))) == 3
    journal.close()


def test_a_constraint_that_is_not_the_sequence_is_no_conflict(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    nameless: Any = RunCreated(at=1, flow="shop", name=None)  # type: ignore[arg-type]
    with pytest.raises(JournalError) as caught:
        journal.append("run", 0, [Record(nameless)])
    assert not isinstance(caught.value, SequenceConflict)
    assert contents(journal, "run") == ([], None, [], [])
    journal.close()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_an_interrupted_append_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    run_id = begin_run(journal)
    before = contents(journal, run_id)

    def interrupt(*_: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(sqlite, "log_row", interrupt)
        with pytest.raises(error):
            journal.append(run_id, 2, [task_completed(), Record(RunCompleted(at=1))], [log_line(run_id)])
    assert contents(journal, run_id) == before
    journal.append(run_id, 2, [task_completed()])
    journal.close()


def test_tombstones_do_not_pile_up(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    for number in range(20):
        run_id = begin_run(journal)
        journal.append(run_id, 2, [Record(RunCompleted(at=number))])
    runs = [run.id for run in journal.runs(RunFilter())]
    assert journal.delete(runs) == 20
    journal.append("anew", 0, [created()])
    assert journal.status()["events"] == 2, "one tombstone, for the newest event, and the new run's record"
    journal.close()
