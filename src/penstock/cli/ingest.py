"""`penstock ingest`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from penstock.cli.bars import show_of
from penstock.cli.console import answer_in_json, clean, counted, fitting, glyph, text, write, write_json
from penstock.cli.help import JSON, QUIET, Command, Group, examples
from penstock.cli.ingest_view import facts_of
from penstock.cli.session import executing
from penstock.cli.signals import until_told
from penstock.cli.units import duration, size
from penstock.core.addresses import options_of
from penstock.data import Progress, ingest
from penstock.data.recording import TableSink
from penstock.engine.addresses import source_at, table_at

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)
_MICROSECONDS = 1_000_000


@app.command(
    "ingest",
    cls=Command,
    epilog=examples(
        "penstock ingest 'orders/*.csv' lake:raw/orders  # files into the lake",
        "penstock ingest orders.csv 'duckdb:shop.duckdb#raw_data.orders' --key id  # one row for each id",
        "penstock ingest 'postgresql://localhost/shop#public.orders' orders.parquet  # a table into a file",
        "penstock ingest https://api.example/orders lake:raw/orders -f records=data.items  # an HTTP API",
        "penstock ingest 'logs/*.ndjson.gz' lake:raw/clicks --follow  # until Ctrl-C",
    ),
)
def run(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Where from: a path, or SCHEME:REST#TABLE.")],
    sink: Annotated[str, typer.Argument(metavar="SINK", help="Where to: a path, or SCHEME:REST#TABLE.")],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the pipe; how far it has come is kept under it.")
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Keep one row for each key; may be repeated.")
    ] = None,
    mode: Annotated[str | None, typer.Option(metavar="MODE", help="append, merge, replace, history.")] = None,
    from_option: Annotated[
        list[str] | None, typer.Option("--from-option", "-f", metavar="NAME=VALUE", help="For the source.")
    ] = None,
    to_option: Annotated[
        list[str] | None, typer.Option("--to-option", "-t", metavar="NAME=VALUE", help="For the sink.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, until Ctrl-C.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Read everything again.")] = False,
    quiet: Annotated[bool, QUIET] = False,
    json: Annotated[bool, JSON] = False,
) -> int:
    """Bring data from a source into a sink; each record lands once.

    Stopped or killed at any moment and called again, it goes on where the last commit left off. What cannot land is
    kept beside the table, with the reason; rows read = rows landed + rows rejected, always.
    """
    if json:
        answer_in_json()
    to = options_of(to_option or ())
    if key:
        to["keys"] = ",".join(key)
        to.setdefault("mode", "merge")
    if mode is not None:
        to["mode"] = mode
    out_of = options_of(from_option or ())
    if follow:
        out_of["follow"] = "true"
    into = TableSink(table_at(sink, to))
    with executing(), source_at(source, out_of) as reading, until_told() as stop:
        arrow = (fitting(" → "), "bright_black")
        show = show_of(clean(reading.place), arrow, clean(into.place), quiet=quiet or json)

        def tell(progress: Progress) -> None:
            if not progress.done:
                show.tell(facts_of(progress), progress.fraction)

        show.start()
        try:
            done = ingest(reading, into, name=name, restart=restart, stop=stop, on_progress=tell)
        finally:
            show.stop()
    if json:
        write_json(_told(done))
    else:
        _write(done, quiet)
    return 0


command = typer.main.get_command(app)


def _told(done: Progress) -> dict[str, Any]:
    return {
        "pipe": done.pipe,
        **asdict(done.counts),
        "batches": done.batches,
        "bytes_read": done.bytes_read,
        "bytes_written": done.bytes_written,
        "seconds": round(done.seconds, 3),
        "version": done.version,
    }


def _write(done: Progress, quiet: bool) -> None:
    counts = done.counts
    parts = [f"{counted(counts.read, 'row')} read", f"{counts.landed:,} landed"]
    if counts.superseded:
        parts.append(f"{counts.superseded:,} superseded")
    parts.append(f"{counts.rejected:,} rejected")
    if not counts.read:
        parts = ["nothing new"]
    sign = glyph("Completed")
    write(text((f"{sign} ", "green"), fitting(" · ").join(parts)))
    if quiet or not counts.read:
        return
    told = [duration(int(done.seconds * _MICROSECONDS)), f"{done.rows_per_second:,.0f} rows/s"]
    if done.bytes_read:
        told.append(f"{size(done.bytes_read)} read")
    if done.bytes_written:
        told.append(f"{size(done.bytes_written)} written")
    if done.version:
        told.append(f"version {done.version}")
    write(text((f"  {fitting(' · ').join(told)}", "bright_black")))
