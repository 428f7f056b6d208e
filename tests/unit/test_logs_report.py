"""What reports say, of logs whose content is known."""

from __future__ import annotations

import datetime
import gzip
import json
import subprocess
import sys
import threading
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from tests.unit.log_lines import PLAIN, write

from penstock.core.errors import BadData, SourceUnavailable
from penstock.processing.logs import (
    LogAnalyzer,
    Progress,
    Traffic,
    access,
    access_counts,
    generate,
    process_large_log,
    tally,
)
from penstock.processing.logs.latency import Latency
from penstock.processing.logs.tally import Tally, compact
from penstock.processing.logs.visits import PAUSE, Visits


def line(
    at: int, client: str = "10.0.0.1", path: str = "/", status: int = 200, size: int = 10, rest: str = '"-" "-"'
) -> bytes:
    moment = datetime.datetime(2026, 1, 5, tzinfo=datetime.UTC) + datetime.timedelta(seconds=at)
    return f'{client} - - [{moment:%d/%b/%Y:%H:%M:%S +0000}] "GET {path} HTTP/1.1" {status} {size} {rest}'.encode()


def test_minutes_hours_and_classes(tmp_path: Path) -> None:
    lines = [line(0), line(30, status=404), line(61, status=500, size=5), line(3600, status=302), line(3605)]
    report = LogAnalyzer().analyze(write(tmp_path / "a.log", lines))
    assert report.status_classes == {"2xx": 2, "3xx": 1, "4xx": 1, "5xx": 1}
    assert (report.requests, report.refused, report.failed, report.error_rate) == (5, 1, 1, 0.2)
    minutes = report.minutes
    assert minutes["requests"].to_list() == [2, 1, *[0] * 58, 2]
    assert minutes["bytes"].to_list()[:2] == [20, 5]
    assert report.hours["requests"].to_list() == [3, 2]
    assert report.hours["failed"].to_list() == [1, 0]


def test_sessions(tmp_path: Path) -> None:
    """A break of half an hour and a second makes a new one; half an hour does not."""
    times = {"a": [0, PAUSE, 2 * PAUSE + 1], "b": [5], "c": [0, PAUSE + 1, 2 * PAUSE + 2, 2 * PAUSE + 3]}
    lines = [line(at, client) for at, client in sorted((at, name) for name, each in times.items() for at in each)]
    path = write(tmp_path / "a.log", lines)
    for size in (1, 100, 250, 1 << 20):
        report = LogAnalyzer(size).analyze(path)
        assert {row["client"]: row["sessions"] for row in report.clients.rows} == {"a": 2, "b": 1, "c": 3}
        assert report.sessions == 6


def test_time_taken(tmp_path: Path) -> None:
    taken = [number / 1000 for number in range(1, 2001)]
    lines = [line(n, path=f"/{n % 4}", rest=f'"-" "-" {value:.3f}') for n, value in enumerate(taken)]
    report = LogAnalyzer().analyze(write(tmp_path / "a.log", lines))
    assert report.latency["mean"] == pytest.approx(sum(taken) / len(taken))
    assert report.latency["max"] == 2.0
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)):
        exact = sorted(taken)[int(share * (len(taken) - 1))]
        assert report.latency[name] == pytest.approx(exact, rel=0.01)
    assert [row["path"] for row in report.slow.rows] == ["/3", "/2", "/1", "/0"]
    assert report.slow.rows[0]["longest"] == 2.0


def test_quantiles_of_the_smallest_and_of_nothing() -> None:
    import numpy as np

    empty = Latency()
    assert (empty.quantile(0.5), empty.mean) == (None, None)
    empty.add(np.array([0.0, np.nan]))
    assert empty.count == 1
    assert empty.quantile(1.0) == pytest.approx(1e-6, rel=0.01)


@pytest.mark.parametrize("packing", ["gzip", "zstd", "gzip of two parts"])
def test_packed_files(tmp_path: Path, packing: str) -> None:
    text = b"".join(line(n) + b"\n" for n in range(5000))
    if packing == "zstd":
        data = pa.compress(text, codec="zstd", asbytes=True)
    elif packing == "gzip":
        data = gzip.compress(text)
    else:
        data = gzip.compress(text[:1000]) + gzip.compress(text[1000:]) + b"\0" * 100
    (tmp_path / "a.log").write_bytes(data)
    report = LogAnalyzer(10_000).analyze(tmp_path / "a.log")
    assert (report.lines, report.parsed, report.problems) == (5000, 5000, {})
    assert report.bytes_read == len(data)


