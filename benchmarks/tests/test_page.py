"""The page must say what the results say: these tests feed it results and read the verdicts."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import report, words
from harness.budgets import BUDGETS
from harness.contenders import load
from harness.places import harmless
from harness.topics import TOPICS
from made_results import result, row


def verdict(promise: str, results: dict[str, dict[str, Any]]) -> str:
    return next(budget.verdict(results)[1] for budget in BUDGETS if promise in budget.promise)


@pytest.mark.parametrize(("seconds", "expected"), [(0.060, "met"), (0.0601, "**NOT met**")])
def test_a_limit_is_met_up_to_itself(seconds: float, expected: str) -> None:
    assert verdict("import penstock", result("import", row("penstock", seconds=seconds))) == expected


def test_what_was_not_measured_is_not_met() -> None:
    assert verdict("import penstock", {}) == "not measured"
    assert verdict("import penstock", result("import", row("prefect", seconds=0.01))) == "not measured"


@pytest.mark.parametrize(("task", "expected"), [(40e-6, "met"), (41e-6, "**NOT met**")])
def test_a_quotient_is_taken_at_the_same_size(task: float, expected: str) -> None:
    rows = [
        row("floor", 1_000, task_seconds=1.0, task_seconds_p50=10e-6),
        row("floor", 10_000, task_seconds=1.0, task_seconds_p50=1.0),
        row("penstock", 1_000, task_seconds=1.0, task_seconds_p50=task),
    ]
    assert verdict("at 1,000: at most 4 bare", result("sequential", *rows)) == expected


def test_one_missing_record_breaks_the_promise_of_all() -> None:
    kept = row("penstock", 1_000, task_seconds=1.0, executed=1_000, recorded_at_exit=1_000)
    lost = row("penstock", 10_000, task_seconds=1.0, executed=10_000, recorded_at_exit=9_999)
    assert verdict("on record", result("sequential", kept)) == "met"
    assert verdict("on record", result("sequential", kept, lost)) == "**NOT met**"


def test_a_tool_that_is_ahead_is_named() -> None:
    ahead = report.render(result("hello", row("penstock", seconds=0.2), row("luigi", seconds=0.1)))
    behind = report.render(result("hello", row("penstock", seconds=0.1), row("luigi", seconds=0.2)))
    assert "- hello: Luigi, 100 ms to Penstock's 200 ms" in ahead
    assert "no topic measured here" in behind


def test_a_failure_reaches_the_page() -> None:
    results = result("hello", row("penstock", seconds=0.2))
    results["hello"]["exceptions"].append({"contender": "x", "label": "X", "reason": "failed in round 1: no"})
    assert "- X: failed in round 1: no" in report.render(results)


def test_a_topic_that_nobody_took_part_in_says_why() -> None:
    results = result("postgres")
    results["postgres"]["exceptions"].append({"contender": "x", "label": "X", "reason": "left out: no server"})
    results["postgres"]["postgres"] = {}
    assert "- X: left out: no server" in report.render(results)


def test_reasons_tell_nothing_of_the_machine() -> None:
    assert harmless("no https://host.example/simple for /home/me/a.b/c") == "no (address) for (path)"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(8.04e-5, "80.4 µs"), (0.0009999, "1.00 ms"), (0.0123, "12.3 ms"), (5.5, "5.50 s")]
)
def test_durations(seconds: float, shown: str) -> None:
    assert words.duration(seconds) == shown


def test_a_lost_record_is_not_rounded_away() -> None:
    assert words.share(99_999, 100_000) == "99.99 %"
    assert words.share(10, 10) == "100 %"


def test_every_contender_takes_part_in_topics_that_there_are() -> None:
    _, contenders = load()
    for contender in contenders:
        assert set(contender.topics) | set(contender.without) <= set(TOPICS), contender.name
        assert (Path(__file__).parents[1] / "contenders" / contender.script).is_file()
