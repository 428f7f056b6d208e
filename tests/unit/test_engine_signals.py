"""Signals: at once in the user's code and in waits, after the engine's own work, and never in the middle of it."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.unit.engines import engine_on, newest, steps

from penstock import flow, futures, get_run_logger, task
from penstock.app import Penstock
from penstock.core.errors import CancelledRun
from penstock.core.events import Record
from penstock.core.interruptions import Terminated
from penstock.core.model import LogLine, RunFilter
from penstock.engine import signals
from penstock.engine.recorder import Recorder
from penstock.engine.recovery import cancel
from penstock.journal.memory import MemoryJournal

pytestmark = pytest.mark.timeout(30)

Strike = Callable[[], Any]


class StrikingJournal(MemoryJournal):
    """Does something, once, before or after it writes the first event of a kind."""

    def __init__(self, kind: str, strike: Strike, *, after: bool = False, remote: bool = False) -> None:
        super().__init__()
        self.kind_of_event = kind
        self.strike: Strike | None = strike
        self.after = after
        self.remote = remote

    def append(self, stream: str, expected_seq: int, records: Sequence[Record], logs: Sequence[LogLine] = ()) -> None:
        strike = self.strike if any(type(r.event).__name__ == self.kind_of_event for r in records) else None
        if strike is not None:
            self.strike = None
            if not self.after:
                strike()
        super().append(stream, expected_seq, records, logs)
        if strike is not None and self.after:
            strike()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Penstock]:
    with engine_on(tmp_path).activate() as fresh:
        yield fresh


@pytest.fixture(autouse=True)
def nothing_stays_behind() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), signal.default_int_handler
    yield
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), signal.default_int_handler) == before
    assert signals.noted == []
    assert signals._roots == []


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def terminate() -> None:
    signal.raise_signal(signal.SIGTERM)


SIGNALS = [(interrupt, KeyboardInterrupt), (terminate, Terminated)]


@task
def give(value: Any) -> Any:
    return value


@flow
def two_steps() -> list[Any]:
    return [give(1), give(2)]


# ---------------------------------------------------------------------------------------------------- in the engine
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("strike", "error"), SIGNALS)
def test_a_step_that_is_being_recorded_is_recorded(
    tmp_path: Path, strike: Strike, error: type[BaseException], after: bool
) -> None:
    seen = []

    @flow
    def watched() -> None:
        try:
            give(1)
        finally:
            seen.append(steps(app, newest(app).id))

    journal = StrikingJournal("TaskCompleted", strike, after=after)
    with engine_on(tmp_path, journal).activate() as app, pytest.raises(error):
        watched()
    assert seen == [{"give#1": "Completed"}]
    assert newest(app).state == "Crashed"


@pytest.mark.parametrize(("strike", "error"), SIGNALS)
def test_a_run_that_is_being_begun_ends_before_its_function_is_called(
    tmp_path: Path, strike: Strike, error: type[BaseException]
) -> None:
    called = []

    @flow
    def never() -> None:
        called.append(1)

    with engine_on(tmp_path, StrikingJournal("RunCreated", strike)).activate() as app, pytest.raises(error):
        never()
    assert called == []
    assert newest(app).state == "Crashed"


@pytest.mark.parametrize(("strike", "error"), SIGNALS)
def test_a_run_whose_end_is_being_recorded_keeps_that_end(
    tmp_path: Path, strike: Strike, error: type[BaseException]
) -> None:
    with engine_on(tmp_path, StrikingJournal("RunCompleted", strike)).activate() as app, pytest.raises(error):
        two_steps()
    assert newest(app).state == "Completed"


def test_a_signal_that_meets_a_subflow_being_recorded_comes_out_of_its_call(tmp_path: Path) -> None:
    seen = []

    @flow
    def outer() -> None:
        try:
            two_steps()
        except KeyboardInterrupt:
            seen.append([run.state for run in app.journal.runs(RunFilter(parent_id=newest(app).id))])
            raise

    journal = StrikingJournal("RunCompleted", interrupt)
    with engine_on(tmp_path, journal).activate() as app, pytest.raises(KeyboardInterrupt):
        outer()
    assert seen == [["Completed"]]
    assert newest(app).state == "Crashed"


def test_whoever_signals_twice_is_obeyed_at_once(tmp_path: Path) -> None:
    reached = []

    def strike() -> None:
        interrupt()
        reached.append("the first one waits")
        interrupt()
        reached.append("the second one does not")

    with engine_on(tmp_path, StrikingJournal("TaskCompleted", strike)).activate():
        with pytest.raises(KeyboardInterrupt):
            two_steps()
        assert two_steps() == [1, 2], "nothing is locked"
    assert reached == ["the first one waits"]


def test_a_time_limit_waits_until_the_step_below_is_recorded(tmp_path: Path) -> None:
    @task(timeout_seconds=0.5)
    def late() -> None:
        give(1)
        time.sleep(3600)

    @flow
    def limited() -> str:
        return str(late(return_state=True).name)

    journal = StrikingJournal("TaskCompleted", lambda: time.sleep(0.7))
    with engine_on(tmp_path, journal).activate() as app:
        assert limited() == "TimedOut"
        assert steps(app, newest(app).id) == {"late#1": "Failed", "late#1/give#1": "Completed"}


def test_a_signal_does_not_break_into_logging(app: Penstock, monkeypatch: pytest.MonkeyPatch) -> None:
    log, kept = Recorder.log, []

    def struck(self: Recorder, line: LogLine) -> None:
        interrupt()
        log(self, line)
        kept.append(line.message)

    monkeypatch.setattr(Recorder, "log", struck)

    @flow
    def talks() -> None:
        get_run_logger().warning("one line")

    with pytest.raises(KeyboardInterrupt):
        talks()
    assert kept == ["one line"]


# ---------------------------------------------------------------------------------------------- in the user's code
@pytest.mark.parametrize(("strike", "error"), SIGNALS)
@pytest.mark.parametrize("where", ["flow", "task", "timed task", "hook", "callback of a future"])
def test_the_users_code_is_interrupted_at_once(
    app: Penstock, where: str, strike: Strike, error: type[BaseException]
) -> None:
    after = []

    def struck(*_: Any) -> None:
        strike()
        after.append(1)

    @flow
    def interrupted() -> None:
        if where == "flow":
            struck()
        elif where == "task":
            task(struck)()
        elif where == "timed task":
            task(timeout_seconds=60)(struck)()
        elif where == "hook":
            task(on_completion=[struck])(lambda: None)()
        else:
            future = give.submit(1)
            future.wait()
            future.add_done_callback(struck)

    with pytest.raises(error):
        interrupted()
    assert after == []
    assert newest(app).state == "Crashed"


def signals_main_and_waits(gate: threading.Event) -> Any:
    @task
    def signals_main() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        gate.wait()

    return signals_main


@pytest.mark.parametrize("wait", ["future.wait", "future.result", "argument", "at the end", "wait", "as_completed"])
def test_a_wait_for_a_step_is_interrupted_at_once(app: Penstock, wait: str) -> None:
    """It would take for ever otherwise."""
    gate = threading.Event()
    signals_main = signals_main_and_waits(gate)

    @flow
    def waits() -> None:
        future = signals_main.submit()
        if wait == "future.wait":
            future.wait()
        elif wait == "future.result":
            future.result()
        elif wait == "argument":
            give(future)
        elif wait == "wait":
            futures.wait([future])
        elif wait == "as_completed":
            list(futures.as_completed([future]))

    with pytest.raises(KeyboardInterrupt):
        waits()
    gate.set()
    assert newest(app).state == "Crashed"


@pytest.mark.parametrize("kind", ["task", "flow"])
def test_waiting_for_the_next_attempt_is_interrupted_at_once(app: Penstock, kind: str) -> None:
    def fails() -> None:
        main = threading.main_thread().ident or 0
        threading.Timer(0.2, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
        raise ValueError("once")

    made = (task if kind == "task" else flow)(retries=1, retry_delay_seconds=3600)(fails)
    around = flow(lambda: made()) if kind == "task" else made
    with pytest.raises(KeyboardInterrupt):
        around()
    assert newest(app).state == "Crashed"


# ---------------------------------------------------------------------------------------------------- event loops
@pytest.mark.parametrize("where", ["flow", "task", "gathered task", "sync task"])
def test_sigterm_cancels_an_async_flow_and_ends_it_as_crashed(app: Penstock, where: str) -> None:
    unwound = []

    @task
    async def waits(struck: bool) -> None:
        if struck:
            terminate()
        await asyncio.sleep(3600)

    @flow
    async def terminated() -> None:
        try:
            if where == "flow":
                terminate()
                await asyncio.sleep(3600)
            elif where == "task":
                await waits(True)
            elif where == "sync task":
                task(terminate)()
            else:
                await asyncio.gather(waits(False), waits(True), waits(False))
        finally:
            await asyncio.sleep(0)
            unwound.append(1)

    with pytest.raises(Terminated) as ended:
        asyncio.run(terminated())
    assert ended.value.code == 143
    run = newest(app)
    assert run.state == "Crashed"
    assert "143" in str(run.message)
    assert unwound == [1]
    assert set(steps(app, run.id).values()) <= {"Crashed", "Cancelled"}


def test_ctrl_c_is_left_to_asyncio_where_asyncio_handles_it(app: Penstock) -> None:
    @flow
    async def interrupted() -> None:
        interrupt()
        await asyncio.sleep(3600)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(interrupted())
    assert newest(app).state == "Crashed"


def test_ctrl_c_on_a_loop_that_does_not_handle_it(app: Penstock) -> None:
    @flow
    async def interrupted() -> None:
        interrupt()
        await asyncio.sleep(3600)

    loop = asyncio.new_event_loop()
    coroutine = interrupted()
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(coroutine)
    loop.close()
    assert newest(app).state == "Crashed"
    assert "interrupt signal" in str(newest(app).message)


@pytest.mark.parametrize(("strike", "error"), SIGNALS)
def test_a_loop_that_a_sync_flow_has_started(app: Penstock, strike: Strike, error: type[BaseException]) -> None:
    told = []

    async def main() -> None:
        strike()
        await asyncio.sleep(3600)

    @flow
    def starts_a_loop() -> None:
        try:
            asyncio.run(main())
        except BaseException as stopped:
            told.append(type(stopped))
            raise

    with pytest.raises(error):
        starts_a_loop()
    assert told == [KeyboardInterrupt if error is KeyboardInterrupt else asyncio.CancelledError]
    assert newest(app).state == "Crashed"


def test_a_loop_that_is_held_up_is_not_waited_for(app: Penstock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_LOOP_HEARS_SECONDS", 0.1)

    @flow
    async def blocks() -> None:
        terminate()
        while True:
            time.sleep(0.01)

    with pytest.raises(Terminated):
        asyncio.run(blocks())
    assert newest(app).state == "Crashed"


def test_a_flow_that_is_cancelled_while_it_records_far_away_knows_what_is_on_record(tmp_path: Path) -> None:
    @flow
    async def distant() -> None:
        await asyncio.sleep(3600)

    tasks: list[asyncio.Task[None]] = []

    def strike() -> None:
        tasks[0].get_loop().call_soon_threadsafe(tasks[0].cancel)
        time.sleep(0.3)

    async def main() -> None:
        tasks.append(asyncio.ensure_future(distant()))
        await tasks[0]

    journal = StrikingJournal("RunCreated", strike, remote=True)
    with engine_on(tmp_path, journal).activate() as app, pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert newest(app).state == "Crashed"


# -------------------------------------------------------------------------------------------- handlers of others
def test_a_handler_of_the_users_stays(app: Penstock) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:

        @flow
        def struck() -> str:
            interrupt()
            return "went on"

        assert struck() == "went on"
        assert heard == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_handler_that_the_flow_sets_stays(app: Penstock) -> None:
    def mine(*_: Any) -> None: ...

    @flow
    def sets() -> None:
        signal.signal(signal.SIGINT, mine)

    sets()
    assert signal.getsignal(signal.SIGINT) is mine
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_handler_that_was_kept_for_later_does_what_python_does(app: Penstock) -> None:
    """A library may have saved what it found during a run, and put it back after it."""
    saved: list[Any] = []

    @flow
    def saves() -> None:
        saved.append(signal.getsignal(signal.SIGINT))

    saves()
    with pytest.raises(KeyboardInterrupt):
        saved[0](signal.SIGINT, None)


def test_a_forked_child_is_interrupted_as_ever(app: Penstock) -> None:
    @flow
    def forks() -> list[int]:
        codes = []
        for number in (signal.SIGTERM, signal.SIGINT):
            child = os.fork()
            if child == 0:
                try:
                    signal.raise_signal(number)
                except KeyboardInterrupt:
                    os._exit(7)
                os._exit(8)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        return codes

    assert forks() == [-signal.SIGTERM, 7]


def test_a_run_inside_another_root_run(app: Penstock) -> None:
    """In a context of its own, a flow that is called by a flow is no subflow."""

    @flow
    def outer() -> None:
        contextvars.Context().run(two_steps)
        interrupt()

    with pytest.raises(KeyboardInterrupt):
        outer()


# ---------------------------------------------------------------------------------------------------- other threads
def in_thread(call: Callable[[], Any]) -> list[Any]:
    answers: list[Any] = []

    def work() -> None:
        try:
            answers.append(call())
        except BaseException as error:
            answers.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    return answers


def spin(began: threading.Event) -> None:
    began.set()
    while True:
        time.sleep(0.01)


@pytest.mark.parametrize("timed", [False, True])
def test_a_run_in_another_thread_is_cancelled_in_the_users_code(app: Penstock, timed: bool) -> None:
    began = threading.Event()
    spins = task(timeout_seconds=3600 if timed else None)(spin)

    @flow
    def elsewhere() -> None:
        spins(began)

    def cancels() -> None:
        began.wait(20)
        cancel(app.journal, newest(app).id, grace_seconds=20, reason="wrong day")

    canceller = threading.Thread(target=cancels)
    canceller.start()
    (ended,) = in_thread(elsewhere)
    canceller.join()
    assert isinstance(ended, CancelledRun)
    assert (newest(app).state, newest(app).message) == ("Cancelled", "wrong day")
    assert steps(app, newest(app).id) == {"spin#1": "Cancelled"}


def test_a_timed_step_on_a_worker_is_cancelled_at_once(app: Penstock) -> None:
    began = threading.Event()
    left = threading.Event()

    @task(timeout_seconds=3600)
    def timed() -> None:
        try:
            spin(began)
        finally:
            left.set()

    @flow
    def waits() -> None:
        timed.submit().wait()

    def cancels() -> None:
        began.wait(20)
        cancel(app.journal, newest(app).id, grace_seconds=20)

    canceller = threading.Thread(target=cancels)
    canceller.start()
    with pytest.raises(CancelledRun):
        waits()
    canceller.join()
    assert left.wait(10), "its code goes on"
