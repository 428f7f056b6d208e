"""The exceptions people catch."""

from facts import fact
from prefect import flow, task
from prefect.exceptions import (
    CancelledRun,
    CrashedRun,
    FailedRun,
    MappingLengthMismatch,
    MappingMissingIterable,
    MissingContextError,
    MissingResult,
    ParameterBindError,
    ParameterTypeError,
    PrefectException,
    ReservedArgumentError,
    UnfinishedRun,
    UpstreamTaskError,
)
from prefect.states import Completed, Crashed, Failed, Running

KINDS = (
    CancelledRun, CrashedRun, FailedRun, MappingLengthMismatch, MappingMissingIterable, MissingContextError,
    MissingResult, ParameterBindError, ParameterTypeError, ReservedArgumentError, UnfinishedRun, UpstreamTaskError,
)  # fmt: skip


def caught(call) -> str | None:
    """The name under which it can be caught."""
    try:
        call()
    except KINDS as error:
        return type(error).__name__
    return None


@task
def item(number: int) -> int:
    """A task."""
    return number


@task
def breaks() -> None:
    """Fails."""
    raise OSError("x")


@flow
def checked(number: int) -> int:
    """A flow."""
    return number


@flow
def provoked() -> dict:
    """Provoke them."""
    return {
        "mapping lengths": caught(lambda: pair.map([1], [1, 2])),
        "mapping nothing": caught(lambda: item.map(1)),
        "after a failure": caught(lambda: item.submit(breaks.submit()).result()),
        "binding": caught(lambda: item()),
        "parameters of a subflow": caught(lambda: checked("x")),
    }


@task
def pair(one: int, two: int) -> int:
    """A task with two arguments."""
    return one + two


if __name__ == "__main__":
    fact("one family", [issubclass(kind, PrefectException) for kind in KINDS])
    fact("also TypeError", [issubclass(kind, TypeError) for kind in (ParameterBindError, ReservedArgumentError)])
    fact("also RuntimeError", issubclass(MissingContextError, RuntimeError))
    fact("provoked", provoked())
    fact("of states", [caught(state.result) for state in (Failed(), Crashed(), Running(), Completed())])
