"""A process that was taken for dead must not record anything when it comes back."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from tests.chaos import workers
from tests.chaos.invariants import check_run, family
from tests.chaos.lab import Lab, Worker, until

from penstock.core.events import now_us
from penstock.core.model import Run
from penstock.core.ports import Journal

pytestmark = pytest.mark.chaos

LEASE = 0.3


def stopped_elsewhere(
    lab: Lab, store: dict[str, Any], journal: Journal, shape: str, fault: list[Any]
) -> tuple[Worker, Run]:
    """A process of another machine that hangs in an append for longer than its lease."""
    where = lab.folder / "effects"
    patient = {**store, "lease_seconds": LEASE}
    worker = lab.start(
        workers.run_elsewhere, store=patient, shape=shape, where=str(where), name="frozen", fault=[*fault, "stop"]
    )
    worker.until_stopped()
    (run,) = journal.find("frozen")
    until(lambda: run.lost(now_us()), "the lease has expired")
    (run,) = journal.find("frozen")
    return worker, run


def contents(journal: Journal, run: Run) -> list[Any]:
    """All that is on record for a run and its subflows."""
    return [list(journal.load(member.id)) for member in family(journal, run.id)]


@pytest.mark.parametrize("fault", [["before", 2], ["after", 2], ["before", 4], ["after", 5]])
@pytest.mark.parametrize("shape", ["sequential", "mapped", "subflows", "gathered"])
def test_a_stopped_process_records_nothing_after_its_run_was_taken_over(
    lab: Lab, store: dict[str, Any], journal: Journal, shape: str, fault: list[Any]
) -> None:
    frozen, run = stopped_elsewhere(lab, store, journal, shape, fault)
    taken = lab.run(workers.resume, store=store, run_id=run.id)
    assert taken.value is not None
    before = contents(journal, run)
    frozen.signal(signal.SIGCONT)
    ended = lab.wait(frozen)
    assert ended.code == 1, "it does not believe that its run ended well"
    assert "taken over" in ended.answer["text"], ended.answer
    assert contents(journal, run) == before
    for member in family(journal, run.id):
        check_run(journal, member)
        assert member.state == "Completed"


@pytest.mark.parametrize("shape", ["sequential", "subflows"])
def test_a_stopped_process_comes_back_while_another_one_is_at_work(
    lab: Lab, store: dict[str, Any], journal: Journal, shape: str
) -> None:
    frozen, run = stopped_elsewhere(lab, store, journal, shape, ["before", 4])
    depth = 3 if shape == "subflows" else 1
    heir = lab.start(workers.resume, store=store, run_id=run.id, fault=["after", depth, "stop"])
    heir.until_stopped()
    before = contents(journal, run)
    frozen.signal(signal.SIGCONT)
    ended = lab.wait(frozen)
    assert ended.code == 1
    assert "taken over" in ended.answer["text"], ended.answer
    assert contents(journal, run) == before
    heir.signal(signal.SIGCONT)
    assert lab.wait(heir).value is not None
    for member in family(journal, run.id):
        check_run(journal, member)


def test_a_run_whose_process_still_extends_its_lease_is_refused(
    lab: Lab, store: dict[str, Any], journal: Journal
) -> None:
    """On another machine, too: it is the lease that tells."""
    patient = {**store, "lease_seconds": 300.0}
    worker = lab.start(
        workers.run_elsewhere,
        store=patient,
        shape="sequential",
        where=str(lab.folder / "effects"),
        name="busy",
        fault=["before", 3, "stop"],
    )
    worker.until_stopped()
    (run,) = journal.find("busy")
    refused = lab.run(workers.resume, store=store, run_id=run.id)
    assert refused.answer["error"] == "RunNotResumable"
    assert "another machine" in refused.answer["text"]
    worker.signal(signal.SIGCONT)
    assert lab.wait(worker).value is not None
    check_run(journal, journal.find("busy")[0])
