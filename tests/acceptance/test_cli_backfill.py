"""`penstock backfill`: a run for each partition, a few at a time; stopped, killed, resumed, cancelled."""

from __future__ import annotations

import re
import signal
from typing import Any

import pytest
from tests.acceptance.duty_lab import FLOWS, Duty, Place, place
from tests.patience import until

from penstock.engine.runners.trees import kill_tree

pytestmark = pytest.mark.acceptance
__all__ = ["place"]
MARCH = ("--from", "2026-03-28", "--to", "2026-04-01")


def backfill(place: Place, *args: object, flow: str = "per_day", code: int = 0) -> Any:
    return place.cli.json("backfill", "run", f"{FLOWS}:{flow}", "-p", f"folder={place.folder}", *args, code=code)


def listed(place: Place) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = place.cli.json("backfill", "list")
    return found


def test_a_run_for_each_day_which_knows_its_interval(place: Place) -> None:
    found = backfill(place, *MARCH)
    assert (found["state"], found["partitions"], found["runs"]) == ("Completed", 4, {"Completed": 4})
    days = ["2026-03-28|27T23|28T23", "2026-03-29|28T23|29T22", "2026-03-30|29T22|30T22", "2026-03-31|30T22|31T22"]
    assert sorted(place.ran()) == days, "summer time began on the 29th, and that day had 23 hours"
    assert [each["id"] for each in listed(place)] == [found["id"]]
    (run,) = place.cli.json("runs", "list", "--partition", "2026-03-29")["runs"]
    assert (run["cause"], run["partition"]) == ("backfill", "2026-03-29")
    assert place.cli.json("pools", "list")["pools"] == [], "the pool it had was its own"


def test_what_it_would_do(place: Place) -> None:
    found = place.cli.json("backfill", "run", f"{FLOWS}:per_day", *MARCH, "--reverse", "--dry-run")
    assert [each["key"] for each in found] == ["2026-03-31", "2026-03-30", "2026-03-29", "2026-03-28"]
    told = place.cli.run("backfill", "run", f"{FLOWS}:per_day", *MARCH, "--dry-run").out
    assert re.search(r"2026-03-29 +Sun 2026-03-29 00:00 \+01:00 +Mon 2026-03-30 00:00 \+02:00", told)
    assert not place.cli.home.exists()


def test_in_order_and_in_reverse(place: Place) -> None:
    backfill(place, *MARCH, "--concurrency", "1")
    backfill(place, *MARCH, "--concurrency", "1", "--reverse")
    days = [line.partition("|")[0] for line in place.ran()]
    assert days == sorted(days[:4]) + sorted(days[:4], reverse=True)


def test_what_failed_is_run_again_and_nothing_else(place: Place) -> None:
    run = ("backfill", "run", f"{FLOWS}:per_day", "-p", f"folder={place.folder}", "-p", "bad=2026-03-30", *MARCH)
    answer = place.cli.run(*run, code=1)
    assert "3 of 4 partitions completed" in answer.out
    assert "✗ 2026-03-30  failed" in answer.err
    assert "nothing is there for 2026-03-30" in answer.err
    assert "--only-failed" in answer.out
    assert "Traceback" not in answer.err
    (place.folder / "mended").touch()
    again = place.cli.run(*run, "--only-failed")
    assert "1 of 1 partition completed" in again.out
    assert sorted(line.partition("|")[0] for line in place.ran()) == [f"2026-03-{day}" for day in (28, 29, 30, 31)]
    nothing = place.cli.run(*run, "--only-failed", code=2)
    assert "There is no partition to run" in nothing.err


def test_missing_partitions(place: Place) -> None:
    backfill(place, "--key", "2026-03-29")
    found = backfill(place, *MARCH, "--missing")
    assert found["partitions"] == 3
    assert len(place.ran()) == 4


def test_keys(place: Place) -> None:
    assert backfill(place, "--key", "se", "--key", "se", "--key", "no", flow="per_country")["partitions"] == 2
    assert sorted(place.ran()) == ["no", "se"]
    assert backfill(place, flow="per_country")["partitions"] == 3


def start(place: Place, *args: object) -> Any:
    return place.cli.start(
        "backfill", "run", f"{FLOWS}:per_day", "-p", f"folder={place.folder}", "-p", "stop_at=2026-03-29",
        *MARCH, "--concurrency", "1", *args,
    )  # fmt: skip


