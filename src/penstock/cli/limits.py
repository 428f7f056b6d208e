"""`penstock limits`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.cli.console import Column, clean, counted, text, write, write_json, write_table
from penstock.cli.desk import at_desk
from penstock.cli.help import JSON, Command, Group, examples
from penstock.cli.session import executing, reading, short
from penstock.cli.units import age, iso
from penstock.core.errors import ConfigurationError, PenstockError
from penstock.core.events import now_us
from penstock.core.model import Limit, Run, Ticket
from penstock.core.ports import Journal
from penstock.engine.limits.declared import declare_limit, delete_limit, find_limit, limits_in
from penstock.orchestrator.plan_records import limit_record

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)
_DIM = "bright_black"
_MOST_SHOWN = 50


def complete_limit(incomplete: str) -> list[str]:
    """Limits for the shell's completion."""
    with suppress(PenstockError, OSError), reading() as penstock:
        names = [limit.name for limit in penstock.journal.limits(counted=False)]
        return [name for name in names if name.startswith(incomplete) and name == clean(name)]
    return []


LIMIT = typer.Argument(metavar="LIMIT", help="Its name.", autocompletion=complete_limit, show_default=False)


@app.callback()
def _limits() -> None:
    """Say how much may happen at once, or in a second, over all runs and machines of a journal.

    A limit has slots, which `with concurrency("NAME")` holds, or a rate, which `rate_limit("NAME")` keeps to, or both.
    The limit `tag:NAME` holds for every task with the tag NAME, without a change of its code.
    """


@app.command("list", cls=Command, epilog=examples("penstock limits list", "penstock limits list --json  # for scripts"))
def list_limits(json: Annotated[bool, JSON] = False) -> None:
    """List limits, with how many slots are taken and how many wait."""
    with at_desk() as desk:
        found = desk.journal.limits()
    if json:
        write_json({"limits": [limit_record(limit) for limit in found]})
    elif not found:
        write(text("There are no limits yet. Set one: ", ("penstock limits set database 3", "cyan")))
    else:
        _write(found)


def _write(found: list[Limit]) -> None:
    columns = [
        Column("limit", least=8),
        Column("slots", right=True),
        Column("taken", right=True),
        Column("waiting", right=True),
        Column("rate", leaves=1),
    ]
    write_table(columns, [_row(limit) for limit in found])


def _row(limit: Limit) -> list[Any]:
    full = limit.slots is not None and limit.taken >= limit.slots
    return [
        clean(limit.name),
        text(f"{limit.slots:,}" if limit.slots is not None else ("none", _DIM)),
        text((f"{limit.taken:,}" if limit.slots is not None else "", "yellow" if full else "")),
        text((f"{limit.waiting:,}" if limit.slots is not None else "", "yellow" if limit.waiting else "")),
        _rate(limit),
    ]


def _rate(limit: Limit) -> str:
    if limit.per_second is None:
        return ""
    burst = f", {limit.burst:,} at once" if limit.burst > 1 else ""
    return f"{limit.per_second:,g} a second{burst}"


@app.command(
    cls=Command, epilog=examples("penstock limits show database  # who holds its slots, and who waits for them")
)
def show(name: Annotated[str, LIMIT], json: Annotated[bool, JSON] = False) -> None:
    """Show a limit, the runs and steps that hold its slots, and those that wait."""
    with reading() as penstock:
        journal, now = penstock.journal, now_us()
        limit = find_limit(journal, name)
        tickets = [ticket for ticket in journal.tickets(name) if not ticket.lost(now)]
        runs = {run_id: journal.run(run_id) for run_id in {ticket.run_id for ticket in tickets[:_MOST_SHOWN]}}
    holding = _holding(limit, tickets)
    if json:
        listed = [_ticket_record(ticket, ticket.id in holding) for ticket in tickets]
        write_json({"limit": limit_record(limit), "tickets": listed})
        return
    _write([limit])
    if tickets:
        write()
        _write_tickets(tickets, holding, runs, now)


def _holding(limit: Limit, tickets: list[Ticket]) -> set[int]:
    """The tickets that hold their slots."""
    found, taken = set(), 0
    for ticket in tickets:
        taken += ticket.occupy
        if limit.slots is not None and taken > limit.slots:
            break
        found.add(ticket.id)
    return found


def _ticket_record(ticket: Ticket, holds: bool) -> dict[str, Any]:
    return {
        "ticket": ticket.id,
        "holds": holds,
        "run_id": ticket.run_id,
        "step": ticket.step,
        "slots": ticket.occupy,
        "since": iso(ticket.at),
    }


