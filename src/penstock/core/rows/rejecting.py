"""Rows that do not fit, for the quarantine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from penstock.core.ports.data import Rejected
from penstock.core.rows.casting import json_text
from penstock.core.rows.conforming import Misfit

if TYPE_CHECKING:
    import pyarrow as pa

_LONGEST_RAW = 10_000


def rejections(rows: pa.Table, misfits: Iterable[Misfit], where: str, table: str = "") -> list[Rejected]:
    """Rows that do not fit, as rejected records.

    Args:
        rows: all of them.
        misfits: which of them, and why.
        where: names the rows, such as `the batch up to 17`.
        table: what they were meant for; see `Part.table`.
    """
    found = []
    for row, reason in misfits:
        raw = json_text(rows.slice(row, 1).to_pylist()[0])
        found.append(Rejected(reason, f"{where}, row {row + 1}", raw[:_LONGEST_RAW], table))
    return found
