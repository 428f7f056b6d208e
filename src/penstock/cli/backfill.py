"""`penstock backfill`."""

from __future__ import annotations

import time
from collections import Counter
from threading import Thread
from typing import Annotated, Any

import typer
from rich.text import Text

from penstock.cli.backfill_view import Bar, Lines, ended_of, show_of
from penstock.cli.console import (
    Column,
    answer_in_json,
    clean,
    colour,
    counted,
    glyph,
    text,
    write,
    write_json,
    write_parts,
    write_table,
)
from penstock.cli.duty import heard
from penstock.cli.help import JSON, Command, Group, examples
from penstock.cli.parameters import given_parameters
from penstock.cli.plans import obstacle
from penstock.cli.serve import environment
from penstock.cli.session import executing, named_flow, profile_parameters, reading
from penstock.cli.summary import advice
from penstock.cli.units import age, in_zone, iso
from penstock.core.errors import JournalUnavailable, PlanNotFound
from penstock.core.events import now_us
from penstock.core.model import Backfill
from penstock.core.partitions import TimePartitions
from penstock.core.ports import Journal
from penstock.orchestrator import backfill as backfills
from penstock.orchestrator.services import scheduling, stopping
from penstock.orchestrator.worker import PoolWorker, WorkerOptions, work

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)
_LOOK_SECONDS = 0.2


@app.callback()
def _backfill() -> None:
    """Run a flow for many partitions, a few at a time."""


@app.command(
    cls=Command,
    epilog=examples(
        "penstock backfill run flow.py:daily_sales --from 2026-01-01 --to 2026-02-01  # a month of days",
        "penstock backfill run flow.py:daily_sales --from 2026-01-01 --only-failed  # what went wrong",
        "penstock backfill run flow.py:per_country --key no --key se  # these partitions",
        "penstock backfill run flow.py:daily_sales --from 2026-01-01 --pool big  # by the workers of a pool",
    ),
)
def run(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="FILE.py[:FLOW] or MODULE[:FLOW].")],
    first: Annotated[str | None, typer.Option("--from", metavar="TIME", help="From this day or time on.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Before this day or time; now.")] = None,
    key: Annotated[list[str] | None, typer.Option(metavar="KEY", help="This partition; may be repeated.")] = None,
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", metavar="NAME=VALUE", help="A parameter of every run.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, metavar="N", help="So many runs at once.")] = 4,
    reverse: Annotated[bool, typer.Option("--reverse", help="Newest first.")] = False,
    only_failed: Annotated[
        bool, typer.Option("--only-failed", help="Those whose latest run did not complete.")
    ] = False,
    missing: Annotated[bool, typer.Option("--missing", help="Those that were never run.")] = False,
    pool: Annotated[
        str | None, typer.Option(metavar="POOL", help="Leave the runs to the workers of this pool.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which partitions they are.")] = False,
    json: Annotated[bool, JSON] = False,
) -> int:
    """Run a flow for each partition of a time, or for these keys.

    It can be stopped at any time: `penstock backfill resume ID` goes on with what is left.

    Exit codes: 0 all completed, 1 some did not, 2 a mistake.
    """
    if json:
        answer_in_json()
    with reading() if dry_run else executing() as penstock:
        flow = named_flow(target)
        chosen = backfills.chosen_partitions(
            penstock.journal, flow, first=first, last=last, keys=key or (), only_failed=only_failed,
            only_missing=missing, reverse=reverse,
        )  # fmt: skip
        if dry_run:
            return _show_partitions(flow, chosen, json)
        made = backfills.create(
            penstock.journal, flow, chosen, concurrency=concurrency, pool=pool,
            parameters=given_parameters(flow, param or (), profile=profile_parameters(flow.name)),
        )  # fmt: skip
        if pool is not None:
            if json:
                write_json(_told(made, backfills.counts_of(penstock.journal, made.id)))
            else:
                write(f"{made.id}: {counted(made.partitions, 'run')} for the workers of {clean(pool)}.")
                trouble = obstacle(penstock.journal, pool, made.id, now_us())
                write_parts([[(trouble[0], "")], *advice([(trouble[1], "")])] if trouble is not None else [])
            return 0
        return _work(penstock, made, json)


@app.command(cls=Command, epilog=examples("penstock backfill resume backfill-1a2b3c4d"))
def resume(
    backfill_id: Annotated[str, typer.Argument(metavar="ID", help="Of the backfill.")],
    json: Annotated[bool, JSON] = False,
) -> int:
    """Go on with a backfill that was stopped: what has ended stays, the rest is run."""
    if json:
        answer_in_json()
    with executing() as penstock:
        return _work(penstock, backfills.complete(penstock.journal, backfill_id), json)


