"""Rows of a query as text on stdout, or in a file that appears whole."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import msgspec

from penstock.cli.console import clean
from penstock.cli.frames import plain
from penstock.core.errors import ConfigurationError, SinkUnavailable

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

Batches = Iterator[Any]


def told_apart(batches: Batches) -> Batches:
    """The same rows, where no two columns have one name: the second `id` is `id_2`."""
    names: list[str] | None = None
    for batch in batches:
        if names is None:
            names = _names(batch.schema.names)
        yield batch.rename_columns(names) if names != batch.schema.names else batch


def _names(given: list[str]) -> list[str]:
    made: list[str] = []
    for name in given:
        number, unique = 2, name
        while unique in made or (unique != name and unique in given):
            unique = f"{name}_{number}"
            number += 1
        made.append(unique)
    return made


def _rows(batches: Batches) -> Iterator[list[Any]]:
    for batch in batches:
        yield from map(list, zip(*(column.to_pylist() for column in batch.columns), strict=True))


def write_csv(batches: Batches, out: TextIO) -> None:
    """Write rows as CSV, with the names in the first line; nothing and an empty text are both empty."""
    writer = csv.writer(out, lineterminator="\n")
    first = next(batches)
    writer.writerow(first.schema.names)
    for batch in _again(first, batches):
        writer.writerows([_csv_cell(value) for value in row] for row in _rows(iter([batch])))


def _csv_cell(value: Any) -> Any:
    told = plain(value)
    return json.dumps(told, ensure_ascii=False) if isinstance(told, (list, dict)) else told


def write_ndjson(batches: Batches, out: TextIO) -> None:
    """Write each row as a line of JSON."""
    for batch in batches:
        for row in _rows(iter([batch])):
            out.write(_json(batch.schema.names, row) + "\n")


def write_json_array(batches: Batches, out: TextIO) -> None:
    """Write rows as one JSON array, a line for each."""
    out.write("[")
    before = "\n"
    for batch in batches:
        for row in _rows(iter([batch])):
            out.write(before + _json(batch.schema.names, row))
            before = ",\n"
    out.write("\n]\n")


def _json(names: list[str], row: list[Any]) -> str:
    values = {name: plain(value) for name, value in zip(names, row, strict=True)}
    return msgspec.json.encode(values).decode()


def write_markdown(batches: Batches, out: TextIO) -> None:
    """Write rows as a table of Markdown."""
    first = next(batches)
    out.write(_line(first.schema.names))
    out.write("|" + "|".join(" --- " for _ in first.schema.names) + "|\n")
    for row in _rows(_again(first, batches)):
        out.write(_line(["" if value is None else plain(value) for value in row]))


def _line(cells: list[Any]) -> str:
    return "| " + " | ".join(clean(cell).replace("\\", "\\\\").replace("|", "\\|") for cell in cells) + " |\n"


def _again(first: Any, others: Batches) -> Batches:
    yield first
    yield from others


WRITERS: dict[str, Callable[[Batches, TextIO], None]] = {
    "csv": write_csv,
    "json": write_json_array,
    "ndjson": write_ndjson,
    "markdown": write_markdown,
}


def export_format(path: Path) -> Any:
    """What a file's name says of its format.

    Raises:
        ConfigurationError: it says nothing.
    """
    from penstock.connectors.files import FileExport

    if path.is_dir():
        raise ConfigurationError(f"{path} is a folder.", hint="name a file in it: rows.csv, .json, .ndjson or .parquet")
    return FileExport(path)


def export(path: Path, batches: Batches) -> tuple[int, int]:
    """Write rows to a file, which appears when it is whole; how many there were, and its size in bytes."""
    from penstock.connectors.files.writing import write

    like = export_format(path)
    first = next(batches)
    rows = 0

    def tables() -> Iterator[Any]:
        nonlocal rows
        for batch in _again(first, batches):
            rows += batch.num_rows
            yield pa.Table.from_batches([batch])

    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        size = write(str(part), tables(), first.schema, format=like.format, packing=like.packing)
        os.replace(part, path)
    except OSError as error:
        raise SinkUnavailable(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        with suppress(OSError):
            part.unlink()
    return rows, size
