"""Logs with levels and messages."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.log_lines import PLAIN, write

from penstock.core.errors import BadData
from penstock.processing.logs import LogAnalyzer

HDFS = [
    b"081109 203615 148 INFO dfs.DataNode$PacketResponder: PacketResponder 1 for block blk_3886504906413 ended",
    b"081109 203807 222 ERROR dfs.DataNode: writeBlock blk_-6952295868487656571 received exception",
    b"081109 203808 223 ERROR dfs.DataNode: writeBlock blk_42 received exception",
]
SPARK = [
    b"17/06/09 20:10:40 INFO executor.CoarseGrainedExecutorBackend: Registered signal handlers for [TERM, HUP, INT]",
    b"17/06/09 20:10:41 WARN spark.SecurityManager: Changing view acls to: yarn,curi",
]
SSH = [
    b"Dec 10 06:55:46 LabSZ sshd[24200]: Failed password for invalid user webmaster from 173.234.31.186 port 38926",
    b"Dec  9 07:13:31 LabSZ sshd[24227]: Accepted password for root from 5.36.59.76 port 42393 ssh2",
]
ISO = [
    b"2026-01-05 10:00:00,123 ERROR cannot connect to 10.0.0.3:5432",
    b"Traceback would begin here",
    b"  File shop.py, line 3",
    b"2026-01-05T10:01:00.5+02:00 [info] up again",
    b"2026-13-05 10:00:00 ERROR no such month",
]
JSON = [
    b'{"timestamp": "2026-01-05T10:00:00Z", "level": "error", "logger": "shop", "message": "order 7 failed"}',
    b'{"ts": 1767607260.5, "level": "info", "msg": "ok"}',
    b'{"ts": 1767607320000, "severity": "WARN", "event": "slow"}',
    b'{"level": "info"}',
    b'{"ts": tru',
    b"[1, 2]",
]


@pytest.mark.parametrize(
    ("name", "lines", "levels", "malformed"),
    [
        ("hdfs", HDFS, {"ERROR": 2, "INFO": 1}, 0),
        ("spark", SPARK, {"INFO": 1, "WARNING": 1}, 0),
        ("syslog", SSH, {"ERROR": 1, "INFO": 1}, 0),
        ("iso", ISO, {"ERROR": 1, "INFO": 1}, 2),
        ("json", JSON, {"ERROR": 1, "INFO": 1, "WARNING": 1}, 3),
    ],
)
def test_formats_are_told_from_the_lines(
    tmp_path: Path, name: str, lines: list[bytes], levels: dict[str, int], malformed: int
) -> None:
    path = write(tmp_path / "a.log", lines)
    for analyzer in (LogAnalyzer(), LogAnalyzer(10, name)):
        report = analyzer.analyze(path)
        assert report.formats == {name: 1}
        assert report.levels == levels
        assert report.malformed == malformed
        assert report.lines == len(lines) == report.parsed + report.malformed + report.skipped
    frames = list(LogAnalyzer().process_logs_stream(path))
    assert sum(map(len, frames)) == report.parsed
    assert frames[0].columns == ["line", "time", "level", "component", "message"]


def test_times_of_all_kinds(tmp_path: Path) -> None:
    def times(lines: list[bytes]) -> list[str]:
        frames = LogAnalyzer().process_logs_stream(write(tmp_path / "a.log", lines))
        return [time.isoformat() for frame in frames for time in frame["time"]]

    assert times(HDFS)[0] == "2008-11-09T20:36:15+00:00"
    assert times(SPARK)[0] == "2017-06-09T20:10:40+00:00"
    assert times(ISO) == ["2026-01-05T10:00:00.123000+00:00", "2026-01-05T08:01:00.500000+00:00"]
    assert times(JSON)[1:] == ["2026-01-05T10:01:00.500000+00:00", "2026-01-05T10:02:00+00:00"]
    assert [each[4:] for each in times(SSH)] == ["-12-10T06:55:46+00:00", "-12-09T07:13:31+00:00"]


def test_templates_of_errors(tmp_path: Path) -> None:
    report = LogAnalyzer().analyze(write(tmp_path / "a.log", HDFS))
    (row,) = report.templates.rows
    assert (row["template"], row["n"], row["failed"]) == ("writeBlock <*> received exception", 2, 2)
    assert (row["first"], row["last"]) == ("2008-11-09T20:38:07Z", "2008-11-09T20:38:08Z")
    assert row["example"] == "writeBlock blk_-6952295868487656571 received exception"
    assert report.messages.distinct == 2
    assert report.components.rows[0] == {"component": "dfs.DataNode", "n": 2, "failed": 2}


def test_a_pattern_of_ones_own(tmp_path: Path) -> None:
    path = write(tmp_path / "a.log", [b"05.01.2026 10:00 | error | disk full", b"x"])
    pattern = r"^(?P<time>\S+ \S+) \| (?P<level>\w+) \| (?P<message>.*)$"
    report = LogAnalyzer(pattern=pattern, time_format="%d.%m.%Y %H:%M").analyze(path)
    assert (report.parsed, report.malformed, report.levels) == (1, 1, {"ERROR": 1})


def test_a_hostile_pattern_ends_in_time(tmp_path: Path) -> None:
    path = write(tmp_path / "a.log", [b"2026-01-05 10:00:00 " + b"a" * 5000 + b"!"] * 20)
    report = LogAnalyzer(pattern=r"^(?P<time>\S+ \S+) (?P<message>(?:a+)+)$").analyze(path)
    assert report.malformed == 20


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    report = LogAnalyzer().analyze(write(tmp_path / "a.log", [*HDFS, b"081109 203615 1 INFO a.b: \xff\xfe"]))
    assert (report.parsed, report.malformed) == (3, 1)


def test_two_kinds_of_logs_are_not_mixed(tmp_path: Path) -> None:
    files = [write(tmp_path / "a.log", [PLAIN]), write(tmp_path / "b.log", HDFS)]
    with pytest.raises(BadData, match="here are both"):
        LogAnalyzer().analyze(files)
