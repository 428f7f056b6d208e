"""Values that flows return: the state one stands for, and what is recorded of it."""

from __future__ import annotations

from typing import Any

from penstock.core.states import State, StateType

_ENDS = {StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED}


def final_state(value: Any) -> State:
    """The state a returned value stands for, by Prefect's rules.

    A state is the state. A list, tuple or set of nothing but states fails if one of them did not complete. Anything
    else completes.
    """
    if type(value) is State:
        states = [value]
    elif type(value) in (list, tuple, set) and value and all(type(item) is State for item in value):
        states = list(value)
    else:
        return State(StateType.COMPLETED, None, None, value)
    if type(value) is State and value.made_by_hand:
        return value
    counts = {kind: sum(state.type is kind for state in states) for kind in StateType}
    total = len(states)
    if counts[StateType.COMPLETED] == total:
        return State(StateType.COMPLETED, None, "All states completed.", value)
    if counts[StateType.CANCELLED]:
        return State(StateType.CANCELLED, None, f"{counts[StateType.CANCELLED]}/{total} states cancelled.", value)
    unfinished = sum(state.type not in _ENDS for state in states)
    if unfinished:
        return State(StateType.FAILED, None, f"{unfinished}/{total} states are not final.", value)
    bad = counts[StateType.FAILED] + counts[StateType.CRASHED]
    return State(StateType.FAILED, None, f"{bad}/{total} states failed.", value)


def plain(value: Any) -> Any:
    """What is recorded of a value: of states, the values they hold."""
    if type(value) is State:
        inner = value.data
        return repr(inner) if isinstance(inner, BaseException) else inner
    if type(value) in (list, tuple) and any(type(item) is State for item in value):
        return type(value)(plain(item) if type(item) is State else item for item in value)
    return value
