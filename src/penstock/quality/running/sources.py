"""Data of any kind as one thing: a lazy Polars frame that can be read more than once."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.core.errors import BadData
from penstock.core.extras import require
from penstock.quality.running.clusters import dask_parts, spark_reader
from penstock.quality.running.tables import pieces_at, table_of, table_there
from penstock.quality.running.words import first_line

if TYPE_CHECKING:
    import polars as pl
else:
    from penstock.quality.extras import pl


T = TypeVar("T")


@dataclass
class Input:
    """What is validated.

    Attributes:
        frame: its rows.
        notes: what was done to it so that it can be looked at.
        widened: the same read with types that hold all of its values, and what it took; None where types are certain.
        whole: whether all columns have to be read, for a file is seen to be broken only then.
        scratch: where rows are kept that can be had only once.
    """

    frame: pl.LazyFrame
    notes: list[str] = field(default_factory=list)
    widened: Callable[[], tuple[pl.LazyFrame, list[str]]] | None = None
    whole: bool = False
    scratch: Any = None

    def close(self) -> None:
        """Give back what was kept on disk."""
        if self.scratch is not None:
            self.scratch.cleanup()
            self.scratch = None


def input_of(data: Any) -> Input:
    """A frame of any library, a list of dictionaries, or columns by name.

    pandas, Polars eager and lazy, PyArrow tables, record batches and readers, DuckDB relations, Dask and Spark
    frames, Narwhals' frames of any of them, datasets, tables of a lake or a warehouse, and whatever hands out Arrow
    streams. What can be read only once, or is elsewhere, is written to a temporary file first.

    Raises:
        BadData: it is none of these.
    """
    package, kind = type(data).__module__.partition(".")[0], type(data).__name__
    if package == "narwhals":
        return input_of(data.to_native())
    if (table := table_of(data)) is not None:
        return _of_stream(table.read())
    try:
        if package == "polars":
            return _of_polars(data, kind)
        if package == "pandas":
            return _whole(_of_pandas, data)
        if package == "dask":
            notes: list[str] = []
            return _of_pieces((_of_pandas(part, notes) for part in dask_parts(data)), notes)
        if package == "pyspark":
            return _of_stream(spark_reader(data))
        if package == "pyarrow" and kind in ("Table", "RecordBatch"):
            return _whole(_of_arrow, data)
        if package in ("duckdb", "_duckdb"):
            return _of_stream(data.to_arrow_reader(100_000))
        if package == "pyarrow" or hasattr(data, "__arrow_c_stream__"):
            reader = require("pyarrow", "quality").RecordBatchReader
            return _of_stream(data if isinstance(data, reader) else reader.from_stream(data))
    except (pl.exceptions.PolarsError, ValueError, TypeError) as error:
        if isinstance(error, BadData):
            raise
        raise BadData(f"This {package} {kind} cannot be read: {error}") from error
    if isinstance(data, Mapping):
        return _of_columns({str(name): list(values) for name, values in data.items()})
    if isinstance(data, Sequence) and not isinstance(data, str | bytes) and all(isinstance(r, Mapping) for r in data):
        names = dict.fromkeys(name for row in data for name in row)
        return _of_columns({str(name): [row.get(name) for row in data] for name in names})
    raise BadData(
        f"A {package}.{kind} is no data that can be validated.",
        hint="give a frame of pandas, Polars, PyArrow, Dask or Spark, a DuckDB relation, a list of dictionaries, a "
        "dataset, or the path of a file",
    )


def address_input(text: str) -> Input:
    """The table at an address such as `lake:raw/orders`, or what a source there hands out.

    Raises:
        ConfigurationError: the address cannot be.
        DatasetNotFound: there is no such table.
        SourceUnavailable: it cannot be reached.
    """
    if (table := table_there(text)) is not None:
        with closing(table):
            return _of_stream(table.read())
    notes: list[str] = []
    return _of_pieces((_of_arrow(piece, notes) for piece in pieces_at(text, notes)), notes)


def _of_polars(data: Any, kind: str) -> Input:
    if kind == "LazyFrame":
        return Input(data)
    if kind == "Series":
        data = data.to_frame()
    return Input(data.lazy())


def _of_pandas(data: Any, notes: list[str]) -> pl.DataFrame:
    """Missing values of pandas, NaN among them, are nulls."""
    if type(data).__name__ == "Series":
        data = data.to_frame()
    data = data.set_axis(apart([str(name) for name in data.columns], notes), axis=1)
    try:
        return pl.from_pandas(data)
    except Exception:  # pyarrow's errors of a value that does not fit its column have no common class
        columns = [_column_of_pandas(data[name], name, notes) for name in data.columns]
        return pl.DataFrame(columns)


def _column_of_pandas(column: Any, name: str, notes: list[str]) -> pl.Series:
    try:
        return pl.Series(name, pl.from_pandas(column))
    except Exception:
        values = column.astype(object).where(column.notna(), None).tolist()
        return _series(name, values, notes)


def _of_arrow(data: Any, notes: list[str]) -> pl.DataFrame:
    data = data.rename_columns(apart(list(data.schema.names), notes))
    made = pl.from_arrow(data)
    return made.to_frame() if isinstance(made, pl.Series) else made


def _of_stream(reader: Any) -> Input:
    ipc, arrow = require("pyarrow.ipc", "quality"), require("pyarrow", "quality")
    notes: list[str] = []
    names = apart(list(reader.schema.names), notes)
    fields = [each.with_name(name) for each, name in zip(reader.schema, names, strict=True)]
    schema = arrow.schema(fields)
    scratch = tempfile.TemporaryDirectory(prefix="penstock-")
    try:
        path = Path(scratch.name) / "rows.arrow"
        with ipc.new_file(str(path), schema, options=ipc.IpcWriteOptions(compression="lz4")) as writer:
            for batch in reader:
                writer.write_batch(arrow.RecordBatch.from_arrays(batch.columns, schema=schema))
        return Input(pl.scan_ipc(path), notes, scratch=scratch)
    except BaseException:
        scratch.cleanup()
        raise


def _whole(made: Callable[[Any, list[str]], pl.DataFrame], data: Any) -> Input:
    notes: list[str] = []
    return Input(made(data, notes).lazy(), notes)


def _of_pieces(pieces: Iterable[pl.DataFrame], notes: list[str]) -> Input:
    """Frames that follow one another, whose types may differ: numbers of several kinds are floats, and so on."""
    ipc = require("pyarrow.ipc", "quality")
    scratch = tempfile.TemporaryDirectory(prefix="penstock-")
    try:
        paths: list[Path] = []
        schema, writer = None, None
        with ExitStack() as open_files:
            for piece in pieces:
                plain = piece.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))
                rows = plain.to_arrow(compat_level=pl.CompatLevel.oldest())
                if writer is None or rows.schema != schema:
                    open_files.close()
                    schema = rows.schema
                    paths.append(Path(scratch.name) / f"rows-{len(paths)}.arrow")
                    options = ipc.IpcWriteOptions(compression="lz4")
                    writer = open_files.enter_context(ipc.new_file(str(paths[-1]), schema, options=options))
                writer.write_table(rows)
        frames = [pl.scan_ipc(path) for path in paths]
        whole = pl.concat(frames, how="diagonal_relaxed") if frames else pl.LazyFrame()
        return Input(whole, list(dict.fromkeys(notes)), scratch=scratch)
    except BaseException:
        scratch.cleanup()
        raise


def _of_columns(columns: Mapping[str, list[Any]]) -> Input:
    notes: list[str] = []
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise BadData("The columns have different lengths.")
    return Input(pl.DataFrame([_series(name, values, notes) for name, values in columns.items()]).lazy(), notes)


def _series(name: str, values: list[Any], notes: list[str]) -> pl.Series:
    """Values as they are; numbers of several kinds as floats; anything else that is mixed as text."""
    try:
        return pl.Series(name, values, strict=True)
    except (pl.exceptions.PolarsError, TypeError, OverflowError, ValueError):
        pass
    filled = [value for value in values if value is not None]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in filled):
        return pl.Series(name, [None if value is None else float(value) for value in values], dtype=pl.Float64)
    kinds = sorted({type(value).__name__ for value in filled})
    notes.append(f"{name} holds values of several types ({', '.join(kinds)}): it was read as text")
    return pl.Series(name, [None if value is None else str(value) for value in values], dtype=pl.String)


def apart(names: list[str], notes: list[str]) -> list[str]:
    """Names that are all different; a note on those that were not."""
    made: list[str] = []
    for name in names:
        number, different = 0, name
        while different in made:
            different, number = f"{name}_duplicated_{number}", number + 1
        if different != name:
            notes.append(f"there are several columns {name}: one of them is {different} here")
        made.append(different)
    return made


def reading(reader: Callable[[], T]) -> T:
    """Do something with the data.

    Raises:
        BadData: Polars cannot read it.
    """
    try:
        return reader()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, UnicodeDecodeError) as error:
        hint = "look at the first lines of the file; it may be cut off, of another format, or not UTF-8"
        raise BadData(f"The data cannot be read: {first_line(error)}", hint=hint) from error
