"""Limits in one process: what is inside at once, who waits, and that every slot comes back."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.engines import dead_owner, engine_on, events, newest, steps
from tests.unit.waiting import until

import penstock.concurrency.asyncio
import penstock.concurrency.sync
from penstock import concurrency, flow, limits, rate_limit, tags, task
from penstock.app import Penstock
from penstock.core.clock import Clock, clock_of, now_us
from penstock.core.errors import (
    BadLimit,
    ConfigurationError,
    CrashedRun,
    JournalUnavailable,
    LimitNotFound,
    LimitTimedOut,
    MissingContextError,
    NotThereYet,
    RunTakenOver,
)
from penstock.core.events import Record, RunResumed, TaskCompleted, TaskRetrying
from penstock.core.ids import new_run_id
from penstock.core.model import Limit
from penstock.core.plans import LimitDeclared, LimitDeleted
from penstock.engine import recovery
from penstock.engine.limits import waiters, wishes
from penstock.engine.limits.calls import Slot
from penstock.engine.limits.declared import limits_in
from penstock.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner
from penstock.testing.samples import created, started


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Penstock]:
    app = engine_on(tmp_path)
    with app.activate():
        yield app
    app.close()


class Room:
    """Counts who is inside; they stay until `full` of them have met, or somebody opens the door."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.inside = self.most = 0
        self.order: list[Any] = []
        self.door = threading.Event()

    def __enter__(self) -> Room:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.inside -= 1


def holds_nothing(app: Penstock) -> bool:
    return app.journal.tickets() == []


def waiting(app: Penstock, count: int) -> None:
    """Wait until so many tickets are drawn."""
    until(lambda: len(app.journal.tickets()) == count)


# ------------------------------------------------------------------------------------------------ slots
def test_as_many_are_inside_as_there_are_slots(app: Penstock) -> None:
    limits.declare("db", 3)
    room = Room()
    meeting = threading.Barrier(3)

    @task
    def enter(number: int) -> None:
        with concurrency("db"), room:
            meeting.wait(30)

    @flow
    def busy() -> None:
        enter.map(range(12)).wait()

    busy()
    assert room.most == 3
    assert set(steps(app, newest(app).id).values()) == {"Completed"}
    assert holds_nothing(app)


def test_slots_are_given_in_order(app: Penstock) -> None:
    limits.declare("db", 1)
    order: list[int] = []

    @task
    def enter(number: int) -> None:
        with concurrency("db"):
            order.append(number)

    @flow
    def busy() -> None:
        futures = []
        with concurrency("db"):
            for number in range(8):
                futures.append(enter.submit(number))
                waiting(app, number + 2)
        for future in futures:
            future.wait()

    busy()
    assert order == list(range(8))


def test_several_slots_of_several_limits(app: Penstock) -> None:
    limits.declare("a", 2)
    limits.declare("b", 3)
    room = Room()

    @task
    def enter(number: int) -> dict[str, int]:
        names = ["a", "b"] if number % 2 else ["b", "a", "a"]
        with concurrency(names, occupy=2) as slot, room:
            assert [ticket.limit for ticket in app.journal.tickets() if ticket.id in slot.tickets.values()] == [
                "a",
                "b",
            ]
            assert int(slot) == slot.tickets["b"] > slot.tickets["a"]
            slot.check()
        return slot.tickets

    @flow
    def busy() -> None:
        assert all(sorted(found) == ["a", "b"] for found in enter.map(range(10)).result())

    busy()
    assert room.most == 1
    assert holds_nothing(app)


def test_a_slot_comes_back_after_an_exception(app: Penstock) -> None:
    limits.declare("db", 1)

    @task
    def fails() -> None:
        with concurrency("db"):
            raise ValueError("inside")

    @flow
    def busy() -> None:
        for _ in range(3):
            with pytest.raises(ValueError, match="inside"):
                fails()

    busy()
    assert holds_nothing(app)


