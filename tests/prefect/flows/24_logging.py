"""The run logger."""

import logging

from facts import fact, raised
from prefect import flow, get_run_logger, task
from prefect import logging as engine_logging
from prefect.logging import disable_run_logger, get_logger

heard: list[list[str]] = []


class Listener(logging.Handler):
    """Keep what the flows below say themselves."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        if record.getMessage().startswith("note"):
            heard.append([record.levelname, record.getMessage()])


listener = Listener()


def listen() -> logging.LoggerAdapter:
    """The run logger, heard."""
    adapter = get_run_logger()
    logger = getattr(adapter, "logger", adapter)
    logger.addHandler(listener)
    return adapter


@task
def in_task(number: int) -> int:
    """Log in a task."""
    listen().info("note %s from %s", number, "task")
    return number


@flow
def in_flow() -> None:
    """Log at every level, in the flow and its tasks."""
    logger = listen()
    logger.debug("note debug")
    logger.info("note info")
    logger.warning("note warning")
    logger.error("note error")
    logger.critical("note critical")
    in_task(1)
    in_task.submit(2).wait()
    inner()


@flow
def inner() -> None:
    """Log in a subflow."""
    get_run_logger().info("note inner")


@task
def careless() -> str:
    """A function that logs, to be called on its own."""
    get_run_logger().info("note nobody hears")
    return "result"


if __name__ == "__main__":
    in_flow()
    fact("heard", heard)
    fact("outside a run", raised(get_run_logger))
    fact("function without a run", raised(careless.fn))
    with disable_run_logger():
        fact("with the run logger off", careless.fn())
    fact("an ordinary logger", isinstance(get_logger("mine"), logging.Logger))
    fact("same function under both names", engine_logging.get_run_logger is get_run_logger)
