"""Waits in a process that stays: plain calls, tasks, threads, event loops; and what may happen meanwhile."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit.engines import dying, engine_on, names, newest, steps
from tests.unit.waiting import meanwhile, paused, run_of, story, until, value_of

from penstock import approve, flow, pause_run, runtime, sleep, task, wait_for_input
from penstock.app import Penstock
from penstock.core.errors import CancelledRun, JournalUnavailable, NotWaiting, WaitTimedOut
from penstock.core.events import RunPaused, TaskEvent, now_us
from penstock.core.model import RunFilter
from penstock.engine.recovery import cancel, resume
from penstock.engine.waiting import replies
from penstock.engine.waiting.replies import asked_of, reply
from penstock.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner
from penstock.testing.clock import FakeClock

made: list[Any] = []


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Penstock]:
    made.clear()
    app = engine_on(tmp_path / "home")
    with app.activate():
        yield app
    app.close()


@task
def make(value: Any) -> Any:
    made.append(value)
    return value


@task
def consent(question: str) -> bool:
    return bool(approve(question))


@flow
def asks() -> Any:
    make("before")
    return make(wait_for_input(int, "How many?"))


def test_a_plain_call_waits_in_its_process(app: Penstock) -> None:
    with meanwhile(app, asks) as ended:
        run = paused(app)
        assert (run.state, run.state_name, run.owner, run.due_at) == (
            *("Paused", "AwaitingInput", app.engine.owner, None),
        )
        assert reply(app.journal, run.id, 3, by="ann").message == "Answered by ann."
        assert ended().result() == 3
    assert story(app.journal, run.id)[3:] == [
        *("TaskStarted wait_for_input#1", "RunPaused wait_for_input#1", "RunAnswered wait_for_input#1"),
        *("TaskCompleted wait_for_input#1", "RunContinued wait_for_input#1", "TaskCompleted make#2", "RunCompleted"),
    ]


def test_a_process_that_dies_while_it_sleeps_does_not_sleep_anew(app: Penstock) -> None:
    @flow
    def sleeps() -> str:
        sleep(3600)
        return "slept"

    clock = FakeClock()
    with clock.running():
        with dying(app, 3), suppress(JournalUnavailable):
            sleeps()
        run = newest(app)
        until_ = [s.event.waiting.until for s in app.journal.load(run.id) if isinstance(s.event, RunPaused)]
        assert names(app, run.id)[-2:] == ["TaskStarted", "RunPaused"]
        assert resume(app.engine, run.id, sleeps) == "slept"
        again = [s.event.waiting.until for s in app.journal.load(run.id) if isinstance(s.event, RunPaused)]
        assert set(again) == set(until_)
        begun, end = (s.event for s in app.journal.load(run.id) if isinstance(s.event, TaskEvent))
        assert (end.attempt, end.started) == (1, begun.started), "it is the same attempt"


def test_an_answer_that_came_when_the_process_had_died_counts(app: Penstock) -> None:
    with dying(app, 5), suppress(JournalUnavailable):
        thread_answers(app, 4)
        asks()
    run = newest(app)
    assert "RunAnswered" in names(app, run.id)
    assert resume(app.engine, run.id, asks) == 4
    assert names(app, run.id).count("RunPaused") == 1


def thread_answers(app: Penstock, value: Any) -> None:
    """Answer from another thread, as soon as the run asks."""

    def work() -> None:
        reply(app.journal, paused(app).id, value)

    threading.Thread(target=work).start()


def test_nobody_answers_in_time(app: Penstock) -> None:
    @flow
    def impatient() -> int:
        return int(wait_for_input(int, timeout=timedelta(hours=8)))

    with FakeClock().running():
        state = impatient(return_state=True)
    assert (state.name, type(state.data)) == ("TimedOut", WaitTimedOut)
    assert isinstance(state.data, TimeoutError)
    run = newest(app)
    with pytest.raises(NotWaiting, match="has ended"):
        reply(app.journal, run.id, 1)
    (step,) = app.journal.task_runs(run.id)
    assert (step.state, step.state_name) == ("Failed", "TimedOut")


def test_the_default_is_given_when_nobody_answers_in_time(app: Penstock) -> None:
    @flow
    def modest() -> list[Any]:
        return [wait_for_input(int, timeout=60, default=None), approve("?", timeout=60, default=False)]

    with FakeClock().running():
        number, approval = modest()
    assert number is None
    assert (approval.approved, approval.by, bool(approval)) == (False, None, False)
    assert {step.state_name for step in app.journal.task_runs(newest(app).id)} == {"TimedOut"}


def test_a_default_is_taken_from_the_record(app: Penstock) -> None:
    given = iter([7, 8])

    @flow
    def modest() -> int:
        number = wait_for_input(int, timeout=60, default=next(given))
        return int(make(number))

    with FakeClock().running():
        with dying(app, 4), suppress(JournalUnavailable):
            modest()
        assert resume(app.engine, newest(app).id, modest) == 7


@pytest.mark.parametrize("order", ["first", "second"])
def test_several_tasks_ask_at_once(app: Penstock, order: str) -> None:
    @flow
    def both() -> list[bool]:
        return [future.result() for future in [consent.submit("first"), consent.submit("second")]]

    with meanwhile(app, both) as ended:
        run = paused(app, asks=2)
        waits = {each.prompt: each.key for each in asked_of(app.journal, run).state.waits}
        with pytest.raises(NotWaiting, match="asks several things") as caught:
            reply(app.journal, run.id, True)
        assert "--step" in str(caught.value.hint)
        other = {"first": "second", "second": "first"}[order]
        reply(app.journal, run.id, True, step=waits[order])
        until(lambda: len(asked_of(app.journal, run).state.waits) == 1, "one of them goes on")
        still = run_of(app, run.id)
        assert still.state == "Paused"
        assert still.waiting is not None
        assert still.waiting.key == waits[other]
        with pytest.raises(NotWaiting, match="answered already"):
            reply(app.journal, run.id, True, step=waits[order])
        reply(app.journal, run.id, False)
        answers = dict(zip(("first", "second"), ended().result(), strict=True))
    assert answers == {order: True, other: False}
    assert names(app, run.id).count("RunContinued") in (1, 2), "one, if both were answered before the first went on"


def test_a_task_that_waits_leaves_its_place_in_the_pool(app: Penstock) -> None:
    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def narrow() -> list[Any]:
        waiting = consent.submit("may I?")
        others = make.map([1, 2, 3]).result()
        reply(app.journal, runtime.flow_run.id, True)
        return [waiting.result(), others]

    assert narrow() == [True, [1, 2, 3]]


def test_a_subflow_in_a_task_is_answered_through_the_root(app: Penstock) -> None:
    @flow
    def below() -> int:
        return int(wait_for_input(int))

    @task
    def calls() -> int:
        return int(below())

    @flow
    def above() -> int:
        return int(calls.submit().result())

    with meanwhile(app, above) as ended:
        run = paused(app)
        assert run.flow == "above"
        assert (run.state, run.owner) == ("Paused", app.engine.owner)
        reply(app.journal, run.id, 11)
        assert ended().result() == 11
    states = {run.flow: run.state for run in app.journal.runs(RunFilter(children=True))}
    assert states == {"above": "Completed", "below": "Completed"}


def test_async_waits_beside_each_other(app: Penstock) -> None:
    @flow
    async def gathered() -> list[Any]:
        return list(await asyncio.gather(wait_for_input(int), approve("ok?"), sleep(0.05)))

    with meanwhile(app, lambda **o: asyncio.run(gathered(**o))) as ended:
        run = paused(app, asks=2)
        reply(app.journal, run.id, 5, step="wait_for_input#1")
        reply(app.journal, run.id, True, step="approve#1")
        number, approval, _ = ended().result()
    assert (number, bool(approval)) == (5, True)


def test_an_async_task_waits(app: Penstock) -> None:
    @task
    async def patient() -> int:
        await sleep(0.01)
        return int(await wait_for_input(int))

    @flow
    def mixed() -> int:
        return int(patient.submit().result())

    with meanwhile(app, mixed) as ended:
        until(lambda: any(w.kind == "input" for w in asked_of(app.journal, paused(app)).state.waits), "it asks")
        reply(app.journal, newest(app).id, 6)
        assert ended().result() == 6


def test_a_wait_that_the_flow_cancels_itself(app: Penstock) -> None:
    @flow
    async def impatient() -> str:
        try:
            async with asyncio.timeout(0.05):
                await wait_for_input(int)
        except TimeoutError:
            return "went on"
        return "answered"

    assert asyncio.run(impatient()) == "went on"
    run = newest(app)
    assert run.state == "Completed"
    assert steps(app, run.id) == {"wait_for_input#1": "Cancelled"}
    assert names(app, run.id)[-3:] == ["TaskCancelled", "RunContinued", "RunCompleted"]


LIMIT_SECONDS = 2.0


@task(timeout_seconds=LIMIT_SECONDS)
def hasty() -> int:
    number = int(wait_for_input(int))
    time.sleep(0.001)
    return number


@flow(timeout_seconds=LIMIT_SECONDS)
def hasty_flow() -> int:
    return int(wait_for_input(int))


@flow(timeout_seconds=LIMIT_SECONDS)
async def hasty_async() -> int:
    return int(await wait_for_input(int))


@flow
def calls_hasty() -> int:
    return hasty()


@flow
def submits_hasty() -> int:
    return hasty.submit().result()


@pytest.mark.parametrize("called", [hasty_flow, hasty_async, calls_hasty, submits_hasty], ids=lambda flow: flow.name)
def test_time_limits_stand_still_while_a_run_waits(app: Penstock, called: Any) -> None:
    """In the main thread, where a signal keeps the time, and elsewhere."""

    def answer_late() -> None:
        run = paused(app)
        time.sleep(LIMIT_SECONDS + 0.2)
        reply(app.journal, run.id, 9)

    thread = threading.Thread(target=answer_late)
    thread.start()
    value = called()
    assert (asyncio.run(value) if called.isasync else value) == 9
    thread.join()


def test_a_time_limit_goes_on_where_it_stood(app: Penstock) -> None:
    @flow(timeout_seconds=LIMIT_SECONDS)
    def slow() -> None:
        sleep(LIMIT_SECONDS + 0.2)
        time.sleep(30)

    state = slow(return_state=True)
    assert state.name == "TimedOut"
    assert steps(app, newest(app).id) == {"sleep#1": "Completed"}


@task
def in_a_process() -> list[Any]:
    sleep(0.01)
    return [wait_for_input(int), bool(approve("?"))]


@flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
def with_processes() -> list[Any]:
    return in_a_process.submit().result()


def test_a_task_in_a_process_waits(app: Penstock) -> None:
    with meanwhile(app, with_processes) as ended:
        until(lambda: any(w.kind == "input" for w in asked_of(app.journal, paused(app)).state.waits), "it asks")
        run = newest(app)
        reply(app.journal, run.id, 3)
        until(lambda: any(w.kind == "approval" for w in asked_of(app.journal, run).state.waits), "it asks again")
        reply(app.journal, run.id, True)
        assert ended().result() == [3, True]
    assert "in_a_process#1/wait_for_input#1" in steps(app, run.id)


@pytest.mark.parametrize("kind", ["flow", "task", "async"])
def test_a_run_that_waits_is_cancelled(app: Penstock, kind: str) -> None:
    @flow
    def submits() -> bool:
        return consent.submit("?").result()

    @flow
    async def awaits() -> Any:
        return await approve("?")

    called = {"flow": asks, "task": submits, "async": lambda **o: asyncio.run(awaits(**o))}[kind]
    with meanwhile(app, called) as ended:
        run = paused(app)
        assert cancel(app.journal, run.id).state == "Cancelled"
        assert ended().is_cancelled()
    assert "Paused" not in steps(app, run.id).values()
    assert run_of(app, run.id).waiting is None
    with pytest.raises(NotWaiting, match="has ended"):
        reply(app.journal, run.id, 1)


def test_a_request_to_stop_is_not_lost_when_the_answer_comes_first(app: Penstock) -> None:
    """It is noticed twice a second; until then the run goes on."""
    gate = threading.Event()

    @flow
    def slow() -> None:
        pause_run()
        gate.wait(20)
        make("after")

    with meanwhile(app, slow) as ended:
        run = paused(app)
        from penstock.core.decisions import RequestCancel
        from penstock.engine.commands import append_command

        reply(app.journal, run.id)
        append_command(app.journal, run.id, RequestCancel(now_us(), "enough"))
        until(lambda: "RunContinued" in names(app, run.id), "it goes on")
        until(lambda: run_of(app, run.id).cancel_requested or run_of(app, run.id).ended, "it is known")
        gate.set()
        with suppress(CancelledRun):
            ended()
    assert run_of(app, run.id).cancel_requested


class Racing:
    """A journal in which somebody answers right before the process would record that time is up."""

    def __init__(self, app: Penstock) -> None:
        self.app = app
        self.append = app.journal.append
        app.journal.append = self.racing  # type: ignore[method-assign]

    def racing(self, stream: str, seq: int, records: Any, logs: Any = ()) -> None:
        if any(record.event.stored == "TaskFailed" for record in records):
            self.app.journal.append = self.append  # type: ignore[method-assign]
            answer_before_the_deadline(self.app, stream)
        self.append(stream, seq, records, logs)


def answer_before_the_deadline(app: Penstock, run_id: str) -> None:
    """The clock of whoever answers is a little behind."""
    from penstock.core.clock import clock

    clock().advance(-3600)  # type: ignore[attr-defined]
    reply(app.journal, run_id, 5)
    clock().advance(3600)  # type: ignore[attr-defined]


def test_what_is_on_record_first_decides_between_an_answer_and_the_deadline(app: Penstock) -> None:
    @flow
    def close_call() -> int:
        return int(wait_for_input(int, timeout=60))

    with FakeClock().running():
        Racing(app)
        assert close_call() == 5
    assert steps(app, newest(app).id) == {"wait_for_input#1": "Completed"}


def test_it_is_too_late_when_time_is_up_by_the_clock_of_whoever_answers(
    app: Penstock, monkeypatch: pytest.MonkeyPatch
) -> None:
    @flow
    def slow() -> int:
        return int(wait_for_input(int, timeout=3600))

    with meanwhile(app, slow) as ended:
        run = paused(app)
        late = now_us() + 7_200_000_000
        with monkeypatch.context() as patched:
            patched.setattr(replies, "now_us", lambda: late)
            with pytest.raises(NotWaiting, match="time to answer wait_for_input#1 is over"):
                reply(app.journal, run.id, 5)
        reply(app.journal, run.id, 5)
        ended()


def test_values_are_taken_from_the_record_when_a_run_is_resumed(app: Penstock) -> None:
    with meanwhile(app, asks) as ended:
        reply(app.journal, paused(app).id, 12)
        ended()
    run = newest(app)
    from penstock.engine.recovery import fork

    forked = fork(app.journal, run, "make#2")
    assert app.engine.resume(forked.id, asks, False) == 12
    assert value_of(app, forked.id) == 12
