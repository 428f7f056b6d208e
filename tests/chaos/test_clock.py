"""A wall clock that jumps: what is recorded stays in order, and nothing waits for an hour that has passed."""

from __future__ import annotations

from typing import Any

import pytest
from tests.chaos import workers
from tests.chaos.invariants import check_run, family
from tests.chaos.lab import Lab, until
from tests.chaos.trouble import lines_in

from penstock.core.model import RunFilter
from penstock.core.ports import Journal
from penstock.engine.recovery import cancel

pytestmark = pytest.mark.chaos


@pytest.mark.parametrize("seconds", [-3600.0, 3600.0])
@pytest.mark.parametrize("shape", ["sequential", "mapped", "subflows", "gathered", "retried"])
def test_a_clock_that_jumps_changes_no_result_and_no_order(
    lab: Lab, store: dict[str, Any], journal: Journal, shape: str, seconds: float
) -> None:
    calm = lab.run(workers.run, store=store, shape=shape, where=str(lab.folder / "calm"), name="calm").value
    jumping = lab.run(
        workers.run_while_the_clock_jumps, store=store, seconds=seconds, where=str(lab.folder / "effects"), shape=shape
    )
    assert jumping.value == calm
    (run,) = journal.find("jumping")
    for member in family(journal, run.id):
        check_run(journal, member)
        assert member.state == "Completed"
    assert {found.name for found in journal.runs(RunFilter())} == {"calm", "jumping"}


def test_a_run_whose_clock_was_turned_back_is_cancelled_like_any_other(
    lab: Lab, store: dict[str, Any], journal: Journal
) -> None:
    where = lab.folder / "pids"
    worker = lab.start(workers.sleep_while_the_clock_jumps, store=store, where=str(where))
    until(lambda: lines_in(where) == 1, "it sleeps")
    (run,) = journal.runs(RunFilter())
    assert cancel(journal, run.id, grace_seconds=20).state == "Cancelled"
    lab.wait(worker)
    check_run(journal, journal.runs(RunFilter())[0])


def test_a_killed_run_is_resumed_after_the_clock_was_turned_back(
    lab: Lab, store: dict[str, Any], journal: Journal
) -> None:
    where = str(lab.folder / "effects")
    assert lab.run(workers.run, store=store, shape="sequential", where=where, name="late", fault=["after", 4]).killed
    (run,) = journal.find("late")
    resumed = lab.run(workers.resume_in_the_past, store=store, run_id=run.id)
    assert resumed.value == 26
    check_run(journal, journal.find("late")[0])
