"""What entries of the audit do to the table that they are found by; see `projections`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.core.audit import Audited
from penstock.core.events import Event
from penstock.journal.projections import Projection

_COLUMNS = ("number", "at", "who", "deed", "target")


def _listed(stream: str, e: Audited, data: bytes | None) -> Sequence[tuple[Any, ...]]:
    return ((e.number, e.at, e.who, e.action, e.target),)


PROJECTIONS: dict[type[Event], tuple[Projection, ...]] = {Audited: (Projection("audit", "put", _COLUMNS, _listed),)}
