"""Processes that bring records into a lake, killed between every two steps: each record is there once afterwards."""

from __future__ import annotations

import itertools
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.chaos import lake_worker
from tests.chaos.lab import Lab
from tests.chaos.lake_worker import RECORDS, change, is_bad, misfits, record, sink_of
from tests.chaos.test_disk import mount, small_disk

from penstock.core.ports.data import Counts
from penstock.stores.lake import Lake

pytestmark = pytest.mark.chaos
WORKERS = lake_worker
STEPS_OF_THE_OTHER = {"append": 40, "merge": 40, "replace": 30, "several": 100}
SHAPES = ["append", "merge", "changes", "replace", "several"]


def good(shape: str) -> list[int]:
    """What lands. A table that is replaced takes its columns from the first rows, and there amounts are text."""
    return [number for number in range(RECORDS) if not is_bad(number) and (shape == "replace" or not misfits(number))]


def rows_of(lake: Lake, shape: str) -> list[dict[str, Any]]:
    tables = ["raw/t0", "raw/t1", "raw/t2"] if shape == "several" else ["raw/rows"]
    return [row for table in tables for row in lake.read(table).read_all().to_pylist() if row["id"] != -1]


def rejected_of(lake: Lake, shape: str) -> list[str]:
    tables = ["raw/t0", "raw/t1", "raw/t2"] if shape == "several" else ["raw/rows"]
    return [row["raw"] for table in tables for row in lake.rejected(table).read_all().to_pylist()]


def expected(shape: str) -> list[tuple[int, int]]:
    """Keys and ids that are there in the end."""
    if shape == "changes":
        found: dict[int, int] = {}
        for number in good(shape) + [
            n for n in range(RECORDS) if misfits(n) and not is_bad(n) and change(n) == "delete"
        ]:
            found[record(number)["key"]] = max(number, found.get(record(number)["key"], -1))
        return sorted((key, number) for key, number in found.items() if change(number) == "upsert")
    if shape == "merge":
        return sorted({record(number)["key"]: number for number in good(shape)}.items())
    return sorted((record(number)["key"], number) for number in good(shape))


def check(folder: Path, shape: str, loads: int | None = 1) -> None:
    """Each record once; what was rejected is in quarantine once; the counts balance; nothing is left lying about."""
    lake = Lake(folder)
    assert sorted((row["key"], row["id"]) for row in rows_of(lake, shape)) == expected(shape)
    rejected = Counter(rejected_of(lake, shape))
    if shape == "replace" and loads is None:  # whoever comes after a complete load begins another one
        loads = max(rejected.values())
    loads = loads or 1
    assert set(rejected.values()) == {loads}
    with sink_of(lake, shape).open("pipe") as landing:
        counts = landing.counts
        assert landing.position == (None if shape == "replace" else {"next": RECORDS})
    assert counts.balanced
    assert (counts.read, counts.rejected) == (RECORDS * loads, rejected.total())
    if shape in ("append", "several", "replace"):
        landed = len(good(shape))
        assert counts == Counts(RECORDS * loads, landed * loads, 0, (RECORDS - landed) * loads)
    files = sorted(path.name for path in folder.rglob("_penstock/pipe-*/*"))
    assert sum(name.endswith(".json") for name in files) == (4 if shape == "several" else 1), files
    assert not [name for name in files if ".rows" in name], files


