"""Runs that somebody asks to pause: they stop before their next step, and go on where they were."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.engines import dying, engine_on, newest
from tests.unit.waiting import answered, begin, meanwhile, paused, run_of, story, until, value_of, worker_of

from penstock import flow, runtime, sleep, task, wait_for_input
from penstock.app import Penstock
from penstock.core.context import current_scope
from penstock.core.decisions import RequestCancel, RequestPause
from penstock.core.errors import InvalidTransition, JournalUnavailable, NotWaiting
from penstock.core.events import ON_REQUEST, RunPaused, now_us
from penstock.core.model import RunFilter
from penstock.engine.commands import append_command
from penstock.engine.recovery import cancel, resume
from penstock.engine.waiting.replies import let_go_on, pause, reply
from penstock.orchestrator.deployments import trigger
from penstock.testing.simulation import Simulation

NEVER = 1_000_000

made: list[Any] = []
ask: list[Any] = []
"""Called by the step of that value, once."""


@pytest.fixture(autouse=True)
def nothing_made() -> None:
    made.clear()
    ask.clear()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Penstock]:
    app = engine_on(tmp_path / "home")
    with app.activate():
        yield app
    app.close()


@task
def make(value: Any) -> Any:
    made.append(value)
    if ask and ask[0][0] == value:
        ask.pop()[1](runtime.flow_run.root_flow_run_id)
        seen_by_the_run()
    return value


def seen_by_the_run() -> None:
    """Wait until the run has taken in what was asked of it, as it does twice a second."""
    scope = current_scope.get()
    assert scope is not None
    root = scope.live.root
    wanted = root.engine.journal.run(root.id).pause_requested
    until(lambda: (root.recorder.state.pausing is not None) == wanted or root.interrupted.is_set(), "it is seen")


@flow
def three() -> list[Any]:
    return [make(number) for number in (1, 2, 3)]


def asked_at(world: Simulation | Penstock, value: Any, **told: Any) -> None:
    """The step of this value asks its run to pause."""
    app = world.app if isinstance(world, Simulation) else world
    ask.append((value, lambda run_id: pause(app.journal, run_id, **told)))


def test_a_run_of_a_worker_lets_go_before_its_next_step_and_goes_on_there() -> None:
    with worker_of(three) as world:
        asked_at(world, 2, by="ann", reason="wrong day")
        run_id = begin(world, three)
        run = run_of(world, run_id)
        assert (run.state, run.state_name, run.owner, run.due_at) == ("Paused", "Paused", None, None)
        assert run.message == "Paused by ann: wrong day"
        assert run.waiting is not None
        assert (run.waiting.key, run.waiting.kind, run.pause_requested) == (ON_REQUEST, "pause", True)
        assert made == [1, 2]
        assert world.run(minutes=60 * 24) == 0, "nothing but somebody ends it"
        after = let_go_on(world.app.journal, run_id, by="bob")
        assert after is not None
        assert (after.state, after.message, after.pause_requested) == ("Scheduled", "Let go on by bob.", False)
        world.settle()
        assert value_of(world, run_id) == [1, 2, 3]
        assert made == [1, 2, 3], "no step is executed again"
        assert story(world.app.journal, run_id) == [
            *("RunCreated", "RunClaimed", "RunStarted", "TaskCompleted make#1", "RunPauseRequested"),
            *("TaskCompleted make#2", "RunPaused pause", "RunAnswered pause", "RunClaimed", "RunResumed"),
            *("TaskCompleted make#3", "RunCompleted"),
        ]


def test_asking_twice_is_asking_once_and_so_is_going_on() -> None:
    with worker_of(three) as world:
        ask.append((1, lambda run_id: [pause(world.app.journal, run_id) for _ in range(3)]))
        run_id = begin(world, three)
        pause(world.app.journal, run_id)
        journal = world.app.journal
        assert story(journal, run_id).count("RunPauseRequested") == 1
        answered(world, run_id)  # as any other run that only pauses
        assert run_of(world, run_id).state == "Completed"
        with pytest.raises(InvalidTransition, match="has ended"):
            pause(journal, run_id)
        assert let_go_on(journal, run_id) is None


def test_going_on_twice_is_no_mistake(app: Penstock) -> None:
    asked_at(app, 1)
    with meanwhile(app, three) as ended:
        run = paused(app)
        assert run.owner == app.engine.owner, "nobody else could go on with a run that was called"
        first, second = (let_go_on(app.journal, run.id) for _ in range(2))
        assert first is not None
        assert second is not None
        assert ended().result() == [1, 2, 3]
    told = story(app.journal, run.id)
    assert told[told.index("RunPaused pause") :] == [
        *("RunPaused pause", "RunAnswered pause", "RunContinued pause", "TaskCompleted make#2"),
        *("TaskCompleted make#3", "RunCompleted"),
    ]


def test_a_request_that_is_withdrawn_in_time_changes_nothing() -> None:
    with worker_of(three) as world:

        def both(run_id: str) -> None:
            pause(world.app.journal, run_id)
            with pytest.raises(NotWaiting):
                reply(world.app.journal, run_id, step="make#1")
            let_go_on(world.app.journal, run_id)

        ask.append((1, both))
        run_id = begin(world, three)
        assert value_of(world, run_id) == [1, 2, 3]
        assert "RunPaused pause" not in story(world.app.journal, run_id)


def test_a_run_that_is_queued_pauses_before_its_first_step() -> None:
    with worker_of(three) as world:
        run_id = trigger(world.app.journal, "three", {}).id
        pause(world.app.journal, run_id)
        world.settle()
        assert (run_of(world, run_id).state, made) == ("Paused", [])
        let_go_on(world.app.journal, run_id)
        world.settle()
        assert value_of(world, run_id) == [1, 2, 3]


def test_one_that_is_withdrawn_before_it_was_begun_stays_where_it_is_in_the_queue() -> None:
    with worker_of(three) as world:
        journal = world.app.journal
        run_id = trigger(journal, "three", {}).id
        before = run_of(world, run_id)
        pause(journal, run_id)
        let_go_on(journal, run_id)
        after = run_of(world, run_id)
        assert (after.state, after.due_at, after.pause_requested) == (before.state, before.due_at, False)


def test_what_was_submitted_before_ends_and_then_the_process_is_not_needed() -> None:
    go = threading.Event()

    @task
    def slow(value: int) -> int:
        assert go.wait(30)
        return int(make(value))

    @flow
    def fans_out() -> list[int]:
        some = [slow.submit(number) for number in (1, 2)]
        make(3)
        more = slow.submit(4)
        return [future.result() for future in (*some, more)]

    with worker_of(fans_out) as world:
        asked_at(world, 3)
        run_id = trigger(world.app.journal, fans_out.name, {}).id
        settling = threading.Thread(target=world.settle)
        settling.start()
        held = until(lambda: run_of(world, run_id).state == "Paused" and run_of(world, run_id), "it pauses")
        assert held.owner is not None, "its process is needed by what is under way"
        go.set()
        until(lambda: run_of(world, run_id).owner is None, "it is let go")
        settling.join(30)
        assert sorted(made) == [1, 2, 3], "a step calls its own steps all the same"
        let_go_on(world.app.journal, run_id)
        world.settle()
        assert value_of(world, run_id) == [1, 2, 4]
        assert sorted(made) == [1, 2, 3, 4]


def test_a_subflow_pauses_with_the_run_around_it() -> None:
    @flow
    def inner() -> int:
        return int(make(1)) + int(make(2))

    @flow
    def outer() -> list[int]:
        return [inner(), make(3)]

    with worker_of(outer) as world:
        asked_at(world, 1)
        run_id = begin(world, outer)
        journal = world.app.journal
        (child,) = journal.runs(RunFilter(parent_id=run_id, limit=5))
        assert [run_of(world, each).state for each in (run_id, child.id)] == ["Paused", "Paused"]
        assert made == [1]
        with pytest.raises(InvalidTransition, match="they pause together"):
            pause(journal, child.id)
        reply(journal, child.id)
        assert run_of(world, run_id).state == "Scheduled", "who answers the one, answers both"
        world.settle()
        assert value_of(world, run_id) == [3, 3]
        assert made == [1, 2, 3]
        assert run_of(world, child.id).state == "Completed"


def test_a_wait_is_a_step_too_and_one_that_was_begun_is_not_begun_again() -> None:
    @flow
    def waits() -> int:
        make(1)
        sleep(3600)
        return int(wait_for_input(int)) + int(make(2))

    with worker_of(waits) as world:
        journal = world.app.journal
        asked_at(world, 1)
        run_id = begin(world, waits)
        assert story(journal, run_id)[-1] == "RunPaused pause", "it does not begin to sleep"
        let_go_on(journal, run_id)
        world.settle()
        pause(journal, run_id)
        world.run(minutes=61)
        assert story(journal, run_id)[-2:] == ["TaskCompleted sleep#1", "RunPaused pause"]
        let_go_on(journal, run_id)
        world.settle()
        pause(journal, run_id)
        answered(world, run_id, 3)
        assert (run_of(world, run_id).state, made) == ("Paused", [1]), "the answer is taken, and no step begins"
        answered(world, run_id)
        assert value_of(world, run_id) == 5


@pytest.mark.parametrize("held", [True, False], ids=["held", "let go"])
def test_cancelling_wins(app: Penstock, held: bool) -> None:
    if held:
        asked_at(app, 1)
        with meanwhile(app, three) as ended:
            run = paused(app)
            cancel(app.journal, run.id, grace_seconds=30)
            assert ended().is_cancelled()
        assert run_of(app, run.id).state == "Cancelled"
        return
    with worker_of(three) as world:
        asked_at(world, 1)
        run_id = begin(world, three)
        assert cancel(world.app.journal, run_id).state == "Cancelled"
        with pytest.raises(InvalidTransition, match="has ended"):
            pause(world.app.journal, run_id)


def test_a_run_that_is_to_stop_does_not_pause(app: Penstock) -> None:
    def both(run_id: str) -> None:
        append_command(app.journal, run_id, RequestPause(now_us()), RequestCancel(now_us()))
        with pytest.raises(InvalidTransition, match="pauses no more"):
            append_command(app.journal, run_id, RequestPause(now_us()))

    ask.append((1, both))
    assert three(return_state=True).is_cancelled()
    assert "RunPaused pause" not in story(app.journal, newest(app).id)


def test_who_resumes_a_run_that_was_called_lets_it_go_on(app: Penstock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process dies before it can record that the run pauses."""
    append = app.journal.append

    def struck(stream: str, seq: int, records: Any, logs: Any = ()) -> None:
        if any(isinstance(record.event, RunPaused) for record in records):
            raise JournalUnavailable("the process of this test dies here")
        append(stream, seq, records, logs)

    ask.append((2, lambda run_id: append_command(app.journal, run_id, RequestPause(now_us()))))
    with monkeypatch.context() as patched, dying(app, NEVER):
        patched.setattr(app.journal, "append", struck)
        with pytest.raises(JournalUnavailable):
            three()
    run = newest(app)
    assert (run.state, run.pause_requested) == ("Running", True)
    assert resume(app.engine, run.id, three) == [1, 2, 3]


