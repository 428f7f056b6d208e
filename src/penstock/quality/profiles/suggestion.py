"""One rule that is suggested, with its reason."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

from penstock.quality.rules import Rule

FEWEST = 20
"""Values that tell more than a type."""
MINORITY = 0.05
"""So many values may be otherwise in what is still a rule, that then holds `mostly` and warns."""


class Suggestion(NamedTuple):
    """A rule, and why."""

    rule: Rule
    reason: str


def mostly(rule: Rule, share: float, reason: str) -> Suggestion:
    """A rule that so many values follow, with some room; it warns."""
    return Suggestion(replace(rule, mostly=max(math.floor(share * 100 - 1), 0) / 100, severity="warning"), reason)
