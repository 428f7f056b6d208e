"""Kill a run at every point where it touches its journal or the world, and carry on."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.chaos import workers
from tests.chaos.invariants import check_run, family, nothing_is_under_way, recorded_attempts
from tests.chaos.lab import Ended, Lab
from tests.chaos.shapes import SHAPES, effects_in

from penstock.core.events import RunEnded, TaskStarted
from penstock.core.model import Run
from penstock.core.ports import Journal
from penstock.engine.replay import state_of
from penstock.journal.results import FileResultStore

pytestmark = pytest.mark.chaos

MOMENTS = ["before", "after", "effect"]
QUICK = [name for name in SHAPES if name != "processes"]


class Calm(NamedTuple):
    """What a run gives that nobody disturbs."""

    value: Any
    steps: set[tuple[str, str]]


class Story:
    """One run, from its first process to its last."""

    def __init__(self, lab: Lab, store: dict[str, Any], journal: Journal, shape: str, name: str) -> None:
        self.lab = lab
        self.store = store
        self.journal = journal
        self.shape = shape
        self.name = name
        self.where = lab.folder / f"effects-{name}"
        self.kills = 0
        self.value: Any = None

    def start(self, fault: list[Any] | None = None) -> bool:
        """Run the flow; True when it was killed."""
        return self._ended(
            self.lab.run(
                workers.run, store=self.store, shape=self.shape, where=str(self.where), name=self.name, fault=fault
            )
        )

    def resume(self, fault: list[Any] | None = None) -> bool:
        """Carry on; True when it was killed again. No recorded attempt may be made once more."""
        found = self.journal.find(self.name)
        if not found:
            return self.start(fault)
        if found[0].ended:
            return self._told_that_it_ended(found[0])
        done = recorded_attempts(self.journal, family(self.journal, found[0].id))
        before = len(effects_in(self.where))
        killed = self._ended(self.lab.run(workers.resume, store=self.store, run_id=found[0].id, fault=fault))
        again = {(run_id, key, attempt) for run_id, _, key, attempt in effects_in(self.where)[before:]}
        assert not again & done, "a recorded attempt was made once more"
        return killed

    def _told_that_it_ended(self, run: Run) -> bool:
        """It was killed after its end was recorded: nothing is left to do, and the value is on record."""
        ended = self.lab.run(workers.resume, store=self.store, run_id=run.id)
        assert ended.answer["error"] == "RunNotResumable"
        (end,) = (stored for stored in self.journal.load(run.id) if isinstance(stored.event, RunEnded))
        self.value = state_of(end, FileResultStore(Path(self.store["home"]) / "results")).result()
        return False

    def _ended(self, ended: Ended) -> bool:
        self.kills += ended.killed
        if not ended.killed:
            self.value = ended.value
        return ended.killed

    def check(self, calm: Calm) -> None:
        """It ended as if nothing had happened, and only what was under way was done twice."""
        assert self.value == calm.value
        (root,) = self.journal.find(self.name)
        runs = family(self.journal, root.id)
        for run in runs:
            check_run(self.journal, run)
            assert run.state == "Completed"
        made = effects_in(self.where)
        assert {(flow, key) for _, flow, key, _ in made} == calm.steps
        surplus = len(made) - len(recorded_attempts(self.journal, runs) & {(r, k, a) for r, _, k, a in made})
        assert surplus <= self.kills * SHAPES[self.shape].in_flight, made


@pytest.fixture
def calm(lab: Lab, store: dict[str, Any], journal: Journal, shape: str) -> Calm:
    """The same run, left in peace."""
    story = Story(lab, store, journal, shape, "calm")
    assert not story.start()
    steps = {(flow, key) for _, flow, key, _ in effects_in(story.where)}
    calm = Calm(story.value, steps)
    story.check(calm)
    return calm


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("shape", QUICK)
def test_a_run_killed_at_any_point_is_carried_on(
    lab: Lab, store: dict[str, Any], journal: Journal, shape: str, moment: str, calm: Calm
) -> None:
    for at in count(1):
        story = Story(lab, store, journal, shape, f"{moment}-{at}")
        killed = story.start([moment, at])
        if killed:
            assert not story.resume()
        story.check(calm)
        if not killed:
            assert at > 4, "a run of this shape has more points than that"
            break
    nothing_is_under_way(journal)


@pytest.mark.parametrize("shape", QUICK)
def test_a_run_killed_when_the_starts_of_its_steps_are_on_record(
    lab: Lab, store: dict[str, Any], journal: Journal, shape: str, calm: Calm
) -> None:
    """What is under way is then known to the journal, and is done again all the same."""
    eager = {**store, "eager": True}
    for at in range(2, 6):
        story = Story(lab, eager, journal, shape, f"eager-{at}")
        assert story.start(["effect", at])
        assert not story.resume()
        story.check(calm)
    assert any(isinstance(stored.event, TaskStarted) for stored in journal.read_back(None, 100_000))


@pytest.mark.parametrize("shape", QUICK)
def test_a_run_killed_again_and_again_gets_to_its_end(
    lab: Lab, store: dict[str, Any], journal: Journal, shape: str, calm: Calm
) -> None:
    """Every process that carries on is killed too, as soon as it has recorded one thing beyond its resuming."""
    story = Story(lab, store, journal, shape, "again")
    killed = story.start(["before", 2])
    while killed:
        assert story.kills < 60
        killed = story.resume(["after", SHAPES[shape].depth + 1])
    assert story.kills > 3
    story.check(calm)


@pytest.mark.parametrize("shape", ["sequential"])
def test_with_full_durability_it_is_the_same(
    lab: Lab, store: dict[str, Any], journal: Journal, shape: str, calm: Calm
) -> None:
    full = {**store, "durability": "full"}
    for at in (1, 2, 4, 7):
        for moment in ("before", "after"):
            story = Story(lab, full, journal, shape, f"full-{moment}-{at}")
            assert story.start([moment, at])
            assert not story.resume()
            story.check(calm)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("shape", QUICK)
@pytest.mark.parametrize("moment", MOMENTS)
def test_every_pair_of_kill_points(
    lab: Lab, store: dict[str, Any], journal: Journal, shape: str, moment: str, calm: Calm
) -> None:
    for first in count(1):
        for second in count(1):
            story = Story(lab, store, journal, shape, f"{moment}-{first}-{second}")
            killed = story.start([moment, first])
            killed_again = killed and story.resume([MOMENTS[(first + second) % 3], second])
            if killed_again:
                assert not story.resume()
            story.check(calm)
            if not killed_again:
                break
        if not killed:
            break


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("shape", ["processes"])
def test_tasks_in_processes_die_with_their_flow_and_are_carried_on(
    lab: Lab, store: dict[str, Any], journal: Journal, shape: str, moment: str, calm: Calm, tmp_path: Path
) -> None:
    for at in (2, 3, 5):
        story = Story(lab, store, journal, shape, f"{moment}-{at}")
        assert story.start([moment, at])
        assert not story.resume()
        story.check(calm)