@app.command("list", cls=Command, epilog=examples("penstock backfill list"))
def list_(json: Annotated[bool, JSON] = False) -> None:
    """List backfills, newest first."""
    with reading() as penstock:
        found = [(each, backfills.counts_of(penstock.journal, each.id)) for each in penstock.journal.backfills()]
    if json:
        write_json([_told(each, counts) for each, counts in found])
        return
    if not found:
        write("There are no backfills yet.")
        return
    now = now_us()
    rows: list[list[Text | str]] = [
        [
            text((f"{glyph(each.state)} {each.state}", colour(each.state))),
            text(each.id),
            text(clean(each.flow)),
            f"{counts['Completed']}/{each.partitions}",
            age(each.created_at, now),
        ]
        for each, counts in found
    ]
    write_table([Column("state"), Column("id"), Column("flow"), Column("completed"), Column("started")], rows)


@app.command(cls=Command, epilog=examples("penstock backfill cancel backfill-1a2b3c4d"))
def cancel(
    backfill_id: Annotated[str, typer.Argument(metavar="ID", help="Of the backfill.")],
    json: Annotated[bool, JSON] = False,
) -> None:
    """Cancel what is left of a backfill; completed runs stay."""
    with executing() as penstock:
        number = backfills.cancel(penstock.journal, backfill_id)
        if json:
            write_json({"id": backfill_id, "cancelled": number})
        else:
            write(f"Cancelled {counted(number, 'run')} of {clean(backfill_id)}.")


def _show_partitions(flow: Any, chosen: list[Any], json: bool) -> int:
    if json:
        write_json([{"key": each.key, "start": iso(each.start), "end": iso(each.end)} for each in chosen])
        return 0
    if not chosen:
        write("There is no partition to run.")
        return 0
    zone = flow.partitions.spec.timezone if isinstance(flow.partitions, TimePartitions) else "UTC"
    rows: list[list[Text | str]] = [
        [clean(each.key), *("" if at is None else in_zone(at, zone) for at in (each.start, each.end))]
        for each in chosen
    ]
    timed = any(each.start is not None for each in chosen)
    columns = [Column("partition"), *([Column("from"), Column("before")] if timed else [])]
    write_table(columns, [row[: len(columns)] for row in rows])
    return 0


def _told(backfill: Backfill, counts: Any) -> dict[str, Any]:
    return {
        "id": backfill.id,
        "flow": backfill.flow,
        "state": backfill.state,
        "partitions": backfill.partitions,
        "pool": backfill.pool,
        "concurrency": backfill.slots,
        "runs": dict(counts),
        "created_at": iso(backfill.created_at),
        "ended_at": iso(backfill.ended_at),
    }


def _work(penstock: Any, made: Backfill, json: bool) -> int:
    """Be the worker of its pool until all its runs have ended."""
    journal = penstock.journal
    if made.pool != made.id:
        start = "penstock worker start" + ("" if made.pool == "default" else f" --pool {made.pool}")
        raise PlanNotFound(f"The runs of {made.id} are left to the workers of {made.pool}.", hint=f"start one: {start}")
    options = WorkerOptions(
        pool=made.pool,
        slots=made.slots,
        lease_seconds=penstock.settings.lease_seconds,
        environment=environment(silent=True),
    )
    show = show_of(made, quiet=json)
    worker = PoolWorker(journal, options, show.told)
    with heard(show.said), scheduling(penstock), stopping(worker):
        thread = work(worker)
        show.start()
        try:
            _attend(journal, made, worker, thread, show)
        finally:
            worker.stop(now=True)
            thread.join()
            show.stop()
    made = backfills.settle(journal, made.id)
    counts = backfills.counts_of(journal, made.id)
    if json:
        write_json(_told(made, counts))
    else:
        _sum_up(made, counts)
    return 0 if made.state == "Completed" else 1


def _attend(journal: Journal, made: Backfill, worker: PoolWorker, thread: Thread, show: Bar | Lines) -> None:
    """Look now and then at how far it is, and stop the worker when nothing is left."""
    next_look = 0.0
    while thread.is_alive():
        began = time.monotonic()
        if began >= next_look:
            try:
                show.counts = backfills.counts_of(journal, made.id)
                if ended_of(show.counts) >= made.partitions or backfills.find(journal, made.id).ended:
                    worker.stop()
            except JournalUnavailable:  # the worker says so, and tries again
                pass
            next_look = time.monotonic() + max(_LOOK_SECONDS, 20 * (time.monotonic() - began))
        thread.join(_LOOK_SECONDS)


def _sum_up(made: Backfill, counts: Counter[str]) -> None:
    state = made.state
    told = f"{counts['Completed']:,} of {counted(made.partitions, 'partition')} completed"
    if not made.ended:
        write(text((f"{glyph('Paused')} ", colour("Paused")), f"{made.id} was stopped: {told}."))
        write_parts([[], *advice([(f"penstock backfill resume {made.id}", "go on with what is left")])])
        return
    write(text((f"{glyph(state)} {made.id} {state.lower()}", f"bold {colour(state)}"), f": {told}."))
    if state == "Failed":
        ways = [(f"penstock runs list --tag backfill:{made.id}", "its runs")]
        ways.append((f"penstock runs list --flow {clean(made.flow)} --state failed", "what failed, and why"))
        ways.append(("penstock backfill run ... --only-failed", "those again, when it is mended"))
        write_parts([[], *advice(ways)])


command = typer.main.get_command(app)
