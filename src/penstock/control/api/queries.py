"""What requests ask for: times and states, checked."""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from penstock.control.problems import Problem
from penstock.core.states import FINAL_WORDS, StateType

WORDS = tuple(kind.word for kind in StateType)
OPEN_WORDS = tuple(word for word in WORDS if word not in FINAL_WORDS)
ENDED_WORDS = tuple(word for word in WORDS if word in FINAL_WORDS)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def micros_of(field: str, moment: datetime.datetime | None) -> int | None:
    """A time in microseconds.

    Raises:
        Problem: it does not say of which zone it is.
    """
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise Problem(422, "A time needs its offset.", [(field, "write it like 2026-01-31T13:00:00Z")])
    return (moment - _EPOCH) // datetime.timedelta(microseconds=1)


def states_of(field: str, given: Iterable[str], among: Iterable[str] = WORDS) -> tuple[str, ...]:
    """States by their names.

    Raises:
        Problem: there is no such state.
    """
    found, known = tuple(given), tuple(among)
    if unknown := [each for each in found if each not in known]:
        told = f"there are {', '.join(sorted(known))}"
        raise Problem(422, "There is no such state.", [(field, f"{each[:100]!r}: {told}") for each in unknown])
    return found