def test_in_async_code(app: Penstock) -> None:
    limits.declare("db", 2)
    room = Room()

    @task
    async def enter(number: int) -> int:
        async with concurrency("db") as slot:
            with room:
                await asyncio.sleep(0.005)
            return int(slot)

    @flow
    async def busy() -> list[int]:
        return await asyncio.gather(*[enter(number) for number in range(8)])

    tokens = asyncio.run(busy())
    assert len(set(tokens)) == 8
    assert room.most == 2
    assert holds_nothing(app)


def test_the_modules_of_prefect(app: Penstock) -> None:
    limits.declare("db", 1)
    limits.declare("api", per_second=1000)

    @flow
    def syncly() -> None:
        with penstock.concurrency.sync.concurrency("db", 1, None, strict=True):
            assert limits.find("db").taken == 1
        penstock.concurrency.sync.rate_limit("api", 1, strict=True)

    @flow
    async def asyncly() -> None:
        async with penstock.concurrency.asyncio.concurrency(["db"], occupy=1, timeout_seconds=1):
            assert limits.find("db").taken == 1
        await penstock.concurrency.asyncio.rate_limit("api")

    syncly()
    asyncio.run(asyncly())
    assert penstock.concurrency.concurrency is penstock.concurrency.sync.concurrency
    assert isinstance(concurrency("db"), penstock.concurrency.concurrency)


def test_as_a_decorator(app: Penstock) -> None:
    limits.declare("db", 1)
    room = Room()

    @task
    @concurrency("db")
    def enter(number: int) -> int:
        with room:
            return number

    @task
    @concurrency("db")
    async def aenter(number: int) -> int:
        with room:
            await asyncio.sleep(0.001)
            return number

    @flow
    def busy() -> None:
        assert enter.map(range(5)).result() == list(range(5))
        assert aenter.map(range(5)).result() == list(range(5))

    busy()
    assert room.most == 1


# ------------------------------------------------------------------------------------------------ waiting
def test_who_waits_too_long_is_told(app: Penstock) -> None:
    limits.declare("db", 1)

    @task
    def enter() -> None:
        with concurrency("db", timeout_seconds=0.05):
            raise AssertionError("it is taken")

    @flow
    def busy() -> None:
        with concurrency("db"):
            state = enter.submit(return_state=True)
            assert len(app.journal.tickets()) == 1, "its ticket is still there"
        assert (state.name, type(state.data)) == ("TimedOut", LimitTimedOut)
        assert "penstock limits show db" in str(state.data)
        with concurrency("db", timeout_seconds=0):
            pass

    busy()
    assert holds_nothing(app)


def test_an_async_wait_can_be_cancelled(app: Penstock) -> None:
    limits.declare("db", 1)

    @task
    async def enter() -> None:
        async with concurrency("db"):
            raise AssertionError("it is taken")

    @flow
    async def busy() -> None:
        async with concurrency("db"):
            waits = asyncio.create_task(enter())
            while len(app.journal.tickets()) < 2:
                await asyncio.sleep(0.005)
            waits.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waits
            async with asyncio.timeout(30):
                while len(app.journal.tickets()) > 1:
                    await asyncio.sleep(0.005)

    asyncio.run(busy())
    assert holds_nothing(app)


def test_a_task_that_is_out_of_time_waits_no_more(app: Penstock) -> None:
    limits.declare("db", 1)

    @task(timeout_seconds=0.1)
    def enter() -> None:
        with concurrency("db"):
            raise AssertionError("it is taken")

    @flow
    def busy() -> None:
        with concurrency("db"):
            with pytest.raises(TimeoutError):
                enter.submit().result()
            with pytest.raises(TimeoutError):
                enter_directly()
            until(lambda: len(app.journal.tickets()) == 1)

    @task(timeout_seconds=0.1)
    def enter_directly() -> None:
        with concurrency("other"), concurrency("taken"):
            raise AssertionError("it is taken")

    limits.declare("taken", 0)
    busy()
    assert holds_nothing(app)


