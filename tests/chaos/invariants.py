"""What must be true of a journal, whatever happened."""

from __future__ import annotations

import msgspec

from penstock.core.decisions import RunState, TaskState, ended_as, evolve_run, evolve_task
from penstock.core.events import Record, Stored, TaskEnded, TaskEvent, TaskRetrying
from penstock.core.model import Run, RunFilter, TaskRun
from penstock.core.ports import Journal
from penstock.core.states import FINAL_WORDS
from penstock.journal.memory import MemoryJournal

Attempt = tuple[str, str, int]
"""Run id, step key, attempt."""


def family(journal: Journal, run_id: str) -> list[Run]:
    """A run, its subflow runs, theirs, and so on."""
    found = journal.run(run_id)
    assert found is not None
    below = journal.runs(RunFilter(parent_id=run_id, limit=10_000))
    return [found, *(member for child in below for member in family(journal, child.id))]


def recorded_attempts(journal: Journal, runs: list[Run]) -> set[Attempt]:
    """Attempts of steps whose outcome is on record."""
    return {
        (run.id, stored.event.step.key, stored.event.attempt)
        for run in runs
        for stored in journal.load(run.id)
        if isinstance(stored.event, (TaskEnded, TaskRetrying))
    }


def newest_sound(journal: Journal) -> Run:
    """The run that was made last, once it and its subflow runs are known to be sound."""
    run = max(journal.runs(RunFilter()), key=lambda run: run.created_at)
    for member in family(journal, run.id):
        check_run(journal, member)
    return run


def nothing_is_under_way(journal: Journal) -> None:
    """Every run of the journal has ended, subflow runs included, whoever may have forgotten them."""
    left = journal.runs(RunFilter(states=("Pending", "Running", "Retrying"), children=True, limit=10))
    assert left == []


def check_run(journal: Journal, run: Run) -> None:
    """One stream is sound, has exactly one end, and the tables say what it says."""
    stream = list(journal.load(run.id))
    assert [stored.seq for stored in stream] == list(range(1, len(stream) + 1))
    assert [stored.position for stored in stream] == sorted(stored.position for stored in stream)
    ends = [stored for stored in stream if not isinstance(stored.event, TaskEvent) and ended_as(stored.event)]
    assert len(ends) == 1, [type(stored.event).__name__ for stored in stream]
    assert stream[-1] is ends[0], f"{type(stream[-1].event).__name__} was recorded after the end of the run"
    _check_fold(journal, run, stream)
    _check_rebuilt(journal, run, stream)


def _check_fold(journal: Journal, run: Run, stream: list[Stored]) -> None:
    """The states that the tables show are those that the pure transitions give."""
    state = RunState()
    steps: dict[str, TaskState] = {}
    ended: set[str] = set()
    for stored in stream:
        state = evolve_run(state, stored.event)
        if isinstance(stored.event, TaskEvent):
            key = stored.event.step.key
            assert key not in ended, f"{key} was recorded again after its end"
            steps[key] = evolve_task(steps.get(key), stored.event)
            if steps[key].ended:
                ended.add(key)
    assert (run.state, run.attempt, shown(run.name)) == (state.type.word, state.attempt, shown(state.name))
    assert run.state in FINAL_WORDS
    tasks = {shown(task.key): (task.state, task.attempt) for task in journal.task_runs(run.id)}
    assert tasks == {shown(key): (step.type.word, step.attempt) for key, step in steps.items()}
    unfinished = [key for key, step in steps.items() if not step.ended]
    assert not unfinished, f"{unfinished} still run in a run that has ended"


def shown(text: str) -> str:
    """Text as the tables may hold it: a column of PostgreSQL cannot hold NUL."""
    return text.replace("\0", "\\x00")


def _check_rebuilt(journal: Journal, run: Run, stream: list[Stored]) -> None:
    """Rebuilding the tables from the events gives the same rows."""
    rebuilt = MemoryJournal()
    rebuilt.append(run.id, 0, [Record(stored.event, stored.data) for stored in stream])
    assert _comparable(rebuilt.run(run.id)) == _comparable(journal.run(run.id))
    assert _comparable(*rebuilt.task_runs(run.id)) == _comparable(*journal.task_runs(run.id))


def _comparable(*rows: Run | TaskRun | None) -> list[str]:
    """Rows as text, without the lease, and with NUL as the tables may write it."""
    texts = []
    for row in rows:
        plain = msgspec.structs.replace(row, lease_until=None) if isinstance(row, Run) else row
        texts.append(msgspec.json.encode(plain).decode().replace("\\u0000", "\\\\x00"))
    return sorted(texts)
