"""`penstock version`."""

from __future__ import annotations

import platform
import sqlite3
from typing import Annotated

import typer

from penstock.cli.console import write_json
from penstock.cli.help import JSON, Command, examples

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def penstock_version() -> str:
    """The installed release."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("penstock")
    except PackageNotFoundError:
        return "0+source"


@app.command(cls=Command, epilog=examples("penstock version", "penstock version --json  # for scripts and bug reports"))
def version(json: Annotated[bool, JSON] = False) -> None:
    """Show the versions of Penstock, Python and SQLite."""
    found = {
        "penstock": penstock_version(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }
    if json:
        write_json(found)
    else:
        print(f"penstock {found['penstock']}  (Python {found['python']}, SQLite {found['sqlite']})")


command = typer.main.get_command(app)
