"""Outliers of whole columns: unlike the detectors of series, these look at everything before they say anything."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from penstock.core.errors import ConfigurationError
from penstock.quality.anomalies.contract import Array
from penstock.quality.anomalies.detectors import unknown
from penstock.quality.anomalies.methods import METHODS, Columns, Judge
from penstock.quality.anomalies.reports import ColumnOutliers, Outlier, OutlierReport
from penstock.quality.extras import pl
from penstock.quality.running import file_input, input_of
from penstock.quality.running.sources import reading

_MEMORY = 256 * 2**20
"""Columns that are smaller than this are read once, and held; others are read again for each look at them."""
_BATCH = 100_000

T = TypeVar("T")


def outliers(
    data: Any,
    columns: Sequence[str] | None = None,
    *,
    method: str = "mad",
    threshold: float | None = None,
    period: int = 0,
    limit: int = 100,
    seed: int = 0,
) -> OutlierReport:
    """Find values that are unlike the others of their column.

    Args:
        data: a frame of any kind that `DataValidator` takes, a series, or the path of a file. Of a file larger than
            memory some columns are held at a time, or none: then each is read several times.
        columns: which ones; all columns of numbers by default.
        method: `zscore` (standard deviations from the mean), `mad` (robust deviations from the median), `iqr` (quartile
            distances outside of the quartiles), `seasonal` (robust deviations of what trend and season do not explain),
            or `forest` (an isolation forest of all columns together).
        threshold: from which score on a value is an outlier; each method has its own.
        period: of `seasonal`: after how many rows the values repeat.
        limit: how many are told, the strangest ones; all are counted.
        seed: of `forest`.

    Raises:
        BadData: the data cannot be read.
        ConfigurationError: there is no such column, or it holds no numbers, or there is no such method.
    """
    kind = METHODS.get(method)
    if kind is None:
        raise unknown(method, list(METHODS))
    judge = kind(kind.usual if threshold is None else threshold, period, seed)
    name = Path(data).name if isinstance(data, str | Path) else str(getattr(data, "name", None) or "")
    found, notes = read_with(data, lambda frame: _looked(frame, columns, judge, limit))
    rows, seen, told = found
    return OutlierReport(
        name=name, method=method, threshold=judge.threshold, rows=rows, columns=seen, outliers=told, notes=tuple(notes)
    )


def read_with(data: Any, look: Callable[[Any], T]) -> tuple[T, list[str]]:
    """What comes of looking at the rows of data, and what was done to it so that it could be looked at.

    Where the types of a file do not hold all of its values, it is looked at again with types that do.

    Raises:
        BadData: it cannot be read.
    """
    with closing(file_input(data) if isinstance(data, str | Path) else input_of(data)) as given:
        try:
            return look(given.frame), given.notes
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
            frame, more = reading(given.widened) if given.widened is not None else (given.frame, [])
            return reading(partial(look, frame)), [*given.notes, *more]


def _looked(
    frame: Any, columns: Sequence[str] | None, judge: Judge, limit: int
) -> tuple[int, tuple[ColumnOutliers, ...], tuple[Outlier, ...]]:
    names = chosen(frame, columns)
    if not names:  # nothing of it would be read, and so nobody would notice that it is no data at all
        frame.select(pl.all().null_count()).collect(engine="streaming")
    rows = int(frame.select(pl.len()).collect(engine="streaming").item()) if frame.collect_schema() else 0
    held = max(_MEMORY // (8 * max(rows, 1)), 1)
    size = len(names) if judge.together else held
    seen: list[ColumnOutliers] = []
    told: list[Outlier] = []
    for begin in range(0, len(names), max(size, 1)):
        group = names[begin : begin + size]
        numbers = frame.select(pl.col(group).cast(pl.Float64))
        whole = rows * len(group) * 8 <= _MEMORY or judge.whole
        kept = numbers.collect(engine="streaming") if whole else None
        for some in [group] if judge.together else [[name] for name in group]:
            batches = partial(_read, numbers.select(some)) if kept is None else partial(_held, kept[some])
            counts, strange = judge.look(Columns(some, batches), limit)
            seen.append(counts)
            told = sorted([*told, *strange], key=lambda each: (-each.score, each.row))[:limit]
    return rows, tuple(seen), tuple(told)


def _held(frame: Any) -> Iterator[Array]:
    """All of it; nulls have become NaN."""
    yield frame.to_numpy()


def _read(frame: Any) -> Iterator[Array]:
    for batch in frame.collect_batches(chunk_size=_BATCH, maintain_order=True, engine="streaming"):
        yield batch.to_numpy()


def chosen(frame: Any, asked: Sequence[str] | None) -> list[str]:
    """The columns that were asked for, or all columns of numbers. Text that is all numbers may be asked for, too.

    Raises:
        ConfigurationError: there is no such column, or it holds something else.
    """
    schema = frame.collect_schema()
    numbers = [name for name, kind in schema.items() if kind.is_numeric()]
    if asked is None:
        return numbers
    for name in asked:
        if name not in schema:
            raise no_column(name, list(schema))
        if name not in numbers and not (schema[name] == pl.String and _all_numbers(frame, name)):
            has = f"columns of numbers: {', '.join(numbers)}"[:400] if numbers else "there is no column of numbers"
            raise ConfigurationError(f"Column {name!r} holds no numbers, but {schema[name]}.", hint=has)
    return list(dict.fromkeys(asked))


def no_column(name: str, known: list[str]) -> ConfigurationError:
    """There is no column of this name."""
    close = difflib.get_close_matches(name, known, 1)
    meant = f"did you mean {close[0]}? " if close else ""
    there = f"there are: {', '.join(known)}" if known else "there are no columns"
    return ConfigurationError(f"There is no column {name!r}.", hint=f"{meant}{there}"[:400])


def _all_numbers(frame: Any, name: str) -> bool:
    """Whether text is all numbers, as it is where NaN or infinity are among those of a CSV file."""
    text = pl.col(name)
    unfit = text.is_not_null() & text.cast(pl.Float64, strict=False).is_null()
    count, other = frame.select(text.count(), unfit.any().alias("other ")).collect(engine="streaming").row(0)
    return bool(count) and not other