@pytest.mark.parametrize("by", ["name", "tag"])
def test_a_cancelled_run_waits_no_more(app: Penstock, by: str) -> None:
    limits.declare("db", 0)
    limits.declare("tag:db", 0)

    @task
    def named() -> None:
        with concurrency("db"):
            raise AssertionError("nobody may enter")

    @task(tags=["db"])
    def tagged() -> None:
        raise AssertionError("nobody may enter")

    @flow
    def busy() -> None:
        (named if by == "name" else tagged).submit().wait()

    ended: list[Any] = []
    thread = threading.Thread(target=lambda: ended.append(_raised(busy)))
    thread.start()
    waiting(app, 1)
    recovery.cancel(app.journal, newest(app).id)
    thread.join(30)
    assert newest(app).state == "Cancelled", ended
    until(lambda: holds_nothing(app))


def _raised(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except BaseException as error:
        return error


@pytest.mark.parametrize("by", ["name", "tag"])
def test_a_pool_of_one_cannot_deadlock(app: Penstock, by: str) -> None:
    """Who holds the slot needs the place that the next one, who waits for the slot, has got meanwhile."""
    limits.declare("db", 1)
    limits.declare("tag:db", 1)

    @task
    def nested(number: int) -> int:
        return number

    @task
    def named(number: int) -> int:
        with concurrency("db"):
            return int(nested.submit(number).result())

    @task(tags=["db"])
    def tagged(number: int) -> int:
        return int(nested.submit(number).result())

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def busy() -> list[int]:
        found: list[int] = (named if by == "name" else tagged).map(range(6)).result()
        return found

    assert busy() == list(range(6))
    assert holds_nothing(app)


# ------------------------------------------------------------------------------------------------ changes
def test_slots_that_are_added_let_in_who_waits(app: Penstock) -> None:
    limits.declare("db", 0)

    @task
    def enter() -> str:
        with concurrency("db"):
            return "inside"

    @flow
    def busy() -> str:
        future = enter.submit()
        waiting(app, 1)
        limits.declare("db", 1)
        return str(future.result())

    assert busy() == "inside"


def test_a_limit_that_is_deleted_lets_in_who_waits(app: Penstock) -> None:
    limits.declare("db", 0)

    @task
    def enter() -> str:
        with concurrency("db"):
            return "inside"

    @flow
    def busy() -> str:
        future = enter.submit()
        waiting(app, 1)
        limits.delete("db")
        return str(future.result())

    assert busy() == "inside"


def test_more_than_there_are_is_refused_even_while_it_waits(app: Penstock) -> None:
    limits.declare("db", 3)

    @task
    def enter(occupy: int) -> None:
        with concurrency("db", occupy=occupy):
            pass

    @flow
    def busy() -> None:
        with pytest.raises(BadLimit, match="3 slots, so that nobody can ever hold 4"):
            enter(4)
        with concurrency("db"):
            future = enter.submit(3)
            waiting(app, 2)
            limits.declare("db", 2)
            with pytest.raises(BadLimit, match="2 slots, so that nobody can ever hold 3"):
                future.result()

    busy()
    assert holds_nothing(app)


def test_a_reset_lets_others_in_and_the_holder_go_on(app: Penstock) -> None:
    limits.declare("db", 1)

    @task
    def enter() -> str:
        with concurrency("db"):
            return "inside"

    @flow
    def busy() -> str:
        with concurrency("db"):
            future = enter.submit()
            waiting(app, 2)
            assert limits.reset("db") == 2
            return str(future.result())

    assert busy() == "inside"
    assert any("was reset" in line.message for line in app.journal.logs(newest(app).id))
    assert newest(app).state == "Completed"


def test_check_tells_of_a_lost_slot(app: Penstock) -> None:
    limits.declare("db", 1)

    @flow
    def busy() -> None:
        with concurrency("db") as slot:
            slot.check()
            limits.reset("db")
            slot.check()
            raise AssertionError("it must not come here")

    with pytest.raises(RunTakenOver, match="given to somebody else"):
        busy()
    assert not newest(app).ended, "it can be resumed"


def test_a_lost_slot_is_told_once(app: Penstock, caplog: pytest.LogCaptureFixture) -> None:
    """The error says what happened, and no warning says something else."""
    limits.declare("db", 1)

    @flow
    def busy() -> None:
        with concurrency("db") as slot:
            limits.reset("db")
            slot.check()

    with pytest.raises(RunTakenOver, match="given to somebody else"):
        busy()
    assert [record.getMessage() for record in caplog.records] == []


@pytest.mark.parametrize("asynchronous", [False, True])
def test_who_waits_for_long_says_so_once(
    app: Penstock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, asynchronous: bool
) -> None:
    """Two tasks that wait for each other are found by that."""
    monkeypatch.setattr(waiters, "_LONG_SECONDS", 0)
    monkeypatch.setattr(waiters, "_SLICE_SECONDS", 0.01)
    caplog.set_level("INFO")
    limits.declare("db", 1)
    told: list[str] = []

    def lines() -> list[str]:
        told[:] = [r.getMessage() for r in caplog.records if "a slot of 'db'" in r.getMessage()]
        return told

    @task
    def enter() -> None:
        with concurrency("db"):
            pass

    @task
    async def aenter() -> None:
        async with concurrency("db"):
            pass

    @flow
    def busy() -> None:
        with concurrency("db"):
            future = (aenter if asynchronous else enter).submit()
            until(lambda: bool(lines()))
            threading.Event().wait(0.1)
        future.result()

    busy()
    assert lines() == ["Has waited 0 s for a slot of 'db'; who holds them: penstock limits show db"]


# ------------------------------------------------------------------------------------------------ mistakes
@pytest.mark.parametrize(
    "enter",
    [
        lambda: concurrency("db").__enter__(),
        lambda: rate_limit("api", per_second=1),
        lambda: asyncio.run(concurrency("db").__aenter__()),
        lambda: asyncio.run(penstock.concurrency.asyncio.rate_limit("api", per_second=1)),
    ],
)
def test_outside_a_run(app: Penstock, enter: Callable[[], Any]) -> None:
    with pytest.raises(MissingContextError, match="outside a run") as caught:
        enter()
    assert "flow or a task" in str(caught.value)


def test_in_a_hook_after_the_end(app: Penstock) -> None:
    limits.declare("db", 1)
    told: list[BaseException] = []

    def hook(*_: Any) -> None:
        try:
            with concurrency("db"):
                pass
        except MissingContextError as error:
            told.append(error)

    flow(on_completion=[hook])(lambda: None)()
    assert "has ended" in str(told[0])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: concurrency(""), "cannot be the name"),
        (lambda: concurrency(["db", 3]), "cannot be the name"),  # type: ignore[list-item]
        (lambda: concurrency("a\nb"), "cannot be the name"),
        (lambda: concurrency("x" * 201), "cannot be the name"),
        (lambda: concurrency("db", occupy=0), "occupy must be"),
        (lambda: concurrency("db", occupy=True), "occupy must be"),
        (lambda: concurrency("db", timeout_seconds=-1), "timeout_seconds must be"),
        (lambda: rate_limit("api", per_second=0), "per_second must be"),
        (lambda: rate_limit("api", per_second=1, burst=0), "burst must be"),
        (lambda: limits.declare("db", -1), "slots of 'db' must be"),
        (lambda: limits.declare("db"), "limits nothing"),
        (lambda: limits.declare("db", per_second=float("nan")), "per_second of 'db' must be"),
        (lambda: limits.declare("db", per_second=True), "per_second of 'db' must be"),
    ],
)
def test_what_cannot_be(app: Penstock, wrong: Callable[[], Any], says: str) -> None:
    with pytest.raises(BadLimit, match=says):
        wrong()


