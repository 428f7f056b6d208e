"""`penstock sql`."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from penstock.cli.console import answer_in_json, counted, fitting, say, text, write, write_json
from penstock.cli.frames import records, write_frame
from penstock.cli.help import JSON, QUIET, Command, Group, examples
from penstock.cli.sql_formats import WRITERS, export, export_format, told_apart
from penstock.cli.sql_text import checked, query_of, writes
from penstock.cli.units import duration
from penstock.core.errors import ConfigurationError, DatasetNotFound, PenstockError

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)
_SHOWN = 100
_DIM = "bright_black"
_FORMATS = ("table", *WRITERS)
_NAME = re.compile(r"[\w-]+")
_READ_ONLY = re.compile("read-only (mode|transaction)|data-modifying statements")


class Place(NamedTuple):
    """Where a query is executed.

    Attributes:
        ask: gives the rows of a query.
        execute: executes a statement that writes; None where that cannot be.
        close: when all is done.
    """

    ask: Callable[[str, list[str]], Iterator[Any]]
    execute: Callable[[str, list[str]], int] | None
    close: Callable[[], None]


@app.command(
    "sql",
    cls=Command,
    epilog=examples(
        "penstock sql 'SELECT * FROM analytics.daily_revenue'  # of the project's warehouse",
        "penstock sql 'SELECT count(*) FROM raw.orders' --on lake:lake  # tables of a lake, by name",
        "penstock sql --file top.sql --value 2026-01-31 --on duckdb:shop.duckdb  # a query from a file; $1 is a value",
        "penstock sql 'SELECT * FROM raw_data.orders' --output orders.parquet  # into a file",
        'penstock sql "DELETE FROM raw_data.orders WHERE id = 7" --write  # a statement that writes',
    ),
)
def run(
    query: Annotated[
        str | None, typer.Argument(metavar="QUERY", help="In SQL; - reads it from standard input.")
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            "--on", metavar="WHERE", help="duckdb:FILE, postgresql://..., lake:FOLDER, or the name of a connection."
        ),
    ] = None,
    file: Annotated[Path | None, typer.Option(metavar="FILE", help="Read the query from this file.")] = None,
    value: Annotated[
        list[str] | None, typer.Option(metavar="VALUE", help="What $1 stands for; the next one is $2.")
    ] = None,
    format: Annotated[str, typer.Option(metavar="FORMAT", help=f"{', '.join(_FORMATS)}.")] = "table",
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all rows to this file: csv, json, ndjson, parquet.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(metavar="ROWS", min=0, help=f"So many rows at most; a table shows {_SHOWN}. 0 is all."),
    ] = None,
    allow_writing: Annotated[bool, typer.Option("--write", help="Let the statement change the warehouse.")] = False,
    quiet: Annotated[bool, QUIET] = False,
    json: Annotated[bool, JSON] = False,
) -> int:
    """Ask the warehouse, or the tables of a lake, and show the rows.

    Nothing can be changed by it, unless it is called with --write. Values come after the query, with --value, and are
    never part of it.
    """
    if json:
        answer_in_json()
    if format not in _FORMATS:
        raise ConfigurationError(f"There is no format {format!r}.", hint=f"there are: {', '.join(_FORMATS)}")
    if output is not None:
        export_format(output)
    sql = checked(query_of(query, file))
    writing = writes(sql)
    if writing and not allow_writing:
        raise ConfigurationError(
            f"{writing} begins no query, and this only reads.",
            hint="add --write to execute a statement that changes something",
        )
    place = place_at(on, read_only=not allow_writing)
    began = time.monotonic()
    try:
        if writing:
            _execute(place, sql, list(value or ()), began, json)
        elif output is not None:
            _export(place, sql, list(value or ()), output, limit, began, quiet, json)
        else:
            _show(place, sql, list(value or ()), format, limit, began, json)
    except PenstockError as error:
        if not allow_writing and _READ_ONLY.search(error.message):
            raise ConfigurationError(
                f"This changes something, and it was only to read: {error.message}", hint="add --write if it is meant"
            ) from error
        raise
    finally:
        place.close()
    return 0


command = typer.main.get_command(app)


def place_at(on: str | None, *, read_only: bool) -> Place:
    """Where the query is executed.

    Raises:
        DatasetNotFound: there is nothing there.
    """
    if on is not None and on.partition(":")[0] == "lake":
        return _lake(on.partition(":")[2] or "lake")
    return _warehouse(on, read_only)


def _lake(folder: str) -> Place:
    from penstock.stores.lake import Lake
    from penstock.stores.warehouse.over_arrow import OverArrow

    if "://" not in folder and not Path(folder).is_dir():
        raise DatasetNotFound(f"There is no lake in {folder}.", hint="name its folder: --on lake:FOLDER")
    lake = Lake(folder)
    tables = OverArrow(lake.names(), lake.dataset)
    return Place(tables.stream, None, lambda: None)


def _warehouse(on: str | None, read_only: bool) -> Place:
    from penstock.stores.warehouse import Warehouse
    from penstock.stores.warehouse.opening import url_of

    where: Any = on
    if on is not None and _NAME.fullmatch(on) and not Path(on).exists():
        where = _connection(on)
    else:
        scheme, _, rest = url_of(on or None).partition(":")
        if scheme == "duckdb" and rest and not Path(rest).is_file():
            hint = "write to it first, such as with penstock ingest, or name another: --on duckdb:FILE"
            raise DatasetNotFound(f"There is no warehouse {rest}.", hint=hint)
    warehouse = Warehouse(where or None, read_only=read_only)
    return Place(warehouse.stream, warehouse.execute, warehouse.close)


def _connection(name: str) -> Any:
    """A saved connection."""
    from penstock.cli.session import reading
    from penstock.core.connections import Connection
    from penstock.orchestrator.shelves import shelf_of

    with reading() as penstock:
        return shelf_of(penstock).load(name, Connection)


def _execute(place: Place, sql: str, values: list[str], began: float, json: bool) -> None:
    if place.execute is None:
        raise ConfigurationError(
            "The tables of a lake are not written in SQL.", hint="penstock ingest and flows write them"
        )
    rows = place.execute(sql, values)
    if json:
        write_json({"rows": rows, "seconds": round(time.monotonic() - began, 3)})
    else:
        write(text((f"{counted(rows, 'row')} written · {_took(began)}".replace("·", fitting("·")), _DIM)))


def _show(place: Place, sql: str, values: list[str], format: str, limit: int | None, began: float, json: bool) -> None:
    if format == "table" and not json:
        most = _SHOWN if limit is None else limit
        rows, more = _first(place.ask(sql, values), most or None)
        told = f"the first {counted(most, 'row')}; there are more (--limit 0 shows all)" if more else ""
        told = told or counted(rows.num_rows, "row")
        write_frame(rows, f"{told} {fitting('·')} {_took(began)}")
        return
    batches = told_apart(_limited(place.ask(sql, values), limit or None))
    if json:
        rows = pa.Table.from_batches(list(batches))
        columns = [{"name": field.name, "type": str(field.type)} for field in rows.schema]
        write_json({"columns": columns, "rows": records(rows), "seconds": round(time.monotonic() - began, 3)})
    else:
        WRITERS[format](batches, sys.stdout)


def _export(
    place: Place, sql: str, values: list[str], output: Path, limit: int | None, began: float, quiet: bool, json: bool
) -> None:
    rows, size = export(output, told_apart(_limited(place.ask(sql, values), limit or None)))
    if json:
        told = {"file": str(output), "rows": rows, "bytes": size, "seconds": round(time.monotonic() - began, 3)}
        write_json(told)
    elif not quiet:
        say(f"{counted(rows, 'row')} in {output} {fitting('·')} {_took(began)}")


def _first(batches: Iterator[Any], most: int | None) -> tuple[pa.Table, bool]:
    """So many rows, and whether there are more of them; no more is read than it takes to know."""
    taken: list[Any] = []
    rows = 0
    for batch in batches:
        taken.append(batch)
        rows += batch.num_rows
        if most is not None and rows > most:
            break
    found = pa.Table.from_batches(taken)
    return (found.slice(0, most), True) if most is not None and rows > most else (found, False)


def _limited(batches: Iterator[Any], most: int | None) -> Iterator[Any]:
    left = most
    for batch in batches:
        if left is None:
            yield batch
            continue
        yield batch.slice(0, left)
        left -= min(left, batch.num_rows)
        if not left:
            return


def _took(began: float) -> str:
    return duration(int((time.monotonic() - began) * 1_000_000))
