"""Log lines as JSON: one line is one object, whatever is logged."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from penstock import flow, get_run_logger, task
from penstock.app import Penstock, Settings
from penstock.core.errors import ConfigurationError
from penstock.engine.log_lines import JsonLines, log_facts


@pytest.fixture
def lines() -> Iterator[Any]:
    """What was logged below `penstock`."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("penstock")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().split("\n")[:-1]]
    logger.removeHandler(handler)
    logger.setLevel(level)


HOSTILE = [
    "a\nb",
    "a\r\nb",
    "a\u2028b",
    'a"}{"level":"CRITICAL"',
    "\x1b[31mred",
    "a\0b",
    "\ud800",
    "\U0001f600",
    "x" * 200_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=[str(number) for number in range(len(HOSTILE))])
def test_a_message_begins_no_line_of_its_own(text: str) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger = logging.Logger("penstock.x")  # below no other: a report of tests cannot hold all that is said here
    logger.addHandler(handler)
    logger.warning("said %s", text, extra={"facts": {"more": text[:10]}})
    (line,) = [json.loads(each) for each in stream.getvalue().split("\n")[:-1]]
    assert line["level"] == "WARNING"
    assert line["logger"] == "penstock.x"
    assert line["message"].startswith("said ")
    assert len(line["message"]) <= 100_000


def test_what_is_known_is_said(lines: Any) -> None:
    said = log_facts.set({"request_id": "r-1"})
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError:
        logging.getLogger("penstock.x").exception("it broke", extra={"facts": {"user": "ann", "odd": object}})
    finally:
        log_facts.reset(said)
    (line,) = lines()
    assert (line["request_id"], line["user"]) == ("r-1", "ann")
    assert line["exception"].endswith("ZeroDivisionError: division by zero")
    logging.getLogger("penstock.x").warning("again")
    assert "request_id" not in lines()[-1]


def test_arguments_that_do_not_fit_are_no_error() -> None:
    record = logging.LogRecord("penstock.x", logging.WARNING, "x.py", 1, "%d rows", ("many",), None)
    assert json.loads(JsonLines().format(record))["message"] == "%d rows"


def test_lines_of_runs_say_which(lines: Any, tmp_path: Any) -> None:
    @task
    def load() -> None:
        get_run_logger().info("in the task")

    @flow
    def nightly() -> None:
        get_run_logger().info("in the flow")
        load()

    app = Penstock(Settings(home=str(tmp_path), log_console=False))
    with app.activate():
        state = nightly(return_state=True)
    app.close()
    assert state.is_completed()
    said = {line["message"]: line for line in lines()}
    run_id = said["in the flow"]["run_id"]
    assert "step" not in said["in the flow"]
    assert (said["in the task"]["run_id"], said["in the task"]["step"]) == (run_id, "load#1")


def test_there_is_no_such_format(monkeypatch: pytest.MonkeyPatch) -> None:
    from penstock.app import load_settings

    with pytest.raises(ConfigurationError, match="log_format is 'xml'"):
        load_settings({"PENSTOCK_LOG_FORMAT": "xml"})
