"""Flows that wait, and what processes do with them: executed as a worker's process would, answered, held."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.chaos.shapes import add
from tests.chaos.workers import opened, wait_at

from penstock import Approval, approve, flow, sleep, wait_for_input
from penstock.core.errors import AnswerRefused, NotWaiting, RunTakenOver
from penstock.engine.scheduled import execute
from penstock.engine.waiting.replies import reply

POOL = "patience"
QUICK_SLEEP = 0.03


@flow
def below(where: str, value: int) -> int:
    value = add(where, value)
    approval: Approval = approve("go on?")
    return add(where, value, more=10 if approval else 20)


@flow
def patient(where: str) -> int:
    value = add(where, 1)
    sleep(QUICK_SLEEP)
    future = add.submit(where, value)
    more = wait_for_input(int, "how many?")
    value = below(where, future.result() + more)
    return add(where, value)


@flow
def sleeper(where: str, seconds: float) -> int:
    value = add(where, 1)
    sleep(seconds)
    return add(where, value)


@flow
def quick(where: str) -> int:
    return add(where, 1)


@flow
def hurried(where: str, seconds: float) -> int:
    return int(wait_for_input(int, timeout=seconds, default=-1))


FLOWS = {each.name: each for each in (patient, sleeper, quick, hurried)}
ENTRYPOINT = f"{Path(__file__)}:{{}}"


def carry_on(store: dict[str, Any], run_id: str, flow_name: str, owner: str, fault: list[Any] | None = None) -> str:
    """Execute a run that was claimed, until it ends or waits."""
    with opened(store, fault) as app:
        try:
            state = execute(app.engine, run_id, FLOWS[flow_name], owner)
        except RunTakenOver:
            return "taken over"
        return "waits" if state is None else str(state.name)


def answer(store: dict[str, Any], run_id: str, value: Any, fault: list[Any] | None = None) -> str:
    """Answer a run."""
    with opened(store, fault) as app:
        try:
            reply(app.journal, run_id, value)
        except (NotWaiting, AnswerRefused) as refusal:
            return type(refusal).__name__
        return "answered"


def answer_at_the_gate(store: dict[str, Any], gate: str, run_id: str, value: Any) -> str:
    """Answer when the gate opens."""
    with opened(store) as app:
        wait_at(gate)
        try:
            reply(app.journal, run_id, value)
        except NotWaiting:
            return "too late"
        return "answered"


def hurry(store: dict[str, Any], seconds: float, where: str) -> int:
    """Ask, for so long."""
    with opened(store):
        return hurried(where, seconds)


def work(store: dict[str, Any], slots: int) -> None:
    """A worker, until it is killed."""
    from penstock.orchestrator.worker import PoolWorker, WorkerOptions

    environment = {
        "PENSTOCK_HOME": store["home"],
        "PENSTOCK_DATABASE_URL": store["database_url"],
        "PENSTOCK_SUSPEND_SECONDS": str(store.get("suspend_seconds", 5.0)),
        "PENSTOCK_LEASE_SECONDS": str(store.get("lease_seconds", 30.0)),
        "PENSTOCK_LOG_LEVEL": "ERROR",
        "PYTHONPATH": os.environ["PYTHONPATH"],
    }
    with opened(store) as app:
        PoolWorker(
            app.journal,
            WorkerOptions(pool=POOL, slots=slots, environment=environment, lease_seconds=app.settings.lease_seconds),
        ).run()
