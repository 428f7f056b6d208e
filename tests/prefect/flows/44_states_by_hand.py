"""States made by hand, outside any run."""

from facts import fact, outcome
from prefect.states import (
    AwaitingRetry,
    Cancelled,
    Cancelling,
    Completed,
    Crashed,
    Failed,
    Paused,
    Pending,
    Retrying,
    Running,
    Scheduled,
    State,
)

MAKERS = (
    Scheduled, AwaitingRetry, Pending, Running, Retrying, Paused, Cancelling, Completed, Failed, Crashed, Cancelled,
)  # fmt: skip

if __name__ == "__main__":
    for make in MAKERS:
        state = make()
        fact(make.__name__, [state.type.value, state.name, state.message, state.is_final(), isinstance(state, State)])
        fact(f"{make.__name__} result", outcome(state.result))
    fact("data", Completed(data=[1]).result())
    fact("failed, message", outcome(Failed(message="because").result))
    fact("failed, exception", outcome(Failed(data=ValueError("this")).result))
    fact("failed, not raised", outcome(Failed(message="because").result, raise_on_failure=False))
    fact("printed", [str(state) for state in (
        Completed(), Completed(message="well"), Completed(name="Skipped"), Failed(message="because", name="Late"),
    )])  # fmt: skip
    fact("repr", repr(Completed(message="well", data=1)))
