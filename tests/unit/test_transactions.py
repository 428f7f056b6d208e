"""Transactions: what is committed and rolled back when nothing goes wrong, and when the process dies at any append."""

from __future__ import annotations

import asyncio
import datetime
import inspect
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from tests.unit.engines import dead_owner, engine_on, events, newest, steps
from tests.unit.transacting import CALM, FLOWS, Dry, does, world

from penstock import flow, journal_transaction, sleep, task
from penstock.app import Penstock
from penstock.authoring import registry
from penstock.core.errors import (
    BadOption,
    JournalUnavailable,
    MissingContextError,
    NotThereYet,
    ReplayDiverged,
)
from penstock.core.model import CacheFilter, RunFilter
from penstock.core.verdicts import TransactionDecided
from penstock.engine.recovery import cancel, resume
from penstock.testing import FakeClock, Fault, FaultyJournal
from penstock.testing.faults import fail_with
from penstock.transactions import TransactionState, atransaction, get_transaction, transaction


@pytest.fixture(autouse=True)
def calm() -> None:
    world.clear()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Penstock]:
    made = engine_on(tmp_path / "home")
    with made.activate():
        yield made
    made.close()


def outcome(some: Any, *args: Any) -> Any:
    """What it returns, or the exception."""
    try:
        value = some(*args)
        return asyncio.run(value) if inspect.iscoroutine(value) else value
    except Exception as error:
        return repr(error)


# ---------------------------------------------------------------------------------------------------- undisturbed
@pytest.mark.parametrize("name", FLOWS)
def test_what_happens(app: Penstock, name: str) -> None:
    outcome(FLOWS[name])
    assert _in_order(name, world) == CALM[name].split(", ")
    assert not app.journal.tickets()
    _check_record(app)


def _in_order(name: str, told: list[str]) -> list[str]:
    """Submitted steps run side by side: their order among themselves is nobody's promise."""
    if name != "submitted":
        return list(told)
    return sorted(told, key=lambda what: (what.startswith("keep"), what))


def _check_record(app: Penstock) -> None:
    """Every transaction on record has one verdict, and an end."""
    for run_id in {stored.stream for stored in app.journal.read(0, 100_000)}:
        decided: dict[str, str] = {}
        for event in events(app, run_id):
            if isinstance(event, TransactionDecided) and event.verdict in ("commit", "rollback"):
                assert decided.setdefault(event.step.key, event.verdict) == event.verdict
        states = steps(app, run_id)
        for key, verdict in decided.items():
            assert states[key] == ("Completed" if verdict == "commit" else "Failed")


# ---------------------------------------------------------------------------------------------------- dying
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", FLOWS)
def test_a_process_that_dies_at_any_append(tmp_path: Path, name: str, when: Any) -> None:
    some = FLOWS[name]
    expected = _undisturbed(tmp_path, some)
    for at in count(1):
        world.clear()
        app = engine_on(tmp_path / f"{at}")
        died = _dies(app, some, at, when)
        with app.activate():
            got = _goes_on(app, some, expected)
        assert got == expected, f"died {when} append {at}"
        _check_world(name, at, when, died)
        _check_record(app)
        assert not app.journal.tickets()
        app.close()
        if not died:
            assert at > 4
            return


def _goes_on(app: Penstock, some: Any, expected: Any) -> Any:
    """What came of it in the end."""
    run = newest_or_none(app)
    if run is None:
        return outcome(some)
    return expected if run.ended else outcome(resume, app.engine, run.id, some)


def _undisturbed(folder: Path, some: Any) -> Any:
    with engine_on(folder / "calm").activate():
        return outcome(some)


def newest_or_none(app: Penstock) -> Any:
    with suppress(IndexError):
        return newest(app)
    return None


def _dies(app: Penstock, some: Any, at: int, when: Any) -> bool:
    """Run it in a process that dies at this append; False when it ended before.

    Its clock stands still: where a step takes long, that it has begun is another append.
    """
    faulty = FaultyJournal(app.journal, Fault(at, when, fail_with(JournalUnavailable("it dies here"))))
    other = Penstock(app.settings, journal=faulty, results=app.results)
    other.engine.owner = dead_owner()
    before = len(world)
    with FakeClock(datetime.datetime.now(datetime.UTC).isoformat()).running(), other.activate():
        outcome(some)
    assert len(world) >= before
    return faulty.appends >= at


