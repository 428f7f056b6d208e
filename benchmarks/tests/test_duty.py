"""The topics with a scheduler and workers: what is read from them, and what ends their processes."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "contenders"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import common
import plant
from harness import readings, report
from harness.budgets import BUDGETS
from harness.contenders import SCRIPTS, load
from harness.results import base_row
from harness.topics import TOPICS
from made_results import result, row


def verdict(promise: str, results: dict[str, dict[str, Any]]) -> str:
    return next(budget.verdict(results)[1] for budget in BUDGETS if promise in budget.promise)


def test_every_topic_of_duty_has_a_count_for_everybody_who_takes_part() -> None:
    for contender in load()[1]:
        for name in {"trigger", "drain", "schedules", "soak"} & set(contender.topics):
            assert TOPICS[name].sizes_for(contender, quick=False) == contender.counts[name], contender.name
            assert max(contender.quick_counts[name]) <= 250, contender.name


def test_the_nearest_rank_is_a_value_that_was_measured() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [plant.percentile(values, percent) for percent in (50, 95, 99, 100)] == [50.0, 95.0, 99.0, 100.0]
    assert plant.percentile([3.0, 1.0, 2.0], 99) == 3.0


def test_a_slope_is_found_with_its_margin() -> None:
    straight = [(place / 10, 1000.0 + 7 * place / 10) for place in range(20)]
    slope, margin = plant.regression(straight)
    assert slope == pytest.approx(7)
    assert margin == pytest.approx(0, abs=1e-6)
    noisy = [(x, y + (5 if place % 2 else -5)) for place, (x, y) in enumerate(straight)]
    slope, margin = plant.regression(noisy)
    assert margin > 1
    assert slope - margin < 7 < slope + margin


def test_a_run_that_was_executed_twice_or_lost_breaks_the_promise() -> None:
    def drained(doubled: int, missing: int, recorded: int) -> str:
        numbers = {"run_seconds": 0.01, "cpu_seconds": 0.01, "executed": 100.0}
        kept = row("penstock-worker", 100, **numbers, doubled=doubled, missing=missing, recorded=recorded)
        shown = report.render(result("drain", kept))
        assert ("| 1 twice |" in shown, "| 1 never |" in shown) == (doubled == 1, missing == 1)
        return verdict("queued runs on SQLite", result("drain", kept))

    assert drained(0, 0, 100) == "met"
    assert drained(1, 0, 100) == "**NOT met**"
    assert drained(0, 1, 99) == "**NOT met**"
    assert drained(0, 0, 99) == "**NOT met**"


@pytest.mark.parametrize(("other", "expected"), [(0.02, "met"), (0.005, "**NOT met**")])
def test_ahead_is_against_the_best_of_the_others_whatever_their_count(other: float, expected: str) -> None:
    zero = {"doubled": 0.0, "missing": 0.0}
    rows = [
        row("penstock-worker", 10_000, run_seconds=0.01, cpu_seconds=0.01, recorded=10_000, executed=10_000, **zero),
        row("prefect-serve", 20, run_seconds=1.0, cpu_seconds=1.0, recorded=20, executed=20, **zero),
        row("huey-consumer", 500, run_seconds=other, cpu_seconds=other, recorded=500, executed=500, **zero),
    ]
    results = result("drain", *rows)
    assert verdict("drained: ahead of each other tool", results) == expected
    assert verdict("per second of one core", results) == expected
    base = base_row(results["drain"], 20)
    assert base is not None
    assert base["contender"] == "penstock-worker"
    assert ("- drain at 500 runs: Huey-Consumer" in report.render(results)) == (expected != "met")


def test_without_another_tool_nobody_is_ahead() -> None:
    kept = row("penstock-worker", 100, run_seconds=0.01, cpu_seconds=0.01, doubled=0, missing=0, recorded=100)
    assert verdict("drained: ahead of each other tool", result("drain", kept)) == "not measured"


def test_the_worse_of_the_two_databases_counts() -> None:
    names = ("spread_p50", "spread_p99", "spread_max", "at_once_p50", "at_once_p99", "at_once_max")
    quick = row("penstock-worker", 10_000, **dict.fromkeys(names, 0.5), idle_share=0.01)
    slow = row("penstock-worker-postgres", 10_000, **dict.fromkeys(names, 1.5), idle_share=0.04)
    assert verdict("due at once", result("schedules", quick)) == "met"
    assert verdict("due at once", result("schedules", quick, slow)) == "**NOT met**"
    assert verdict("idle: at most 5 %", result("schedules", quick, slow)) == "met"


@pytest.mark.parametrize(("low", "expected"), [(-1.0, "met"), (1.0, "**NOT met**")])
def test_memory_is_flat_where_the_interval_reaches_zero(low: float, expected: str) -> None:
    kept = row("penstock-worker", 100, kb_per_1000=2.0, kb_low=low, kb_high=5.0, first_mb=60.0, last_mb=60.0)
    assert verdict("memory flat", result("soak", kept)) == expected


def test_a_spread_that_overlaps_is_no_growth() -> None:
    def grown(few: list[float], many: list[float]) -> str:
        rows = []
        for size, values in ((1_000, few), (100_000, many)):
            spread = {"median": sorted(values)[2], "min": min(values), "max": max(values), "values": values}
            rows.append({**row("penstock", size), "metrics": {"task_seconds": spread}})
        reading = readings.growth({"sequential": {"rows": rows}})
        assert reading is not None
        return "grown" if reading[0] > 1 else "flat"

    assert grown([10, 11, 12, 13, 14], [10.5, 11.5, 12.5, 13.5, 14.5]) == "flat"
    assert grown([10, 11, 12, 13, 14], [20, 21, 22, 23, 24]) == "grown"
    assert grown([10, 11, 12, 13, 90], [14, 15, 16, 17, 18]) == "grown"  # one slow round hides nothing
    assert grown([20, 21, 22, 23, 24], [10, 11, 12, 13, 14]) == "flat"


def test_the_median_of_the_tasks_is_judged_and_the_mean_is_told() -> None:
    rows = [
        row("floor", 1_000, task_seconds=20e-6, task_seconds_p50=10e-6),
        row("penstock", 1_000, task_seconds=90e-6, task_seconds_p50=40e-6),
    ]
    results = result("sequential", *rows)
    assert verdict("at 1,000: median at most 80 µs", results) == "met"
    told = next(budget.verdict(results)[0] for budget in BUDGETS if "at 1,000: at most 4 bare" in budget.promise)
    assert told == "4.00x (of the means: 4.50x)"


PLANT = """
import subprocess, sys, time
from plant import Plant, descendants
child = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import os, time; os.setsid(); \
sum(range(3_000_000)); time.sleep(600)']); time.sleep({})"
with Plant() as running:
    running.start(sys.executable, "-c", child.format(0))   # ends at once, and leaves an orphan
    running.start(sys.executable, "-c", child.format(600))
    deadline = time.monotonic() + 30
    while (len(descendants(running.pid)) < 4 or running.cpu_seconds() < 0.02) and time.monotonic() < deadline:
        time.sleep(0.05)
    print(*descendants(running.pid), running.cpu_seconds() > 0, running.memory_kb() > 1000, flush=True)
    {wait}
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux")
@pytest.mark.parametrize("wait", ["pass", "time.sleep(600)"])
def test_no_process_outlives_its_plant(tmp_path: Path, wait: str) -> None:
    """Also when the harness ends the program in the middle; an orphan in a session of its own is ended too."""
    variables = {**os.environ, "BENCH_HOME": str(tmp_path), "PYTHONPATH": str(SCRIPTS)}
    program = PLANT.replace("{wait}", wait)
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        *pids, used, resident = process.stdout.readline().split()
        if wait != "pass":
            process.terminate()
        process.wait(timeout=60)
    assert (used, resident) == ("True", "True")
    assert len(pids) >= 3
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_marks_arrive_in_order_with_their_moments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_HOME", str(tmp_path))
    marks = plant.Marks()
    before = time.monotonic()
    common.mark("7")
    common.mark("8")
    key, moment = marks.next(5) or ("", 0.0)
    assert key == "7"
    assert before <= moment <= marks.expect("8", 5)
    assert marks.next(0) is None
    common.mark("9")
    with pytest.raises(SystemExit, match="9 began, and 10 was asked for"):
        marks.expect("10", 5)
