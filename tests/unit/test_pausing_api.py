"""Pausing over the API: one run, many at once, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.test_control_runs import api, app, penstock  # noqa: F401 - fixtures

from penstock.app import Penstock
from penstock.core.decisions import RequestCancel
from penstock.core.events import ON_REQUEST, Record, RunPaused, RunPauseRequested, Waiting, now_us
from penstock.engine.commands import append_command
from penstock.testing.journal_search import born
from penstock.testing.samples import created

RUNS = "/runs"


def queued(penstock: Penstock, number: int) -> str:  # noqa: F811
    """A run that waits for a worker."""
    run_id = f"{number:032x}"
    penstock.journal.append(run_id, 0, [created(pool="p", queue="default", due_at=1)])
    return run_id


def requests(penstock: Penstock, run_id: str) -> list[Any]:  # noqa: F811
    found = [each.event for each in penstock.journal.load(run_id)]
    return [event for event in found if isinstance(event, RunPauseRequested)]


def test_a_run_is_paused_and_goes_on(api: Any, penstock: Penstock) -> None:  # noqa: F811
    run_id = queued(penstock, 1)
    for _ in range(2):
        answer = api.post(f"{RUNS}/{run_id}/pause", json={"reason": "wrong day"})
        assert (answer.status_code, answer.json()["pause_requested"]) == (200, True)
    (asked,) = requests(penstock, run_id)
    assert (asked.by is not None, asked.reason) == (True, "wrong day")
    for _ in range(2):
        answer = api.post(f"{RUNS}/{run_id}/resume")
        assert (answer.status_code, answer.json()["id"], answer.json()["pause_requested"]) == (200, run_id, False)
    assert "Location" not in answer.headers, "no run was made"


def test_what_a_paused_run_waits_for_is_told(api: Any, penstock: Penstock) -> None:  # noqa: F811
    run_id = born(penstock.journal, name="held", flow="f")
    api.post(f"{RUNS}/{run_id}/pause")
    waiting = Waiting(key=ON_REQUEST, kind="pause", prompt="Paused by ann.", answer={"type": "null"})
    penstock.journal.append(
        run_id, penstock.journal.last_seq(run_id), [Record(RunPaused(at=now_us(), waiting=waiting))]
    )
    assert api.get(f"{RUNS}/{run_id}").json()["waiting"]["kind"] == "pause"
    (question,) = api.get(f"{RUNS}/{run_id}/waiting").json()
    assert (question["step"], question["kind"]) == (ON_REQUEST, "pause")
    assert api.post(f"{RUNS}/{run_id}/answer", json={"value": 3}).status_code == 422
    assert api.post(f"{RUNS}/{run_id}/answer", json={}).json()["pause_requested"] is False


@pytest.mark.parametrize("body", [{"reason": 3}, {"reason": "x" * 1001}, {"because": "x"}, [], "x"])
def test_what_cannot_be_read_is_refused(penstock: Penstock, api: Any, body: Any) -> None:  # noqa: F811
    run_id = queued(penstock, 1)
    answer = api.post(f"{RUNS}/{run_id}/pause", json=body)
    assert answer.status_code == 422
    assert not requests(penstock, run_id)


def test_a_run_that_is_to_stop_is_not_paused(api: Any, penstock: Penstock) -> None:  # noqa: F811
    run_id = queued(penstock, 1)
    append_command(penstock.journal, run_id, RequestCancel(now_us()))
    assert api.post(f"{RUNS}/{run_id}/pause").status_code == 409
    assert api.post(f"{RUNS}/nope/pause").status_code == 404
    api.post(f"{RUNS}/{run_id}/cancel", json={"grace_seconds": 0})
    assert api.post(f"{RUNS}/{run_id}/pause").status_code == 409


def test_many_are_paused_and_go_on(api: Any, penstock: Penstock) -> None:  # noqa: F811
    made = [queued(penstock, number) for number in range(1, 4)]
    api.post(f"{RUNS}/{made[0]}/cancel", json={"grace_seconds": 0})
    asked = {"ids": made, "reason": "moving"}
    assert api.post(f"{RUNS}/pause", json={**asked, "dry_run": True}).json()["count"] == 3
    job = api.post(f"{RUNS}/pause", json=asked).json()
    after = _done(api, job["id"])
    assert (after["state"], after["done"], after["skipped"]) == ("Completed", 2, {"had ended": 1})
    assert all(api.get(f"{RUNS}/{each}").json()["pause_requested"] for each in made[1:])
    api.post(f"{RUNS}/{made[1]}/resume")
    after = _done(api, api.post(f"{RUNS}/resume", json={"ids": made}).json()["id"])
    assert (after["done"], after["skipped"]) == (1, {"was not asked to pause": 2})


def _done(api: Any, job_id: str) -> dict[str, Any]:  # noqa: F811
    api.app.state.control.jobs._thread.submit(lambda: None).result(30)
    found: dict[str, Any] = api.get(f"/jobs/{job_id}").json()
    return found
