"""Random flows, killed at random moments, again and again: the same laws hold for them."""

from __future__ import annotations

import random
from typing import Any

import pytest
from tests.chaos import workers
from tests.chaos.invariants import check_run, family, nothing_is_under_way, recorded_attempts
from tests.chaos.lab import Ended, Lab
from tests.chaos.shapes import effects_in

from penstock.core.ports import Journal

pytestmark = pytest.mark.chaos

MOMENTS = ["before", "after", "effect"]


def plain(key: str) -> str:
    """A step's key without the marks of later attempts."""
    return "/".join(part.split("~")[0] for part in key.split("/"))


def survives(lab: Lab, store: dict[str, Any], journal: Journal, seed: int) -> None:
    """Run the program in peace; then run it again, killed at random, until it has come to its end."""
    dice = random.Random(f"kills of {seed}")
    store = {**store, "log_console": False, "eager": seed % 2 == 1}
    calm = lab.run(
        workers.run_random, store=store, seed=seed, where=str(lab.folder / f"calm-{seed}"), name=f"calm-{seed}"
    ).value
    where, name = lab.folder / f"effects-{seed}", f"killed-{seed}"
    ended: Ended | None = None
    kills = 0
    while ended is None or ended.killed:
        fault = [dice.choice(MOMENTS), dice.randint(2, 12) + kills] if kills < 6 else None
        found = journal.find(name)
        if not found:
            ended = lab.run(workers.run_random, store=store, seed=seed, where=str(where), name=name, fault=fault)
        elif found[0].ended:
            break
        else:
            done = recorded_attempts(journal, family(journal, found[0].id))
            before = len(effects_in(where))
            ended = lab.run(workers.resume, store=store, run_id=found[0].id, fault=fault)
            again = {(run_id, key, attempt) for run_id, _, key, attempt in effects_in(where)[before:]}
            assert not again & done, "a recorded attempt was made once more"
        kills += ended.killed
        assert ended.killed or ended.value == calm
    (root,) = journal.find(name)
    for run in family(journal, root.id):
        check_run(journal, run)
    assert root.state == "Completed"
    in_peace = {(flow, plain(key)) for _, flow, key, _ in effects_in(lab.folder / f"calm-{seed}")}
    assert {(flow, plain(key)) for _, flow, key, _ in effects_in(where)} == in_peace


@pytest.mark.parametrize(
    ("store", "batch"),
    [
        ("sqlite", 0),
        ("sqlite", 1),
        ("sqlite", 2),
        ("sqlite", 3),
        pytest.param("postgres", 4, marks=pytest.mark.integration),
    ],
    indirect=["store"],
)
def test_random_flows_that_are_killed_at_random(lab: Lab, store: dict[str, Any], journal: Journal, batch: int) -> None:
    for seed in range(batch * 10, batch * 10 + 10):
        survives(lab, store, journal, seed)
    nothing_is_under_way(journal)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_random_flows_that_are_killed_at_random(lab: Lab, store: dict[str, Any], journal: Journal) -> None:
    for seed in range(1_000, 2_000):
        survives(lab, store, journal, seed)
