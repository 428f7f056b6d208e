"""Tasks on a Dask cluster of two worker processes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration import dask_flows
from tests.integration.dask_cluster import Cluster, distributed
from tests.unit.engines import engine_on, events, newest, steps
from tests.unit.test_engine_equivalence import Runners

from penstock import flow, tags, unmapped
from penstock.app import Penstock
from penstock.core.errors import (
    AuthoringError,
    EngineUnreachable,
    JournalReadOnly,
    ResultNotSaved,
    ResultUnavailable,
    TaskTimedOut,
)
from penstock.core.events import TaskCompleted
from penstock.core.ports import TaskRunner
from penstock.engine.recovery import fork
from penstock.engine.runners.dask_link import Link
from penstock.journal.results import FileResultStore, _as_it_is
from penstock.task_runners import DaskRunner

pytestmark = pytest.mark.timeout(100)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("dask")) as made:
        yield made


class TestDask(Runners):
    @pytest.fixture(autouse=True)
    def dask(self, cluster: Cluster) -> None:
        self.address = cluster.address

    def runner(self) -> TaskRunner:
        return DaskRunner(self.address)


def on(cluster: Cluster, fn: Any, **options: Any) -> Any:
    return flow(fn, task_runner=DaskRunner(cluster.address, **options), name="on_dask")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Penstock]:
    with engine_on(tmp_path / "home").activate() as fresh:
        yield fresh


def test_large_values_stay_on_the_cluster(cluster: Cluster, app: Penstock) -> None:
    """The flow's process reads none of them, though it hands them on and records where they are."""
    reads: list[Any] = []
    app.results.load = lambda *asked: reads.append(asked)  # type: ignore[method-assign]

    def body() -> str:
        made = [dask_flows.frame.submit(20_000) for _ in range(2)]
        ended = dask_flows.total.submit(made[0], *made[1:])
        ended.wait()
        return ended.state.name

    assert on(cluster, body)() == "Completed"
    assert reads == []
    stored = [event for event in events(app, newest(app).id) if isinstance(event, TaskCompleted)]
    refs = {event.step.key: event.result.ref for event in stored if event.result is not None}
    assert refs["frame#1"] is not None
    assert refs["frame#2"] is not None
    assert refs["total#1"] is None


def test_the_flow_gets_the_values_it_looks_at(cluster: Cluster, app: Penstock) -> None:
    def body() -> tuple[int, int, Any]:
        made = dask_flows.frame.submit(20_000)
        return made.result().height, dask_flows.total(made), dask_flows.total.submit(made.result()).result()

    assert on(cluster, body)() == (20_000, 199990000, 199990000)


def test_a_run_goes_on_with_values_of_the_store(cluster: Cluster, app: Penstock) -> None:
    def body() -> int:
        made = dask_flows.frame.submit(20_000)
        made.wait()
        return dask_flows.total.submit(made).result()

    forkable = on(cluster, body)
    forkable()
    new = fork(app.journal, newest(app), "total#1")
    assert app.resume(new.id, forkable) == 199990000
    assert steps(app, new.id) == {"frame#1": "Completed", "total#1": "Completed"}


def test_a_result_that_is_not_to_be_saved_is_on_the_cluster_only(cluster: Cluster, app: Penstock) -> None:
    def body() -> tuple[int, int, int]:
        made = dask_flows.unsaved.submit(20_000)
        return (
            dask_flows.total.submit(made).result(),
            made.result().height,
            dask_flows.unsaved.submit(3).result().height,
        )

    assert on(cluster, body)() == (199990000, 20_000, 3)
    stored = [event for event in events(app, newest(app).id) if isinstance(event, TaskCompleted)]
    kinds = {event.step.key: event.result.serializer for event in stored if event.result is not None}
    assert kinds == {"unsaved#1": "none", "total#1": "json", "unsaved#2": "arrow.polars"}
    with pytest.raises(ResultUnavailable, match="could not be saved"):
        app.resume(fork(app.journal, newest(app), "total#1").id, on(cluster, body))


