"""Runs of a worker that wait: they take no process meanwhile, and come back to where they were."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit.engines import engine_on
from tests.unit.waiting import answered, begin, run_of, story, until, value_of, worker_of

from penstock import approve, flow, get_run_logger, pause_run, sleep, task, wait_for_input
from penstock.core.errors import BadWait, InvalidTransition, MissingContextError, NotWaiting
from penstock.core.events import RunPaused, now_us
from penstock.core.interruptions import Suspended
from penstock.core.model import Claim, RunFilter
from penstock.core.states import State
from penstock.engine.recovery import cancel, delete, resume
from penstock.engine.waiting.replies import reply
from penstock.orchestrator.losses import recover_lost

HOUR = 3_600_000_000
made: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_made() -> None:
    made.clear()


@task
def make(value: Any) -> Any:
    made.append(value)
    return value


@flow
def sleeps(seconds: float = 3600) -> list[Any]:
    first = make("before")
    sleep(seconds)
    return [first, make("after")]


@flow
def asks() -> Any:
    make("before")
    return wait_for_input(int, "How many?", timeout=timedelta(hours=1))


def test_a_run_that_sleeps_needs_no_process() -> None:
    with worker_of(sleeps) as world:
        run_id = begin(world, sleeps)
        run = run_of(world, run_id)
        assert (run.state, run.state_name, run.owner, run.lease_until) == ("Paused", "Sleeping", None, None)
        assert run.waiting is not None
        assert run.due_at == run.waiting.until
        assert made == ["before"]
        assert world.run(minutes=59) == 0
        assert world.run(minutes=2) == 1
        assert value_of(world, run_id) == ["before", "after"]
        assert made == ["before", "after"], "no step is executed again"
        assert story(world.app.journal, run_id) == [
            *("RunCreated", "RunClaimed", "RunStarted", "TaskCompleted make#1", "TaskStarted sleep#1"),
            *("RunPaused sleep#1", "RunClaimed", "RunResumed", "TaskCompleted sleep#1", "TaskCompleted make#2"),
            "RunCompleted",
        ]


def test_the_step_and_the_pause_are_one_commit() -> None:
    with worker_of(sleeps) as world:
        run_id = begin(world, sleeps)
        started, paused = list(world.app.journal.load(run_id))[-2:]
        assert isinstance(paused.event, RunPaused)
        assert started.event.at == paused.event.at
        steps = {step.key: (step.state, step.attempt) for step in world.app.journal.task_runs(run_id)}
        assert steps == {"make#1": ("Completed", 1), "sleep#1": ("Running", 1)}


@pytest.mark.parametrize("seconds", [0, 0.5, 4.9])
def test_a_short_sleep_stays_in_its_process(seconds: float) -> None:
    with worker_of(sleeps) as world:
        before = world.clock.now()
        run_id = begin(world, sleeps, seconds=seconds)
        assert value_of(world, run_id) == ["before", "after"]
        assert world.clock.now() - before >= seconds * 1_000_000
        assert "RunClaimed" not in story(world.app.journal, run_id)[3:]


def test_the_end_of_a_sleep_is_fixed_when_it_begins() -> None:
    """The run is resumed by hand, half an hour later: half an hour is left."""
    with worker_of(sleeps) as world:
        run_id = begin(world, sleeps)
        waiting = run_of(world, run_id).waiting
        assert waiting is not None
        world.run(minutes=30)
        assert resume(world.app.engine, run_id, sleeps) == ["before", "after"]
        untils = [s.event.waiting.until for s in world.app.journal.load(run_id) if isinstance(s.event, RunPaused)]
        assert untils == [waiting.until, waiting.until]
        assert world.clock.now() >= (waiting.until or 0)
        assert world.clock.now() < (waiting.until or 0) + HOUR // 4


def test_sleeping_until_a_moment() -> None:
    moment = datetime(2026, 1, 1, 9, tzinfo=UTC)

    @flow
    def until_nine() -> str:
        sleep(until=moment)
        return "nine"

    with worker_of(until_nine) as world:
        run_id = begin(world, until_nine)
        assert run_of(world, run_id).due_at == int(moment.timestamp()) * 1_000_000
        world.run(hours=10)
        assert value_of(world, run_id) == "nine"
        again = begin(world, until_nine)
        assert value_of(world, again) == "nine", "a moment that has passed is not waited for"


def test_several_sleeps_in_a_row() -> None:
    @flow
    def polls() -> int:
        for number in range(5):
            make(number)
            sleep(timedelta(days=1))
        return len(made)

    with worker_of(polls) as world:
        run_id = begin(world, polls)
        world.run(days=6)
        assert value_of(world, run_id) == 5
        assert made == [0, 1, 2, 3, 4]
        assert [step.key for step in world.app.journal.task_runs(run_id) if step.task == "sleep"] == [
            f"sleep#{number}" for number in range(1, 6)
        ]


def test_lines_between_recorded_steps_are_logged_once() -> None:
    @flow(log_prints=True)
    def talks() -> None:
        print("good morning")
        sleep(3600)
        get_run_logger().info("good afternoon")
        sleep(3600)
        print("good evening")

    with worker_of(talks) as world:
        run_id = begin(world, talks)
        world.run(hours=3)
        said = [line.message for line in world.app.journal.logs(run_id)]
        assert said == ["good morning", "good afternoon", "good evening"]


def test_no_handler_of_the_flow_can_swallow_it() -> None:
    @flow
    def careful() -> str:
        try:
            sleep(3600)
        except Exception:
            make("except Exception")
        return "slept"

    with worker_of(careful) as world:
        run_id = begin(world, careful)
        assert run_of(world, run_id).state == "Paused"
        assert made == []
        world.run(hours=2)
        assert value_of(world, run_id) == "slept"


@pytest.mark.parametrize("reaction", ["goes on", "returns", "raises"])
def test_a_flow_that_catches_everything_is_stopped_all_the_same(reaction: str) -> None:
    tried = []

    @flow(on_failure=[lambda *_: made.append("hook")], on_crashed=[lambda *_: made.append("hook")])
    def stubborn() -> str:
        try:
            sleep(3600)
        except BaseException as error:
            tried.append(type(error))
            if reaction == "raises":
                raise ValueError("something else") from error
            if reaction == "goes on":
                make("more")
        return "done"

    with worker_of(stubborn) as world:
        run_id = begin(world, stubborn)
        assert run_of(world, run_id).state == "Paused"
        assert tried == [Suspended]
        assert made == []
        world.run(hours=2)
        assert value_of(world, run_id) == "done"


def test_what_finally_calls_is_refused_until_the_end() -> None:
    @flow
    def tidy() -> None:
        try:
            sleep(3600)
        finally:
            make("tidied up")

    with worker_of(tidy) as world:
        run_id = begin(world, tidy)
        assert made == []
        world.run(hours=2)
        assert made == ["tidied up"]
        assert run_of(world, run_id).state == "Completed"


def test_steps_under_way_end_first() -> None:
    """The run is paused at once, and its process stays until the submitted steps are done."""

    @task
    def looks() -> int:
        run = until(
            lambda: [each for each in world.app.journal.runs(RunFilter()) if each.state == "Paused"], "it waits"
        )
        made.append(run[0].owner)
        return 1

    @flow
    def busy() -> int:
        future = looks.submit()
        return wait_for_input(int) + future.result()

    with worker_of(busy) as world:
        run_id = begin(world, busy)
        run = run_of(world, run_id)
        assert (run.state, run.owner) == ("Paused", None)
        assert made == [world.app.engine.owner]
        answered(world, run_id, 2)
        assert value_of(world, run_id) == 3
        assert len(made) == 1, "its result was taken from the record"


async def agree(question: str) -> Any:
    return await approve(question)


@flow
async def async_flow() -> list[Any]:
    make("before")
    await sleep(3600)
    number = await wait_for_input(int)
    return [number, bool(await agree("really?"))]


def test_an_async_flow() -> None:
    with worker_of(async_flow) as world:
        run_id = begin(world, async_flow)
        assert run_of(world, run_id).owner is None
        world.run(hours=2)
        answered(world, run_id, 7)
        assert answered(world, run_id, True).state == "Completed"
        assert value_of(world, run_id) == [7, True]
        assert made == ["before"]


def test_waits_beside_each_other_keep_their_process() -> None:
    """A gathered wait is not the only thing the flow does, so that its process is needed."""
    owners = []

    @flow
    async def gathered() -> list[Any]:
        async def looks() -> None:
            await asyncio.sleep(0.05)
            owners.extend(each.owner for each in world.app.journal.runs(RunFilter()))

        return await asyncio.gather(sleep(3600), sleep(7200), looks())

    with worker_of(gathered) as world:
        run_id = begin(world, gathered)
        assert run_of(world, run_id).state == "Completed"
        assert owners == [world.app.engine.owner]


@flow
def inner(value: int) -> Any:
    make(value)
    number = wait_for_input(int, "Which one?")
    return make(value + number)


@flow
def middle(value: int) -> Any:
    return inner(value)


@flow
def outer() -> Any:
    return [middle(make(1)), make("end")]


@pytest.mark.parametrize("through", ["outer", "middle", "inner"])
def test_a_subflow_that_waits_lets_the_whole_family_go(through: str) -> None:
    with worker_of(outer) as world:
        run_id = begin(world, outer)
        family = {run.flow: run for run in world.app.journal.runs(RunFilter(children=True))}
        assert {name: (run.state, run.owner) for name, run in family.items()} == dict.fromkeys(
            ("outer", "middle", "inner"), ("Paused", None)
        )
        run = family["outer"]
        assert run.waiting is not None
        assert (run.waiting.key, run.waiting.run, run.message) == ("wait_for_input#1", family["inner"].id, "Which one?")
        answered(world, family[through].id, 5, by="ann")
        assert value_of(world, run_id) == [6, "end"]
        assert made == [1, 1, 6, "end"]
        for each in family.values():
            assert run_of(world, each.id).state == "Completed"
        subflow = next(step for step in world.app.journal.task_runs(run_id) if step.task == "middle")
        assert subflow.attempt == 1, "it went on, and that is no other attempt"


def test_a_suspended_subflow_is_stopped_and_deleted_with_its_root() -> None:
    with worker_of(outer) as world:
        run_id = begin(world, outer)
        (child,) = (run for run in world.app.journal.runs(RunFilter(children=True)) if run.flow == "inner")
        with pytest.raises(InvalidTransition, match="is a part of run") as caught:
            delete(world.app.journal, child.id)
        assert run_id in str(caught.value.hint)
        assert cancel(world.app.journal, child.id).state == "Cancelled"
        assert run_of(world, run_id).state == "Cancelled"
        with pytest.raises(NotWaiting, match="has ended"):
            reply(world.app.journal, run_id, 5)


def test_a_suspended_run_is_cancelled_at_once() -> None:
    with worker_of(asks) as world:
        run_id = begin(world, asks)
        ended = cancel(world.app.journal, run_id)
        assert (ended.state, ended.message) == ("Cancelled", "The run was cancelled, while it waited.")
        steps = {step.key: step.state for step in world.app.journal.task_runs(run_id)}
        assert steps == {"make#1": "Completed", "wait_for_input#1": "Cancelled"}
        assert world.run(hours=2) == 0


def test_a_suspended_run_is_deleted() -> None:
    with worker_of(asks) as world:
        run_id = begin(world, asks)
        assert delete(world.app.journal, run_id) == 1
        assert world.app.journal.run(run_id) is None
        assert world.run(hours=2) == 0


def test_recovery_leaves_a_suspended_run_alone() -> None:
    with worker_of(asks) as world:
        run_id = begin(world, asks)
        before = list(world.app.journal.load(run_id))
        world.clock.advance(600)
        assert recover_lost(world.app.journal, now_us()) == []
        assert list(world.app.journal.load(run_id)) == before


def test_a_suspended_run_is_carried_on_by_hand(tmp_path: Path) -> None:
    """Somebody resumes it without a worker: the process waits with it, and no worker takes it meanwhile."""
    with worker_of(asks) as world:
        run_id = begin(world, asks)
        with pytest.raises(TimeoutError, match="Nobody answered wait_for_input#1 in time"):
            resume(world.app.engine, run_id, asks)  # the simulated clock does not wait
        told = story(world.app.journal, run_id)
        assert told[-6:] == [
            *("RunPaused wait_for_input#1", "RunResumed", "RunPaused wait_for_input#1"),
            *("TaskFailed wait_for_input#1", "RunContinued wait_for_input#1", "RunFailed"),
        ]


def test_a_worker_that_claims_it_too_late_finds_it_taken() -> None:
    with worker_of(asks) as world:
        run_id = begin(world, asks)
        world.run(minutes=30)
        other = engine_on(Path(world.app.settings.home) / "other", world.app.journal)
        other.engine.resume(run_id, asks, True)
        claim = Claim(
            pool="default", owner="worker", now=now_us() + HOUR * 9, lease_until=now_us() + HOUR * 10, limit=9
        )
        assert world.app.journal.claim(claim) == []


def test_a_pause_ends_when_somebody_says_so() -> None:
    @flow
    def careful() -> str:
        assert pause_run("Look at it first.") is None
        return "went on"

    with worker_of(careful) as world:
        run_id = begin(world, careful)
        run = run_of(world, run_id)
        assert (run.state, run.message, run.due_at) == ("Paused", "Look at it first.", None)
        assert world.run(days=300) == 0
        answered(world, run_id, by="ann")
        assert value_of(world, run_id) == "went on"


def test_a_retried_flow_does_not_ask_again() -> None:
    failures = []

    @flow(retries=1, retry_delay_seconds=60)
    def unsteady() -> Any:
        number = wait_for_input(int)
        sleep(3600)
        if not failures:
            failures.append(1)
            raise ValueError("once")
        return number

    with worker_of(unsteady) as world:
        run_id = begin(world, unsteady)
        answered(world, run_id, 3)
        world.run(hours=2)
        assert value_of(world, run_id) == 3


def test_a_retried_flow_asks_again_what_nobody_answered() -> None:
    @flow(retries=1)
    def patient() -> Any:
        return wait_for_input(int, timeout=3600)

    with worker_of(patient) as world:
        run_id = begin(world, patient)
        world.run(minutes=61)
        run = run_of(world, run_id)
        assert run.waiting is not None
        assert (run.state, run.attempt, run.waiting.key) == ("Paused", 2, "wait_for_input#1~2")
        answered(world, run_id, 8)
        assert value_of(world, run_id) == 8


def test_a_second_wait_with_the_same_key_gives_what_the_first_one_gave() -> None:
    @flow
    def twice() -> list[Any]:
        return [wait_for_input(int, key="crates"), make("between"), wait_for_input(int, key="crates"), make("end")]

    with worker_of(twice) as world:
        run_id = begin(world, twice)
        assert [step.name for step in world.app.journal.task_runs(run_id)] == ["crates"]
        answered(world, run_id, 4)
        assert value_of(world, run_id) == [4, "between", 4, "end"]


@pytest.mark.parametrize(
    "call",
    [
        lambda: sleep(),
        lambda: sleep(1, until=datetime.now(UTC)),
        lambda: sleep(-1),
        lambda: sleep(float("nan")),
        lambda: sleep("soon"),  # type: ignore[arg-type]
        lambda: sleep(until=datetime(2026, 1, 1)),
        lambda: pause_run(timeout=-5),
        lambda: wait_for_input(type("Opaque", (), {})),
        lambda: wait_for_input(bytes),
        lambda: approve("?", approvers="ann"),
    ],
)
def test_a_wait_that_cannot_be(call: Any) -> None:
    with pytest.raises(BadWait) as caught:
        call()
    assert caught.value.hint


@pytest.mark.parametrize("call", [lambda: sleep(1), pause_run, lambda: wait_for_input(int), lambda: approve("?")])
def test_only_a_run_can_wait(call: Any) -> None:
    with pytest.raises(MissingContextError, match="only a run can wait"):
        call()


def test_the_state_of_a_paused_run_is_none() -> None:
    """What executes runs for a worker gives no state when the run was let go."""
    seen: list[State | None] = []
    with worker_of(sleeps) as world:
        run_id = begin(world, sleeps)
        from penstock.engine.scheduled import execute

        world.clock.set((run_of(world, run_id).due_at or 0) + 1)
        (run,) = world._claimed(world.clock.now())
        seen.append(execute(world.app.engine, run.id, sleeps, world.owner))
        assert seen[0] is not None
        assert seen[0].is_completed()
