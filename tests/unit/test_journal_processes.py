"""One SQLite file, many processes: nobody sees a lock, nobody loses a record, and a forked child harms nothing."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.journal_workers import APPENDS, PROCESSES, append_often, open_at_once

from penstock.core.errors import WrongProcess
from penstock.core.ids import new_run_id
from penstock.core.model import RunFilter
from penstock.journal import SqliteJournal, sqlite
from penstock.testing.samples import begin_run, contents, log_line, task_completed


def _crowd(count: int, target: Callable[..., None], *arguments: Any) -> list[Any]:
    context = multiprocessing.get_context("spawn")
    gate, answers = context.Barrier(count), context.Queue()
    workers = [context.Process(target=target, args=(*arguments, gate, answers)) for _ in range(count)]
    for worker in workers:
        worker.start()
    found = [answers.get(timeout=100) for _ in workers]
    for worker in workers:
        worker.join()
    return found


def test_sixteen_processes_on_one_new_file(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    shared = new_run_id()
    answers = _crowd(PROCESSES, append_often, str(path), shared)
    journal = SqliteJournal(path)
    assert all(len(answer) == 36 for answer, _ in answers), "\n".join(answer for answer, _ in answers)
    for run_id, _ in answers:
        assert [stored.seq for stored in journal.load(run_id)] == list(range(1, APPENDS + 3))
        assert len(journal.task_runs(run_id)) == len(journal.logs(run_id)) == APPENDS
    wins = sum(won for _, won in answers)
    assert [stored.seq for stored in journal.load(shared)] == list(range(1, wins + 3))
    assert len(journal.task_runs(shared)) == wins
    total = PROCESSES * (APPENDS + 2) + wins + 2
    positions = [stored.position for stored in journal.read(0, 100_000)]
    assert len(positions) == len(set(positions)) == total
    assert journal.check() == []
    journal.close()


@pytest.mark.parametrize("left_behind", ["nothing", "an empty file", "a database without tables"])
def test_many_processes_make_one_file(tmp_path: Path, left_behind: str) -> None:
    path = tmp_path / "home" / "journal.db"
    if left_behind != "nothing":
        path.parent.mkdir()
        path.touch()
    if left_behind == "a database without tables":
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.close()
    answers = _crowd(6, open_at_once, str(path))
    assert all(len(answer) == 36 for answer in answers), "\n".join(answers)
    journal = SqliteJournal(path)
    assert sorted(run.id for run in journal.runs(RunFilter())) == sorted(answers)
    journal.close()


def _fork(child: Callable[[], None]) -> int:
    """Fork a child that ends as programs do, destructors and all; returns its exit status."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns where there are threads
        pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    status = 1
    try:
        child()
        status = 0
    finally:
        _close_all_sqlite_connections()
        os._exit(status)


def _close_all_sqlite_connections() -> None:
    """What the end of an interpreter does: every connection object goes, and is closed by that."""
    for journal in list(sqlite._open):
        journal.__dict__.clear()
    sqlite._inherited.clear()


def test_a_forked_child_is_refused(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    run_id = begin_run(journal)
    before = contents(journal, run_id)

    def child() -> None:
        for use in (
            lambda: journal.append(run_id, 2, [task_completed()]),
            lambda: journal.write_logs([log_line(run_id)]),
            lambda: journal.run(run_id),
            lambda: journal.delete([run_id]),
            lambda: list(journal.load(run_id)),
        ):
            with pytest.raises(WrongProcess):
                use()
        journal.close()
        own = SqliteJournal(tmp_path / "journal.db")
        begin_run(own)
        own.close()

    assert _fork(child) == 0
    assert contents(journal, run_id) == before
    assert len(journal.runs(RunFilter())) == 2
    journal.close()


def _visit(path: Path) -> None:
    """Another process opens and closes the journal. Alone with the file, it would delete the log of pending pages."""
    code = """
import pathlib, sys
from penstock.journal import SqliteJournal
SqliteJournal(pathlib.Path(sys.argv[1])).close()
"""
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)


def test_a_forked_child_does_not_drop_its_parents_locks(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    run_id = begin_run(journal)
    log = os.stat(f"{path}-wal").st_ino
    assert _fork(lambda: None) == 0
    _visit(path)
    assert os.stat(f"{path}-wal").st_ino == log, "the parent's lock is gone: its write-ahead log was deleted"
    for number in range(50):
        journal.append(run_id, 2 + number, [task_completed(number)])
    other = SqliteJournal(path)
    assert len(other.task_runs(run_id)) == 50
    other.close()
    journal.close()


def test_forking_while_another_thread_appends(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    run_id = begin_run(journal)
    done = threading.Event()
    written = 0

    def append() -> None:
        nonlocal written
        while not done.is_set():
            journal.append(run_id, 2 + written, [task_completed(written)])
            written += 1

    appending = threading.Thread(target=append)
    appending.start()
    try:
        statuses = [_fork(lambda: None) for _ in range(40)]
    finally:
        done.set()
        appending.join()
    assert statuses == [0] * 40
    assert written > 0
    assert len(journal.task_runs(run_id)) == written
    assert journal.check() == []
    journal.close()
    again = SqliteJournal(path)
    assert [stored.seq for stored in again.load(run_id)] == list(range(1, written + 3))
    assert again.check() == []
    again.close()