def test_tries_are_not_counted() -> None:
    with pytest.raises(NotThereYet, match="max_retries") as caught:
        concurrency("db", max_retries=3)
    assert "timeout_seconds" in str(caught.value)


def test_limits_that_are_not_declared(app: Penstock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wishes, "_warned", set())
    limits.declare("only-rate", per_second=1)
    limits.declare("only-slots", 1)

    @flow
    def busy() -> None:
        for _ in range(2):
            with concurrency("nothing") as slot:
                assert slot > 0
            rate_limit("nothing-else")
        with pytest.raises(LimitNotFound, match="no limit 'nothing'"), concurrency("nothing", strict=True):
            pass
        with pytest.raises(LimitNotFound, match="no rate limit 'nothing'"):
            rate_limit("nothing", strict=True)
        with pytest.raises(BadLimit, match="has a rate, and no slots"), concurrency("only-rate"):
            pass
        with pytest.raises(BadLimit, match="has slots, and no rate"):
            rate_limit("only-slots")
        with concurrency([]):
            pass

    busy()
    said = [line.message for line in app.journal.logs(newest(app).id)]
    assert len([line for line in said if "There is no limit 'nothing'," in line]) == 1
    assert len([line for line in said if "There is no limit 'nothing-else'," in line]) == 1
    assert holds_nothing(app)


