"""Where two readings of one log differ, value by value."""

from __future__ import annotations

import itertools
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.debezium.scenario import KEYS
from tests.debezium.values import Change, Row

TABLE = Path(__file__).with_name("differences.toml")
MISSING = "(missing)"


class Difference(NamedTuple):
    """One value that is not the same; both sides are JSON.

    Attributes:
        where: table, key and column, such as `public.odd[6].a_decimal`.
    """

    where: str
    debezium: str
    penstock: str


def intended() -> dict[Difference, str]:
    """What is different on purpose, and why."""
    found = tomllib.loads(TABLE.read_text(encoding="utf-8")).get("difference", [])
    return {Difference(each["where"], each["debezium"], each["penstock"]): each["reason"] for each in found}


def differences(theirs: Sequence[Change], ours: Sequence[Change], rejected: Mapping[str, str]) -> Iterator[Difference]:
    """Every difference of two readings.

    Args:
        theirs: Debezium's.
        ours: Penstock's.
        rejected: what Penstock could not tell, and why, by `schema.table (key=value)`.
    """
    left = []
    for change in theirs:
        reason = rejected.get(_quarantined(change))
        if reason is None:
            left.append(change)
        else:
            yield Difference(_where(change), _told(_values(change.after)), f"rejected: {reason}")
    left, ours = _settled(left), _settled(ours)
    heads = [[(change.table, change.op) for change in some] for some in (left, ours)]
    assert heads[0] == heads[1], "the two do not tell of the same changes"
    for their, our in zip(left, ours, strict=True):
        for side in ("before", "after"):
            yield from _columns(their, our, side)


def _settled(changes: Sequence[Change]) -> list[Change]:
    """One statement may empty several tables; they are in no order then."""
    found: list[Change] = []
    for emptied, some in itertools.groupby(changes, lambda change: change.op == "truncate"):
        each = list(some)
        found += sorted(each, key=lambda change: change.table) if emptied else each
    return found


def _columns(their: Change, our: Change, side: str) -> Iterator[Difference]:
    """Of a row that is gone, only the key is in the log, but for tables whose former rows are there as a whole."""
    left, right = _values(getattr(their, side)), _values(getattr(our, side))
    keys = KEYS[their.table]
    names = keys if keys and side == "before" and left and right else dict.fromkeys([*left, *right])
    for name in names:
        one, other = left.get(name, MISSING), right.get(name, MISSING)
        if one != other or isinstance(one, bool) != isinstance(other, bool):
            yield Difference(f"{_where(our)}.{name}", _told(one), _told(other))


def _values(row: Row | None) -> Row:
    return row or {}


def _where(change: Change) -> str:
    row = change.after or change.before or {}
    return f"{change.table}[{', '.join(str(row.get(key)) for key in KEYS[change.table])}]"


def _quarantined(change: Change) -> str:
    row = change.after or change.before or {}
    return f"{change.table} ({', '.join(f'{key}={row.get(key)}' for key in KEYS[change.table])})"


def _told(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
