"""What an engine elsewhere tells of a step, as records of a journal: pure functions."""

from __future__ import annotations

from msgspec.structs import replace

from penstock.core.decisions import Finish, Retry, Start, TaskState, decide_task, evolve_task
from penstock.core.engines import OutsideStep
from penstock.core.events import Record, Step
from penstock.core.states import FINAL_WORDS, StateType


def records_of(known: TaskState | None, seen: OutsideStep, ordinal: int, now: int) -> tuple[TaskState, list[Record]]:
    """What is to be recorded for a step to be as it is there; and how it is then.

    Attempts that nobody looked at meanwhile are recorded too, at the times that are known.

    Args:
        known: as it is on record; None where it is not.
        seen: as it is there.
        ordinal: its place among the steps, where the engine does not say.
        now: microseconds since 1970.
    """
    state = known if known is not None else TaskState(step_of(seen, ordinal))
    if seen.step is not None:
        state = replace(state, step=seen.step)
    records: list[Record] = []
    if state.ended:
        return state, records

    def put(command: Start | Retry | Finish, data: bytes | None = None) -> None:
        nonlocal state
        event = decide_task(state, command)
        state = evolve_task(state, event)
        records.append(Record(event, data))

    began = seen.started or now
    over = seen.state in FINAL_WORDS
    while state.attempt < seen.attempt:
        if state.type is StateType.RUNNING:
            put(Retry(began))
        if over and state.attempt + 1 == seen.attempt and state.type is StateType.PENDING:
            break  # its end says it all
        put(Start(began))
    if seen.state == StateType.RETRYING.word and state.type is StateType.RUNNING:
        put(Retry(seen.ended or now, error=seen.error))
    if over:
        ended = seen.ended or now
        finish = Finish(
            ended,
            StateType[seen.state.upper()],
            seen.state_name,
            seen.message,
            seen.result,
            seen.error,
            started=(seen.started or ended) if seen.attempt else 0,
        )
        put(finish, seen.data)
    return state, records


def step_of(seen: OutsideStep, ordinal: int) -> Step:
    """The step of a key such as `outer#1/inner#2`."""
    parent, _, last = seen.key.rpartition("/")
    task = last.rpartition("#")[0] or last
    return Step(seen.key, task, task, ordinal, parent or None)