def test_a_gzip_file_that_was_cut(tmp_path: Path) -> None:
    whole = b"".join(line(n, path=f"/{n * 7919 % 5000}") + b"\n" for n in range(5000))
    packed = gzip.compress(whole)
    path = tmp_path / "a.log.gz"
    path.write_bytes(packed[: len(packed) // 2])
    report = LogAnalyzer(10_000).analyze([path, write(tmp_path / "b.log", [line(1)])])
    assert report.problems == {str(path): "the gzip stream ends in the middle: the file is not complete"}
    assert 1000 < report.parsed < 5000
    assert report.lines == report.parsed + report.malformed
    assert report.malformed <= 1
    assert report.lines_of[str(tmp_path / "b.log")] == 1


@pytest.mark.parametrize("content", [b"", b"\n", b"\n\n\r\n", b"nothing\nof\nit\n", b"\xff\x00" * 1000])
def test_files_in_which_nothing_means_anything(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.log").write_bytes(content)
    report = LogAnalyzer().analyze(tmp_path / "a.log")
    assert report.parsed == 0
    count = content.count(b"\n") + (content[-1:] not in (b"\n", b""))
    assert report.lines == report.malformed + report.skipped == count
    assert report.start is None
    assert json.dumps(report.to_dict())
    assert "nothing in it means anything" in report.to_html()


def test_a_folder_and_several_files(tmp_path: Path) -> None:
    (tmp_path / "logs" / "old").mkdir(parents=True)
    write(tmp_path / "logs" / "a.log", [line(1), b"x"])
    write(tmp_path / "logs" / "old" / "b.log", [line(2), line(3)])
    write(tmp_path / "logs" / ".hidden", [line(4)])
    report = LogAnalyzer().analyze([tmp_path / "logs", tmp_path / "logs" / "a.log"])
    assert (report.lines, report.parsed, report.malformed) == (4, 3, 1)
    assert [each.line for each in report.samples] == [2]


def test_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="There is no file"):
        LogAnalyzer().analyze(tmp_path / "nowhere.log")
    with pytest.raises(BadData, match="There is no file to read"):
        LogAnalyzer().analyze(tmp_path)
    with pytest.raises(BadData, match="There is no log format 'xml'"):
        LogAnalyzer(format="xml")
    with pytest.raises(BadData, match="names no time"):
        LogAnalyzer(pattern="(?P<message>.*)")
    with pytest.raises(BadData, match="cannot be used"):
        LogAnalyzer(pattern="(?P<time>.*)(?=x)")
    with pytest.raises(BadData, match="chunk_size=0"):
        LogAnalyzer(0)


def test_standard_input() -> None:
    code = "from penstock.processing.logs import LogAnalyzer; r = LogAnalyzer().analyze('-'); print(r.lines, r.parsed)"
    text = b"\n".join([line(1), b"x", line(2)])
    done = subprocess.run([sys.executable, "-c", code], input=text, capture_output=True, check=True)
    assert done.stdout.split() == [b"3", b"2"]


def test_progress_and_stopping(tmp_path: Path) -> None:
    path = write(tmp_path / "a.log", [line(n) for n in range(1000)])
    told: list[Progress] = []
    stop = threading.Event()

    def on_progress(progress: Progress) -> None:
        told.append(progress)
        if len(told) == 3:
            stop.set()

    report = LogAnalyzer(5000).analyze(path, on_progress=on_progress, stop=stop)
    assert len(told) == 3
    assert [each.bytes_total for each in told] == [path.stat().st_size] * 3
    assert 0 < report.lines < 1000
    assert report.lines == report.parsed == told[-1].lines


def test_error_lines_and_hours_of_a_large_log(tmp_path: Path) -> None:
    path = write(tmp_path / "a.log", [line(n * 60, status=500 if n % 10 == 0 else 200) for n in range(120)])
    errors, hours = process_large_log(path, chunk_size=1000)
    frame = pl.concat(errors)
    assert frame["line"].to_list() == list(range(1, 121, 10))
    assert hours["failed"].to_list() == [6, 6]


@pytest.mark.parametrize("timed", [False, True])
def test_a_large_log_is_counted_as_line_by_line(tmp_path: Path, timed: bool) -> None:
    path = tmp_path / "a.log"
    generate(path, Traffic(lines=30_000, seed=21, timed=timed, malformed=50, clients=500))
    read = [access.read(each) for each in path.read_bytes().splitlines()]
    entries = [entry for entry in read if entry is not None]
    report = LogAnalyzer(300_000).analyze(path)
    assert (report.parsed, report.malformed) == (len(entries), len(read) - len(entries))
    assert report.statuses == Counter(entry.status for entry in entries)
    assert report.bytes_sent == sum(max(entry.size, 0) for entry in entries)
    for top, name in ((report.paths, "path"), (report.clients, "client"), (report.agents, "agent")):
        counts = Counter(getattr(entry, name).decode() for entry in entries)
        assert [(row[name], row["n"]) for row in top.rows] == sorted(
            counts.items(), key=lambda each: (-each[1], each[0])
        )[:20]
        assert top.distinct == len(counts)
    minutes = Counter(entry.at // 60 for entry in entries)
    assert report.minutes["requests"].to_list() == [minutes[at] for at in range(min(minutes), max(minutes) + 1)]
    assert report.sessions == sessions_of(entries)
    if timed:
        taken = [entry.taken for entry in entries if entry.taken is not None]
        assert report.latency["mean"] == pytest.approx(sum(taken) / len(taken))


def test_more_clients_than_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is forgotten is in all sums, and a count is too low by no more than is said."""
    path = tmp_path / "a.log"
    generate(path, Traffic(lines=20_000, seed=22, clients=3000))
    exact = LogAnalyzer(100_000).analyze(path)
    monkeypatch.setattr(tally, "_WAITING", 1000)
    monkeypatch.setattr(access_counts, "MOST_KEYS", 500)
    report = LogAnalyzer(100_000).analyze(path)
    assert not report.clients.exact
    assert 500 < report.clients.distinct <= exact.clients.distinct
    assert report.requests == exact.requests
    assert report.sessions >= exact.sessions
    known = {row["client"]: row["n"] for row in exact.clients.rows}
    for row in report.clients.rows:
        if row["client"] in known:
            assert known[row["client"]] - report.clients.error <= row["n"] <= known[row["client"]]


def sessions_of(entries: list[access.Entry]) -> int:
    seen: dict[bytes, int] = {}
    count = 0
    for entry in sorted(entries, key=lambda entry: entry.at):
        count += entry.client not in seen or entry.at - seen[entry.client] > PAUSE
        seen[entry.client] = entry.at
    return count


def test_a_tally_forgets_what_is_seldom_and_says_so() -> None:
    counts = Tally(["key"], {"n": "sum"}, most=10)
    counts.add(compact(pl.DataFrame({"key": [f"k{n}" for n in range(100)], "n": [100 - n for n in range(100)]})))
    frame = counts.frame()
    assert frame is not None
    assert sorted(frame["n"].to_list()) == [96, 97, 98, 99, 100]
    assert not counts.exact
    assert counts.forgotten == 95
    assert counts.lost == {"n": sum(range(96))}
    assert counts.seen == 100


def test_visits_join_whatever_way_they_are_cut() -> None:
    times = [0, 10, 2000, 2010, 5000]
    whole = Visits({"n": "sum"}, PAUSE)
    for first, last in ((0, 2), (2, 3), (3, 5)):
        for at in times[first:last]:
            row = {"client": [b"a"], "n": [1], "sessions": [1], "first": [at], "last": [at]}
            whole.add(compact(pl.DataFrame(row)))
        whole.frame()
    frame = whole.frame()
    assert frame is not None
    assert frame.row(0, named=True) == {"client": b"a", "n": 5, "sessions": 3, "first": 0, "last": 5000}


class Strict(HTMLParser):
    """Every tag that is opened is closed, and nothing comes from outside."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "img", "iframe")
        assert not any(name in ("src", "href") for name, _ in attrs)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not any(name in ("src", "href") for name, _ in attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_shows_no_markup_of_a_log(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    generate(path, Traffic(lines=20_000, seed=3))
    with open(path, "ab") as file:
        file.write(PLAIN.replace(b"/a/b.png", b"/<script>alert(1)</script>") + b"\n<b>broken\n")
    report = LogAnalyzer().analyze(path)
    page = report.to_html()
    parser = Strict()
    parser.feed(page)
    assert parser.open == []
    assert "<script" not in page
    assert "Malformed lines" in page
