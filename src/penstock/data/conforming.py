"""A landing that takes rows of declared columns only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.core.ports.data import Batch, Landed, Landing
from penstock.core.rows import conform, rejections

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa


class Conforming(Landing):
    """Rejects rows that do not have the columns, and hands the others on with exactly these.

    Args:
        landing: takes the rows.
        columns: names and types.
        name: of the dataset, for messages.
    """

    def __init__(self, landing: Landing, columns: Mapping[str, Any], name: str) -> None:
        self._landing = landing
        self._schema = pa.schema(list(columns.items()))
        self._name = name
        self.position = landing.position
        self.counts = landing.counts

    def land(self, batch: Batch) -> Landed:
        """See `Landing.land`."""
        rejected = list(batch.rejected)
        parts = []
        for number, part in enumerate(batch.parts):
            if part.how not in ("append", "upsert"):
                parts.append(part)
                continue
            done = conform(part.rows, self._schema, missing="leave" if part.how == "upsert" else "null")
            where = f"{self._name}, part {number + 1} of a batch"
            rejected += rejections(part.rows, done.misfits, where, part.table)
            parts.append(replace(part, rows=done.rows))
        landed = self._landing.land(replace(batch, parts=tuple(parts), rejected=tuple(rejected)))
        self.position, self.counts = self._landing.position, self._landing.counts
        return landed

    def close(self) -> None:
        """See `Landing.close`."""
        self._landing.close()
