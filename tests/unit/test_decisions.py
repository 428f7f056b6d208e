"""What may happen to a run and to a step, without any journal."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from penstock.core.decisions import (
    Finish,
    Release,
    RequestCancel,
    Resume,
    Retry,
    RunState,
    Start,
    TaskState,
    decide_run,
    decide_task,
    ended_as,
    evolve_run,
    evolve_task,
)
from penstock.core.errors import InvalidTransition
from penstock.core.events import (
    ErrorInfo,
    Event,
    RunCancelRequested,
    RunCompleted,
    RunCrashed,
    RunCreated,
    RunFailed,
    RunReleased,
    RunResumed,
    RunRetrying,
    RunStarted,
    RunStopped,
    Saved,
    Step,
    TaskCompleted,
    TaskCrashed,
    TaskFailed,
    TaskRetrying,
    TaskStarted,
    TaskStopped,
    UnknownEvent,
)
from penstock.core.states import FINAL, StateType

STEP = Step("fetch#1", "fetch-1", "fetch", 1)
ERROR = ErrorInfo("ValueError", "no")
ENDS = {
    StateType.COMPLETED: (RunCompleted, TaskCompleted),
    StateType.FAILED: (RunFailed, TaskFailed),
    StateType.CRASHED: (RunCrashed, TaskCrashed),
    StateType.CANCELLED: (RunStopped, TaskStopped),
}

RUN_STATES = {
    "new": RunState(),
    "running": RunState(StateType.RUNNING, 2, "me"),
    "retrying": RunState(StateType.RETRYING, 2, "me"),
    "released": RunState(StateType.PENDING, 2),
    **{kind.word: RunState(kind, 2) for kind in sorted(FINAL)},
}
RUN_COMMANDS = {
    "start": Start(9, "you", 99),
    "resume": Resume(9, "you", 99),
    "retry": Retry(9, 1.5, ERROR),
    "release": Release(9, "why"),
    "cancel": RequestCancel(9, "why"),
    **{kind.word: Finish(9, kind, "Odd", "so", Saved("json", 2), ERROR) for kind in sorted(FINAL)},
}
RUN_TABLE = {
    "new": {"start": RunStarted, "release": RunReleased, "cancel": RunCancelRequested},
    "running": {"resume": RunResumed, "retry": RunRetrying, "release": RunReleased, "cancel": RunCancelRequested},
    "retrying": {"start": RunStarted, "resume": RunResumed, "release": RunReleased, "cancel": RunCancelRequested},
    "released": {"start": RunStarted, "resume": RunResumed, "release": RunReleased, "cancel": RunCancelRequested},
}

TASK_STATES = {
    "new": TaskState(STEP),
    "running": TaskState(STEP, StateType.RUNNING, 2, 5),
    "retrying": TaskState(STEP, StateType.RETRYING, 2, 5),
    **{kind.word: TaskState(STEP, kind, 2, 5) for kind in sorted(FINAL)},
}
TASK_COMMANDS = {
    "start": Start(9, child="child"),
    "retry": Retry(9, 1.5, ERROR),
    **{kind.word: Finish(9, kind, "Odd", "so", Saved("json", 2), ERROR, 7, "child") for kind in sorted(FINAL)},
}
TASK_TABLE = {
    "new": {"start": TaskStarted},
    "running": {"retry": TaskRetrying},
    "retrying": {"start": TaskStarted},
}


@pytest.mark.parametrize("command", RUN_COMMANDS)
@pytest.mark.parametrize("state", RUN_STATES)
def test_every_command_on_every_run(state: str, command: str) -> None:
    before, given_command = RUN_STATES[state], RUN_COMMANDS[command]
    allowed: dict[str, type[Event]] = dict(RUN_TABLE.get(state, {}))
    if not before.ended:
        allowed.update({kind.word: ends[0] for kind, ends in ENDS.items()})
    if command not in allowed:
        with pytest.raises(InvalidTransition):
            decide_run(before, given_command)
        return
    event = decide_run(before, given_command)
    assert type(event) is allowed[command]
    assert event.at == 9
    _check_run(before, event, evolve_run(before, event))


def _check_run(before: RunState, event: Any, after: RunState) -> None:
    if isinstance(event, RunStarted):
        assert (event.owner, event.lease_until, event.attempt) == ("you", 99, before.attempt + 1)
        assert (after.type, after.owner, after.attempt) == (StateType.RUNNING, "you", before.attempt + 1)
    elif isinstance(event, RunResumed):
        assert (event.owner, event.lease_until) == ("you", 99)
        assert (after.type, after.owner, after.attempt) == (StateType.RUNNING, "you", before.attempt)
    elif isinstance(event, RunRetrying):
        assert (event.attempt, event.delay, event.error) == (before.attempt, 1.5, ERROR)
        assert (after.type, after.attempt, after.owner) == (StateType.RETRYING, before.attempt, before.owner)
    elif isinstance(event, RunReleased):
        assert (after.type, after.owner, after.attempt) == (StateType.PENDING, None, before.attempt)
    elif isinstance(event, RunCancelRequested):
        assert (after.type, after.cancel_requested) == (before.type, True)
    else:
        assert (event.state_name, event.message) == ("Odd", "so")
        assert (event.result, event.error) == (Saved("json", 2), ERROR)
        assert after.ended
        assert (after.type, after.owner) == (ended_as(event), None)


@pytest.mark.parametrize("command", TASK_COMMANDS)
@pytest.mark.parametrize("state", TASK_STATES)
def test_every_command_on_every_step(state: str, command: str) -> None:
    before = TASK_STATES[state]
    allowed: dict[str, type[Event]] = dict(TASK_TABLE.get(state, {}))
    if not before.ended:
        allowed.update({kind.word: ends[1] for kind, ends in ENDS.items()})
    if command not in allowed:
        with pytest.raises(InvalidTransition):
            decide_task(before, TASK_COMMANDS[command])
        return
    event: Any = decide_task(before, TASK_COMMANDS[command])
    assert type(event) is allowed[command]
    assert (event.at, event.step) == (9, STEP)
    after = evolve_task(before, event)
    assert after.step == STEP
    if isinstance(event, TaskStarted):
        assert (event.attempt, event.started, event.child) == (before.attempt + 1, before.started or 9, "child")
        assert (after.type, after.attempt) == (StateType.RUNNING, before.attempt + 1)
    elif isinstance(event, TaskRetrying):
        assert (event.attempt, event.delay, event.error) == (2, 1.5, ERROR)
        assert (after.type, after.attempt) == (StateType.RETRYING, 2)
    else:
        assert (event.state_name, event.message, event.child) == ("Odd", "so", "child")
        assert (event.attempt, event.started) == (before.attempt or 1, before.started or 7)
        assert after.ended
        assert after.type is ended_as(event)


@pytest.mark.parametrize("command", ["resume", "release", "cancel"])
def test_commands_for_runs_are_none_for_steps(command: str) -> None:
    with pytest.raises(InvalidTransition):
        decide_task(TaskState(STEP), RUN_COMMANDS[command])  # type: ignore[arg-type]


@pytest.mark.parametrize("state", RUN_STATES)
def test_what_is_no_event_of_a_run_leaves_it_alone(state: str) -> None:
    before = RUN_STATES[state]
    started = TaskStarted(at=1, step=STEP)
    for event in (started, UnknownEvent(at=1, name="RunPainted", layout=2, body={"at": 1})):
        assert evolve_run(before, event) == before
        assert ended_as(event) is None


def test_a_new_run_has_its_name() -> None:
    assert evolve_run(RunState(), RunCreated(at=1, flow="shop", name="calm-creek")) == RunState(name="calm-creek")


def test_why_a_run_is_to_stop_is_known_until_it_is_resumed() -> None:
    asked = evolve_run(RUN_STATES["running"], RunCancelRequested(at=1, reason="wrong day"))
    again = evolve_run(asked, RunCancelRequested(at=2))
    assert (asked.cancel_reason, again.cancel_reason) == ("wrong day", "wrong day")
    resumed = evolve_run(again, RunResumed(at=3, owner="me", lease_until=4))
    assert (resumed.cancel_requested, resumed.cancel_reason) == (False, None)


times = st.integers(min_value=1, max_value=10**15)
finishes = st.builds(Finish, times, st.sampled_from(sorted(FINAL)))
run_commands = st.one_of(
    st.builds(Start, times, st.text(max_size=3), times),
    st.builds(Resume, times, st.text(max_size=3), times),
    st.builds(Retry, times),
    st.builds(Release, times),
    st.builds(RequestCancel, times),
    finishes,
)
task_commands = st.one_of(st.builds(Start, times), st.builds(Retry, times), finishes)


@given(st.lists(run_commands, max_size=30))
def test_a_run_ends_once_however_it_is_commanded(commands: list[Any]) -> None:
    state = RunState(name="calm-creek")
    events: list[Event] = []
    for command in commands:
        try:
            event = decide_run(state, command)
        except InvalidTransition:
            continue
        events.append(event)
        state = evolve_run(state, event)
    ends = [event for event in events if ended_as(event)]
    assert len(ends) <= 1
    if ends:
        assert events[-1] is ends[0]
    assert state.ended == bool(ends)
    starts = [event.attempt for event in events if isinstance(event, RunStarted)]
    assert starts == list(range(1, len(starts) + 1))
    assert (state.attempt, state.name) == (len(starts), "calm-creek")
    assert state.type is not StateType.RUNNING or state.owner is not None
    again = RunState(name="calm-creek")
    for event in events:
        again = evolve_run(again, event)
    assert again == state


@given(st.lists(task_commands, max_size=30))
def test_a_step_ends_once_however_it_is_commanded(commands: list[Any]) -> None:
    state = TaskState(STEP)
    events: list[Any] = []
    for command in commands:
        try:
            event = decide_task(state, command)
        except InvalidTransition:
            continue
        events.append(event)
        state = evolve_task(state, event)
        assert state.attempt == event.attempt
    ends = [event for event in events if ended_as(event)]
    assert len(ends) <= 1
    assert state.ended == bool(ends)
    if ends:
        assert events[-1] is ends[0]
    starts = [event.attempt for event in events if isinstance(event, TaskStarted)]
    assert starts == list(range(1, len(starts) + 1))
    # The last event of a step says it all: its row is written whole by each of them.
    if events:
        alone = evolve_task(None, events[-1])
        assert (alone.step, alone.type, alone.attempt) == (state.step, state.type, state.attempt)
