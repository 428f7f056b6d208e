"""Whatever happens, and whoever dies meanwhile: each match fires once, and its actions are done once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from tests.unit.automations_oracle import Play, check, histories

from penstock.journal import MemoryJournal


@settings(max_examples=80)
@given(histories)
def test_every_match_fires_once(history: list[tuple[Any, ...]]) -> None:
    played(history)


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(max_examples=2000)
@given(histories)
def test_every_match_of_many_histories_fires_once(history: list[tuple[Any, ...]]) -> None:
    played(history)


def played(history: list[tuple[Any, ...]]) -> None:
    journal = MemoryJournal()
    play = Play(journal)
    play.play(history)
    check(journal, play.clock.at, journal.read(0, 100_000))
