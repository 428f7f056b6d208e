"""Profiles made of data: in one pass, piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from penstock.quality.profiles.column import ORDERED, ColumnProfile, Order, Precision
from penstock.quality.profiles.frequent import LONGEST, cut
from penstock.quality.profiles.hashing import number_hashes, text_bytes, text_hashes
from penstock.quality.profiles.moments import MOST, Correlations, Moments
from penstock.quality.profiles.texts import shapes_of
from penstock.quality.running.sources import Input, reading
from penstock.quality.running.types import family, word

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray
else:
    from penstock.quality.extras import np, pl

CELLS = 2_000_000
"""Of a piece."""
_LEAST_ROWS, _MOST_ROWS = 512, 262_144
_WORKERS = 2
_LOOKED_AT = 2_048
_DENSE = 4
_LONGEST_KEPT = 4_096
_SPACE = (32, 9, 10, 11, 12, 13)


def precision_of(columns: int) -> Precision:
    """Less is kept of a column where there are very many, so that memory is bounded."""
    if columns <= 100:
        return Precision(32_768, 4_096, 512)
    return Precision(4_096, 1_024, 128) if columns <= 1_000 else Precision(1_024, 512, 64)


def columns_of(given: Input, tell: Callable[[int], None] | None) -> tuple[list[ColumnProfile], Correlations, int]:
    """The profiles of all columns, their correlations, and how many rows there are.

    Raises:
        BadData: the data cannot be read.
    """
    try:
        return _read(given.frame, tell)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        if given.widened is None:
            return reading(lambda: _read(given.frame, tell))
    given.frame, notes = reading(given.widened)
    given.widened = None
    given.notes += notes
    return reading(lambda: _read(given.frame, tell))


def _read(frame: pl.LazyFrame, tell: Callable[[int], None] | None) -> tuple[list[ColumnProfile], Correlations, int]:
    schema = frame.collect_schema()
    precision = precision_of(len(schema))
    made = [
        ColumnProfile(name, word(kind), family(kind), getattr(kind, "time_zone", None), precision)
        for name, kind in schema.items()
    ]
    names = [each.name for each in made if each.family == "number"][:MOST]
    correlations, rows = Correlations(names), 0
    with ThreadPoolExecutor(_WORKERS, "profile") as pool:
        for piece in _pieces(frame, len(schema)):
            rows += piece.height
            tables = pool.submit(_correlate, correlations, piece)
            for each in pool.map(_take, made, piece.get_columns()):
                assert each is None
            tables.result()
            if tell is not None:
                tell(rows)
    return made, correlations, rows


def _pieces(frame: pl.LazyFrame, columns: int) -> Iterator[pl.DataFrame]:
    rows = max(_LEAST_ROWS, min(_MOST_ROWS, CELLS // max(columns, 1)))
    if not columns:
        return
    for piece in frame.collect_batches(chunk_size=rows, maintain_order=True, engine="streaming"):
        for start in range(0, piece.height, rows):
            yield piece.slice(start, rows)


def _correlate(correlations: Correlations, piece: pl.DataFrame) -> None:
    if len(correlations.names) > 1:
        values = np.empty((piece.height, len(correlations.names)))
        for place, name in enumerate(correlations.names):
            values[:, place] = piece[name].cast(pl.Float64, strict=False).to_numpy()
        correlations.take(values)


def _take(column: ColumnProfile, piece: pl.Series) -> None:
    nulls = piece.null_count()
    column.rows += len(piece)
    column.nulls += nulls
    if nulls == len(piece):
        return
    values = piece.drop_nulls() if nulls else piece
    if column.family == "text":
        _take_texts(column, values if values.dtype == pl.String else values.cast(pl.String))
    elif column.family == "boolean":
        _take_numbers(column, values.cast(pl.UInt8).to_numpy(), bool)
    elif column.family in ORDERED:
        _take_numbers(column, _numbers(column.family, values))
    elif column.family == "list":
        lengths = values.arr.to_list().list.len() if isinstance(values.dtype, pl.Array) else values.list.len()
        column.ranks.take(*np.unique(lengths.to_numpy(), return_counts=True))


def _numbers(kind: str, values: pl.Series) -> NDArray[Any]:
    if kind == "date":
        values = values.cast(pl.Int32).cast(pl.Int64)
    elif kind in ("datetime", "duration"):
        values = values.dt.cast_time_unit("us").to_physical()
    elif kind == "time":
        values = values.to_physical() // 1000
    elif values.dtype.is_decimal() or values.dtype in (pl.Int128, pl.UInt128):
        values = values.cast(pl.Float64)
    elif values.dtype.is_integer():
        values = values.cast(pl.UInt64 if values.dtype.is_unsigned_integer() else pl.Int64)
    made: NDArray[Any] = values.to_numpy()
    return made


def _take_numbers(column: ColumnProfile, values: NDArray[Any], shown: Callable[[Any], Any] | None = None) -> None:
    if values.dtype.kind == "f":
        values = _without_infinite(column, values)
        if not len(values):
            return
    _take_order(column, values)
    different, counts = _counted(values)
    hashes = number_hashes(different)
    column.cardinality.take(hashes, counts > 1)

    def held(places: NDArray[Any]) -> list[Any]:
        found = different[places].tolist()
        return found if shown is None else [shown(each) for each in found]

    column.frequent.take(hashes, counts, held)
    if column.family == "boolean":
        return
    column.ranks.take(different, counts)
    _widen(column, different[0].item(), different[-1].item())
    if column.family == "number":
        column.negatives += int(counts[different < 0].sum())
        column.zeros += int(counts[different == 0].sum())
        column.moments = column.moments.merge(Moments.of(different, counts))


def _counted(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Different numbers, ascending, and how often each comes."""
    if values.dtype.kind != "f":
        low = values.min()
        if int(values.max()) - int(low) <= _DENSE * len(values):
            counts = np.bincount((values - low).astype(np.int64))
            there = np.flatnonzero(counts)
            return there.astype(values.dtype) + low, counts[there]
    ordered = values
    if not bool((values[:-1] <= values[1:]).all()):  # Polars sorts three times as fast as NumPy
        ordered = pl.Series(values).sort(multithreaded=False).to_numpy()
    first = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    return ordered[first], np.diff(np.append(first, len(ordered)))


