"""Logs on a real Dask cluster: a scheduler and two workers."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.dask_cluster import Cluster, distributed

from penstock.core.errors import BadData, SourceUnavailable
from penstock.processing.logs import LogAnalyzer, LogReport, Progress, Traffic, generate, over_dask

pytestmark = pytest.mark.integration
CHUNK = 100_000


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("dask")) as made:
        yield made


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a plain, a packed and an empty log."""
    folder = tmp_path_factory.mktemp("logs")
    generate(folder / "a.log", Traffic(lines=20_000, seed=1, timed=True, malformed=30))
    generate(folder / "b.log", Traffic(lines=5_000, seed=2))
    (folder / "c.log.gz").write_bytes(gzip.compress((folder / "b.log").read_bytes()))
    (folder / "d.log").write_bytes(b"")
    for planted in folder.glob("*.json"):
        planted.unlink()
    return folder


def told(report: LogReport) -> dict[str, Any]:
    """All that a report says, but how long it took."""
    found = report.to_dict()
    del found["seconds"]
    return found


def both(cluster: Cluster, paths: Any, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    here = LogAnalyzer(**options).analyze(paths)
    there = LogAnalyzer(**options, engine="dask", scheduler=cluster.address).analyze(paths)
    return told(here), told(there)


@pytest.mark.parametrize("format", ["auto", "access"])
def test_the_report_is_that_of_the_embedded_engine(cluster: Cluster, logs: Path, format: str) -> None:
    here, there = both(cluster, logs, chunk_size=CHUNK, format=format)
    assert here["lines"] > 30_000
    assert here["malformed"] > 30
    assert there == here


def test_logs_with_levels(cluster: Cluster, tmp_path: Path) -> None:
    levels = ["INFO", "ERROR", "WARN"]
    written = [f"2026-01-05 {n // 3600:02}:{n // 60 % 60:02}:{n % 60:02} {levels[n % 3]} step {n}" for n in range(5000)]
    (tmp_path / "app.log").write_text("\n".join([*written, "  more of it", "what is this"]))
    here, there = both(cluster, tmp_path, chunk_size=20_000)
    assert (here["formats"], here["levels"]["ERROR"], here["malformed"]) == ({"iso": 1}, 1667, 1)
    assert there == here


def test_lines_longer_than_chunks(cluster: Cluster, logs: Path, tmp_path: Path) -> None:
    line = (logs / "b.log").read_bytes().split(b"\n")[0]
    (tmp_path / "long.log").write_bytes(b"\n".join([line, b"x" * 3_000_000, line, b"", line]))
    here, there = both(cluster, tmp_path / "long.log", chunk_size=CHUNK)
    assert (here["parsed"], here["malformed"], here["skipped"]) == (3, 1, 1)
    assert there == here


def test_a_packed_file_that_was_cut(cluster: Cluster, logs: Path, tmp_path: Path) -> None:
    whole = (logs / "c.log.gz").read_bytes()
    (tmp_path / "cut.log.gz").write_bytes(whole[: len(whole) // 2])
    here, there = both(cluster, tmp_path / "cut.log.gz", chunk_size=CHUNK)
    assert "not complete" in next(iter(here["problems"].values()))
    assert there == here


def test_a_worker_is_lost(logs: Path, tmp_path: Path) -> None:
    with Cluster(tmp_path) as own:
        seen: list[Progress] = []

        def killing(progress: Progress) -> None:
            if not seen:
                own.kill_worker()
            seen.append(progress)

        analyzer = LogAnalyzer(CHUNK, engine="dask", scheduler=own.address)
        report = analyzer.analyze(logs, on_progress=killing)
    assert len(own.workers) == 1
    assert len(seen) > 10
    assert told(report) == told(LogAnalyzer(CHUNK).analyze(logs))


def test_the_scheduler_is_lost(logs: Path, tmp_path: Path) -> None:
    with Cluster(tmp_path, workers=1) as own:
        analyzer = LogAnalyzer(20_000, engine="dask", scheduler=own.address)
        with pytest.raises(SourceUnavailable, match=r"The cluster was lost while .*\.log was read"):
            analyzer.analyze(logs, on_progress=lambda progress: own.kill_scheduler())


def test_what_workers_die_of(cluster: Cluster) -> None:
    class Future:
        def __init__(self, error: Exception) -> None:
            self._error = error

        def result(self) -> Any:
            raise self._error

    hands = over_dask.Cluster(cluster.address, [])
    try:
        with pytest.raises(SourceUnavailable, match=r"The workers that read a\.log died") as raised:
            hands.result("a.log", Future(distributed.KilledWorker("chunk", None, 3)))
        assert "chunk_size" in str(raised.value.hint)
        with pytest.raises(SourceUnavailable, match=r"The workers cannot count: No module named 'penstock'"):
            hands.result("a.log", Future(ModuleNotFoundError("No module named 'penstock'")))
    finally:
        hands.close([])


def test_a_client_of_ones_own_is_left_open(cluster: Cluster, logs: Path) -> None:
    with cluster.client() as client:
        report = LogAnalyzer(CHUNK, engine="dask", scheduler=client).analyze(logs / "b.log")
        assert client.submit(sum, [1, 2]).result() == 3
    assert report.lines > 4_900


def test_there_is_no_scheduler(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.processing.logs.over_dask._CONNECT_SECONDS", 1)
    with pytest.raises(SourceUnavailable, match=r"There is no Dask scheduler at tcp://127\.0\.0\.1:9"):
        LogAnalyzer(engine="dask", scheduler="tcp://127.0.0.1:9").analyze(logs)


def test_there_is_no_worker(logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.processing.logs.over_dask._CONNECT_SECONDS", 10)  # the scheduler must answer in time
    with Cluster(tmp_path, workers=0) as own, pytest.raises(SourceUnavailable, match=r"has no workers"):
        LogAnalyzer(engine="dask", scheduler=own.address).analyze(logs)


def test_what_can_be_read_here_only(cluster: Cluster) -> None:
    with pytest.raises(BadData, match=r"standard input can be read once"):
        LogAnalyzer(engine="dask", scheduler=cluster.address).analyze("-")


def test_on_the_command_line(cluster: Cluster, logs: Path) -> None:
    command = [sys.executable, "-m", "penstock", "logs", "analyze", "b.log", "--json"]
    asked = [command, [*command, "--engine", "dask", "--scheduler", cluster.address]]
    ran = [subprocess.run(each, cwd=logs, capture_output=True, text=True, check=False) for each in asked]
    assert [(each.returncode, each.stderr) for each in ran] == [(0, ""), (0, "")]
    assert '"lines"' in ran[0].stdout
    lines = [[line for line in each.stdout.splitlines() if '"seconds"' not in line] for each in ran]
    assert lines[0] == lines[1]