def _check_world(name: str, at: int, when: str, died: bool) -> None:
    """Nothing is lost, nothing happens that would not have happened, and at most what was under way happens twice."""
    where = f"{name}, died {when} append {at}: {world}"
    wanted, got = Counter(CALM[name].split(", ")), Counter(world)
    surplus = got - wanted
    del surplus["caught"]  # code of a flow is executed again
    assert not wanted - got, f"lost: {where}"
    assert set(got) == set(wanted), where
    hooks = [what for what in surplus.elements() if what.startswith(("keep", "undo", "refuse"))]
    assert len(hooks) <= (died and when == "before"), f"a hook whose end is on record was called again: {where}"
    at_work = 3 if name == "submitted" else 1
    assert surplus.total() - len(hooks) <= at_work * died, where


# ---------------------------------------------------------------------------------------------------- other endings
@flow
def fails_for_good() -> str:
    with transaction():
        does("a")
    with transaction():
        does("b")
        if "well" not in world:
            raise Dry("no")
    return does("c")


def test_a_failed_run_that_is_resumed_does_again_what_was_undone_and_nothing_else(app: Penstock) -> None:
    assert "Dry" in outcome(fails_for_good)
    assert world == ["a", "keep a", "b", "undo b"]
    world[:] = ["well"]
    assert outcome(resume, app.engine, newest(app).id, fails_for_good) == "c"
    assert world == ["well", "b", "keep b", "c", "keep c"]


def test_a_cancelled_run_is_rolled_back(app: Penstock) -> None:
    begun = threading.Event()

    @task
    def waits() -> None:
        begun.set()
        sleep(3600)

    @flow
    def cancelled() -> None:
        with transaction():
            does("a")
            waits()

    states: list[Any] = []

    def work() -> None:
        with app.activate():
            states.append(cancelled(return_state=True))

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(30)
    cancel(app.journal, newest(app).id)
    thread.join(30)
    assert states[0].name == "Cancelled"
    assert world == ["a", "undo a"]
    _check_record(app)


def test_a_block_that_calls_more_than_was_committed(app: Penstock, tmp_path: Path) -> None:
    @flow
    def grows() -> None:
        with transaction():
            does("a")
            if "grown" in world:
                does("b")

    assert _dies(app, grows, 5, "before")
    world.append("grown")
    with pytest.raises(ReplayDiverged, match="Call 2 of the flow was transaction#1"):
        resume(app.engine, newest(app).id, grows)
    assert world == ["a", "keep a", "grown"]


def test_a_rollback_stands_although_the_code_would_not_fail_again(app: Penstock) -> None:
    @flow
    def moody() -> str:
        with transaction():
            does("a")
            if "better" not in world:
                raise Dry("moody")
        return "well"

    assert _dies(app, moody, 5, "before")
    world.append("better")
    assert outcome(resume, app.engine, newest(app).id, moody) == "Dry('moody')"
    assert world == ["a", "undo a", "better"]


def test_a_hook_that_cannot_be_found_again_is_told(app: Penstock, caplog: pytest.LogCaptureFixture) -> None:
    @task(on_rollback=[lambda txn: world.append("undo hidden")])
    def hidden() -> None:
        world.append("hidden")

    @task
    def outer() -> None:
        hidden()

    @flow
    def loses_a_hook() -> None:
        with transaction():
            outer()
            raise Dry("no")

    _dies(app, loses_a_hook, 4, "before")
    registry._hooks.clear()
    assert "Dry" in outcome(resume, app.engine, newest(app).id, loses_a_hook)
    assert world == ["hidden"]
    assert "is not in this process" in caplog.text


def test_values_that_cannot_be_kept_are_told(app: Penstock, caplog: pytest.LogCaptureFixture) -> None:
    @task(on_rollback=[lambda txn: world.append(type(txn.get("lock")).__name__)])
    def some() -> None:
        get_transaction().set("lock", threading.Lock())  # type: ignore[union-attr]

    def block() -> None:
        with transaction():
            some()
            raise Dry("no")

    assert "Dry" in outcome(flow(block))
    assert "is lost if the run is resumed" in caplog.text


def test_a_staged_value_that_cannot_be_saved_rolls_the_block_back(app: Penstock) -> None:
    @flow
    def stages() -> list[Any]:
        with transaction(key="k") as txn:
            does("a")
            txn.stage(threading.Lock())
        return [txn.state, app.journal.cache_entries(CacheFilter())]

    assert stages() == [TransactionState.ROLLED_BACK, []]
    assert world == ["a", "undo a"]


def test_a_failing_rollback_hook_does_not_keep_the_others_from_being_called(app: Penstock) -> None:
    def broken(txn: Any) -> None:
        raise SystemError("broken")

    def block() -> None:
        with transaction():
            does("a")
            does.with_options(on_rollback=[broken])("b")
            raise Dry("no")

    assert outcome(flow(block)) == "Dry('no')"
    assert world == ["a", "b", "undo a"]
    assert [name for key, name in steps(app, newest(app).id).items() if "broken" in key or ":does#2:" in key] == [
        "Failed"
    ]


