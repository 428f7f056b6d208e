"""`penstock dataset`."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Annotated, Any, NamedTuple

import typer

from penstock.cli.console import clean, counted, fitting, text, write, write_json, write_parts
from penstock.cli.dataset_view import (
    record,
    version_record,
    write_dataset,
    write_datasets,
    write_events,
    write_versions,
)
from penstock.cli.frames import records, write_frame
from penstock.cli.help import JSON, Command, Group, examples
from penstock.cli.session import executing, reading
from penstock.cli.units import iso
from penstock.core.calendar.moments import as_seconds
from penstock.core.datasets import KIND, DatasetRead, DatasetWritten, StoredDataset
from penstock.core.errors import ConfigurationError, DatasetNotFound, PenstockError
from penstock.core.plans import stream_of
from penstock.core.ports import Journal
from penstock.core.ports.data import Table, Version
from penstock.engine import datasets
from penstock.engine.addresses import table_at

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
    with reading() as penstock:
        known = penstock.journal.datasets()
    found = [one for one in known if every or one.declared or one.written_at is not None]
    if json:
        write_json({"datasets": [record(one) for one in found]})
    elif not found:
        write(text("There are no datasets yet. Write one: ", ("penstock ingest SOURCE SINK", "cyan")))
    else:
        write_datasets(found)


@app.command(cls=Command, epilog=examples("penstock dataset show orders", "penstock dataset show lake:raw/orders"))
def show(name: Annotated[str, NAME], json: Annotated[bool, JSON] = False) -> None:
    """Show what a dataset is: where, what columns, what was said of it, who wrote and read it last."""
    with reading() as penstock:
        name, known, table = _meant(penstock.journal, name)
        schema = table.schema()
        rows = table.count()
    columns = [{"name": field.name, "type": str(field.type)} for field in schema]
    if json:
        told = record(known) if known is not None else {"name": name, "address": table.address}
        write_json({"dataset": {**told, "rows": rows, "columns": columns}})
        return
    write_dataset(name, known, str(table.place), columns, rows)


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
        table = _meant(penstock.journal, name).table
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
    with reading() as penstock:
        _, known, table = _meant(penstock.journal, name)
        try:
            versions: list[Version] | None = table.history(limit)
        except ConfigurationError:
            versions = None
        events = _events(penstock.journal, known, limit) if known is not None else []
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


def _events(journal: Journal, known: StoredDataset, limit: int) -> list[dict[str, Any]]:
    """Readings and writings on record, the newest first."""
    stream = stream_of(KIND, known.place)
    after = max(0, journal.last_seq(stream) - limit)
    found = []
    for stored in journal.load(stream, after):
        event = stored.event
        if isinstance(event, DatasetWritten):
            counts = {"landed": event.landed, "superseded": event.superseded, "rejected": event.rejected}
            facts = {"what": "written", **counts, "inputs": list(event.inputs)}
        elif isinstance(event, DatasetRead):
            facts = {"what": "read", "rows": event.rows}
        else:
            continue
        found.append({"at": iso(event.at), "at_us": event.at, "run": event.run, "step": event.step, **facts})
    return found[::-1]


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
        done = _meant(penstock.journal, name).table.compact(z_order or ())
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
        files = _meant(penstock.journal, name).table.vacuum(kept, dry_run=dry_run, force=force)
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


class _Meant(NamedTuple):
    """What a name or an address stands for.

    Attributes:
        known: what is on record of it.
    """

    name: str
    known: StoredDataset | None
    table: Table


def _meant(journal: Journal, name: str) -> _Meant:
    """The dataset of a name, or what is at an address.

    Raises:
        DatasetNotFound: it is neither.
    """
    try:
        known = datasets.named(journal, name)
    except DatasetNotFound:
        if not any(sign in name for sign in ":./"):
            raise
        table = table_at(name)
        return _Meant(name, next(iter(journal.datasets(str(table.place))), None), table)
    if not known.address:
        raise ConfigurationError(
            f"It is not on record how {known.name} is read.",
            hint="give its address, such as lake:raw/orders, or declare it: Dataset(NAME, ADDRESS)",
        )
    return _Meant(known.name, known, table_at(known.address, known.spec.get("options")))


command = typer.main.get_command(app)
