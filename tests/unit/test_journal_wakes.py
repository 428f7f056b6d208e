"""Watching one SQLite file from several processes."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.journal import SqliteJournal, wakes
from penstock.testing.samples import created

_PATIENCE_SECONDS = 60.0
_APPENDS = """
import pathlib, sys
from penstock.journal import SqliteJournal
from penstock.testing.samples import created
journal = SqliteJournal(pathlib.Path(sys.argv[1]))
journal.append(sys.argv[2], 0, [created(due_at=5)])
journal.close()
"""
_WATCHES = """
import pathlib, sys, time
from penstock.journal import SqliteJournal
watch = SqliteJournal(pathlib.Path(sys.argv[1])).watch()
print("watching", flush=True)
time.sleep(600)
"""


def test_another_process_wakes_whatever_its_temporary_folder(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    watch = SqliteJournal(path).watch()
    elsewhere = tmp_path / "tmp"
    elsewhere.mkdir()
    for number, folder in enumerate((None, elsewhere)):
        environment = {**os.environ, "TMPDIR": str(folder)} if folder else dict(os.environ)
        link = tmp_path / f"link-{number}"
        link.symlink_to(tmp_path)
        command = [sys.executable, "-c", _APPENDS, str(link / "journal.db"), f"run {number}"]
        subprocess.run(command, check=True, env=environment)
        assert watch.wait(_PATIENCE_SECONDS)
    watch.close()


def test_a_watcher_that_was_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    watcher = subprocess.Popen([sys.executable, "-c", _WATCHES, str(path)], stdout=subprocess.PIPE, text=True)
    assert watcher.stdout is not None
    assert watcher.stdout.readline() == "watching\n"
    folder = Path(wakes._folder(path))
    assert len(list(folder.iterdir())) == 1
    watcher.send_signal(signal.SIGKILL)
    watcher.communicate()
    journal.append("run", 0, [created(due_at=5)])
    assert list(folder.iterdir()) == []
    watch = journal.watch()
    watch.close()
    assert not folder.exists()
    journal.close()


def test_where_no_socket_can_be_made_only_the_own_process_wakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.db"
    blocked = tmp_path / "blocked"
    blocked.touch()
    monkeypatch.setitem(wakes._folders, str(path), str(blocked / "penstock" / "x"))
    journal = SqliteJournal(path)
    watch = journal.watch()
    journal.append("run", 0, [created(due_at=5)])
    assert not watch.wait(0.01)
    watch.wake()
    assert watch.wait(_PATIENCE_SECONDS)
    watch.close()
    journal.close()


def test_numbers_above_those_select_takes(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1_500:
        pytest.skip("this process may not open so many files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1_500), hard))
    journal = SqliteJournal(tmp_path / "journal.db")
    many = [os.open("/dev/null", os.O_RDONLY) for _ in range(1_100)]
    try:
        watch = journal.watch()
        journal.append("run", 0, [created(due_at=5)])
        assert watch.wait(_PATIENCE_SECONDS)
        watch.close()
    finally:
        for number in many:
            os.close(number)
        journal.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
