"""Some of the rows that do not follow a rule, where it is not known before the end which ones those are.

It is one more pass, which ends as soon as there are enough. Of other rules, `firsts` keeps them as they come by.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from penstock.quality.report import Sample
from penstock.quality.running.firsts import ROW, sample
from penstock.quality.running.plan import Check

if TYPE_CHECKING:
    import polars as pl
else:
    from penstock.quality.extras import pl

_BATCH = 50_000
_TOGETHER = 32
"""Rules that are looked at in one pass."""


def samples_of(
    frame: pl.LazyFrame, checks: Sequence[Check], keys: Sequence[str], limit: int
) -> list[tuple[Sample, ...]]:
    """The first rows that do not follow each of the checks.

    Args:
        frame: the rows.
        checks: each with an expression that is true for the rows to show.
        keys: columns that tell rows apart.
        limit: how many rows of each.
    """
    if not limit:
        return [() for _ in checks]
    groups = [checks[start : start + _TOGETHER] for start in range(0, len(checks), _TOGETHER)]
    return [samples for group in groups for samples in _together(frame, group, keys, limit)]


def _together(
    frame: pl.LazyFrame, checks: Sequence[Check], keys: Sequence[str], limit: int
) -> list[tuple[Sample, ...]]:
    found: list[list[Sample]] = [[] for _ in checks]
    columns = list(dict.fromkeys([*keys, *(column for check in checks for column in check.shown)]))
    flags = [f"\0{place}" for place in range(len(checks))]
    marked = [check.failing.alias(flag) for check, flag in zip(checks, flags, strict=True) if check.failing is not None]
    rows = frame.with_row_index(ROW).select(ROW, *columns, *marked).filter(pl.any_horizontal(flags))

    def take(batch: pl.DataFrame) -> bool:
        for check, flag, samples in zip(checks, flags, found, strict=True):
            missing = limit - len(samples)
            if missing:
                wanted = batch.filter(pl.col(flag)).head(missing).select(ROW, *{*keys, *check.shown})
                samples.extend(sample(row, keys, check.shown) for row in wanted.iter_rows(named=True))
        return all(len(samples) == limit for samples in found)

    rows.sink_batches(take, chunk_size=_BATCH, maintain_order=True, engine="streaming")
    return [tuple(samples) for samples in found]
