"""What the tests of waiting share: runs of a worker on a simulated clock, and people who answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from tests import patience

from penstock.app import Penstock
from penstock.core.deployments import Deployment
from penstock.core.events import stored_name
from penstock.core.model import Run, RunFilter
from penstock.core.ports import Journal
from penstock.engine.waiting.replies import reply
from penstock.orchestrator.deployments import trigger
from penstock.testing.simulation import Simulation

PATIENCE_SECONDS = 30.0
until = partial(patience.until, seconds=PATIENCE_SECONDS)


@contextmanager
def worker_of(*flows: Any, journal: Journal | None = None) -> Iterator[Simulation]:
    """A worker of these flows, on a clock that moves from one thing that is due to the next."""
    with Simulation(flows={flow.name: flow for flow in flows}, journal=journal) as world:
        for flow in flows:
            world.deploy(Deployment(name=flow.name, flow=flow.name, entrypoint=f"(test):{flow.name}"))
        yield world


def begin(world: Simulation, flow: Any, **parameters: Any) -> str:
    """Let the worker execute a run as far as it gets without waiting; its id."""
    run_id = trigger(world.app.journal, flow.name, parameters).id
    world.settle()
    return run_id


def run_of(world: Simulation | Penstock, run_id: str) -> Run:
    """A run as it is now."""
    app = world.app if isinstance(world, Simulation) else world
    found = app.journal.run(run_id)
    assert found is not None
    return found


def answered(world: Simulation, run_id: str, value: Any = None, **options: Any) -> Run:
    """Answer, and let the worker go on."""
    reply(world.app.journal, run_id, value, **options)
    world.settle()
    return run_of(world, run_id)


def value_of(world: Simulation | Penstock, run_id: str) -> Any:
    """What a completed run returned."""
    app = world.app if isinstance(world, Simulation) else world
    end = list(app.journal.load(run_id))[-1]
    return app.results.load(end.event.result, end.data)  # type: ignore[attr-defined]


def story(journal: Journal, run_id: str) -> list[str]:
    """The events of a run, with the steps they are about: `TaskStarted sleep#1`.

    That a step has begun is on record with its wait, and for any other step only where it takes long: those are left
    out.
    """
    told = []
    for stored in journal.load(run_id):
        step = getattr(stored.event, "step", None)
        about = getattr(getattr(stored.event, "waiting", None), "key", None) or getattr(step, "key", step)
        told.append(" ".join(filter(None, (stored_name(stored.event)[0], about))))
    followed = zip(told, [*told[1:], ""], strict=True)
    return [
        each for each, later in followed
        if not each.startswith("TaskStarted ") or later == each.replace("TaskStarted", "RunPaused")
    ]  # fmt: skip


@contextmanager
def meanwhile(app: Penstock, flow: Any, *args: Any) -> Iterator[Callable[[], Any]]:
    """The flow runs in another thread; what is given waits for its state."""
    states: list[Any] = []

    def work() -> None:
        with app.activate():
            states.append(flow(*args, return_state=True))

    thread = threading.Thread(target=work)
    thread.start()

    def ended() -> Any:
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive(), "the flow goes on waiting"
        return states[0]

    try:
        yield ended
    finally:
        thread.join(PATIENCE_SECONDS)


def paused(app: Penstock, asks: int = 1) -> Run:
    """The only run, as soon as so many of its steps wait."""
    from penstock.engine.waiting.replies import asked_of

    def waits() -> bool:
        runs = app.journal.runs(RunFilter(limit=2))
        return bool(runs) and len(asked_of(app.journal, runs[0]).state.waits) >= asks

    until(waits, "the run waits")
    return app.journal.runs(RunFilter(limit=2))[0]  # as it is since then