def _write_tickets(tickets: list[Ticket], holding: set[int], runs: dict[str, Run | None], now: int) -> None:
    columns = [
        Column(""),
        Column("slots", right=True),
        Column("run"),
        Column("flow", least=8, leaves=2),
        Column("step", least=8),
        Column("asked"),
        Column("ticket", right=True, leaves=1),
    ]
    rows: list[list[Any]] = []
    for ticket in tickets[:_MOST_SHOWN]:
        run = runs.get(ticket.run_id)
        rows.append(
            [
                text(("holds", "green")) if ticket.id in holding else text(("waits", "yellow")),
                str(ticket.occupy),
                short(ticket.run_id),
                clean(run.flow) if run is not None else "",
                clean(ticket.step) if ticket.step is not None else text(("the flow", _DIM)),
                age(ticket.at, now),
                text((str(ticket.id), _DIM)),
            ]
        )
    write_table(columns, rows)
    if len(tickets) > _MOST_SHOWN:
        write(text((f"\n{len(tickets) - _MOST_SHOWN:,} more", _DIM)))


@app.command(
    "set",
    cls=Command,
    epilog=examples(
        "penstock limits set database 3  # three at once",
        "penstock limits set tag:heavy 1  # tasks with the tag `heavy`, one at a time",
        "penstock limits set api --per-second 10 --burst 20  # ten a second, twenty after a quiet time",
        "penstock limits set database 0  # nobody enters until there are slots again",
    ),
)
def set_(
    name: Annotated[str, LIMIT],
    slots: Annotated[
        int | None,
        typer.Argument(metavar="SLOTS", min=0, help="So many at once; 0 lets nobody in.", show_default=False),
    ] = None,
    per_second: Annotated[float | None, typer.Option(metavar="N", help="So many a second.")] = None,
    burst: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="So many of these at once, after a quiet time.")
    ] = None,
    no_slots: Annotated[bool, typer.Option("--no-slots", help="Any number at once.")] = False,
    no_rate: Annotated[bool, typer.Option("--no-rate", help="Any number a second.")] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Declare a limit, or change it; what is not given stays as it is. Runs that wait notice it within a second."""
    if (no_slots and slots is not None) or (no_rate and (per_second is not None or burst is not None)):
        raise ConfigurationError("A number and its absence contradict each other.", hint="give one of them")
    if slots is None and per_second is None and burst is None and not no_slots and not no_rate:
        raise ConfigurationError(
            "There is nothing to set.", hint=f"give a number of slots: penstock limits set {name} 3, or --per-second N"
        )
    with executing() as penstock:
        journal = penstock.journal
        known = next(iter(journal.limits(name, counted=False)), Limit(name=name))
        declare_limit(
            journal,
            name,
            None if no_slots else known.slots if slots is None else slots,
            None if no_rate else known.per_second if per_second is None else per_second,
            1 if no_rate else known.burst if burst is None else burst,
        )
        found = find_limit(journal, name)
    if json:
        write_json({"limit": limit_record(found)})
    else:
        _write([found])


@app.command(
    cls=Command,
    epilog=examples(
        "penstock limits apply  # those of [tool.penstock.limits] in pyproject.toml",
        "penstock limits apply --file deploy/production.toml",
    ),
)
def apply(
    file: Annotated[Path, typer.Option(metavar="FILE", help="The file with the table [tool.penstock.limits].")] = Path(
        "pyproject.toml"
    ),
    json: Annotated[bool, JSON] = False,
) -> None:
    """Declare the limits that a file lists, such as `database = 3` and `api = {per_second = 10, burst = 20}`.

    Other limits stay as they are.
    """
    wanted = limits_in(file)
    with executing() as penstock:
        changed = [
            limit.name
            for limit in wanted
            if declare_limit(penstock.journal, limit.name, limit.slots, limit.per_second, limit.burst)
        ]
    if json:
        write_json({"limits": [limit.name for limit in wanted], "changed": changed})
    elif not wanted:
        write(f"{clean(file)} has no table [tool.penstock.limits].")
    else:
        told = f", changed: {clean(', '.join(changed))}" if changed else ", nothing changed"
        write(f"{counted(len(wanted), 'limit')} declared{told}.")


@app.command(cls=Command, epilog=examples("penstock limits delete database  # who waits for it goes on"))
def delete(name: Annotated[str, LIMIT], json: Annotated[bool, JSON] = False) -> None:
    """Delete a limit: who waits for it goes on."""
    with reading() as penstock:
        delete_limit(penstock.journal, name)
    if json:
        write_json({"deleted": name})
    else:
        write(f"Deleted the limit {clean(name)}.")


@app.command(cls=Command, epilog=examples("penstock limits reset database  # after a look at `penstock limits show`"))
def reset(name: Annotated[str, LIMIT], json: Annotated[bool, JSON] = False) -> None:
    """Give back every slot of a limit, and forget the turns that are reserved.

    Who holds a slot goes on all the same, so that there may be more inside than slots; who waits asks again. Slots of
    dead runs come back by themselves: this is for when you know better than the journal.
    """
    with reading() as penstock:
        journal: Journal = penstock.journal
        find_limit(journal, name)
        count = journal.reset_limit(name)
    if json:
        write_json({"reset": name, "tickets": count})
    else:
        write(f"Reset the limit {clean(name)}: {counted(count, 'ticket')} taken back.")


command = typer.main.get_command(app)
