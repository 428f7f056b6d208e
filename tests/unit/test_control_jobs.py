"""Jobs that are interrupted: what was done counts, what is left is done, and nothing stays behind in the journal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.test_control_runs import penstock  # noqa: F401 - a fixture

from penstock.app import Penstock
from penstock.control.jobs import Job, Jobs
from penstock.control.jobs_work import WORK, Progress
from penstock.core.decisions import Finish, RequestCancel
from penstock.core.events import Record, RunFailed, now_us
from penstock.core.model import RunFilter
from penstock.core.states import StateType
from penstock.engine.commands import append_command
from penstock.engine.waiting import replies
from penstock.testing.journal_search import born

EVERY: dict[str, Any] = {"where": {"limit": 100}}


def ended(penstock: Penstock, count: int) -> list[str]:  # noqa: F811
    """Runs that have failed."""
    found = []
    for number in range(count):
        run_id = born(penstock.journal, name=f"r{number}", flow="f")
        penstock.journal.append(run_id, 2, [Record(RunFailed(at=now_us()))])
        found.append(run_id)
    return found


def waiting(penstock: Penstock, count: int) -> list[str]:  # noqa: F811
    """Runs that nobody executes yet."""
    from penstock.testing.samples import created

    made = [f"{number:032x}" for number in range(count)]
    for run_id in made:
        penstock.journal.append(run_id, 0, [created(pool="p", queue="default", due_at=1)])
    return made


def done(jobs: Jobs, job_id: str) -> Job:
    """A job when nothing of it is under way any more."""
    if jobs._thread is not None:
        jobs._thread.shutdown(wait=True)
    found = jobs.find(job_id)
    assert found is not None
    return found


class Halting:
    """Work that is told to stop after so many steps."""

    def __init__(self, kind: str, jobs: list[Jobs], after: int) -> None:
        self._work = WORK[kind]
        self._jobs = jobs
        self._after = after

    def __call__(self, *given: Any) -> Iterator[Progress]:
        for number, told in enumerate(self._work(*given), 1):
            if number == self._after:
                self._jobs[0]._stopping.set()
            yield told


@pytest.mark.parametrize(("kind", "left"), [("delete", 0), ("cancel", 10), ("pause", 10), ("resume", 10)])
def test_a_job_that_was_interrupted_counts_what_it_has_done(
    penstock: Penstock,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    left: int,
) -> None:
    made = ended(penstock, 10) if kind == "delete" else waiting(penstock, 10)
    for run_id in made if kind == "resume" else ():
        replies.pause(penstock.journal, run_id, by="ann")
    wanted = {**EVERY, "ids": made} if kind == "cancel" else EVERY
    monkeypatch.setattr("penstock.control.jobs_work._PAGE", 4)
    first = [Jobs(penstock)]
    halting = Halting(kind, first, 1 if kind == "cancel" else 3)
    if kind == "cancel":  # as many as fit into a step are done by then
        monkeypatch.setattr("penstock.control.jobs_work.chosen", _in_parts)
    monkeypatch.setitem(WORK, kind, halting)
    begun = first[0].start(kind, "ann", wanted, 10)
    before = done(first[0], begun.id)
    assert before.state == "Running"
    assert 0 < before.done < 10
    monkeypatch.setitem(WORK, kind, halting._work)
    second = Jobs(penstock)
    second.go_on()
    after = done(second, begun.id)
    assert (after.state, after.done, after.total, after.skipped) == ("Completed", 10, 10, {})
    assert len(penstock.journal.runs(RunFilter(limit=100))) == left


def _in_parts(journal: Any, wanted: dict[str, Any]) -> Iterator[list[Any]]:
    for start in range(0, 10, 4):
        yield journal.runs_of(wanted["ids"][start : start + 4])


def test_what_had_ended_before_is_told_and_not_counted(penstock: Penstock) -> None:  # noqa: F811
    made = [*ended(penstock, 2), *waiting(penstock, 1)]
    jobs = Jobs(penstock)
    begun = jobs.start("cancel", "ann", {**EVERY, "ids": made})
    found = done(jobs, begun.id)
    assert (found.done, found.skipped) == (1, {"had ended": 2})


def test_runs_that_stop_when_they_are_asked_to_count_as_done(
    penstock: Penstock,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All are asked before the first is waited for."""
    made = [born(penstock.journal, name=f"r{number}", flow="f") for number in range(4)]

    def ask(journal: Any, run_id: str, request: RequestCancel) -> None:
        append_command(journal, run_id, request)
        kind = StateType.COMPLETED if run_id == made[3] else StateType.CANCELLED
        append_command(journal, run_id, Finish(now_us(), kind, None, request.reason))
        if run_id == made[1]:  # so that the next one is found ended when its turn comes
            append_command(journal, made[2], Finish(now_us(), StateType.CANCELLED, None, "by another"))

    monkeypatch.setattr("penstock.control.jobs_work.append_command", ask)
    jobs = Jobs(penstock)
    begun = jobs.start("cancel", "ann", {**EVERY, "ids": made, "reason": "bye"})
    found = done(jobs, begun.id)
    assert (found.done, found.skipped) == (2, {"had ended": 2})
    runs = {run.id: (run.state, run.message) for run in penstock.journal.runs_of(made)}
    told = [("Cancelled", "bye"), ("Cancelled", "bye"), ("Cancelled", "by another"), ("Completed", "bye")]
    assert [runs[run_id] for run_id in made] == told


def test_a_cleanup_that_is_gone_on_with_adds_up(penstock: Penstock, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    results = [{"below": 2, "flows": {"a": {"Failed": 1}}}, {"below": 3, "flows": {"a": {"Failed": 2}, "b": {"x": 1}}}]
    first = [Jobs(penstock)]

    def work(*given: Any) -> Iterator[Progress]:
        yield Progress(done=4, result=results.pop(0))
        yield Progress(done=4, result={})

    monkeypatch.setitem(WORK, "cleanup", work)
    monkeypatch.setitem(WORK, "cleanup", Halting("cleanup", first, 1))
    begun = first[0].start("cleanup", "ann", {"before": {}, "dry_run": False})
    assert done(first[0], begun.id).done == 4
    monkeypatch.setitem(WORK, "cleanup", lambda *given: iter([Progress(done=5, result=results[0])]))
    second = Jobs(penstock)
    second.go_on()
    after = done(second, begun.id)
    assert after.done == 9
    assert after.result == {"below": 5, "flows": {"a": {"Failed": 3}, "b": {"x": 1}}}


def test_a_job_leaves_no_lease_behind(penstock: Penstock) -> None:  # noqa: F811
    jobs = Jobs(penstock)
    begun = jobs.start("delete", "ann", EVERY)
    assert done(jobs, begun.id).state == "Completed"
    journal = penstock.journal
    assert journal.holder(f"job/{begun.id}") is None
    late = Jobs(penstock)  # another server has seen it under way, and comes when it has ended
    late._do(begun.id)
    late._do("none")
    for name in (begun.id, "none"):
        assert journal.holder(f"job/{name}") is None, "whoever did nothing keeps nothing"
