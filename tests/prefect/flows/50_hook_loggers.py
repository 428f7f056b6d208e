"""Logging from hooks, where the run may be over."""

import logging

from facts import fact
from prefect import flow, task
from prefect.logging.loggers import flow_run_logger, task_run_logger

heard: list[str] = []


class Listener(logging.Handler):
    """Keep what the hooks below say themselves."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        if record.getMessage().startswith("hook"):
            heard.append(record.getMessage())


listener = Listener()


def say(adapter: logging.LoggerAdapter, text: str) -> None:
    """Log a line, heard."""
    adapter.logger.addHandler(listener)
    adapter.info(text)
    adapter.logger.removeHandler(listener)


def after_task(task, task_run, state) -> None:
    """A hook of a task."""
    say(task_run_logger(task_run, task), f"hook of {task.name}: {state.name}")


def after_flow(flow, flow_run, state) -> None:
    """A hook of a flow."""
    say(flow_run_logger(flow_run, flow), f"hook of {flow.name}: {state.name}")


@task(on_completion=[after_task])
def paint() -> str:
    """A task."""
    return "blue"


@flow(on_completion=[after_flow])
def decorate() -> str:
    """A flow."""
    return paint()


if __name__ == "__main__":
    fact("result", decorate())
    fact("heard", heard)
