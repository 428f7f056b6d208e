"""Ids sort in the order in which they are made."""

from __future__ import annotations

from uuid import RFC_4122, UUID

from penstock.core.ids import Ids, new_run_id
from penstock.journal.search import bound_of


def test_ids_of_runs_sort_as_they_were_made() -> None:
    made = [new_run_id() for _ in range(5_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {(UUID(each).version, UUID(each).variant) for each in made} == {(7, RFC_4122)}


def test_a_clock_that_goes_back_does_not_turn_the_order() -> None:
    ids = Ids()
    first, second, third = ids.new(2_000_000), ids.new(1_000_000), ids.new(1_000_000)
    assert first < second < third
    assert bound_of(2_000_000) <= first
    assert ids.new(9_000_000_000_000) > third
