"""Flows that choose their final state themselves."""

from facts import fact, outcome
from prefect import flow
from prefect.states import Cancelled, Completed, Crashed, Failed


@flow
def inspect_batch(size: int):
    """Leave early with a state of one's own."""
    if size == 0:
        return Completed(message="empty batch", name="Skipped")
    if size < 0:
        return Failed(message="negative batch")
    return Completed(message="inspected", data=size * 2)


@flow
def bare_completed():
    """A state without a message or data."""
    return Completed()


@flow
def bare_failed():
    """Failed without a word."""
    return Failed()


@flow
def failed_with_text():
    """The data of a failed state is a text."""
    return Failed(message="message", data="data")


@flow
def failed_with_error():
    """The data of a failed state is an exception."""
    return Failed(message="message", data=KeyError("label"))


@flow
def renamed_failure():
    """A failed state under another name."""
    return Failed(message="rejected by the inspector", name="Rejected")


@flow
def cancelled():
    """Cancelled by the flow itself."""
    return Cancelled(message="no longer wanted")


@flow
def crashed():
    """Crashed by its own account."""
    return Crashed(message="power cut")


@flow
def all_fine():
    """A list of made states."""
    return [Completed(message="a"), Completed(message="b")]


@flow
def some_failed():
    """A list with a failed one."""
    return [Completed(message="a"), Failed(message="b"), Failed(message="c")]


@flow
def some_cancelled():
    """Cancelled counts for more than failed."""
    return Completed(), Failed(message="b"), Cancelled(message="c")


if __name__ == "__main__":
    for size in (0, -1, 3):
        fact(f"early return {size}", call=outcome(inspect_batch, size), state=inspect_batch(size, return_state=True))
    singles = (bare_completed, bare_failed, failed_with_text, failed_with_error, renamed_failure, cancelled, crashed)
    for made in (*singles, all_fine, some_failed, some_cancelled):
        fact(made.name, call=outcome(made), state=made(return_state=True))
