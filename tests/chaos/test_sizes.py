"""Much of everything: results of 100 MB, and log lines without end."""

from __future__ import annotations

from typing import Any

import pytest
from tests.chaos import workers
from tests.chaos.lab import Lab

pytestmark = pytest.mark.chaos

QUIET = {"log_console": False}


@pytest.mark.parametrize(
    ("runner", "kind", "length"),
    [
        ("called", "text", 100_000_008),
        ("thread", "numbers", 5_000_000),
        ("process", "bytes", 100_000_000),
        ("process", "numbers", 5_000_000),
    ],
)
def test_a_result_of_100_megabytes_passes_and_is_taken_over(
    lab: Lab, sqlite_store: dict[str, Any], kind: str, length: int, runner: str
) -> None:
    ended = lab.run(workers.return_much, store={**sqlite_store, **QUIET}, kind=kind, runner=runner)
    assert ended.value == ["Failed", length]


@pytest.mark.parametrize(
    ("lines", "length"),
    [(150_000, 200), (2_000, 99_000), pytest.param(1_000_000, 100, marks=pytest.mark.slow)],
)
def test_log_lines_without_end_are_kept_in_the_journal_and_not_in_memory(
    lab: Lab, sqlite_store: dict[str, Any], lines: int, length: int
) -> None:
    """Kept in memory, they would take 100 MB and more."""
    ended = lab.run(workers.log_much, store={**sqlite_store, **QUIET}, lines=lines, length=length)
    seen, used = ended.value
    assert seen == lines + 1
    assert used < 64