@pytest.mark.parametrize("how", ["SIGINT", "SIGKILL"])
def test_stopped_in_the_middle_and_resumed(place: Place, how: str) -> None:
    process = start(place)
    place.here("2026-03-29")
    if how == "SIGKILL":
        kill_tree(process.pid, signal.SIGKILL)
        place.cli.end(process)
    else:
        process.send_signal(signal.SIGINT)
        place.open("2026-03-29")
        answer = place.cli.end(process)
        assert answer.code == 1
        assert "was stopped: 2 of 4 partitions completed." in answer.out
        assert "penstock backfill resume backfill-" in answer.out
    (found,) = listed(place)
    assert found["state"] == "Running"
    place.open("2026-03-29")
    done = place.cli.json("backfill", "resume", found["id"])
    assert (done["state"], done["runs"]) == ("Completed", {"Completed": 4})
    assert sorted({line.partition("|")[0] for line in place.ran()}) == [f"2026-03-{day}" for day in (28, 29, 30, 31)]
    assert place.ran().count("2026-03-28|27T23|28T23") == 1, "what had ended was not run again"
    assert place.cli.json("backfill", "resume", found["id"])["state"] == "Completed"


def test_cancelled(place: Place) -> None:
    process = start(place)
    place.here("2026-03-29")
    (found,) = listed(place)
    assert place.cli.json("backfill", "cancel", found["id"])["cancelled"] == 3
    answer = place.cli.end(process)
    assert answer.code == 1
    assert "Traceback" not in answer.err
    assert listed(place)[0]["state"] == "Cancelled"
    states = {run["partition"]: run["state"] for run in place.cli.json("runs", "list")["runs"]}
    assert states == {"2026-03-28": "Completed", **{f"2026-03-{day}": "Cancelled" for day in (29, 30, 31)}}


def test_by_the_workers_of_a_pool_with_a_limit_of_its_own(place: Place) -> None:
    made = backfill(place, *MARCH, "--pool", "big", "--concurrency", "1")
    assert (made["state"], made["runs"]) == ("Running", {"Scheduled": 4})
    told = place.cli.run("backfill", "resume", made["id"], code=2).err
    assert "left to the workers of big" in told
    assert "penstock worker start --pool big" in told
    (pool,) = place.cli.json("pools", "list")["pools"]
    assert [queue["name"] for queue in pool["queues"]] == [made["id"]]
    worker: Duty = place.worker("--pool", "big")
    until(lambda: listed(place)[0]["state"] == "Completed", "the end of the backfill")
    assert worker.end() == 0
    days = [line.partition("|")[0] for line in place.ran()]
    assert days == sorted(days), "one at a time, in order"
    assert all(not pool["queues"] for pool in place.cli.json("pools", "list")["pools"]), "its queue goes with it"


def test_a_bar_in_a_terminal(place: Place) -> None:
    terminal = place.cli.terminal(
        "backfill", "run", f"{FLOWS}:per_day", "-p", f"folder={place.folder}", "-p", "stop_at=2026-03-29",
        "-p", "bad=2026-03-28", *MARCH, "--concurrency", "1",
    )  # fmt: skip
    terminal.read_until("1/4 · 1 failed · 1 running")
    terminal.read_until("✗ 2026-03-28  failed")
    place.open("2026-03-29")
    assert terminal.end() == 1
    assert "3 of 4 partitions completed." in terminal.text
    assert b"\x1b[?25l" not in terminal.raw


@pytest.mark.parametrize(
    ("flow", "arguments", "told"),
    [
        ("quick", (), "declares no partitions"),
        ("per_day", (), "needs to know where it begins"),
        ("per_day", ("--from", "soon"), "'soon' is no day or time"),
        ("per_day", ("--from", "2026-03-02", "--to", "2026-03-01"), "no partition to run"),
        ("per_day", ("--key", "2026-02-30"), "such as 20"),
        ("per_day", ("--key", "2026-02-03", "--from", "2026-01-01"), "exclude each other"),
        ("per_day", ("--from", "2026-01-01", "-p", "worse=1"), "worse: no such parameter"),
        ("per_day", ("--from", "1600-01-01"), "more than 100,000 partitions"),
        ("per_country", ("--key", "fi"), "no, se, dk"),
    ],
)
def test_mistakes(place: Place, flow: str, arguments: tuple[str, ...], told: str) -> None:
    given = ("backfill", "run", f"{FLOWS}:{flow}", "-p", f"folder={place.folder}", *arguments)
    answer = place.cli.run(*given, code=2)
    assert told in answer.err
    assert "Traceback" not in answer.err
    assert not place.ran()


def test_what_a_flow_needs_must_be_given(place: Place) -> None:
    assert "folder: missing" in place.cli.run("backfill", "run", f"{FLOWS}:per_day", *MARCH, code=2).err


def test_one_that_is_not_there(place: Place) -> None:
    for command in ("resume", "cancel"):
        assert "There is no backfill 'nope'" in place.cli.run("backfill", command, "nope", code=2).err
    assert "There are no backfills yet" in place.cli.run("backfill", "list").out
