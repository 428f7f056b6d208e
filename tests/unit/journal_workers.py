"""What other processes do to a journal; they import nothing more than this, so that they start fast."""

from __future__ import annotations

import os
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from penstock.core.errors import SequenceConflict
from penstock.core.ports import Journal
from penstock.journal import SqliteJournal
from penstock.testing.samples import begin_run, log_line, task_completed

APPENDS = 200
PROCESSES = 16


def append_often(path: str, shared: str, gate: Any, answers: Any) -> None:
    try:
        gate.wait()
        journal = SqliteJournal(Path(path))
        with suppress(SequenceConflict):
            begin_run(journal, shared)
        run_id = begin_run(journal)
        won = 0
        for number in range(APPENDS):
            journal.append(run_id, 2 + number, [task_completed(number)], [log_line(run_id)])
            if number % 20 == 0:
                won += _append_to_shared(journal, shared, number)
        journal.close()
        answers.put((run_id, won))
    except BaseException:
        answers.put((traceback.format_exc(), 0))


def _append_to_shared(journal: Journal, run_id: str, number: int) -> bool:
    seq = max(stored.seq for stored in journal.load(run_id))
    try:
        journal.append(run_id, seq, [task_completed(number, f"of_{os.getpid()}")])
    except SequenceConflict:
        return False
    return True


def open_at_once(path: str, gate: Any, answers: Any) -> None:
    try:
        gate.wait()
        journal = SqliteJournal(Path(path))
        answers.put(begin_run(journal))
        journal.close()
    except BaseException:
        answers.put(traceback.format_exc())


def open_postgres_at_once(url: str, gate: Any, answers: Any) -> None:
    from penstock.journal.postgres import PostgresJournal

    try:
        gate.wait()
        journal = PostgresJournal(url)
        answers.put(begin_run(journal))
        journal.close()
    except BaseException:
        answers.put(traceback.format_exc())
