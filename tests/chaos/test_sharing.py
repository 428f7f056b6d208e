"""Processes that need the same result at once, and transactions whose process is killed at any append."""

from __future__ import annotations

import signal
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from tests.chaos import sharing
from tests.chaos.invariants import nothing_is_under_way
from tests.chaos.lab import Gate, Lab, until
from tests.chaos.sharing import EFFECTS, lines

from penstock.core.model import RunFilter
from penstock.core.ports import Journal

pytestmark = pytest.mark.chaos


def test_one_process_computes_and_the_others_use_it(
    lab: Lab, store: dict[str, Any], journal: Journal, tmp_path: Path
) -> None:
    where, gate = str(tmp_path / "effects"), Gate(tmp_path / "gate")
    workers = [lab.start(sharing.share, store=store, where=where, gate=gate.path) for _ in range(4)]
    gate.open()
    assert [lab.wait(worker).value for worker in workers] == [1, 1, 1, 1]
    assert lines(where) == ["computes"]
    assert not journal.tickets()


def test_a_killed_one_keeps_nobody_from_computing(
    lab: Lab, store: dict[str, Any], journal: Journal, tmp_path: Path
) -> None:
    where = str(tmp_path / "effects")
    first = lab.start(sharing.share, store=store, where=where, linger=True)
    until(lambda: lines(where) == ["computes"], "the first one computes")
    second = lab.start(sharing.share, store=store, where=where)
    until(lambda: len(journal.tickets()) == 2, "the second one waits")
    assert lines(where) == ["computes"]
    first.signal(signal.SIGKILL)
    assert lab.wait(first).killed
    assert lab.wait(second).value == 2
    assert lines(where) == ["computes", "computes"]
    assert lab.run(sharing.share, store=store, where=where).value == 2


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("shape", sharing.SHAPES)
def test_a_transaction_killed_at_any_append_is_carried_on(
    lab: Lab, store: dict[str, Any], journal: Journal, shape: str, moment: str, tmp_path: Path
) -> None:
    for at in count(1):
        where, name = str(tmp_path / f"{moment}-{at}"), f"{moment}-{at}"
        given: dict[str, Any] = {"store": store, "shape": shape, "where": where, "name": name}
        ended = lab.run(sharing.run, **given, fault=[moment, at])
        twice = False
        if ended.killed:
            twice = moment == "before" or _had_begun(journal)
            _goes_on(lab, journal, given)
        else:
            assert ended.value == "c"
        _check(shape, lines(where), twice)
        if not ended.killed:
            assert at > 8
            break
    nothing_is_under_way(journal)


def _had_begun(journal: Journal) -> bool:
    """A task is on record whose end is not: the start of one that takes long is written while it is under way."""
    left = journal.runs(RunFilter(states=("Running",), children=True, limit=10))
    tasks = [task for run in left for task in journal.task_runs(run.id)]
    return any(task.state == "Running" and task.child_id is None for task in tasks)


def _goes_on(lab: Lab, journal: Journal, given: dict[str, Any]) -> None:
    found = journal.find(given["name"])
    if not found:
        assert lab.run(sharing.run, **given).value == "c"
    elif not found[0].ended:
        assert lab.run(sharing.resume, store=given["store"], run_id=found[0].id).value == "c"
    else:
        assert found[0].state == "Completed"


def _check(shape: str, done: list[str], twice: bool) -> None:
    """No effect is lost, no other one happens, and only the one that was under way happens twice."""
    wanted, got = Counter(EFFECTS[shape]), Counter(done)
    surplus = got - wanted
    assert not wanted - got, done
    assert surplus.total() <= twice, done
    assert list(dict.fromkeys(done)) == EFFECTS[shape], "in order"