def test_code_that_would_wait_for_itself_is_told(app: Penstock) -> None:
    limits.declare("db", 2)

    @flow
    def busy() -> None:
        inner = concurrency("db")
        with concurrency("db"), concurrency("db"), pytest.raises(BadLimit, match="would wait for itself"), inner:
            pass
        once = concurrency("db")
        with once, pytest.raises(BadLimit, match="entered already"), once:
            pass
        with once:
            pass

    @flow
    async def abusy() -> None:
        async with concurrency("db", occupy=2):
            with pytest.raises(BadLimit, match="would wait for itself"):
                async with concurrency("db"):
                    pass

    busy()
    asyncio.run(abusy())
    assert holds_nothing(app)


# ------------------------------------------------------------------------------------------------ tags
def test_tasks_with_a_tag(app: Penstock) -> None:
    limits.declare("tag:db", 2)
    room = Room()
    meeting = threading.Barrier(2)

    @task(tags=["db", "other"])
    def enter(number: int) -> None:
        with room:
            meeting.wait(30)

    @flow
    def busy() -> None:
        enter.map(range(8)).wait()

    busy()
    assert room.most == 2
    assert set(steps(app, newest(app).id).values()) == {"Completed"}
    assert holds_nothing(app)


def test_async_tasks_with_a_tag(app: Penstock) -> None:
    limits.declare("tag:db", 2)
    room = Room()

    @task(tags=["db"])
    async def enter(number: int) -> None:
        with room:
            await asyncio.sleep(0.002)

    @flow
    async def busy() -> None:
        await asyncio.gather(*[enter(number) for number in range(6)])
        enter.map(range(6)).wait()

    asyncio.run(busy())
    assert room.most == 2
    assert holds_nothing(app)


def test_a_tag_from_around_counts_too(app: Penstock) -> None:
    limits.declare("tag:db", 1)
    held: list[int] = []

    @task
    def enter() -> None:
        held.append(limits.find("tag:db").taken)

    @flow
    def busy() -> None:
        enter()
        with tags("db"):
            enter()

    busy()
    assert held == [0, 1]


def test_a_slot_is_given_back_between_attempts(app: Penstock) -> None:
    limits.declare("tag:db", 1)
    order: list[str] = []
    second_begins = threading.Event()

    @task(tags=["db"], retries=1, retry_delay_seconds=0.01)
    def again() -> None:
        order.append("again")
        if len(order) == 1:
            second_begins.set()
            until(lambda: len(app.journal.tickets()) == 2)
            raise ValueError("once more")

    @task(tags=["db"])
    def other() -> None:
        order.append("other")

    @flow
    def busy() -> None:
        first = again.submit()
        second_begins.wait(30)
        other.submit().wait()
        first.wait()

    busy()
    assert order == ["again", "other", "again"]
    kinds = [
        type(event)
        for event in events(app, newest(app).id)
        if isinstance(event, (TaskCompleted, TaskRetrying)) and event.step.task == "again"
    ]
    assert kinds == [TaskRetrying, TaskCompleted]
    assert holds_nothing(app)


