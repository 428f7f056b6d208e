"""A growing file as a stream: every line once, through rotations, from any position."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import random
import shutil
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests import patience

from penstock.connectors.files import Tail, rotation
from penstock.core.errors import ConfigurationError, SourceChanged
from penstock.core.ports.data import Position
from penstock.data.ingest import ingest
from penstock.testing.data_memory import Memory, MemorySink

until = partial(patience.until, seconds=20.0)


class Writer:
    """Writes a log, and rotates it as logrotate does."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "app.log"
        self.position: Position | None = None
        self.rejected: list[tuple[str, str]] = []

    def add(self, text: str | bytes) -> None:
        with self.path.open("ab") as file:
            file.write(text if isinstance(text, bytes) else text.encode())

    def _make_room(self) -> None:
        old = [path for path in self.folder.iterdir() if path.name.startswith("app.log.")]
        for path in sorted(old, key=lambda path: int(path.name.split(".")[2]), reverse=True):
            number, *rest = path.name.split(".")[2:]
            path.rename(self.folder / ".".join(["app.log", str(int(number) + 1), *rest]))

    def rename(self) -> None:
        self._make_room()
        self.path.rename(self.folder / "app.log.1")

    def copy_and_cut(self) -> None:
        self._make_room()
        shutil.copy(self.path, self.folder / "app.log.1")
        os.truncate(self.path, 0)

    def pack(self, number: int) -> None:
        path = self.folder / f"app.log.{number}"
        stat = path.stat()
        packed = path.with_name(f"{path.name}.gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        os.utime(packed, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        path.unlink()

    def lines(self, *, batches: int = 1 << 30, **options: Any) -> list[str]:
        """What is new, of so many batches."""
        found: list[str] = []
        source = Tail(self.path, **{"follow": False, "rotate_seconds": 0, **options})
        for batch in itertools.islice(source.batches(self.position), batches):
            found += [line for part in batch.parts for line in part.rows["line"].to_pylist()]
            self.rejected += [(one.where.rpartition("/")[2], one.reason) for one in batch.rejected]
            self.position = json.loads(json.dumps(batch.position))
        return found


@pytest.fixture
def log(tmp_path: Path) -> Writer:
    return Writer(tmp_path)


def test_a_line_is_handed_out_when_its_end_is_there(log: Writer) -> None:
    assert log.lines() == []
    log.add("one\r\ntwo\n\npart")
    assert log.lines() == ["one", "two", ""]
    assert log.lines() == []
    log.add("ial\n")
    assert log.lines() == ["partial"]


def test_a_log_that_is_renamed(log: Writer) -> None:
    log.add("a\nb\n")
    assert log.lines() == ["a", "b"]
    log.add("c\nno line end")
    log.rename()
    assert log.lines() == ["c"]
    log.add("d\n")
    assert log.lines() == ["no line end", "d"]


def test_a_log_that_is_renamed_several_times_while_nobody_reads(log: Writer) -> None:
    log.add("a\nb\n")
    assert log.lines() == ["a", "b"]
    for number in range(3):
        log.add(f"end {number}\n")
        log.rename()
    for number in (3, 2):
        log.pack(number)
    log.add("now\n")
    assert log.lines(batches=2) == ["end 0", "end 1"]
    assert log.lines() == ["end 2", "now"]


def test_a_log_that_is_copied_and_cut(log: Writer) -> None:
    log.add("a\nb\n")
    assert log.lines() == ["a", "b"]
    log.add("c\n")
    log.copy_and_cut()
    log.add("something longer than all that was there before\n")
    assert log.lines() == ["c", "something longer than all that was there before"]
    log.copy_and_cut()
    log.add("e\n")
    assert log.lines() == ["e"]


class Between:
    """Lets something happen just before the reader looks at the file system for the so-many-th time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 0
        self.deed: Callable[[], None] = lambda: None
        for name in ("fstat", "listdir", "pread", "stat"):
            monkeypatch.setattr(os, name, self._first(getattr(os, name)))
        monkeypatch.setattr(rotation, "open", self._first(open), raising=False)

    def _first(self, look: Any) -> Any:
        def looking(*args: Any, **options: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                self.deed()
            return look(*args, **options)

        return looking


@pytest.mark.parametrize("then", ["line 1\n", "line 1\nmore 1\n", "line 1, which is longer\nthan all before\n", ""])
@pytest.mark.parametrize("how", ["rename", "copy_and_cut"])
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("partial", ["", "mo"])
def test_a_rotation_between_any_two_looks_of_the_reader(
    how: str, then: str, times: int, partial: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    between = Between(monkeypatch)
    for at in itertools.count(1):
        (folder := tmp_path / str(at)).mkdir()
        log = Writer(folder)
        log.add("line 0\n" + partial)
        assert log.lines() == ["line 0"]

        def rotate(log: Writer = log) -> None:
            between.left = 0
            log.add("more 0\n".removeprefix(partial))
            getattr(log, how)()
            for number in range(1, times):
                log.add(f"between {number}\n")
                getattr(log, how)()
            log.add(then)

        between.left, between.deed = at, rotate
        got = log.lines()
        happened, between.left = between.left <= 0, 0
        got += log.lines()
        if not happened:
            break
        assert got == ["more 0", *(f"between {number}" for number in range(1, times)), *then.splitlines()], at
    assert at > 10


def test_what_is_gone_is_told(log: Writer) -> None:
    log.add("a\nb\n")
    assert log.lines() == ["a", "b"]
    log.add("never read\n")
    log.path.unlink()
    log.add("new\n")
    with pytest.raises(SourceChanged, match=r"app\.log@4: what came after this byte was not read") as told:
        log.lines()
    assert "gaps='report'" in str(told.value)
    assert log.lines(gaps="report") == ["new"]
    assert [where for where, _ in log.rejected] == ["app.log@4"]
    assert log.lines() == []


@pytest.mark.parametrize("seed", range(20))
def test_any_history_of_a_log_is_read_once(seed: int, tmp_path: Path) -> None:
    rng, log, wanted = random.Random(seed), Writer(tmp_path), ["start"]
    log.add("start\n")
    got = log.lines()  # from here on: what was rotated before the first reading is not read
    for step in range(60):
        action = rng.random()
        if action < 0.5 or not log.path.exists():
            lines = [f"{step} {rng.random()}" for _ in range(rng.randrange(1, 40))]
            wanted += lines
            log.add("".join(f"{line}\n" for line in lines))
        elif action < 0.75:
            got += log.lines(batches=rng.randrange(1, 4), batch_bytes=1024)
        elif log.path.stat().st_size:
            (log.rename if rng.random() < 0.5 else log.copy_and_cut)()
            if rng.random() < 0.3 and (log.folder / "app.log.2").exists():
                log.pack(2)
            lines = [f"{step} after"]
            wanted += lines
            log.add(f"{lines[0]}\n")
            for old in log.folder.glob("app.log.*"):
                assert old.stat().st_mtime_ns <= log.path.stat().st_mtime_ns
    got += log.lines()
    assert got == wanted


def test_lines_that_are_no_text_or_no_record_are_rejected(log: Writer) -> None:
    log.add(b"a\n\xff\nb\n")
    assert log.lines() == ["a", "b"]
    assert log.rejected == [("app.log:2@2", "byte 0xff at column 1 is no UTF-8")]
    source = Tail(log.path, format="ndjson", schema={"id": "int64"}, follow=False)
    log.add('{"id":1}\nnot\n{"id":"x"}\n{"id":2}\n')
    batches = list(source.batches(None))
    assert [row for batch in batches for part in batch.parts for row in part.rows.to_pylist()] == [{"id": 1}, {"id": 2}]
    assert len([one for batch in batches for one in batch.rejected]) == 5


def test_following_hands_out_what_is_written_through_a_rotation(log: Writer) -> None:
    memory, stop = Memory(), threading.Event()
    source = Tail(log.path, poll_seconds=0.02, rotate_seconds=0.1)
    thread = threading.Thread(target=lambda: ingest(source, MemorySink(memory), name="pipe", stop=stop))
    thread.start()

    def arrived() -> list[str]:
        return [row["line"] for row in memory.tables.get("rows", ())]

    wanted: list[str] = []
    try:
        for number in range(4):
            wanted.append(f"line {number}")
            log.add(f"line {number}\n")
            until(lambda: arrived() == wanted)
            wanted.append(f"more {number}")
            log.add(f"more {number}\n")
            log.rename() if number % 2 else log.copy_and_cut()
        wanted.append("end")
        log.add("end\n")
        until(lambda: arrived() == wanted)
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()


def test_a_writer_that_goes_on_with_the_old_file_for_a_moment(log: Writer) -> None:
    source = Tail(log.path, poll_seconds=0.01, rotate_seconds=0.3)
    log.add("a\n")
    with log.path.open("a") as old:
        log.rename()
        log.add("new\n")
        found: list[str] = []
        late = 0
        for batch in source.batches({"tail": 1, "spot": _spot(log)}):
            found += [line for part in batch.parts for line in part.rows["line"].to_pylist()]
            if late < 3 and not batch.parts:
                late += 1
                old.write(f"late {late}\n")
                old.flush()
            if "new" in found:
                source.close()
    assert found == ["a", "late 1", "late 2", "late 3", "new"]


def _spot(log: Writer) -> dict[str, Any]:
    inode = (log.folder / "app.log.1").stat().st_ino
    return {"inode": inode, "head": "", "known": 0, "offset": 0, "line": 1}


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError, match="4 mistakes in Tail"):
        Tail("", format="csv", gaps="no", poll_seconds=0)  # type: ignore[arg-type]


def test_a_position_of_something_else_is_refused(log: Writer) -> None:
    log.position = {"files": 1}
    with pytest.raises(SourceChanged, match="no position of a tailing source"):
        log.lines()
