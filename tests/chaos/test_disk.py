"""A disk that is full, and a home that cannot be written: a clear message, a sound journal, and on it goes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.chaos import workers
from tests.chaos.invariants import check_run
from tests.chaos.lab import Lab

from penstock.app import open_journal
from penstock.core.errors import JournalReadOnly
from penstock.core.events import now_us
from penstock.core.model import RunFilter
from penstock.journal.sqlite import SqliteJournal

pytestmark = pytest.mark.chaos


def mount(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["mount", *words], capture_output=True, text=True, check=False)


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A file system of its own, with little room."""
    folder.mkdir()
    if os.geteuid() != 0 or sys.platform != "linux":
        pytest.skip("only root on Linux can mount a small disk")
    mounted = mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder))
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def unwritable(home: Path) -> Iterator[None]:
    """Root may write what is forbidden, so for root it is the file system that refuses."""
    if os.geteuid() == 0:
        if mount("--bind", str(home), str(home)).returncode:
            pytest.skip("no bind mount can be made here")
        try:
            assert mount("-o", "remount,bind,ro", str(home)).returncode == 0
            yield
        finally:
            subprocess.run(["umount", "--lazy", str(home)], check=True)
        return
    modes = {path: path.stat().st_mode for path in (home, *home.iterdir())}
    for path in modes:
        path.chmod(0o555)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def fill(disk: Path, leave: int = 0) -> Path:
    """Use up the room, but for some bytes."""
    ballast = disk / "ballast"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    ballast.write_bytes(b"x" * max(free - leave, 0))
    return ballast


def lines_of(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


@pytest.mark.parametrize("size", [2_000, 200_000])
@pytest.mark.parametrize("leave", [0, 400_000])
def test_a_full_disk_stops_a_run_which_goes_on_when_there_is_room(
    lab: Lab, tmp_path: Path, size: int, leave: int
) -> None:
    """With small results it is the journal that does not fit, with large ones the result."""
    with small_disk(tmp_path / "disk", 20_000) as disk:
        store = {"home": str(disk / "home"), "database_url": ""}
        with workers.opened(store):
            pass
        ballast = fill(disk, leave)
        where = tmp_path / "effects"
        stopped = lab.run(workers.fill_journal, store=store, where=str(where), size=size)
        assert stopped.answer["error"] == "JournalFull", stopped
        assert "full" in stopped.answer["text"]
        assert "resume" in stopped.answer["text"]
        ballast.unlink()
        with closing(SqliteJournal(disk / "home" / "journal.db")) as journal:
            assert journal.check() == []
            check_goes_on(lab, journal, store, where, begun=leave > 0)


def check_goes_on(lab: Lab, journal: SqliteJournal, store: dict[str, Any], where: Path, begun: bool) -> None:
    """What was recorded before the disk was full is there, and is not done again."""
    runs = journal.runs(RunFilter())
    if not begun and not runs:
        return
    (run,) = runs
    assert run.shown_state(now_us()) in ("Crashed", "Failed")
    done = lines_of(where)
    recorded = sum(task.state == "Completed" for task in journal.task_runs(run.id))
    assert recorded > 0 or not begun
    assert len(done) - recorded in (0, 1), "what is done and not recorded is the step in flight"
    assert lab.run(workers.resume, store=store, run_id=run.id).value == workers.FILLING
    assert lines_of(where)[len(done) :] == [str(number) for number in range(recorded, workers.FILLING)]
    for each in journal.runs(RunFilter()):
        check_run(journal, each)


def test_a_disk_that_is_full_from_the_start_is_told(lab: Lab, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 200) as disk:
        ballast = fill(disk)
        store = {"home": str(disk / "home"), "database_url": ""}
        stopped = lab.run(workers.fill_journal, store=store, where=str(tmp_path / "effects"), size=10)
        assert stopped.answer["error"] in ("JournalFull", "JournalReadOnly"), stopped
        assert "full" in stopped.answer["text"]
        ballast.unlink()
        mount("-o", "remount,size=8000k", str(disk))
        assert lab.run(workers.fill_journal, store=store, where=str(tmp_path / "effects"), size=10).value


def test_a_home_that_cannot_be_written_is_told_and_not_touched(lab: Lab, tmp_path: Path) -> None:
    store = {"home": str(tmp_path / "home"), "database_url": ""}
    assert lab.run(workers.fill_journal, store=store, where=str(tmp_path / "effects"), size=10).value
    before = {path.name: path.read_bytes() for path in (tmp_path / "home").glob("*.db")}
    with unwritable(tmp_path / "home"):
        stopped = lab.run(workers.fill_journal, store=store, where=str(tmp_path / "effects"), size=10)
        assert stopped.answer["error"] == "JournalReadOnly", stopped
        assert "writable" in stopped.answer["text"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "home").glob("*.db")} == before
    assert lab.run(workers.fill_journal, store=store, where=str(tmp_path / "effects"), size=10).value


def test_a_home_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(JournalReadOnly, match="not a folder"):
        open_journal(workers.settings_of({"home": str(tmp_path / "file" / "home")}))


def test_a_home_below_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with unwritable(tmp_path / "folder"), pytest.raises(JournalReadOnly) as caught:
        open_journal(workers.settings_of({"home": str(tmp_path / "folder" / "home")}))
    assert "PENSTOCK_HOME" in str(caught.value)


def test_results_that_cannot_be_written_stop_the_run_and_not_its_record(lab: Lab, tmp_path: Path) -> None:
    """The journal is elsewhere, or has room left; the folder of results has not."""
    store: dict[str, Any] = {"home": str(tmp_path / "home"), "database_url": ""}
    (tmp_path / "home" / "results").mkdir(parents=True)
    with unwritable(tmp_path / "home" / "results"):
        stopped = lab.run(workers.fill_journal, store=store, where=str(tmp_path / "effects"), size=200_000)
        assert stopped.answer["error"] == "JournalReadOnly", stopped
        assert "results" in stopped.answer["text"]
    with closing(SqliteJournal(tmp_path / "home" / "journal.db")) as journal:
        (run,) = journal.runs(RunFilter())
    assert lab.run(workers.resume, store=store, run_id=run.id).value == workers.FILLING