def test_a_step_of_a_holder_runs_under_its_slot(app: Penstock) -> None:
    limits.declare("tag:db", 1)
    held: list[int] = []

    @task(tags=["db"])
    def inner() -> None:
        held.append(len(app.journal.tickets()))

    @task(tags=["db"])
    def outer() -> None:
        inner()
        inner.submit().wait()
        sub()

    @flow(tags=["db"])
    def sub() -> None:
        inner()

    @flow
    def busy() -> None:
        outer()

    busy()
    assert held == [1, 1, 1]


def test_a_tag_without_a_limit_costs_no_ticket(app: Penstock, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    queue_up, known = app.journal.queue_up, app.journal.limits
    monkeypatch.setattr(app.journal, "queue_up", lambda *args: asked.append("ticket") or queue_up(*args))
    monkeypatch.setattr(app.journal, "limits", lambda *args, **more: asked.append("limits") or known(*args, **more))

    @task(tags=["free"])
    def enter(number: int) -> None: ...

    @flow
    def busy() -> None:
        for number in range(50):
            enter(number)

    busy()
    assert "ticket" not in asked
    assert len(asked) < 50


def test_many_tagged_tasks_need_few_threads(app: Penstock) -> None:
    limits.declare("tag:db", 2)
    threads: list[int] = []

    @task(tags=["db"])
    def enter(number: int) -> int:
        threads.append(threading.active_count())
        return number

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=4))
    def busy() -> list[int]:
        found: list[int] = enter.map(range(300)).result()
        return found

    before = threading.active_count()
    assert busy() == list(range(300))
    assert max(threads) <= before + 4 + 3, "the pool, the keeper and the doorman, and hardly more"
    assert holds_nothing(app)


def test_a_rate_by_tag(app: Penstock, monkeypatch: pytest.MonkeyPatch) -> None:
    limits.declare("tag:api", per_second=100, burst=2)
    turns = overheard(app, monkeypatch)
    used: list[int] = []

    @task(tags=["api"])
    def call(number: int) -> None:
        used.append(now_us())

    @flow
    def busy() -> None:
        call.map(range(10)).wait()
        call(10)

    busy()
    assert len(turns) == len(used) == 11
    assert all(at <= use for at, use in zip(sorted(turns), sorted(used), strict=True))
    assert sorted(turns)[9] - sorted(turns)[0] >= 79_000