def test_large_arguments_and_values_inside_others(cluster: Cluster, app: Penstock) -> None:
    def body() -> list[tuple[int, int, int]]:
        made, small = dask_flows.frame.submit(20_000), dask_flows.add.submit(1)
        given = {"frame": made, "bytes": bytes(3_000_000), "small": [small]}
        return dask_flows.sizes.map([given, given], more=unmapped(bytes(2_000_000))).result()

    assert on(cluster, body)() == [(20_000, 3_000_000, 2_000_000)] * 2


def test_tasks_are_executed_by_the_workers(cluster: Cluster, app: Penstock) -> None:
    pids = {process.pid for process in cluster.workers}
    assert set(on(cluster, lambda: [dask_flows.who.submit().result() for _ in range(3)])()) <= pids
    assert on(cluster, lambda: dask_flows.who())() == os.getpid(), "a direct call is executed where it is"


def test_tasks_that_a_task_calls_are_recorded_and_executed_beside_it(cluster: Cluster, app: Penstock) -> None:
    value, pid = on(cluster, lambda: dask_flows.nested.submit(3).result())()
    assert value == 17
    assert pid in {process.pid for process in cluster.workers}
    assert steps(app, newest(app).id) == dict.fromkeys(["nested#1", "nested#1/add#1", "nested#1/add#2"], "Completed")
    assert on(cluster, lambda: dask_flows.nested_async.submit(3).result())() == 4


def test_a_task_holds_limits_and_makes_artifacts_and_waits(cluster: Cluster, app: Penstock) -> None:
    made = on(cluster, lambda: dask_flows.asks.submit().result())()
    (artifact,) = app.journal.artifacts(newest(app).id)
    assert (artifact.id, artifact.step) == (made, "asks#1")


def test_a_task_knows_where_it_is_and_its_lines_come_back(cluster: Cluster, app: Penstock) -> None:
    def body(number: int, fits_not: Any) -> Any:
        with tags("late"):
            return dask_flows.shows.submit().result()

    told = on(cluster, body)(7, "x" * 200_000)
    run = newest(app).id
    assert told == {"run": run, "parameters": {}, "task": f"{run}/shows#1", "tags": ["late"]}
    lines = {(line.message, line.key) for line in app.journal.logs(run)}
    assert ("kept", "shows#1") in lines
    assert not any("too low" in message for message, _ in lines)
    assert any("its dashboard is http://" in message for message, _ in lines)


def test_many_short_tasks_go_in_packs_and_come_back_in_order(cluster: Cluster, app: Penstock) -> None:
    def body() -> list[int]:
        return dask_flows.brief.map(range(2000)).result()

    assert on(cluster, body)() == [2 * number for number in range(2000)]
    with cluster.client() as client:
        names = client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
    assert names == 0, "nothing of the run is left on the cluster"


def test_a_slow_one_among_short_ones_holds_up_no_pack(cluster: Cluster, app: Penstock) -> None:
    def body() -> int:
        dask_flows.brief.map(range(50)).wait()
        return sum(dask_flows.brief.map(range(40), [0.3 if n == 0 else 0.0 for n in range(40)]).result())

    assert on(cluster, body)() == sum(range(40)) * 2


@pytest.mark.parametrize(
    ("kind", "state", "told"),
    [("plain", "Failed", "ValueError: plain"), ("odd", "Failed", "Odd: one"), ("exit", "Crashed", "3")],
)
def test_what_a_task_raises_is_what_the_flow_sees(
    cluster: Cluster, app: Penstock, kind: str, state: str, told: str
) -> None:
    future: list[Any] = []

    def body() -> None:
        future.append(dask_flows.raises.submit(kind))
        future[0].wait()

    on(cluster, body)(return_state=True)
    assert (future[0].state.type.word, told in future[0].state.message) == (state, True), future[0].state


def test_what_cannot_be_sent_says_so(cluster: Cluster, app: Penstock) -> None:
    with pytest.raises(ResultNotSaved, match="cannot be saved"):
        on(cluster, lambda: dask_flows.unsendable.submit().result())()
    with pytest.raises(ResultNotSaved, match="arguments of a task on a cluster cannot be sent"):
        on(cluster, lambda: dask_flows.brief.submit(threading.Lock()).result())()


