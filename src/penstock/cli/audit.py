"""`penstock audit`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from penstock.cli.console import Column, clean, counted, text, write, write_json, write_table
from penstock.cli.desk import at_desk
from penstock.cli.help import JSON, Command, Group, examples
from penstock.cli.times import instant
from penstock.core.audit import AuditFilter
from penstock.core.errors import ConfigurationError
from penstock.core.events import now_us
from penstock.core.files import atomic_write

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)


@app.callback()
def _audit() -> None:
    """Who did what to what: every change made through the API, signing in and out, and what was refused.

    Each entry holds the hash of the one before, so that a change to one shows in all that follow.
    """


@app.command(
    "list",
    cls=Command,
    epilog=examples(
        "penstock audit list  # the newest entries",
        "penstock audit list --who ann --since 7d",
        "penstock audit list --target workflow/nightly --json  # with what it was before and after",
    ),
)
def list_entries(
    who: Annotated[str | None, typer.Option(metavar="ACCOUNT", help="Only what it did.")] = None,
    action: Annotated[str | None, typer.Option(metavar="NAME", help="Only this, such as SignInFailed.")] = None,
    target: Annotated[str | None, typer.Option(metavar="NAME", help="Only to this, such as workflow/nightly.")] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Only since then: 2h (ago), 2026-01-31.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="At most so many.")] = 30,
    json: Annotated[bool, JSON] = False,
) -> None:
    """List entries, the newest first."""
    where = AuditFilter(
        who=who,
        action=action,
        target=target,
        since=instant("--since", since, now_us()) if since is not None else None,
        limit=limit,
    )
    with at_desk() as desk:
        found = desk.audit.listed(where)
    if json:
        write_json({"entries": found})
    elif not found:
        write("No such entries.")
    else:
        columns = [Column("time"), Column("who", least=6), Column("did", least=10), Column("to", least=10, leaves=1)]
        rows = [[each["at"][:19], clean(each["who"]), clean(each["action"]), clean(each["target"])] for each in found]
        write_table(columns, rows)


@app.command(
    cls=Command,
    epilog=examples(
        "penstock audit verify  # note the number and the hash that it tells",
        "penstock audit verify --noted 1200:3b1f...  # is it still what it was then?",
    ),
)
def verify(
    noted: Annotated[
        str | None, typer.Option(metavar="NUMBER:HASH", help="An entry, as it was told at an earlier time.")
    ] = None,
    json: Annotated[bool, JSON] = False,
) -> int:
    """Compute every hash anew. The exit code is 1 where an entry is not as it was written.

    That the last entries are there, only a hash tells that was noted elsewhere: --noted.
    """
    number, known = _noted(noted)
    with at_desk() as desk:
        found = desk.audit.verify(number, known)
    if json:
        breaks = [{"number": place, "told": told} for place, told in found.breaks]
        write_json({"sound": found.sound, "entries": found.entries, "head": found.head, "breaks": breaks})
    elif found.sound:
        told = f"{counted(found.entries, 'entry', 'entries')}, as they were written."
        write(f"{told} Note: {found.entries}:{found.head}" if found.entries else "There are no entries.")
    else:
        for place, told in found.breaks:
            write(text((f"Entry {place}: {told}.", "red")))
    return 0 if found.sound else 1


def _noted(text: str | None) -> tuple[int | None, str | None]:
    if text is None:
        return None, None
    number, colon, known = text.partition(":")
    if not colon or not (number.isascii() and number.isdecimal()) or len(number) > 15 or len(known) != 64:
        raise ConfigurationError(f"--noted {text!r} is not NUMBER:HASH.", hint="as `penstock audit verify` tells it")
    return int(number), known.lower()


@app.command(
    cls=Command,
    epilog=examples(
        "penstock audit export audit.ndjson",
        "penstock audit export audit.csv  # no cell is one that a spreadsheet computes",
        "penstock audit export - --format csv | less",
    ),
)
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; - for standard output.", show_default=False)],
    format: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="ndjson or csv; by the file's name when left out.")
    ] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Write every entry to a file, the oldest first."""
    wanted = format or ("csv" if file.suffix == ".csv" else "ndjson")
    if wanted not in ("ndjson", "csv"):
        raise ConfigurationError(f"There is no format {wanted!r}.", hint="there are ndjson and csv")
    kind: Literal["ndjson", "csv"] = "csv" if wanted == "csv" else "ndjson"
    count = 0
    with at_desk() as desk:
        lines = desk.audit.lines(kind)
        if str(file) == "-":
            for line in lines:
                sys.stdout.buffer.write(line)
            return
        try:
            with atomic_write(file, "wb") as out:
                for line in lines:
                    out.write(line)
                    count += 1
        except OSError as error:
            told = f"{file} cannot be written: {error.strerror}."
            raise ConfigurationError(told, hint="name another file") from None
    count -= kind == "csv"
    if json:
        write_json({"file": str(file), "format": kind, "entries": count})
    else:
        write(f"Wrote {counted(count, 'entry', 'entries')} to {clean(str(file))}.")


command = typer.main.get_command(app)
