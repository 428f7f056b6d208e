"""Lines that are written: all of them, each once, whatever is killed and whoever comes again."""

from __future__ import annotations

import errno
import gzip
import os
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.unit.log_lines import HOSTILE, PLAIN, write
from tests.unit.test_logs_text import HDFS, JSON

from penstock.core.errors import BadData, SinkUnavailable
from penstock.processing.logs import LogAnalyzer, LogReport, Traffic, Written, folder, generate
from penstock.stores.lake import Lake
from penstock.testing.data_memory import MemorySink


def kept(out: Path, columns: str = "line") -> list[Any]:
    """What is there, in order."""
    files = sorted(out.glob("day=*/hour=*/*.parquet"))
    if not files:
        return []
    return pl.concat([pl.read_parquet(file) for file in files]).sort("file", "line")[columns].to_list()


def wrong(out: Path) -> list[tuple[int, str]]:
    files = sorted((out / "_malformed").glob("*.parquet"))
    return [row for file in files for row in pl.read_parquet(file).sort("line").select("line", "text").iter_rows()]


def done(report: LogReport) -> Written:
    assert report.written is not None
    return report.written


def told(report: LogReport) -> dict[str, Any]:
    return {name: value for name, value in report.to_dict().items() if name not in ("seconds", "written")}


def test_all_lines_are_there_and_the_report_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "_MOST_ROWS", 3000)
    path, out = tmp_path / "a.log", tmp_path / "out"
    generate(path, Traffic(lines=20_000, seed=5))
    for _ in range(2):  # the second time takes the place of the first
        report = LogAnalyzer(1 << 20).write(path, out)
        assert told(report) == told(LogAnalyzer(1 << 20).analyze(path))
        frames = list(LogAnalyzer().process_logs_stream(path))
        assert kept(out) == pl.concat(frames)["line"].to_list()
        assert done(report).rows == report.parsed
        assert [line for line, _ in wrong(out)] == [sample.line for sample in report.samples]
    files = list(out.glob("day=*/hour=*/*.parquet"))
    assert len(files) + 1 == done(report).files
    for file in files[::7]:
        hours = pl.read_parquet(file)["time"].dt.strftime("day=%Y-%m-%d/hour=%H").unique().to_list()
        assert hours == [f"{file.parent.parent.name}/{file.parent.name}"]


def test_the_whole_of_a_malformed_line_is_kept(tmp_path: Path) -> None:
    text = "x" * 3000
    LogAnalyzer().write(write(tmp_path / "a.log", [PLAIN, text.encode(), b"", b"\xff\xfe"]), tmp_path / "out")
    assert wrong(tmp_path / "out") == [(2, text), (4, "\\xff\\xfe")]


@pytest.mark.parametrize("lines", [HOSTILE, HDFS, JSON], ids=["hostile", "hdfs", "json"])
def test_what_the_lines_say_is_what_the_frames_say(tmp_path: Path, lines: list[bytes]) -> None:
    path, out = write(tmp_path / "a.log", lines), tmp_path / "out"
    report = LogAnalyzer().write(path, out)
    whole = pl.concat(list(LogAnalyzer().process_logs_stream(path)))
    for column in whole.columns:
        assert kept(out, column) == whole.sort("line")[column].to_list()
    assert len(wrong(out)) == report.malformed


def test_a_log_is_known_under_another_name_and_when_it_has_grown(tmp_path: Path) -> None:
    path, out = tmp_path / "a.log", tmp_path / "out"
    other = write(tmp_path / "other.log", [PLAIN.replace(b"GET", b"PUT")])
    write(path, [PLAIN])
    LogAnalyzer().write([path, other], out)
    write(path, [PLAIN] * 3)
    LogAnalyzer().write(path, out)
    assert Counter(kept(out, "file")) == {str(path): 3, str(other): 1}
    packed = tmp_path / "a.log.1.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    LogAnalyzer().write(packed, out)
    assert Counter(kept(out, "file")) == {str(packed): 3, str(other): 1}
    write(path, [PLAIN.replace(b"17/May", b"18/May")])  # a new one of the same name
    LogAnalyzer().write(path, out)
    assert Counter(kept(out, "file")) == {str(packed): 3, str(other): 1, str(path): 1}
    with pytest.raises(BadData, match="are the same log"):
        LogAnalyzer().write([write(tmp_path / "copy.log", [PLAIN] * 3), packed], out)


class Killed(BaseException):
    """As if the process were killed."""


@pytest.mark.parametrize("step", range(12))
def test_killed_at_any_step_and_called_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """At every renaming: there are 2 files of lines, one of malformed lines, the commit and the record."""
    path, out = tmp_path / "a.log", tmp_path / "out"
    one, two = PLAIN, PLAIN.replace(b":10:05:", b":11:05:")
    write(path, [one, two, b"x"])
    LogAnalyzer().write(path, out)
    write(path, [one, two, b"x", one, two, two])
    real, count = os.replace, 0

    def replace(*args: Any) -> None:
        nonlocal count
        if count == step:
            raise Killed
        count += 1
        real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        with suppress(Killed):
            LogAnalyzer().write(path, out)
    folder.Folder(out).close()
    assert kept(out) in ([1, 2], [1, 2, 4, 5, 6])
    assert not list((out / ".penstock").glob("aside-*"))
    LogAnalyzer().write(path, out)
    assert kept(out) == [1, 2, 4, 5, 6]
    assert wrong(out) == [(3, "x")]


