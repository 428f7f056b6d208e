"""`penstock version`."""

from __future__ import annotations

import platform
import sqlite3
from typing import Annotated

import typer

from penstock.cli.console import write_json
from penstock.cli.help import JSON, Command, examples
from penstock.core.release import VERSION

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(cls=Command, epilog=examples("penstock version", "penstock version --json  # for scripts and bug reports"))
def version(json: Annotated[bool, JSON] = False) -> None:
    """Show the versions of Penstock, Python and SQLite."""
    found = {
        "penstock": VERSION,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }
    if json:
        write_json(found)
    else:
        print(f"penstock {found['penstock']}  (Python {found['python']}, SQLite {found['sqlite']})")


command = typer.main.get_command(app)
