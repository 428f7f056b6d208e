"""Futures and states hidden among values: resolved, but without a say in the final state."""

from facts import fact, outcome
from prefect import flow, task


@task
def open_gate(gate: str) -> str:
    """Open a gate, unless it is stuck."""
    if gate == "stuck":
        raise OSError("gate is stuck")
    return f"{gate} open"


@flow
def with_values(gate: str):
    """A future beside a plain value."""
    return [open_gate.submit(gate), "note"]


@flow
def in_a_dict(gate: str):
    """A future as a value of a dict."""
    return {"gate": open_gate.submit(gate)}


@flow
def nested_list(gate: str):
    """A future in a list in a list."""
    return [[open_gate.submit(gate)]]


@flow
def state_beside_value(gate: str):
    """A task's state beside a plain value."""
    return "seen", open_gate(gate, return_state=True)


@flow
def never_awaited(gate: str):
    """A task that nobody asks about."""
    open_gate.submit(gate)
    return "left"


@flow
def ignored_state(gate: str):
    """A task's state that is looked at and dropped."""
    state = open_gate(gate, return_state=True)
    return state.is_failed()


@flow
def plan_b(gate: str):
    """React to a failed task and return the future of another."""
    failed = open_gate.submit(gate).result(raise_on_failure=False)
    return open_gate.submit("other", wait_for=[failed])


if __name__ == "__main__":
    flows = (with_values, in_a_dict, nested_list, state_beside_value, never_awaited, ignored_state, plan_b)
    for made in flows:
        for gate in ("north", "stuck"):
            fact(f"{made.name} {gate}", call=outcome(made, gate), state=made(gate, return_state=True))
