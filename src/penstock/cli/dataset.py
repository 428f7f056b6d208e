"""`penstock dataset`."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Annotated

import typer

from penstock.cli.console import clean, counted, fitting, text, write, write_json, write_parts
from penstock.cli.dataset_desk import meant
from penstock.cli.dataset_view import (
    version_record,
    write_dataset,
    write_datasets,
    write_events,
    write_versions,
)
from penstock.cli.desk import at_desk
from penstock.cli.frames import records, write_frame
from penstock.cli.help import JSON, Command, Group, examples
from penstock.cli.session import executing, reading
from penstock.core.calendar.moments import as_seconds
from penstock.core.errors import ConfigurationError, PenstockError
from penstock.core.ports.tables import Table
from penstock.engine import datasets
from penstock.orchestrator.plan_records import dataset_record

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)


def complete_dataset(incomplete: str) -> list[str]:
    """Datasets for the shell's completion."""
    with suppress(PenstockError, OSError), reading() as penstock:
        return [one.name for one in penstock.journal.datasets() if one.name.startswith(incomplete)]
    return []


NAME = typer.Argument(
    metavar="DATASET",
    help="Its name, or an address such as lake:raw/orders.",
    autocompletion=complete_dataset,
    show_default=False,
)


@app.callback()
def _datasets() -> None:
    """List datasets, and look at them: what is in them, who wrote them, and how they became what they are.

    A dataset is on record when a flow, `penstock ingest` or a Dataset has read or written it. What has not been is
    looked at by its address.
    """


@app.command(
    "list", cls=Command, epilog=examples("penstock dataset list", "penstock dataset list --json  # for scripts")
)
def list_datasets(
    every: Annotated[bool, typer.Option("--all", help="Also those that are only read.")] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """List the datasets on record, with what was written to them last."""
    with at_desk() as desk:
        known = desk.journal.datasets()
    found = [one for one in known if every or one.declared or one.written_at is not None]
    if json:
        write_json({"datasets": [dataset_record(one) for one in found]})
    elif not found:
        write(text("There are no datasets yet. Write one: ", ("penstock ingest SOURCE SINK", "cyan")))
    else:
        write_datasets(found)


@app.command(cls=Command, epilog=examples("penstock dataset show orders", "penstock dataset show lake:raw/orders"))
def show(name: Annotated[str, NAME], json: Annotated[bool, JSON] = False) -> None:
    """Show what a dataset is: where, what columns, what was said of it, who wrote and read it last."""
    with at_desk() as desk:
        name, known, address, place, columns, rows = desk.datasets.seen(name)
    if json:
        told = dataset_record(known) if known is not None else {"name": name, "address": address}
        write_json({"dataset": {**told, "rows": rows, "columns": columns}})
        return
    write_dataset(name, known, place, columns, rows)


@app.command(
    cls=Command,
    epilog=examples(
        "penstock dataset preview orders",
        "penstock dataset preview lake:raw/orders --where \"day = '2026-01-31'\" --rows 5",
        "penstock dataset preview orders --rejected  # what could not land, and why",
    ),
)
def preview(
    name: Annotated[str, NAME],
    rows: Annotated[int, typer.Option("--rows", "-n", metavar="N", min=1, max=100_000, help="So many.")] = 10,
    column: Annotated[
        list[str] | None, typer.Option("--column", "-c", metavar="COLUMN", help="These only; may be repeated.")
    ] = None,
    where: Annotated[str | None, typer.Option(metavar="SQL", help="Rows for which this holds.")] = None,
    version: Annotated[str | None, typer.Option(metavar="VERSION", help="As they were then.")] = None,
    rejected: Annotated[bool, typer.Option("--rejected", help="Of its quarantine.")] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Show the first rows of a dataset."""
    with reading() as penstock:
        table = meant(penstock.journal, name).table
        if rejected:
            from penstock.core.rows import first_rows

            found = first_rows(table.rejected(), rows).read_all()
        else:
            found = table.read(column, where, rows, version).read_all()
        whole = None if rejected or where else _counted(table)
    if json:
        write_json({"rows": records(found)})
    elif not found.num_rows:
        write("Nothing was rejected." if rejected else "There are no such rows." if where else "There are no rows.")
    else:
        shown = counted(found.num_rows, "row")
        write_frame(found, f"{shown} of {whole:,}" if whole is not None and whole > found.num_rows else shown)


def _counted(table: Table) -> int | None:
    with suppress(PenstockError):
        return table.count()
    return None


@app.command(
    cls=Command, epilog=examples("penstock dataset history orders", "penstock dataset history orders --limit 5 --json")
)
def history(
    name: Annotated[str, NAME],
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="At most so many.")] = 20,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Show how a dataset became what it is: its versions, or what is on record of readings and writings."""
    with at_desk() as desk:
        versions, events = desk.datasets.history(name, limit)
    if json:
        write_json({"versions": None if versions is None else list(map(version_record, versions)), "events": events})
        return
    if versions is not None:
        write_versions(versions)
    if events and versions is not None:
        write()
    write_events(events)
    if not events and not versions:
        write("Nothing is known of it.")


@app.command(
    cls=Command,
    epilog=examples(
        "penstock dataset compact orders", "penstock dataset compact orders --z-order customer_id --z-order day"
    ),
)
def compact(
    name: Annotated[str, NAME],
    z_order: Annotated[
        list[str] | None, typer.Option("--z-order", metavar="COLUMN", help="Rows near in these lie together.")
    ] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Make few large files of many small ones, so that reading is quick."""
    with reading() as penstock:
        done = meant(penstock.journal, name).table.compact(z_order or ())
    if json:
        write_json({"dataset": name, "done": done})
    else:
        write_parts([[(fitting("✓ "), "green"), (f"{clean(name)}: {done}", "")]])


@app.command(
    cls=Command,
    epilog=examples(
        "penstock dataset vacuum orders --dry-run  # which files it would delete",
        "penstock dataset vacuum orders --keep 14d",
    ),
)
def vacuum(
    name: Annotated[str, NAME],
    keep: Annotated[str, typer.Option(metavar="TIME", help="Versions of this time can still be read.")] = "7d",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Less than the table's own rule.")] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Delete files that no version needs which was the latest within a time; older versions cannot be read then."""
    try:
        kept = timedelta(seconds=as_seconds(keep))
    except ValueError:
        raise ConfigurationError(f"--keep {keep!r} is no length of time.", hint="such as 7d or 36h") from None
    with reading() as penstock:
        files = meant(penstock.journal, name).table.vacuum(kept, dry_run=dry_run, force=force)
    if json:
        write_json({"dataset": name, "deleted": not dry_run, "files": files})
        return
    for file in files if dry_run else ():
        write(clean(file))
    write(f"{'Would delete' if dry_run else 'Deleted'} {counted(len(files), 'file')}.")


@app.command(cls=Command, epilog=examples("penstock dataset forget orders"))
def forget(name: Annotated[str, NAME], json: Annotated[bool, JSON] = False) -> None:
    """Take a dataset off the list. What is in it stays, and so does what is on record of it."""
    with executing() as penstock:
        known = datasets.named(penstock.journal, name)
        datasets.forget(penstock.journal, known)
    if json:
        write_json({"forgotten": known.name})
    else:
        write(f"{clean(known.name)} is on the list no more; what is in it stays.")


command = typer.main.get_command(app)