# ---------------------------------------------------------------------------------------------------- keys
def test_what_was_found_under_a_key_stays_for_the_run(app: Penstock) -> None:
    big = "x" * 50_000

    @flow
    def stages() -> None:
        with transaction(key="k") as txn:
            txn.stage(big)

    @flow
    def reads() -> str:
        with transaction(key="k") as txn:
            found = txn.is_committed()
        does("a")
        value: str = txn.read().result if found else "not found"  # type: ignore[union-attr]
        return value

    stages()
    assert _dies(app, reads, 4, "after")
    app.journal.forget_cached(CacheFilter())
    app.journal.delete([run.id for run in app.journal.runs(RunFilter()) if run.flow == "stages"])
    (path,) = Path(app.settings.home).glob("results/??/*")
    os.utime(path, (1, 1))
    assert app.results.sweep(app.journal.unused) == 0
    assert outcome(resume, app.engine, newest(app).id, reads) == big
    assert world == ["a", "keep a"] or world == ["a", "keep a", "keep a"]


def test_one_makes_it_and_the_other_waits_for_it(app: Penstock) -> None:
    begun, go = threading.Event(), threading.Event()

    @flow
    def makes(name: str) -> str:
        with transaction(key="k", isolation_level="SERIALIZABLE") as txn:
            if not txn.is_committed():
                begun.set()
                assert go.wait(30)
                world.append("made")
                txn.stage(name)
        with transaction(key="k") as txn:
            return txn.read().result  # type: ignore[union-attr, no-any-return]

    values: list[str] = []

    def work(name: str) -> None:
        with app.activate():
            values.append(makes(name))

    threads = [threading.Thread(target=work, args=(name,)) for name in ("first", "second")]
    threads[0].start()
    assert begun.wait(30)
    threads[1].start()
    while len(app.journal.tickets()) < 2:
        assert threads[1].is_alive()
        time.sleep(0.005)
    go.set()
    for thread in threads:
        thread.join(30)
    assert values == ["first", "first"]
    assert world == ["made"]
    assert not app.journal.tickets()


def test_a_block_does_not_wait_for_itself(app: Penstock) -> None:
    @flow
    def again() -> list[bool]:
        options: Any = {"key": "k", "isolation_level": "SERIALIZABLE"}
        with transaction(**options) as outer, transaction(**options) as inner:
            return [outer.is_committed(), inner.is_committed()]

    assert again() == [False, False]
    assert not app.journal.tickets()


# ---------------------------------------------------------------------------------------------------- by hand, mistakes
def test_rolled_back_by_hand(app: Penstock) -> None:
    @flow
    def by_hand() -> list[Any]:
        with transaction() as txn:
            does("a")
            said = [txn.rollback(), txn.rollback()]
            does("b")
        return [*said, txn.state]

    assert by_hand() == [True, False, TransactionState.ROLLED_BACK]
    assert world == ["a", "b", "undo b", "undo a"]


def test_asynchronous_by_hand(app: Penstock) -> None:
    async def by_hand() -> list[Any]:
        async with atransaction() as txn:
            does("a")
            said = await txn.rollback()
            with pytest.raises(NotThereYet, match="at the end of its block"):
                await txn.commit()
        return [said, txn.state, await txn.read()]

    assert asyncio.run(flow(by_hand)()) == [True, TransactionState.ROLLED_BACK, None]
    assert world == ["a", "undo a"]


def test_a_block_cannot_be_entered_twice(app: Penstock) -> None:
    @flow
    def twice() -> None:
        with transaction() as txn, txn:
            pass

    assert "has begun already" in outcome(twice)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: transaction(key=5), "must be text"),  # type: ignore[arg-type]
        (lambda: transaction(key=""), "must be text"),
        (lambda: transaction(commit_mode="SOON"), "There is no CommitMode 'SOON'"),
        (lambda: transaction(isolation_level="SOLID"), "There is no IsolationLevel 'SOLID'"),
        (lambda: transaction(store=object()), "not there yet"),
        (lambda: atransaction().__enter__(), "is for `async with`"),
    ],
)
def test_what_cannot_be(make: Any, says: str) -> None:
    with pytest.raises((BadOption, NotThereYet), match=says) as caught:
        make()
    assert caught.value.hint


def test_outside_a_run() -> None:
    with pytest.raises(MissingContextError, match="outside a run"), transaction():
        pass
    assert get_transaction() is None


def test_a_journal_in_a_file_has_no_transaction_for_steps(app: Penstock) -> None:
    @task
    def writes() -> None:
        with journal_transaction():
            raise AssertionError("never")

    assert "needs the journal in PostgreSQL" in outcome(flow(lambda: writes()))
    with pytest.raises(MissingContextError, match="outside a task"), journal_transaction():
        pass
