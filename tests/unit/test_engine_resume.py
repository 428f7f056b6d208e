"""Resuming: what goes on under its own id, what starts anew, and what is refused."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.engines import die_in, dying, engine_on, names, newest, no_starts, steps

from penstock import flow, get_run_logger, resume, task
from penstock.app import Penstock
from penstock.core.errors import JournalFull, JournalUnavailable, RecordedError, RunNotFound, RunNotResumable
from penstock.core.events import now_us
from penstock.core.model import RunFilter
from penstock.testing.faults import Fault, FaultyJournal, fail_with

made: list[str] = []
broken: set[str] = set()


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Penstock]:
    no_starts(monkeypatch)
    made.clear()
    broken.clear()
    with engine_on(tmp_path).activate() as fresh:
        yield fresh


@task
def step(name: str) -> str:
    made.append(name)
    if name in broken:
        raise ValueError(f"{name} is broken")
    return name.upper()


@flow
def three(last: str = "c") -> str:
    return step("a") + step("b") + step(last)


def test_a_killed_run_goes_on_under_its_own_id(app: Penstock) -> None:
    run = die_in(app, three, before_append=3)
    assert run.state == "Running"
    assert run.shown_state(now_us()) == "Crashed"
    assert made == ["a", "b"]
    assert resume(run.id) == "ABC"
    assert made == ["a", "b", "b", "c"], "only the step in flight is made again"
    after = newest(app)
    assert (after.id, after.state, after.attempt) == (run.id, "Completed", 1)
    assert names(app, run.id)[2:4] == ["TaskCompleted", "RunResumed"]


def test_a_failed_run_stays_as_it_is_and_a_new_one_takes_over_its_steps(app: Penstock) -> None:
    broken.add("c")
    with pytest.raises(ValueError, match="c is broken"):
        three()
    failed = newest(app)
    before = names(app, failed.id)
    broken.clear()
    made.clear()
    assert resume(failed.id) == "ABC"
    assert made == ["c"]
    new = newest(app)
    assert new.id != failed.id
    assert (new.origin, new.origin_id, new.state) == ("resume", failed.id, "Completed")
    assert app.journal.run(failed.id) == failed
    assert names(app, failed.id) == before


@pytest.mark.parametrize("end", [SystemExit(3), KeyboardInterrupt()])
def test_a_run_that_crashed_on_record_is_resumed_as_a_new_one(app: Penstock, end: BaseException) -> None:
    left = [end]

    @flow
    def exits() -> str:
        text = step("a")
        if left:
            raise left.pop()
        return text + step("b")

    with pytest.raises(type(end)):
        exits()
    crashed = newest(app)
    assert crashed.state == "Crashed"
    assert resume(crashed.id, flow=exits) == "AB"
    assert made == ["a", "b"]
    assert newest(app).origin_id == crashed.id
    assert app.journal.run(crashed.id) == crashed


def test_a_run_that_ended_cancelled_is_resumed_as_a_new_one(app: Penstock) -> None:
    from penstock.engine.recovery import cancel

    run = die_in(app, three, before_append=3)
    assert cancel(app.journal, run.id).state == "Cancelled"
    assert resume(run.id) == "ABC"
    assert made == ["a", "b", "b", "c"]
    assert newest(app).origin == "resume"


def test_resuming_a_resumed_run_takes_over_from_both(app: Penstock) -> None:
    broken.add("b")
    with pytest.raises(ValueError, match="b is broken"):
        three()
    first = newest(app)
    broken.clear()
    broken.add("c")
    with pytest.raises(ValueError, match="c is broken"):
        resume(first.id)
    second = newest(app)
    broken.clear()
    made.clear()
    assert resume(second.id) == "ABC"
    assert made == ["c"]
    assert newest(app).origin_id == second.id


def test_the_failed_step_and_all_that_depends_on_it_run_again(app: Penstock) -> None:
    @flow
    def fan() -> list[Any]:
        first, second = step.submit("a"), step.submit("b")
        third = step.submit("c", wait_for=[second])
        return [first.result(), second.result(raise_on_failure=False), third.result()]

    broken.add("b")
    with pytest.raises(Exception, match="did not reach"):
        fan()
    assert steps(app, newest(app).id) == {"step#1": "Completed", "step#2": "Failed", "step#3": "Failed"}
    broken.clear()
    made.clear()
    assert resume(newest(app).id, flow=fan) == ["A", "B", "C"]
    assert made == ["b", "c"]


def test_parameters_are_those_of_the_first_start(app: Penstock) -> None:
    run = die_in(app, three, "z", before_append=3)
    assert resume(run.id) == "ABZ"


def test_a_completed_run_is_refused_with_what_to_do(app: Penstock) -> None:
    three()
    with pytest.raises(RunNotResumable, match="completed") as caught:
        resume(newest(app).id)
    assert "fork" in str(caught.value.hint)


def test_a_run_of_a_living_process_is_refused(app: Penstock) -> None:
    refused: list[RunNotResumable] = []

    @flow
    def impatient() -> None:
        with pytest.raises(RunNotResumable, match="still being executed") as caught:
            app.resume(newest(app).id, impatient)
        refused.append(caught.value)

    impatient()
    assert "runs cancel" in str(refused[0].hint)


def test_a_subflow_is_refused_and_its_root_is_named(app: Penstock) -> None:
    @flow
    def below() -> str:
        return step("a") + step("b")

    @flow
    def above() -> str:
        return below()

    # Created (root), created (subflow), a; dies before b is recorded.
    root = die_in(app, above, before_append=4)
    (child,) = app.journal.runs(RunFilter(parent_id=root.id))
    with pytest.raises(RunNotResumable, match="subflow") as caught:
        resume(child.id, flow=below)
    assert root.id in str(caught.value.hint)
    assert resume(root.id, flow=above) == "AB"
    assert made == ["a", "b", "b"]


def test_an_unknown_run_is_refused(app: Penstock) -> None:
    with pytest.raises(RunNotFound, match="no run 'nonsense'"):
        resume("nonsense")


def test_a_flow_that_cannot_be_found_is_refused_with_the_way_out(app: Penstock) -> None:
    def make() -> Any:
        @flow(name="vanishing")
        def hidden() -> str:
            return step("a") + step("b")

        return hidden

    run = die_in(app, make(), before_append=3)
    from penstock.authoring import registry

    registry._declared.pop("vanishing")
    with pytest.raises(RunNotResumable, match="vanishing") as caught:
        resume(run.id)
    assert "flow=" in str(caught.value.hint)
    assert resume(run.id, flow=make()) == "AB"


def test_a_run_is_found_by_its_name_and_by_a_part_of_its_id(app: Penstock) -> None:
    run = die_in(app, three, before_append=3)
    assert resume(run.name) == "ABC"
    run = die_in(app, three, before_append=3)
    assert resume(run.id[-8:]) == "ABC"


def test_parameters_that_cannot_be_saved_are_refused_at_resume(app: Penstock) -> None:
    @flow(validate_parameters=False)
    def unsaved(lock: Any) -> str:
        return step("a") + step("b")

    run = die_in(app, unsaved, threading.Lock(), before_append=3)
    with pytest.raises(RunNotResumable, match="parameters"):
        resume(run.id, flow=unsaved)


def test_an_async_run_is_resumed(app: Penstock) -> None:
    @task
    async def astep(name: str) -> str:
        made.append(name)
        return name.upper()

    @flow
    async def athree() -> str:
        pair = await asyncio.gather(astep("a"), astep("b"))
        return "".join(pair) + await astep("c")

    with pytest.raises(JournalUnavailable), dying(app, 4):
        asyncio.run(athree())
    made.clear()
    assert asyncio.run(resume(newest(app).id, flow=athree)) == "ABC"
    assert made == ["c"]


def test_hooks_of_the_end_are_called_once_in_all(app: Penstock) -> None:
    told: list[str] = []

    @flow(on_completion=[lambda flow, run, state: told.append(state.name)])
    def hooked() -> str:
        return step("a") + step("b")

    run = die_in(app, hooked, before_append=3)
    assert told == []
    resume(run.id, flow=hooked)
    assert told == ["Completed"]


def test_log_lines_of_both_processes_are_kept(app: Penstock) -> None:
    @flow
    def talking() -> str:
        get_run_logger().info("here I am")
        return step("a") + step("b")

    run = die_in(app, talking, before_append=3)
    resume(run.id, flow=talking)
    assert [line.message for line in app.journal.logs(run.id)].count("here I am") == 2


def test_a_run_that_lost_its_journal_can_be_resumed_by_the_same_process(app: Penstock) -> None:
    """The disk was full, some space was freed, and the notebook is still open."""
    full = FaultyJournal(app.journal, Fault(3, "before", fail_with(JournalFull("The disk is full."))))
    with (
        Penstock(app.settings, journal=full, results=app.results).activate() as same,
        pytest.raises(JournalFull),
    ):
        three()
    run = newest(app)
    with same.activate():
        assert resume(run.id) == "ABC"
    assert newest(app).id == run.id


def test_an_append_whose_answer_was_lost_is_not_repeated(app: Penstock) -> None:
    lost = FaultyJournal(app.journal, Fault(2, "after", fail_with(JournalUnavailable("no answer"))))
    other = Penstock(app.settings, journal=lost, results=app.results)
    other.engine.owner = "elsewhere|1|1|gone"
    with other.activate(), pytest.raises(JournalUnavailable):
        three()
    run = newest(app)
    assert steps(app, run.id) == {"step#1": "Completed"}
    with pytest.raises(RunNotResumable, match="another machine"):
        resume(run.id)
    app.journal.extend_leases([run.id], "elsewhere|1|1|gone", now_us() - 1)
    assert resume(run.id) == "ABC"
    assert made == ["a", "b", "c"]


class HoldsALock(Exception):
    def __init__(self) -> None:
        super().__init__("cannot be pickled")
        self.lock = threading.Lock()


@pytest.mark.parametrize(
    ("kind", "stands_in", "text"),
    [(KeyError, KeyError, "'x'"), (HoldsALock, RecordedError, "HoldsALock: cannot be pickled")],
)
def test_a_recorded_failure_is_given_back_and_not_repeated(
    app: Penstock, kind: type[Exception], stands_in: type[Exception], text: str
) -> None:
    caught: list[Exception] = []

    @task
    def failing() -> None:
        made.append("failing")
        raise kind() if kind is HoldsALock else kind("x")

    @flow
    def catching() -> str:
        try:
            failing()
        except Exception as error:
            caught.append(error)
        return step("a")

    run = die_in(app, catching, before_append=3)
    assert type(caught[0]) is kind
    assert app.resume(run.id, catching) == "A"
    assert type(caught[1]) is stands_in
    assert text in str(caught[1])
    assert made == ["failing", "a", "a"]
