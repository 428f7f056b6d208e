"""Logs that are followed say what they say when they are analysed as a whole, however they come and whoever dies."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.unit.log_lines import HOSTILE, PLAIN
from tests.unit.test_logs_text import HDFS, ISO, JSON

from penstock.core.errors import BadData, PipeTakenOver
from penstock.core.ports import Journal
from penstock.journal.memory import MemoryJournal
from penstock.processing.logs import LogAnalyzer, LogReport, Traffic, generate, templates


@pytest.fixture
def journal() -> Iterator[Journal]:
    with closing(MemoryJournal()) as made:
        yield made


def told(report: LogReport) -> dict[str, Any]:
    """What does not depend on when and how it was read."""
    left_out = ("seconds", "files", "bytes_read", "lines_of")
    found = {name: value for name, value in report.to_dict().items() if name not in left_out}
    return {**found, "lines_of": list(report.lines_of.values())}


def look(journal: Journal, path: Path, **options: Any) -> LogReport:
    """What is new since the last time is read by somebody who knows no more than the journal."""
    *_, last = LogAnalyzer().follow(path, once=True, journal=journal, **options)
    return last.report


def test_the_same_as_the_analysis_anomalies_included(tmp_path: Path, journal: Journal) -> None:
    path = tmp_path / "a.log"
    generate(path, Traffic(lines=30_000, seed=3, timed=True))
    whole = LogAnalyzer().analyze(path)
    assert len(whole.anomalies) == 6
    data = path.read_bytes()
    path.write_bytes(b"")
    cuts = [0, 1, 150, 151, len(data) // 3, len(data) // 2 + 77, len(data) - 1, len(data)]
    for start, end in pairwise(cuts):
        with path.open("ab") as file:
            file.write(data[start:end])
        report = look(journal, path)
    assert told(report) == told(whole)


@pytest.mark.parametrize(
    ("lines", "step"),
    [(HDFS, 17), (ISO, 7), (JSON, 19), (HOSTILE, 301), (HOSTILE, 2000)],
    ids=["hdfs", "iso", "json", "hostile", "hostile at once"],
)
def test_lines_that_come_in_pieces(tmp_path: Path, journal: Journal, lines: list[bytes], step: int) -> None:
    """Half lines and halves of characters wait."""
    data = b"".join(line + b"\n" for line in lines)
    whole, path = tmp_path / "whole.log", tmp_path / "a.log"
    whole.write_bytes(data)
    report = LogReport([])
    for end in range(step, len(data) + step, step):
        with path.open("ab") as file:
            file.write(data[end - step : end])
        report = look(journal, path)
    expected, found = told(LogAnalyzer().analyze(whole)), told(report)
    for each in (expected, found):
        for sample in each["samples"]:
            sample["file"] = ""
    assert found == expected


def test_a_first_line_that_says_nothing_does_not_settle_the_format(tmp_path: Path, journal: Journal) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"Starting up\n")
    assert look(journal, path).malformed == 1
    with path.open("ab") as file:
        file.write(b"".join(each + b"\n" for each in HDFS))
    report = look(journal, path)
    assert (report.parsed, report.malformed, report.levels) == (3, 1, {"ERROR": 2, "INFO": 1})


def line(number: int) -> bytes:
    return PLAIN.replace(b"/a/b.png", b"/%d" % number) + b"\n"


def numbers(report: LogReport) -> dict[str, int]:
    return {row["path"]: row["n"] for row in report.paths.rows}


def every(count: int) -> dict[str, int]:
    return {f"/{number}": 1 for number in range(count)}


@pytest.mark.parametrize("way", ["renamed", "copied and cut", "packed"])
def test_rotation(tmp_path: Path, journal: Journal, way: str) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(line(0) + line(1))
    assert numbers(look(journal, path)) == every(2)
    with path.open("ab") as file:
        file.write(line(2))
    if way == "copied and cut":
        (tmp_path / "a.log.1").write_bytes(path.read_bytes())
        os.truncate(path, 0)
    else:
        path.rename(tmp_path / "a.log.1")
    if way == "packed":
        (tmp_path / "a.log.2.gz").write_bytes(gzip.compress((tmp_path / "a.log.1").read_bytes()))
        (tmp_path / "a.log.1").write_bytes(line(3))
        os.utime(tmp_path / "a.log.2.gz", (1, 1))
    with path.open("ab") as file:
        file.write(b"".join(line(number) for number in range(4 if way == "packed" else 3, 6)))
    report = look(journal, path)
    assert (numbers(report), report.problems) == (every(6), {})


def test_what_is_gone_is_told(tmp_path: Path, journal: Journal) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(line(0))
    look(journal, path)
    path.unlink()
    (tmp_path / "new").write_bytes(line(1) + line(2))
    (tmp_path / "new").rename(path)
    report = look(journal, path)
    assert numbers(report) == every(3)
    assert "was not read, and is gone" in report.problems[str(path)]


def test_very_long_lines(tmp_path: Path, journal: Journal) -> None:
    """Such as are cut to pieces, with others before, between and after them."""
    sizes = [3 << 20, 17 << 20, 40 << 20]
    path = tmp_path / "a.log"
    with path.open("wb") as file:
        for number, size in enumerate(sizes):
            file.write(line(number) + b"x" * size + b"\n")
        file.write(line(3))
    report = look(journal, path)
    assert numbers(report) == every(4)
    assert (report.lines, report.parsed, report.malformed) == (7, 4, 3)
    assert [sample.line for sample in report.samples] == [2, 4, 6]


def test_a_long_line_that_is_not_at_its_end(tmp_path: Path, journal: Journal) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(line(0) + b"x" * (17 << 20))
    assert look(journal, path).malformed == 1
    with path.open("ab") as file:
        file.write(b"and on\n" + line(1))
    report = look(journal, path)
    assert (report.lines, report.parsed, report.malformed) == (3, 2, 1)


def test_several_files_that_may_come_later(tmp_path: Path, journal: Journal) -> None:
    paths = [tmp_path / "a.log", tmp_path / "b.log"]
    with pytest.raises(BadData, match="There is none of these files"):
        next(LogAnalyzer().follow(paths, once=True, journal=journal))
    paths[1].write_bytes(line(0))
    *_, last = LogAnalyzer().follow(paths, once=True, journal=journal)
    assert last.lines == 1
    paths[0].write_bytes(line(1))
    *_, last = LogAnalyzer().follow(paths, once=True, journal=journal)
    assert numbers(last.report) == every(2)
    assert last.report.lines_of == {str(path): 1 for path in reversed(paths)}


def test_it_goes_on_until_it_is_told_to_end(tmp_path: Path, journal: Journal) -> None:
    path, stop = tmp_path / "a.log", threading.Event()
    path.write_bytes(line(0))
    seen, wrote = 0, 1
    for interval in LogAnalyzer().follow(path, every=0.05, journal=journal, stop=stop):
        seen += interval.lines
        if wrote < 20:
            with path.open("ab") as file:
                file.write(line(wrote))
            wrote += 1
        elif seen == 20:
            stop.set()
    assert interval.report.lines == seen == 20
    assert look(journal, path).lines == 20


def test_one_that_is_left_has_kept_its_place(tmp_path: Path, journal: Journal) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(line(0))
    with closing(LogAnalyzer().follow(path, every=0.05, journal=journal)) as intervals:
        while not next(intervals).lines:
            pass
        assert sum(next(intervals).lines for _ in range(5)) == 0
    assert look(journal, path).lines == 1


def test_of_two_the_later_one_goes_on(tmp_path: Path, journal: Journal) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(line(0))
    first = LogAnalyzer().follow(path, every=0.05, journal=journal)
    while not next(first).lines:
        pass
    assert numbers(look(journal, path)) == every(1)
    with path.open("ab") as file:
        file.write(line(1))
    while next(first).report.lines < 2:
        pass
    with pytest.raises(PipeTakenOver, match="Another process follows"):
        first.close()
    assert numbers(look(journal, path)) == every(2)


def test_what_counts_differently_is_not_mixed(tmp_path: Path, journal: Journal) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(line(0))
    look(journal, path)
    with pytest.raises(BadData, match=r"counted as auto before, and not as access"):
        next(LogAnalyzer(format="access").follow(path, once=True, journal=journal))
    named = LogAnalyzer(format="access").follow(path, once=True, name="other", journal=journal)
    assert next(named).report.lines == 1
    assert look(journal, path, restart=True).lines == 1
    with pytest.raises(BadData, match="is a folder"):
        next(LogAnalyzer().follow(tmp_path, journal=journal))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadData, match="is no plain file"):
        next(LogAnalyzer().follow(tmp_path / "pipe", journal=journal))
    with pytest.raises(BadData, match="Standard input cannot be followed"):
        next(LogAnalyzer().follow("-", journal=journal))
    with pytest.raises(BadData, match="nothing to follow"):
        next(LogAnalyzer().follow([], journal=journal))


def test_templates_are_the_same_after_a_restart(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templates, "_MOST_BRANCHES", 3)
    lines = [
        f"2026-01-05 10:{n // 60:02}:{n % 60:02} {'ERROR' if n % 3 else 'INFO'} {'abcdefgh'[n % 8]} {n} {word} went"
        for n, word in zip(range(300), "xyz" * 100, strict=True)
    ]
    path = tmp_path / "a.log"
    path.write_text("\n".join(lines) + "\n")
    whole = LogAnalyzer().analyze(path)
    assert whole.messages.distinct > 3
    path.write_text("")
    for start in range(0, 300, 37):
        with path.open("a") as file:
            file.write("\n".join(lines[start : start + 37]) + "\n")
        report = look(journal, path)
    assert told(report) == told(whole)


def test_one_look_wants_files_that_are_there_or_were(tmp_path: Path, journal: Journal) -> None:
    path, other = tmp_path / "a.log", tmp_path / "b.log"
    with pytest.raises(BadData, match=r"There is no file .*a\.log"):
        look(journal, path)
    path.write_bytes(b"".join(map(line, range(3))))
    lines = look(journal, path).lines
    path.rename(other)
    assert look(journal, path).lines == lines, "it is away for a moment, while it is rotated"
    with pytest.raises(BadData, match="There is no file"):
        look(journal, path, restart=True)
    assert look(journal, path).lines == lines, "what was counted is not forgotten for a mistake"
