"""An outage is told when it begins and when it is over, and does not fill the log meanwhile."""

from __future__ import annotations

import logging

import pytest

from penstock.orchestrator.troubles import Trouble


def test_the_same_trouble_is_told_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="tests.troubles")
    trouble = Trouble(logging.getLogger("tests.troubles"), "The worker", "could not reach the journal")
    trouble.over()
    for _ in range(100):
        trouble.say("the disk is full")
    trouble.say("it cannot be written")
    for _ in range(3):
        trouble.over()
    first, second, last = [record.getMessage() for record in caplog.records]
    assert first == "The worker could not reach the journal (the disk is full); it tries again."
    assert "it cannot be written" in second
    assert last.startswith("The worker goes on, after ")