# ------------------------------------------------------------------------------------------------ rates
def overheard(app: Penstock, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The turns that the journal grants."""
    turns: list[int] = []
    reserve = app.journal.reserve

    def reserved(*args: Any, **options: Any) -> int:
        turn: int = reserve(*args, **options)
        turns.append(turn)
        return turn

    monkeypatch.setattr(app.journal, "reserve", reserved)
    return turns


def test_turns_are_waited_for(app: Penstock, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = overheard(app, monkeypatch)
    used: list[int] = []

    @task
    def call(number: int) -> None:
        rate_limit("api", per_second=200, burst=3)
        used.append(now_us())

    @task
    async def acall(number: int) -> None:
        await rate_limit("api", per_second=200)
        used.append(now_us())

    @flow
    async def busy() -> None:
        call.map(range(10)).wait()
        call(10)
        await asyncio.gather(*[acall(number) for number in range(5)])

    asyncio.run(busy())
    assert len(turns) == len(used) == 16
    assert all(turn <= use for turn, use in zip(sorted(turns), sorted(used), strict=True))
    assert max(turns) - min(turns) >= (16 - 3) * 5_000


def test_a_turn_that_comes_too_late_is_not_waited_for(app: Penstock) -> None:
    limits.declare("api", per_second=0.001)

    @flow
    def busy() -> None:
        rate_limit("api")
        with pytest.raises(LimitTimedOut, match="A turn of 'api'"):
            rate_limit("api", timeout_seconds=5)
        assert limits.reset("api") == 0
        rate_limit("api", timeout_seconds=5)

    busy()


def test_a_cancelled_run_waits_for_no_turn(app: Penstock) -> None:
    limits.declare("api", per_second=0.001)
    taken = threading.Event()

    @flow
    def busy() -> None:
        rate_limit("api")
        taken.set()
        rate_limit("api")

    thread = threading.Thread(target=lambda: _raised(busy))
    thread.start()
    taken.wait(30)
    recovery.cancel(app.journal, newest(app).id)
    thread.join(30)
    assert newest(app).state == "Cancelled"


# ------------------------------------------------------------------------------------------------ tasks in processes
def in_process(number: int) -> tuple[int, int]:
    with concurrency("db", timeout_seconds=60) as slot:
        slot.check()
        assert Path(os.environ["PENSTOCK_TEST_ROOM"]).joinpath("inside").mkdir() is None
        Path(os.environ["PENSTOCK_TEST_ROOM"]).joinpath("inside").rmdir()
    rate_limit("api", per_second=500)
    return number, int(slot)


def never_inside(number: int) -> None:
    with concurrency("db", occupy=9):
        pass


def dies_inside(number: int) -> None:
    with concurrency("db"):
        os._exit(3)


def late_inside(number: int) -> None:
    with concurrency("db"), concurrency("closed"):
        pass


def test_tasks_in_processes(app: Penstock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_TEST_ROOM", str(tmp_path))
    limits.declare("db", 1)
    limits.declare("closed", 0)

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=2))
    def busy() -> None:
        found = task(in_process).map(range(6)).result()
        assert [number for number, _ in found] == list(range(6))
        assert len({token for _, token in found}) == 6
        with pytest.raises(BadLimit, match="nobody can ever hold 9"):
            task(never_inside).submit(1).result()
        with pytest.raises(CrashedRun, match="exit code 3"):
            task(dies_inside).submit(1).result()
        assert holds_nothing(app), "what a dead process held is given back by its flow"
        with pytest.raises(TimeoutError):
            task(late_inside, timeout_seconds=0.3).submit(1).result()
        assert holds_nothing(app)

    busy()


# ------------------------------------------------------------------------------------------------ leases
class Jumping(Clock):
    """A clock that can be put forward, as when the machine sleeps."""

    def __init__(self) -> None:
        self.ahead = 0

    def now(self) -> int:
        return super().now() + self.ahead


def test_a_machine_that_slept_takes_nobodys_slot(app: Penstock) -> None:
    """Every lease is over then; who is alive extends his at once, and has lost nothing."""
    limits.declare("db", 1)
    clock = Jumping()
    other, owner = new_run_id(), "elsewhere/0|1|1|far"

    @flow
    def busy() -> str:
        clock.ahead = 3_600_000_000
        entered: list[int] = []

        @task
        def enter() -> None:
            with concurrency("db"):
                entered.append(1)

        future = enter.submit()
        waiting(app, 2)
        app.journal.extend_leases([other], owner, now_us() + 3_600_000_000)
        threading.Event().wait(2.5)
        assert not entered
        app.journal.hand_back([ticket])
        future.wait()
        return "done"

    with clock_of(clock):
        app.journal.append(other, 0, [created(), started()])
        journal_owner(app, other, owner)
        ticket = app.journal.queue_up("db", other, owner, None, 1, now_us())
        app.engine.slots  # noqa: B018 - it looks at the clock when it is made
        assert busy() == "done"
        assert not newest(app).lost(now_us()), "its own lease was extended when the clock jumped"


def journal_owner(app: Penstock, run_id: str, owner: str) -> None:
    """Let a process of another machine hold a run."""
    event = RunResumed(at=now_us(), owner=owner, lease_until=now_us() + 1_000_000)
    app.journal.append(run_id, app.journal.last_seq(run_id), [Record(event)])


def test_the_slot_of_a_dead_process_is_given_back(app: Penstock) -> None:
    limits.declare("db", 1)
    dead = new_run_id()
    app.journal.append(dead, 0, [created(), started()])
    journal_owner(app, dead, dead_owner())
    app.journal.extend_leases([dead], dead_owner(), now_us() + 3_600_000_000)
    app.journal.queue_up("db", dead, dead_owner(), None, 1, now_us())

    @flow
    def busy() -> str:
        with concurrency("db", timeout_seconds=60):
            return "inside"

    assert busy() == "inside"


def test_a_ticket_whose_number_never_arrived_is_given_back(app: Penstock) -> None:
    limits.declare("db", 1)

    @flow
    def busy() -> None:
        with concurrency("db"):
            app.journal.queue_up("db", newest(app).id, app.engine.owner, None, 1, now_us())
            app.engine.slots.check(lapsed=False)
            assert len(app.journal.tickets()) == 2, "it may be on its way"
            app.engine.slots.check(lapsed=False)
            assert len(app.journal.tickets()) == 1

    busy()
    assert holds_nothing(app)


def test_slots_that_cannot_be_given_back_now_are_given_back_later(
    app: Penstock, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits.declare("db", 1)
    hand_back = app.journal.hand_back

    def fails(*_: Any) -> int:
        raise JournalUnavailable("away")

    @flow
    def busy() -> None:
        with concurrency("db"):
            monkeypatch.setattr(app.journal, "hand_back", fails)
        monkeypatch.setattr(app.journal, "hand_back", hand_back)
        assert len(app.journal.tickets()) == 1
        app.engine.slots.check(lapsed=False)
        assert holds_nothing(app)

    busy()
    assert newest(app).state == "Completed"


# ------------------------------------------------------------------------------------------------ declaring
def test_declaring(app: Penstock) -> None:
    assert limits.declare("db", 3)
    assert not limits.declare("db", 3), "nothing changed, so nothing is recorded"
    assert limits.declare("db", 3, per_second=2, burst=4)
    limits.declare("tag:x", 1)
    assert [limit.name for limit in limits.listed()] == ["db", "tag:x"]
    assert limits.find("db") == Limit(name="db", slots=3, per_second=2.0, burst=4)
    limits.delete("db")
    recorded = [type(stored.event) for stored in app.journal.load("limit/db")]
    assert recorded == [LimitDeclared, LimitDeclared, LimitDeleted]
    for missing in (limits.find, limits.delete, limits.reset):
        with pytest.raises(LimitNotFound, match="no limit 'db'"):
            missing("db")


def test_sixteen_threads_declare_one_limit(app: Penstock) -> None:
    gate = threading.Barrier(16)

    def declare() -> None:
        gate.wait()
        limits.declare("db", 3)

    threads = [threading.Thread(target=declare) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert app.journal.last_seq("limit/db") == 1


def test_a_table_of_limits(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text('[tool.penstock.limits]\ndb = 3\n"tag:api" = { per_second = 10, burst = 5 }\n')
    assert limits_in(file) == [Limit(name="db", slots=3), Limit(name="tag:api", per_second=10, burst=5)]
    file.write_text("[tool.penstock.limits]\ndb = { slot = 3 }\n")
    with pytest.raises(BadLimit, match="unknown options: slot"):
        limits_in(file)
    file.write_text("[tool.penstock]\nlimits = 3\n")
    with pytest.raises(BadLimit, match="must be a table"):
        limits_in(file)
    file.write_text("[tool.penstock]\n")
    assert limits_in(file) == []
    file.write_text("[tool")
    with pytest.raises(ConfigurationError, match="is no TOML"):
        limits_in(file)
    with pytest.raises(ConfigurationError, match=r"cannot be read: No such file(?s:.)*--file FILE"):
        limits_in(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("text", ["tool = 3", "[tool]\npenstock = 3", "[tool.penstock]\nlimits = [1]"])
def test_a_file_without_a_table_where_one_should_be(tmp_path: Path, text: str) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(text)
    with pytest.raises(BadLimit, match="must be a table"):
        limits_in(file)


def test_a_file_with_one_wrong_limit_declares_none(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text('[tool.penstock.limits]\nfirst = 1\nsecond = "3"\n')
    with pytest.raises(BadLimit, match="slots of 'second' must be a whole number"):
        limits_in(file)


def test_a_slot_is_a_number() -> None:
    slot = Slot(17)
    assert slot == 17
    assert slot > Slot(3)
    assert f"{slot}" == "17"
