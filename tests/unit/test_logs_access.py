"""Access logs: the quick way says exactly what the strict reader says, wherever the file is cut into blocks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.log_lines import HOSTILE, PLAIN, damaged, told, write

from penstock.processing.logs import LogAnalyzer, LogReport, access
from penstock.processing.logs.access_blocks import Reader
from penstock.processing.logs.blocks import PAD, Block


def rows_of(path: Path, size: int = 1 << 20) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for frame in LogAnalyzer(size, "access", workers=1).process_logs_stream(path):
        for row in frame.iter_rows(named=True):
            found[row.pop("line")] = row
    return found


def expected(lines: list[bytes]) -> dict[int, dict[str, Any]]:
    read = {number: told(line) for number, line in enumerate(lines, 1)}
    return {number: row for number, row in read.items() if row is not None}


def check(path: Path, lines: list[bytes], size: int = 1 << 20) -> None:
    wanted = expected(lines)
    assert rows_of(path, size) == wanted
    report = LogAnalyzer(size, "access", workers=1).analyze(path)
    blank = sum(not line.strip() for line in lines)
    assert (report.lines, report.parsed, report.skipped) == (len(lines), len(wanted), blank)
    assert report.malformed == len(lines) - len(wanted) - blank
    assert_counts(report, list(wanted.values()))


def assert_counts(report: LogReport, rows: list[dict[str, Any]]) -> None:
    """The report counts what is in the rows."""
    assert report.statuses == dict(Counter(row["status"] for row in rows))
    assert report.bytes_sent == sum(row["bytes"] or 0 for row in rows)
    assert report.methods == dict(Counter(row["method"] or "other" for row in rows))
    for top, column, rest in (
        (report.paths, "path", False),
        (report.clients, "client", False),
        (report.agents, "agent", True),
        (report.referrers, "referrer", True),
    ):
        counts = Counter(row[column] for row in rows)
        shown = {row[column]: row["n"] for row in top.rows}
        if rest:  # `-` is shown as it stands in the log; a log without the column shows nothing
            counts.pop(None, None)
            shown.pop("-", None)
        assert all(counts[name] == count for name, count in shown.items())
        if len(counts) < 20:
            assert set(counts) == set(shown)
    if rows:
        assert report.start == min(row["time"] for row in rows)
        assert report.end == max(row["time"] for row in rows)


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_each_hostile_line_among_plain_ones(tmp_path: Path, number: int) -> None:
    lines = [PLAIN, PLAIN, HOSTILE[number], PLAIN]
    check(write(tmp_path / "a.log", lines), lines)


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_log_of_one_hostile_line_only(tmp_path: Path, number: int) -> None:
    """So that lines with other numbers of quotes are read at once, too."""
    lines = [HOSTILE[number]] * 3
    check(write(tmp_path / "a.log", lines), lines)


def test_all_hostile_lines_together(tmp_path: Path) -> None:
    check(write(tmp_path / "a.log", HOSTILE), HOSTILE)
    check(write(tmp_path / "b.log", HOSTILE * 30), HOSTILE * 30)


@given(st.lists(damaged(), min_size=1, max_size=12).map(lambda lines: [each.replace(b"\n", b"") for each in lines]))
def test_damaged_lines(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    lines = [*lines, PLAIN]
    check(write(tmp_path_factory.mktemp("damaged") / "a.log", lines), lines)


def test_parts_of_a_block_that_have_other_numbers_of_quotes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from penstock.processing.logs import access_blocks

    monkeypatch.setattr(access_blocks, "_READ_AT_ONCE", 600)
    lines = [PLAIN] * 10 + [HOSTILE[-13]] * 10 + [PLAIN + b" 0.250"] * 10 + HOSTILE
    check(write(tmp_path / "a.log", lines), lines)


def test_lines_that_were_read_at_once_are_most_lines() -> None:
    """What stands in for the strict reader has to do nearly all of the work."""
    text = b"\n".join([PLAIN] * 50 + [HOSTILE[11]]) + b"\n"
    buffer = bytearray(PAD) + text + bytearray(PAD)
    parsed = Reader().read(Block(buffer, PAD, PAD + len(text)))
    [rows] = parsed.rows
    assert (len(rows.line), len(parsed.entries), parsed.malformed) == (50, 1, [])


def test_blocks_that_begin_at_every_byte(tmp_path: Path) -> None:
    lines = [PLAIN, HOSTILE[11], b"", HOSTILE[15], HOSTILE[3]]
    path = write(tmp_path / "a.log", lines, end=b"")
    wanted = expected(lines)
    for size in range(1, path.stat().st_size + 2):
        assert rows_of(path, size) == wanted


@pytest.mark.parametrize("size", [1, 7, 100, 333, 4096])
def test_counts_are_equal_whatever_the_size_of_a_block(tmp_path: Path, size: int) -> None:
    path = write(tmp_path / "a.log", HOSTILE)
    whole, cut = (LogAnalyzer(each, "access").analyze(path).to_dict() for each in (1 << 20, size))
    for told_of in (whole, cut):
        told_of.pop("seconds")
    assert cut == whole


def test_a_line_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from penstock.processing.logs import access_blocks, analyzer

    monkeypatch.setattr(analyzer, "LONGEST", 1000)
    monkeypatch.setattr(access_blocks.Reader.__init__, "__defaults__", (1000, 200))
    long = PLAIN.replace(b"/a/b.png", b"/" + b"x" * 5000)
    lines = [PLAIN, long, PLAIN]
    path = write(tmp_path / "a.log", lines)
    for size in (10, 400, 100_000):
        report = LogAnalyzer(size, "access").analyze(path)
        assert (report.lines, report.parsed, report.malformed) == (3, 2, 1)
        assert [(each.line, each.text[:20]) for each in report.samples] == [(2, long[:20].decode())]


def test_the_real_log_has_one_malformed_line(test_data: Path) -> None:
    report = LogAnalyzer().analyze(test_data / "access_logs" / "elastic_apache_logs.gz")
    assert (report.lines, report.parsed, report.malformed, report.skipped) == (10_000, 9_999, 1, 0)
    [sample] = report.samples
    assert sample.text.startswith("46.118.127.106 - - [20/May/2015:12:05:17 +0000]")
    assert sample.line == 8899
    assert report.statuses[200] + report.statuses[404] < 9_999
    assert report.start is not None
    assert report.start.isoformat() == "2015-05-17T10:05:00+00:00"


def test_the_strict_reader_knows_time_zones() -> None:
    first, second = access.read(HOSTILE[2]), access.read(HOSTILE[3])
    assert first is not None
    assert second is not None
    assert (first.at, second.at) == (1431849903, 1431869704)
