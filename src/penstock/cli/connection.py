"""`penstock connection`."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

import typer

from penstock.cli.asking import YES, ask
from penstock.cli.connection_desk import Trial
from penstock.cli.connection_fields import ask_for_secrets, given_fields, plain_where_needed
from penstock.cli.connection_view import told_value, type_record, type_row, write_fields
from penstock.cli.console import (
    Column,
    Parts,
    clean,
    counted,
    fitting,
    text,
    write,
    write_json,
    write_parts,
    write_table,
)
from penstock.cli.desk import at_desk
from penstock.cli.help import JSON, Command, Group, examples
from penstock.cli.session import executing, reading
from penstock.cli.units import age, duration
from penstock.core.connections import Connection
from penstock.core.errors import ConfigurationError, PenstockError
from penstock.core.events import now_us
from penstock.engine.connections.keys import VARIABLE
from penstock.engine.connections.sealing import new_key as made_key
from penstock.engine.connections.shelf import SAVED, Listed
from penstock.engine.connections.types import every_type, type_named, types
from penstock.orchestrator.plan_records import connection_record
from penstock.orchestrator.shelves import shelf_of

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)
_DIM = "bright_black"


def complete_connection(incomplete: str) -> list[str]:
    """Connections for the shell's completion."""
    with suppress(PenstockError, OSError), reading() as penstock:
        names = [each.name for each in shelf_of(penstock).listed()]
        return [name for name in names if name.startswith(incomplete) and name == clean(name)]
    return []


def complete_type(incomplete: str) -> list[str]:
    """Types for the shell's completion."""
    with suppress(PenstockError, OSError):
        return [kind for kind in types() if kind.startswith(incomplete)]
    return []


NAME = typer.Argument(metavar="NAME", help="Its name.", autocompletion=complete_connection, show_default=False)
TYPE = typer.Argument(
    metavar="TYPE",
    help="What kind it is: see penstock connection types.",
    autocompletion=complete_type,
    show_default=False,
)


@app.callback()
def _connections() -> None:
    """Save where outside systems are and how to get in, encrypted; list, show, test and delete it.

    Code gets a connection by name: Connection.load("warehouse"). A variable such as PENSTOCK_CONNECTION_WAREHOUSE, in
    the environment or in .env, goes before the saved one.
    """


@app.command(
    cls=Command,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog=examples(
        "penstock connection create postgres warehouse --host db --user etl --database shop  # asks for the password",
        "penstock connection create postgres warehouse --host db --password-file /run/secrets/warehouse",
        "pass show crm | penstock connection create http crm --base-url https://crm.example --auth bearer --token -",
        "penstock connection create sql legacy --url-file legacy.url --overwrite  # in the place of the former one",
    ),
)
def create(
    ctx: typer.Context,
    kind: Annotated[str, TYPE],
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.", show_default=False)],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="In the place of the one that has this name now.")
    ] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Save a connection. Its fields follow as --FIELD VALUE: `penstock connection types TYPE` lists them.

    A secret is asked for without showing it, or read from a file (--FIELD-file FILE) or from standard input (--FIELD
    -). It is never taken from the command line itself, which everybody on the machine can see.
    """
    if kind.startswith("-") or name.startswith("-"):
        raise ConfigurationError(
            "The type and the name come first.", hint="penstock connection create TYPE NAME --field value ..."
        )
    types()  # two packages with one type are told now
    cls = type_named(kind)
    given = given_fields(cls, ctx.args)
    plain_where_needed(cls, given)
    ask_for_secrets(cls, given)
    connection = cls.of(given)
    with at_desk(writing=True) as desk:
        again, found = desk.connections.save(connection, given, name, overwrite)
    if json:
        write_json({"connection": {**connection_record(found), "fields": connection.shown()}})
        return
    write(f"{'Overwrote' if again else 'Saved'} the connection {name}. Try it: penstock connection test {name}")
    if found.place != SAVED:
        write(text((f"{found.variable} ({found.place}) goes before it.", "yellow")))


@app.command(
    "list", cls=Command, epilog=examples("penstock connection list", "penstock connection list --json  # for scripts")
)
def list_connections(json: Annotated[bool, JSON] = False) -> None:
    """List connections: saved ones, and those of the environment and .env."""
    with at_desk() as desk:
        found = desk.connections.listed()
    if json:
        write_json({"connections": [connection_record(each) for each in found]})
    elif not found:
        write(text("There are no connections yet. Save one: ", ("penstock connection create TYPE NAME", "cyan")))
    else:
        now = now_us()
        columns = [Column("connection", least=8), Column("type"), Column("from", least=8), Column("saved", leaves=1)]
        write_table(columns, [_row(each, now) for each in found])


def _row(each: Listed, now: int) -> list[Any]:
    place = each.place if each.variable is None else f"{each.place} {each.variable}"
    hides = " (goes before the saved one)" if each.hides else ""
    return [
        clean(each.name),
        each.type or text(("unreadable", "red")),
        clean(place) + hides,
        age(each.saved_at, now) if each.saved_at is not None else "",
    ]


@app.command(cls=Command, epilog=examples("penstock connection show warehouse  # secrets are not shown"))
def show(name: Annotated[str, NAME], json: Annotated[bool, JSON] = False) -> None:
    """Show a connection and its fields. Secrets are never shown."""
    with at_desk() as desk:
        found, kind, fields = desk.connections.shown(name)
    if json:
        write_json({"connection": {**connection_record(found), "fields": fields}})
        return
    place = found.place if found.variable is None else f"{found.place}, {found.variable}"
    saved = f", {age(found.saved_at, now_us())}" if found.saved_at is not None else ""
    lines: list[Parts] = [[(f"{clean(name)}  ", "bold"), (f"{kind}, {clean(place)}{saved}", _DIM)]]
    shown = {key: value for key, value in fields.items() if value is not None}
    widest = max(map(len, shown), default=0)
    known = every_type().get(kind, Connection).fields()
    for key, value in shown.items():
        same = key in known and value == known[key].default
        lines.append([(f"  {key.ljust(widest)}  ", _DIM), (told_value(value), _DIM if same else "")])
    write_parts(lines)


@app.command(
    "test",
    cls=Command,
    epilog=examples("penstock connection test warehouse", "penstock connection test warehouse --timeout 2 --json"),
)
def check(
    name: Annotated[str, NAME],
    timeout: Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="Try for so long at most.")] = 10.0,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Ask the system whether it is there and lets us in. The exit code is 1 where it is not, or does not."""
    with at_desk() as desk:
        found = desk.connections.test(name, timeout)
    if found.seconds is None:
        _tell_failure(name, found, json)
        raise typer.Exit(1)
    took = round(found.seconds * 1_000_000)
    if json:
        write_json({"name": name, "type": found.kind, "ok": True, "seconds": found.seconds, "told": found.told})
        return
    told = f"  {clean(found.told)}  "
    write_parts([[(fitting("✓ "), "green"), (name, "bold"), (told, ""), (duration(took), _DIM)]])