def test_an_async_task_that_is_late_is_stopped(cluster: Cluster, app: Penstock) -> None:
    with pytest.raises(TaskTimedOut, match=r"exceeded timeout of 0\.3 second"):
        on(cluster, lambda: dask_flows.too_slow.submit().result())()


def test_a_worker_without_the_result_store_says_so(cluster: Cluster, app: Penstock, tmp_path: Path) -> None:
    """Small results need no store."""
    moved = FileResultStore(tmp_path / "home" / "results")
    moved.__class__ = type(
        "Moved", (FileResultStore,), {"__reduce__": lambda self: (_as_it_is, ("/nowhere", 16384, False))}
    )
    app.engine.results = moved
    assert on(cluster, lambda: dask_flows.add.submit(1).result())() == 2
    with pytest.raises(JournalReadOnly, match="has no folder /nowhere") as refused:
        on(cluster, lambda: dask_flows.vast.submit().result())()
    assert "share the folder" in str(refused.value)


def test_resources_are_asked_for(cluster: Cluster, app: Penstock) -> None:
    """No worker of this cluster has any: the task waits, until the flow is out of time."""
    runner = DaskRunner(cluster.address, resources={"who": {"GPU": 1}})
    waits = flow(lambda: dask_flows.who.submit().result(), task_runner=runner, timeout_seconds=1, name="waits")
    assert waits(return_state=True).name == "TimedOut"
    assert on(cluster, lambda: dask_flows.add.submit(1).result(), resources={"who": {"GPU": 1}})() == 2


def test_nobody_at_the_address(app: Penstock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.engine.runners.dask_link._CONNECT_SECONDS", 0.5)
    gone = flow(lambda: dask_flows.who.submit().result(), task_runner=DaskRunner("tcp://127.0.0.1:1"), name="gone")
    with pytest.raises(EngineUnreachable, match="No Dask scheduler answers at tcp:"):
        gone()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"cluster": 7}, "an address, a cluster or a cluster class, not 7"),
        ({"cluster": "tcp://127.0.0.1:1", "adapt": {}}, "for cluster classes"),
        ({"cluster": "tcp://127.0.0.1:1", "options": {"n_workers": 1}}, "for cluster classes"),
        ({"cluster": "tcp://127.0.0.1:1", "resources": {"a": {"GPU": 0}}}, "resources of the task 'a'"),
        ({"cluster": "tcp://127.0.0.1:1", "resources": {"a": 1}}, "resources of the task 'a'"),
    ],
)
def test_mistakes_are_told_when_the_runner_is_made(given: dict[str, Any], told: str) -> None:
    with pytest.raises(AuthoringError, match=told):
        DaskRunner(**given)


def test_a_cluster_of_its_own_begins_and_ends_with_the_run(app: Penstock) -> None:
    runner = DaskRunner(distributed.LocalCluster, options={"n_workers": 1, "threads_per_worker": 1, "processes": False})
    own = flow(lambda: [dask_flows.nested.submit(3).result(), dask_flows.add(1)], task_runner=runner, name="own")
    assert own() == [(17, os.getpid()), 2]
    assert {repr(runner), repr(runner.duplicate())} == {"DaskRunner('LocalCluster')"}
    assert not [thread for thread in threading.enumerate() if thread.name == "penstock-dask" and thread.is_alive()]


def test_a_task_may_ask_again_before_its_first_answer_is_put_away(
    cluster: Cluster, app: Penstock, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = Link.answer

    def slow(self: Link, queue: str, kind: str, data: bytes) -> None:
        time.sleep(0.6 if kind == "call" else 0)
        answer(self, queue, kind, data)
        time.sleep(0.3 if kind == "answer" else 0)

    monkeypatch.setattr(Link, "answer", slow)
    assert on(cluster, lambda: dask_flows.nested.submit(3).result()[0])() == 17