def _without_infinite(column: ColumnProfile, values: NDArray[Any]) -> NDArray[Any]:
    finite = np.isfinite(values)
    if finite.all():
        return values
    column.nan += int(np.isnan(values).sum())
    column.positive_infinite += int(np.isposinf(values).sum())
    column.negative_infinite += int(np.isneginf(values).sum())
    column.order = Order.none()
    some = np.unique(values[~finite])
    column.cardinality.take(number_hashes(some), np.ones(len(some), dtype=bool))
    return np.asarray(values[finite])


def _widen(column: ColumnProfile, low: Any, high: Any) -> None:
    column.lowest = low if column.lowest is None else min(column.lowest, low)
    column.highest = high if column.highest is None else max(column.highest, high)


def _take_order(column: ColumnProfile, values: Any) -> None:
    """Of a NumPy array or a Polars series, neither with nulls."""
    before = column.order
    if before.rises or before.falls:
        found = Order()
        found.first, found.last = (_one(values[0]), _one(values[-1]))
        if isinstance(found.first, str) and max(len(found.first), len(found.last)) > _LONGEST_KEPT:
            column.order = Order.none()  # to follow them, the texts themselves would have to be saved
            return
        left, right = values[:-1], values[1:]
        found.rises, found.falls = bool((left <= right).all()), bool((left >= right).all())
        found.strictly = (found.rises or found.falls) and not bool((left == right).any())
        column.order = before.follow(found)


def _one(value: Any) -> Any:
    return value if isinstance(value, str) else value.item()


def _take_texts(column: ColumnProfile, values: pl.Series) -> None:
    _take_order(column, values)
    texts, hashes, counts = _different(values)
    column.cardinality.take(hashes, counts > 1)
    column.frequent.take(hashes, counts, lambda places: [cut(each) for each in texts.gather(places).to_list()])
    low, high = texts.min(), texts.max()
    if isinstance(low, str) and isinstance(high, str):
        _widen(column, low[:LONGEST], high[:LONGEST])
    lengths = texts.str.len_chars().to_numpy()
    column.ranks.take(*_weighed(lengths, counts))
    column.empty += int(counts[lengths == 0].sum())
    data, edges = text_bytes(texts)
    there = edges[1:] > edges[:-1]
    padded = np.zeros(len(texts), dtype=bool)
    if len(data):
        ends = data[edges[:-1][there]], data[edges[1:][there] - 1]
        padded[there] = np.isin(ends[0], _SPACE) | np.isin(ends[1], _SPACE)
        if int(data.max()) >= 128:
            beyond = texts.str.len_bytes().to_numpy() != lengths
            column.not_ascii += int(counts[beyond].sum())
    if padded.any():
        column.padded += int(counts[padded].sum())
        blank = texts.str.contains(r"^\s+$").to_numpy()
        column.blank += int(counts[blank].sum())
    _take_looks(column, texts, counts)


def _weighed(lengths: NDArray[Any], counts: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Different lengths, ascending, and how many texts have each."""
    if int(lengths.max()) <= _DENSE * len(lengths) + _LOOKED_AT:
        numbers = np.bincount(lengths, weights=counts)
        sizes = np.flatnonzero(numbers)
        return sizes, numbers[sizes].astype(np.int64)
    sizes, at = np.unique(lengths, return_inverse=True)
    return sizes, np.bincount(at, weights=counts).astype(np.int64)


def _take_looks(column: ColumnProfile, texts: pl.Series, counts: NDArray[Any]) -> None:
    shapes = pl.DataFrame({"shape": shapes_of(texts), "count": counts}).group_by("shape").agg(pl.col("count").sum())
    names, numbers = shapes["shape"], shapes["count"].to_numpy()
    column.shapes.take(text_hashes(names), numbers, lambda places: names.gather(places).to_list())
    column.kinds.take(texts, counts, names, numbers)


def _different(values: pl.Series) -> tuple[pl.Series, NDArray[Any], NDArray[Any]]:
    """Different texts, their hashes and counts."""
    some = values.head(_LOOKED_AT)
    if some.n_unique() * 2 <= len(some):
        counted = values.rename("text").value_counts(name="count")
        texts = counted["text"]
        return texts, text_hashes(texts), counted["count"].to_numpy().astype(np.int64)
    hashes = text_hashes(values)
    order = pl.Series(hashes).arg_sort().to_numpy()
    ordered = hashes[order]
    first = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    counts = np.diff(np.append(first, len(ordered)))
    if len(first) == len(hashes):
        return values, hashes, counts
    return values.gather(order[first]), ordered[first], counts
