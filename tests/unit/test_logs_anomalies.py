"""Anomalies that were planted are found, and few others are."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import polars as pl
import pytest

from penstock.core.errors import BadData
from penstock.processing.logs import Anomaly, LogAnalyzer, Traffic, generate

SEEDS = (1009, 2003, 3001, 4001, 5003, 6007, 7001, 8009)
"""Others than those that thresholds were looked at with (0 to 9)."""


def found_and_planted(path: Path, traffic: Traffic) -> tuple[list[Anomaly], list[dict[str, str]]]:
    planted = generate(path, traffic)
    report = LogAnalyzer().analyze(path)
    assert report.lines == planted["lines"]
    assert report.malformed == traffic.malformed
    assert [each.line for each in report.samples] == planted["malformed"][:20]
    return report.anomalies, planted["anomalies"]


def matches(one: Anomaly, other: dict[str, str]) -> bool:
    start, end = (datetime.datetime.fromisoformat(other[name]) for name in ("start", "end"))
    return one.kind == other["kind"] and one.start < end and start < one.end


def test_precision_and_recall(tmp_path: Path) -> None:
    found = planted = hits = wanted = 0
    for number, seed in enumerate(SEEDS):
        traffic = Traffic(lines=150_000 + 50_000 * (number % 3), seed=seed, anomalies=12, timed=number % 2 == 0)
        anomalies, told = found_and_planted(tmp_path / f"{seed}.log", traffic)
        found += len(anomalies)
        planted += len(told)
        hits += sum(any(matches(each, other) for other in told) for each in anomalies)
        wanted += sum(any(matches(each, other) for each in anomalies) for other in told)
    assert planted == 12 * len(SEEDS)
    assert wanted / planted >= 0.95
    assert hits / found >= 0.95


def test_quiet_traffic_has_none(tmp_path: Path) -> None:
    anomalies, planted = found_and_planted(tmp_path / "a.log", Traffic(lines=100_000, seed=11_003, anomalies=0))
    assert planted == []
    assert anomalies == []


def test_a_few_requests_a_minute_are_no_anomalies(tmp_path: Path) -> None:
    anomalies, _ = found_and_planted(tmp_path / "a.log", Traffic(lines=3000, seed=12_007, anomalies=0))
    assert anomalies == []


def test_an_hour_unlike_the_same_hour_of_other_days(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    generate(path, Traffic(lines=200_000, days=5, seed=13_001, anomalies=0, malformed=0))
    silent = b"[08/Jan/2026:1"  # from 10:00 to 19:59 of one day
    path.write_bytes(b"".join(line for line in path.read_bytes().splitlines(keepends=True) if silent not in line))
    drops = [each for each in LogAnalyzer().analyze(path).anomalies if each.kind == "drop"]
    covered = {hour for each in drops for hour in range(each.start.hour, each.end.hour or 24)}
    assert {each.start.day for each in drops} == {8}
    assert covered >= set(range(10, 20))


def test_the_same_seed_makes_the_same_log(tmp_path: Path) -> None:
    one, other, third = (tmp_path / name for name in ("a.log", "b.log", "c.log"))
    for path, seed in ((one, 5), (other, 5), (third, 6)):
        generate(path, Traffic(lines=5000, seed=seed))
    assert one.read_bytes() == other.read_bytes()
    assert one.read_bytes() != third.read_bytes()
    assert json.loads(Path(f"{one}.planted.json").read_text()) == json.loads(Path(f"{other}.planted.json").read_text())


def test_more_anomalies_than_there_is_room_for(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="100 anomalies do not fit into 1440 minutes"):
        generate(tmp_path / "a.log", Traffic(anomalies=100))


def test_anomalies_of_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    generate(path, Traffic(lines=100_000, seed=14_009, anomalies=1))
    analyzer = LogAnalyzer()
    report = analyzer.analyze(path)
    assert [each.kind for each in report.anomalies] == ["spike"]
    assert analyzer.detect_anomalies(report.minutes) == report.anomalies
    assert analyzer.detect_anomalies(pl.concat(analyzer.process_logs_stream(path))) == report.anomalies


def test_a_detector_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    generate(path, Traffic(lines=1000, anomalies=0))

    def sees(minutes: pl.DataFrame) -> list[Anomaly]:
        moment = datetime.datetime(2026, 1, 5, tzinfo=datetime.UTC)
        return [Anomaly("mine", moment, moment, 1.0, float(len(minutes)), 0.0, "because")]

    report = LogAnalyzer(detector=sees).analyze(path)
    assert [(each.kind, each.value) for each in report.anomalies] == [("mine", len(report.minutes))]
