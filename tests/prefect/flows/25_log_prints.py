"""log_prints: what is printed becomes a log line, by option and by inheritance."""

import contextlib
import io
import logging
import sys

from facts import fact
from prefect import flow, get_run_logger, task

logged: list[list[str]] = []


class Listener(logging.Handler):
    """Keep what the flows below say themselves."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        if "|" in record.getMessage():
            logged.append([record.levelname, record.getMessage()])


listener = Listener()


def listen() -> None:
    """Hear the run logger."""
    adapter = get_run_logger()
    getattr(adapter, "logger", adapter).addHandler(listener)


@task
def inherits() -> None:
    """Does as its flow."""
    listen()
    print("| inherits")


@task(log_prints=True)
def logs() -> None:
    """Logs what it prints."""
    listen()
    print("| logs", 1, None, sep=":", end="!")
    print("| two\n| lines")
    print("| to stderr", file=sys.stderr)


@task(log_prints=False)
def prints() -> None:
    """Prints what it prints."""
    listen()
    print("| prints")


@flow
def child() -> None:
    """Does as its parent."""
    listen()
    print("| child")


@flow(log_prints=True)
def logging_flow() -> None:
    """Everything below logs, unless told otherwise."""
    listen()
    print("| flow")
    inherits()
    inherits.submit().wait()
    logs()
    prints()
    child()


@flow
def silent_flow() -> None:
    """Nothing below logs, unless told otherwise."""
    listen()
    print("| flow")
    inherits()
    logs()


@task(log_prints=True, on_completion=[lambda task, task_run, state: print("| hook")])
def with_hook() -> None:
    """Its hook logs what it prints, too."""
    listen()


@flow
def hooks() -> None:
    """A task with a hook."""
    with_hook()


def tried(made) -> None:
    """Say what was logged and what was printed."""
    logged.clear()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        made()
    fact(made.name, logged=list(logged), printed=[line for line in printed.getvalue().splitlines() if "|" in line])


if __name__ == "__main__":
    tried(logging_flow)
    tried(silent_flow)
    tried(hooks)
