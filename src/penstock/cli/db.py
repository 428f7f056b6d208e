"""`penstock db`."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from penstock.app import load_settings
from penstock.cli.console import clean, text, write, write_json
from penstock.cli.help import JSON, Command, Group, examples
from penstock.cli.purge import purge
from penstock.cli.session import journal_file, reading
from penstock.cli.units import size
from penstock.journal.upgrade import upgrade as upgrade_journal

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)


@app.callback()
def _db() -> None:
    """Look after the journal: upgrade, status, purge, vacuum."""


@app.command(
    cls=Command,
    epilog=examples(
        "penstock db upgrade  # after installing a newer Penstock",
        "PENSTOCK_DATABASE_URL=postgresql://user@host/db penstock db upgrade  # make the tables there",
    ),
)
def upgrade(json: Annotated[bool, JSON] = False) -> None:
    """Bring the journal to the layout this Penstock needs; it keeps every run.

    All of it happens in one transaction: it is upgraded whole, or not touched. A journal that is missing is made.
    """
    settings = load_settings()
    file = journal_file(settings)
    place = str(file) if file is not None else without_password(settings.database_url)
    done = upgrade_journal(file if file is not None else settings.database_url)
    if json:
        write_json({"location": place, "before": done.before, "after": done.after})
    elif done.before == done.after:
        write(text(("✓ ", "green"), f"The journal {clean(place)} is up to date (layout {done.after})."))
    elif done.before is None:
        write(text(("✓ ", "green"), f"Made the journal {clean(place)} (layout {done.after})."))
    else:
        write(text(("✓ ", "green"), f"Upgraded {clean(place)} from layout {done.before} to {done.after}."))


@app.command(cls=Command, epilog=examples("penstock db status", "penstock db status --json | jq .runs  # for scripts"))
def status(json: Annotated[bool, JSON] = False) -> None:
    """Show where the journal is, its layout, how much it holds, and how big it is."""
    settings = load_settings()
    file = journal_file(settings)
    exists = file is None or file.exists()
    with reading() as penstock:
        found: dict[str, Any] = dict(penstock.journal.status())
    if not exists:
        found.update(kind="sqlite", location=str(file))
    found["location"] = without_password(str(found["location"]))
    if json:
        write_json({"exists": exists, **found})
        return
    if not exists:
        write(text(f"There is no journal yet; the first run makes it: {clean(file)}"))
        return
    for name, value in found.items():
        told = size(value) if name == "bytes" else f"{value:,}" if isinstance(value, int) else clean(value)
        write(text((f"{name.replace('_', ' '):<10}  ", "bright_black"), told))


app.command(
    cls=Command,
    epilog=examples(
        "penstock db purge --dry-run  # what is older than the settings allow",
        "penstock db purge --older-than 30d --state completed --yes",
        "penstock db purge --yes && penstock db vacuum  # and give the space back",
    ),
)(purge)


@app.command(cls=Command, epilog=examples("penstock runs delete last && penstock db vacuum  # give its space back"))
def vacuum(json: Annotated[bool, JSON] = False) -> None:
    """Give the space of deleted runs back to the disk."""
    with reading() as penstock:
        before = penstock.journal.status().get("bytes")
        penstock.journal.vacuum()
        after = penstock.journal.status().get("bytes")
    if json:
        write_json({"bytes_before": before, "bytes_after": after})
    elif before is None or after is None:
        write("There is no journal yet, so there is nothing to give back.")
    else:
        write(f"The journal has {size(after)}; it had {size(before)}.")


def without_password(url: str) -> str:
    """A connection URL that may be shown."""
    return re.sub(r"(?<=://)([^:@/]*):[^@]*@", r"\1:***@", url)


command = typer.main.get_command(app)