def test_async_steps_under_way_end_and_no_other_begins(app: Penstock) -> None:
    @task
    async def amake(value: int) -> int:
        return int(make.fn(value))

    @flow
    async def several() -> list[int]:
        first = await amake(1)
        late = amake.submit(2)
        rest = await asyncio.gather(amake(3), amake(4))
        return [first, await late.result_async(), *rest]

    asked_at(app, 1)
    with meanwhile(app, lambda **options: asyncio.run(several(**options))) as ended:
        run = paused(app)
        assert made == [1]
        let_go_on(app.journal, run.id)
        assert ended().result() == [1, 2, 3, 4]
    assert story(app.journal, run.id).count("RunPaused pause") == 1
    assert story(app.journal, run.id).count("RunContinued pause") == 1


def test_an_async_run_of_a_worker_lets_go(tmp_path: Path) -> None:
    @flow
    async def quiet() -> list[int]:
        await asyncio.sleep(0)
        return [make(1), make(2)]

    with worker_of(quiet) as world:
        asked_at(world, 1)
        run_id = begin(world, quiet)
        assert (run_of(world, run_id).state, run_of(world, run_id).owner, made) == ("Paused", None, [1])
        let_go_on(world.app.journal, run_id)
        world.settle()
        assert value_of(world, run_id) == [1, 2]


def test_nobody_executes_a_run_whose_process_is_gone(app: Penstock) -> None:
    with dying(app, 4), pytest.raises(JournalUnavailable):
        three()
    run = newest(app)
    app.engine.journal.extend_leases([run.id], app.engine.owner, 1)
    with pytest.raises(InvalidTransition, match="Nobody executes") as refused:
        pause(app.journal, run.id)
    assert f"penstock runs resume {run.id}" in str(refused.value.hint)
