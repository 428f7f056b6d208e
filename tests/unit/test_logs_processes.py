"""Large logs are counted by processes beside this one: the same counts, whatever becomes of the processes."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("polars")

from penstock.core.errors import SourceUnavailable
from penstock.processing.logs import LogAnalyzer, LogReport, Progress, Traffic, generate, over_processes

CHUNK = 100_000


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    generate(folder / "a.log", Traffic(lines=20_000, seed=1, timed=True, malformed=30))
    generate(folder / "b.log", Traffic(lines=5_000, seed=2))
    (folder / "d.log").write_bytes(b"")
    for planted in folder.glob("*.json"):
        planted.unlink()
    return folder


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_processes, "LARGE", 1)


def told(report: LogReport) -> dict[str, Any]:
    found = report.to_dict()
    del found["seconds"]
    return found


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    made: list[Any] = []
    start = over_processes._started

    def starting() -> Any:
        made.append(start())
        return made[-1]

    monkeypatch.setattr(over_processes, "_started", starting)
    return made


def test_the_report_is_that_of_one_process(logs: Path, monkeypatch: pytest.MonkeyPatch, started: list[Any]) -> None:
    here = LogAnalyzer(CHUNK, workers=2).analyze(logs)
    assert started == []
    monkeypatch.setattr(over_processes, "LARGE", 1)
    there = LogAnalyzer(CHUNK, workers=2).analyze(logs)
    assert here.lines > 24_000
    assert there.malformed == here.malformed > 30
    assert told(there) == told(here)
    assert 1 <= len(started) <= 2
    assert all(process.returncode is not None for process in started)


def test_logs_with_levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    levels = ["INFO", "ERROR", "WARN"]
    written = [f"2026-01-05 {n // 3600:02}:{n // 60 % 60:02}:{n % 60:02} {levels[n % 3]} step {n}" for n in range(5000)]
    (tmp_path / "app.log").write_text("\n".join([*written, "  more of it", "what is this"]))
    here = told(LogAnalyzer(20_000, workers=2).analyze(tmp_path))
    monkeypatch.setattr(over_processes, "LARGE", 1)
    assert told(LogAnalyzer(20_000, workers=2).analyze(tmp_path)) == here
    assert here["levels"]["ERROR"] == 1667


@pytest.mark.usefixtures("large")
def test_a_process_is_killed(logs: Path, started: list[Any]) -> None:
    seen: list[Progress] = []

    def killing(progress: Progress) -> None:
        if not seen:
            started[0].kill()
        seen.append(progress)

    report = LogAnalyzer(20_000, workers=2).analyze(logs, on_progress=killing)
    assert len(started) > 2
    assert told(report) == told(LogAnalyzer(20_000, workers=1).analyze(logs))


@pytest.mark.usefixtures("large")
def test_processes_that_die_each_time(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_processes, "_BEGIN", "raise SystemExit(1)")
    with pytest.raises(SourceUnavailable, match=r"The processes that read .*a\.log died, 2 in a row") as raised:
        LogAnalyzer(CHUNK, workers=2).analyze(logs)
    assert "chunk_size" in str(raised.value.hint)


@pytest.mark.usefixtures("large")
def test_ctrl_c_is_for_the_reader_alone(logs: Path, started: list[Any]) -> None:
    groups: set[int] = set()

    def looking(progress: Progress) -> None:
        groups.update(os.getpgid(process.pid) for process in started)

    LogAnalyzer(20_000, workers=2).analyze(logs, on_progress=looking)
    assert len(groups) == 2
    assert os.getpgrp() not in groups


@pytest.mark.usefixtures("large")
def test_leaving_early_leaves_nothing_running(logs: Path, started: list[Any]) -> None:
    def leaving(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LogAnalyzer(20_000, workers=2).analyze(logs, on_progress=leaving)
    assert started
    assert all(process.returncode is not None for process in started)


@pytest.mark.usefixtures("large")
def test_what_is_not_worth_it(logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[Any]) -> None:
    packed = tmp_path / "a.log.gz"
    packed.write_bytes(gzip.compress((logs / "b.log").read_bytes()))
    assert not over_processes.worth([str(packed)])
    assert not over_processes.worth(["-"])
    assert over_processes.worth([str(logs / "a.log"), str(logs / "d.log")])
    monkeypatch.setattr("sys.executable", "")
    assert not over_processes.worth([str(logs / "a.log")])
    LogAnalyzer(CHUNK, workers=1).analyze(logs)
    assert started == []
