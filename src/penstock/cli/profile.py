"""`penstock profile`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from penstock.app import chosen_profile, load_settings
from penstock.cli.console import Column, clean, text, write, write_json, write_table
from penstock.cli.db import without_password
from penstock.cli.help import JSON, Command, Group, examples
from penstock.core.errors import PenstockError
from penstock.core.profiles import ENVIRONMENT, PARAMETERS, VARIABLE, tables_of
from penstock.engine.project import penstock_table, project_file

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)
_DIM = "bright_black"
_SECRET = re.compile(r"SECRET|PASSWORD|PASSWD|TOKEN|KEY|CREDENTIAL|CONNECTION", re.IGNORECASE)
_EXAMPLE = '[tool.penstock.profiles.services]\ndatabase_url = "postgresql://USER@HOST/DATABASE"'


@app.callback()
def _profiles() -> None:
    """List and show profiles: the same project with other settings.

    A profile is a table [tool.penstock.profiles.NAME] of pyproject.toml. `--profile NAME` behind any command, or
    PENSTOCK_PROFILE in the environment, uses it.
    """


def _complete(incomplete: str) -> list[str]:
    with suppress(PenstockError, OSError):
        return [name for name in _written()[1] if name.startswith(incomplete)]
    return []


@app.command("list", cls=Command, epilog=examples("penstock profile list", "penstock profile list --json"))
def list_profiles(json: Annotated[bool, JSON] = False) -> None:
    """List the profiles of this project."""
    file, tables = _written()
    chosen = chosen_profile()
    if json:
        used = chosen.name if chosen is not None else None
        write_json({"file": str(file) if file else None, "profile": used, "profiles": list(tables)})
    elif not tables:
        where = clean(file) if file is not None else "There is no pyproject.toml here or above, which"
        write(f"{where} has no profiles. One is a table:\n\n{_EXAMPLE}")
    else:
        columns = [Column("profile"), Column("settings", least=10), Column("parameters of", least=8, leaves=1)]
        rows: list[list[Any]] = []
        for name, table in tables.items():
            names = [each for each in table if each not in (ENVIRONMENT, PARAMETERS)] + list(table.get(ENVIRONMENT, {}))
            style = "bold" if chosen is not None and chosen.name == name else ""
            flows = ", ".join(map(clean, table.get(PARAMETERS, {})))
            rows.append([text((name, style)), clean(", ".join(names)), text((flows, _DIM))])
        write_table(columns, rows)
        write(
            f"\nIn use: {chosen.name}." if chosen is not None else "\nNone is in use: add --profile NAME to a command."
        )


@app.command(
    cls=Command,
    epilog=examples(
        "penstock profile show services", "penstock profile show services --json | jq .profile.settings  # for scripts"
    ),
)
def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Its name.", autocompletion=_complete, show_default=False)
    ],
    json: Annotated[bool, JSON] = False,
) -> None:
    """Show a profile as it is written, without its secrets, and check that it can be used."""
    file, tables = _written()
    load_settings({**os.environ, VARIABLE: name})
    table = tables.get(name, {})
    settings = {each: value for each, value in table.items() if each not in (ENVIRONMENT, PARAMETERS)}
    told = {
        "settings": {each: _shown(each, value) for each, value in settings.items()},
        ENVIRONMENT: {each: _shown(each, value) for each, value in table.get(ENVIRONMENT, {}).items()},
        PARAMETERS: {flow: _shown(flow, values) for flow, values in table.get(PARAMETERS, {}).items()},
    }
    if json:
        write_json({"profile": {"name": name, "file": str(file), **told}})
        return
    write(text((name, "bold"), (f"  {clean(file)}", _DIM)))
    _write("", told["settings"])
    _write("environment", told[ENVIRONMENT], os.environ)
    for flow, values in told[PARAMETERS].items():
        _write(f"parameters of {clean(flow)}", values)


def _written() -> tuple[Path | None, dict[str, dict[str, Any]]]:
    """The pyproject.toml, and the profiles in it."""
    file = project_file(Path.cwd())
    return file, tables_of(penstock_table(file).get("profiles", {}), str(file)) if file is not None else {}


def _shown(name: str, value: Any) -> Any:
    """What may be shown of a value."""
    if isinstance(value, str):
        return "***" if _SECRET.search(name) else without_password(value)
    if isinstance(value, dict):
        return "***" if _SECRET.search(name) else {each: _shown(each, inner) for each, inner in value.items()}
    return [_shown(name, each) for each in value] if isinstance(value, list) else value


def _write(title: str, values: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> None:
    if not values:
        return
    if title:
        write(text((f"  {title}", "cyan")))
    flat = dict(_flat(values))
    widest = max(map(len, flat))
    for name, value in flat.items():
        first = environ is not None and bool(environ.get(name))
        note = text(("  (the environment has its own, which goes first)" if first else "", _DIM))
        write(text(f"  {'  ' if title else ''}{clean(name).ljust(widest)}  ", clean(value), note))


def _flat(values: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Names and texts; what is in a table has its name behind that of the table."""
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            found += _flat(value, f"{before}{name}.")
        else:
            found.append((before + name, value if isinstance(value, str) else msgspec.json.encode(value).decode()))
    return found


command = typer.main.get_command(app)
