"""Checks that are declared on a dataset: rows pass them on their way in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.core.errors import ConfigurationError
from penstock.core.ports.checks import Checks, Gate
from penstock.core.ports.data import Batch, Landed, Landing, Part
from penstock.core.rows import Misfit, rejections, without

if TYPE_CHECKING:
    import pyarrow as pa

_GROUP = "penstock.checks"


def checks_of(given: Any) -> Checks | None:
    """The checks a dataset is given: themselves, or rules for those that are plugged in as `rules`.

    Raises:
        ConfigurationError: nothing is plugged in, or several are.
    """
    if given is None or isinstance(given, Checks):
        return given
    from importlib.metadata import entry_points

    found = list(entry_points(group=_GROUP, name="rules"))
    if len(found) != 1:
        raise ConfigurationError(
            f"{len(found) or 'No'} packages make checks of rules.",
            hint="say which checks they are: checks=penstock.quality.Checks(...)",
        )
    made: Checks = found[0].load()(given)
    return made


class Checking(Landing):
    """Hands on rows that pass a gate. Those that do not pass are rejected in the same commit.

    Args:
        landing: takes the rows.
        gate: which rows land.
        name: of the dataset, for messages.
        pipe: that brings the rows.
    """

    def __init__(self, landing: Landing, gate: Gate, name: str, pipe: str) -> None:
        self._landing = landing
        self._gate = gate
        self._name = name
        self._pipe = pipe
        self.position = landing.position
        self.counts = landing.counts

    def land(self, batch: Batch) -> Landed:
        """See `Landing.land`."""
        rejected, removed = list(batch.rejected), 0
        parts: list[Part] = []
        for number, part in enumerate(batch.parts):
            if part.how not in ("append", "upsert"):
                parts.append(part)
                continue
            last = batch.last and number == len(batch.parts) - 1
            judged = self._gate.judge(part.rows, last, self._id(batch, number))
            where = f"{self._name}, part {number + 1} of a batch"
            misfits = [Misfit(row, reason) for row, reason in judged.refused]
            rejected += rejections(judged.rows, misfits, where, part.table)
            removed += judged.removed
            parts.append(replace(part, rows=_good(judged.rows, misfits)))
        superseded = batch.superseded + removed
        landed = self._landing.land(replace(batch, parts=tuple(parts), rejected=tuple(rejected), superseded=superseded))
        self.position, self.counts = self._landing.position, self._landing.counts
        return landed

    def _id(self, batch: Batch, number: int) -> str:
        """Of a part of a batch, by the place to which the batch comes."""
        told = msgspec.json.encode([self._pipe, batch.position, number])
        return hashlib.blake2b(told, digest_size=12).hexdigest()

    def close(self) -> None:
        """See `Landing.close`."""
        self._landing.close()


def _good(rows: pa.Table, misfits: Sequence[Misfit]) -> pa.Table:
    return without(rows, [each.row for each in misfits])