def test_one_that_is_stopped_leaves_what_was(tmp_path: Path) -> None:
    path, out, stop = tmp_path / "a.log", tmp_path / "out", threading.Event()
    write(path, [PLAIN] * 10)
    LogAnalyzer().write(path, out)
    write(path, [PLAIN] * 2000)
    report = LogAnalyzer(1000).write(path, out, stop=stop, on_progress=lambda progress: stop.set())
    assert 0 < report.lines < 2000
    assert (done(report).rows, len(kept(out))) == (0, 10)


def test_folders_that_cannot_be_written(tmp_path: Path) -> None:
    path = write(tmp_path / "a.log", [PLAIN])
    with pytest.raises(SinkUnavailable, match="cannot be written"):
        LogAnalyzer().write(path, path)
    busy = folder.Folder(tmp_path / "out")
    with pytest.raises(SinkUnavailable, match="Another process writes"):
        LogAnalyzer().write(path, tmp_path / "out")
    busy.close()
    assert done(LogAnalyzer().write(path, tmp_path / "out")).rows == 1
    empty = write(tmp_path / "empty.log", [])
    assert done(LogAnalyzer().write(empty, tmp_path / "out")).rows == 0


def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path, out = write(tmp_path / "a.log", [PLAIN]), tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(SinkUnavailable, match="No space left on device"):
            LogAnalyzer().write(path, out)
    assert [each.name for each in (out / ".penstock").iterdir()] == ["lock"]
    assert done(LogAnalyzer().write(path, out)).rows == 1


@pytest.mark.usefixtures("penstock_home")
def test_a_table_of_the_lake(tmp_path: Path) -> None:
    path, lake = tmp_path / "a.log", Lake(tmp_path / "lake")
    generate(path, Traffic(lines=3000, seed=5))
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"\n", len(data) // 2) + 1])
    address = f"lake:{tmp_path}/lake#raw/access"
    first = LogAnalyzer(100_000).write(path, address)
    path.write_bytes(data)
    second = LogAnalyzer(70_000).write(path, address)
    assert done(second).before == first.parsed + first.malformed
    assert done(first).rows + done(second).rows == second.parsed == lake.count("raw/access")
    assert lake.rejected("raw/access").read_all().num_rows == second.malformed
    third = LogAnalyzer().write(path, address)
    assert (done(third).rows, done(third).malformed) == (0, 0)
    rows = pl.from_arrow(lake.read("raw/access").read_all())
    assert isinstance(rows, pl.DataFrame)
    assert sorted(rows["line"].to_list()) == pl.concat(list(LogAnalyzer().process_logs_stream(path)))["line"].to_list()
    assert {"file", "day", "time", "client", "status"} <= set(rows.columns)
    with pytest.raises(BadData, match="Logs were brought in here as auto before"):
        LogAnalyzer(format="access").write(path, address)


@pytest.mark.usefixtures("penstock_home")
def test_a_line_that_is_still_being_written_waits(tmp_path: Path) -> None:
    path, sink = tmp_path / "a.log", MemorySink()
    path.write_bytes(PLAIN + b"\n" + PLAIN[:30])
    half = done(LogAnalyzer().write(path, sink))
    assert (half.rows, half.malformed, half.unfinished) == (1, 0, 1)
    path.write_bytes(PLAIN + b"\n" + PLAIN + b"\n")
    whole = done(LogAnalyzer().write(path, sink))
    assert (whole.rows, whole.malformed, whole.before, whole.unfinished) == (1, 0, 1, 0)
    path.with_suffix(".gz").write_bytes(gzip.compress(PLAIN))
    assert done(LogAnalyzer().write(path.with_suffix(".gz"), MemorySink())).rows == 1


@pytest.mark.usefixtures("penstock_home")
def test_a_short_log_that_begins_as_another_is_another(tmp_path: Path) -> None:
    first, second, sink = tmp_path / "a.log", tmp_path / "b.log", MemorySink()
    first.write_bytes(PLAIN + b"\n")
    second.write_bytes(PLAIN + b"\n" + PLAIN + b"\n")
    assert done(LogAnalyzer().write(first, sink)).rows == 1
    assert done(LogAnalyzer().write(second, sink)).rows == 2
    first.rename(tmp_path / "a.log.1")
    moved = done(LogAnalyzer().write(tmp_path / "a.log.1", sink))
    assert (moved.rows, moved.before) == (0, 1)


@pytest.mark.usefixtures("penstock_home")
def test_a_sink_of_ones_own(tmp_path: Path) -> None:
    sink = MemorySink()
    report = LogAnalyzer().write(write(tmp_path / "a.log", [PLAIN, b"x"]), sink)
    assert (done(report).rows, done(report).malformed) == (1, 1)