def _tell_failure(name: str, error: Trial, json: bool) -> None:
    if json:
        told = {"code": error.code, "message": error.told, "hint": error.hint}
        write_json({"name": name, "type": error.kind, "ok": False, "error": told})
        return
    write_parts([[(fitting("✗ "), "red"), (clean(error.told), "")]])
    if error.hint:
        write_parts([[("  Hint: ", "cyan"), (clean(error.hint), "")]])


@app.command(
    cls=Command, epilog=examples("penstock connection delete warehouse", "penstock connection delete old --yes")
)
def delete(
    name: Annotated[str, NAME],
    yes: Annotated[bool, YES] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Delete a saved connection, for good: its secrets are nowhere else in Penstock."""
    with at_desk() as desk:
        found = desk.connections.find(name)
        if not yes and found.place == SAVED:
            ask(f"Delete the connection {clean(name)} for good?")
        desk.connections.delete(name)
    if json:
        write_json({"deleted": name})
    else:
        write(f"Deleted the connection {clean(name)}.")


@app.command(
    "types",
    cls=Command,
    epilog=examples("penstock connection types  # all there are", "penstock connection types postgres  # its fields"),
)
def list_types(
    kind: Annotated[
        str | None,
        typer.Argument(metavar="TYPE", help="Show its fields.", autocompletion=complete_type, show_default=False),
    ] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """List the types of connections, or the fields of one."""
    types()
    found = every_type() if kind is None else {kind: type_named(kind)}
    if json:
        write_json({"types": [type_record(cls) for cls in found.values()]})
    elif kind is None:
        columns = [Column("type"), Column("is", least=20), Column("URL", leaves=1)]
        write_table(columns, [type_row(each, cls) for each, cls in found.items()])
    else:
        write_fields(found[kind])


@app.command(
    "rotate-key",
    cls=Command,
    epilog=examples(
        "penstock connection rotate-key  # with a key file: a new key, and the former one goes",
        f'{VARIABLE}="NEW,OLD" penstock connection rotate-key  # with keys of the environment',
    ),
)
def rotate_key(json: Annotated[bool, JSON] = False) -> None:
    """Seal every saved connection with a new key.

    With a key file, a new key is made, and former ones go when nothing needs them any more. With PENSTOCK_KEY, put the
    new key before the former one, with a comma between them; drop the former one afterwards.

    Whatever is interrupted, nothing is lost: run it again.
    """
    with executing() as penstock:
        kept = shelf_of(penstock)
        done = kept.rotate()
        place = kept.keys.place
    if json:
        write_json({"key": done.key, "connections": done.sealed, "dropped_keys": done.dropped})
        return
    write(f"Sealed {counted(done.sealed, 'connection')} with the key {done.key} ({clean(place)}).")


@app.command(
    "new-key", cls=Command, epilog=examples("penstock connection new-key  # a key for PENSTOCK_KEY, for a secret store")
)
def new_key(json: Annotated[bool, JSON] = False) -> None:
    """Write a new key to standard output, for PENSTOCK_KEY. It is kept nowhere."""
    made = made_key()
    if json:
        write_json({"key": made.text.reveal(), "id": made.id})
    else:
        print(made.text.reveal())


command = typer.main.get_command(app)