@pytest.mark.parametrize("stride", [3, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_process_killed_before_each_of_its_steps(lab: Lab, tmp_path: Path, shape: str, stride: int) -> None:
    """The first process is killed before its first step, the second so many steps later, ..."""
    killed, stride = 0, 5 * stride if shape == "several" else stride
    while True:
        strike_at = killed * stride + 1
        ended = lab.run(lake_worker.bring, lake=str(tmp_path / "lake"), shape=shape, seed=killed, strike_at=strike_at)
        if not ended.killed:
            break
        killed += 1
    assert ended.value > 0
    assert killed >= 4
    check(tmp_path / "lake", shape)


@pytest.mark.parametrize("shape", ["append", "merge", "several"])
def test_processes_killed_at_any_moment(lab: Lab, tmp_path: Path, shape: str) -> None:
    """Also in the middle of what delta-rs does by itself: between its data files and its log, within its compaction."""
    dice, lake = random.Random(shape), str(tmp_path / "lake")
    for seed in itertools.count(1):
        seconds = dice.uniform(0, 0.05 * seed)  # until one has time enough, however slow the machine is
        ended = lab.run(lake_worker.bring_until, lake=lake, shape=shape, seed=seed, seconds=seconds)
        if ended.code == 0:
            break
        assert ended.code == -signal.SIGALRM, ended
    check(tmp_path / "lake", shape)


@pytest.mark.parametrize("shape", ["append", "merge", "replace", "several"])
def test_a_process_that_was_stopped_and_replaced_writes_nothing_when_it_wakes_up(
    lab: Lab, tmp_path: Path, shape: str
) -> None:
    """It is stopped before some step that follows its opening, and another one goes on for a while."""
    lake = str(tmp_path / "lake")
    refused = []
    for number in random.Random(shape).sample(range(1, 9), 8):
        sleeper = lab.start(lake_worker.bring, lake=lake, shape=shape, seed=number, strike_at=number, how="stop")
        sleeper.until_stopped()
        other = lab.run(lake_worker.bring, lake=lake, shape=shape, seed=-number, strike_at=STEPS_OF_THE_OTHER[shape])
        sleeper.signal(signal.SIGCONT)
        ended = lab.wait(sleeper)
        if ended.answer.get("error") != "PipeTakenOver":
            assert ended.answer.get("value"), ended
            break
        refused.append(number)
        if not other.killed:
            break
    lab.run(lake_worker.bring, lake=lake, shape=shape, seed=99)
    assert refused
    check(tmp_path / "lake", shape, loads=None)


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_pipes_that_write_one_table_at_once_and_somebody_who_compacts_it(lab: Lab, tmp_path: Path, mode: str) -> None:
    lake = str(tmp_path / "lake")
    pipes = {"one": (0, 60), "two": (100, 160), "three": (200, 260)}
    first = lab.run(lake_worker.bring_as, lake=lake, pipe="zero", start=900, stop=901, mode=mode, rows=1)
    assert first.value == [1, 1]
    working = [
        lab.start(lake_worker.bring_as, lake=lake, pipe=name, start=start, stop=stop, mode=mode, rows=6)
        for name, (start, stop) in pipes.items()
    ]
    tidy = lab.start(lake_worker.keep_tidy, lake=lake, times=4)
    assert [lab.wait(worker).value for worker in working] == [[60, 60]] * 3
    assert lab.wait(tidy).value >= 0
    rows = Lake(lake).read("raw/shared").read_all().to_pylist()
    assert sorted((row["pipe"], row["id"]) for row in rows if row["pipe"] != "zero") == sorted(
        (name, number) for name, (start, stop) in pipes.items() for number in range(start, stop)
    )


def test_a_full_disk(lab: Lab, tmp_path: Path) -> None:
    """Nothing is half landed; when there is room again, the pipe goes on."""
    with small_disk(tmp_path / "disk", 2_000) as disk:
        stopped = lab.run(lake_worker.fill_up, lake=str(disk / "lake"), most=60)
        assert stopped.answer["error"] == "SinkUnavailable", stopped
        assert "disk is full" in stopped.answer["text"]
        lake = Lake(disk / "lake")
        landed = lake.read("raw/rows").read_all().num_rows
        assert 0 < landed < 60 * 20
        assert mount("-o", "remount,size=20000k", str(disk)).returncode == 0
        assert lab.run(lake_worker.fill_up, lake=str(disk / "lake"), most=60).value * 20 == landed
        ids = Counter(row["id"] for row in lake.read("raw/rows", columns=["id"]).read_all().to_pylist())
        assert ids == dict.fromkeys(range(60), 20)
        assert lake.rejected("raw/rows").read_all().num_rows == 60
