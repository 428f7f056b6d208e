"""`penstock engines`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from penstock.cli.console import Column, clean, counted, text, write, write_json, write_table
from penstock.cli.help import JSON, Command, examples
from penstock.cli.session import reading
from penstock.core.engines import LOCAL, Abilities
from penstock.core.errors import PenstockError
from penstock.orchestrator.engines import Engines, abilities_of, engine_names, refuse_unknown_engine

app = typer.Typer(add_completion=False, rich_markup_mode=None)
_DIM = "bright_black"
ENGINE = typer.Argument(metavar="ENGINE", help="Only this one, with why it cannot do the rest.", show_default=False)


@app.command(
    cls=Command,
    epilog=examples(
        "penstock engines  # which there are, and whether they answer",
        "penstock engines airflow  # what it can do, and why not the rest",
        "penstock engines --json | jq '.engines[] | select(.answers)'  # for scripts",
    ),
)
def engines(engine: Annotated[str | None, ENGINE] = None, json: Annotated[bool, JSON] = False) -> None:
    """List the engines that runs can be executed by, and what each can do.

    `local` is Penstock itself. Those that are set up are asked whether they answer.
    """
    if engine is not None:
        refuse_unknown_engine(engine)
    with reading() as penstock:
        made = Engines(penstock)
        try:
            found = [_record(name, made) for name in [LOCAL, *engine_names()] if engine in (None, name)]
        finally:
            made.close()
    if json:
        write_json({"engines": found})
    elif engine is not None:
        _write_one(found[0])
    else:
        _write_all(found)


def _record(name: str, made: Engines) -> dict[str, Any]:
    """An engine; `abilities` has true, or why not, for each."""
    answers, told, abilities = True, "this machine's workers", None
    try:
        abilities = abilities_of(name)
        if name != LOCAL:
            engine = made.get(name)
            abilities, told = engine.abilities, engine.status()
    except PenstockError as error:
        answers, told = False, error.message + (f" Hint: {error.hint}" if error.hint else "")
    return {
        "name": name,
        "answers": answers,
        "told": told,
        "abilities": msgspec.structs.asdict(abilities) if abilities is not None else None,
    }


def _lacking(record: dict[str, Any]) -> list[str]:
    return [name for name, ability in (record["abilities"] or {}).items() if ability is not True]


def _write_all(found: list[dict[str, Any]]) -> None:
    rows: list[list[Any]] = []
    for record in found:
        lacking = _lacking(record)
        told = "everything" if record["abilities"] and not lacking else f"all but {', '.join(lacking)}"
        rows.append(
            [
                clean(record["name"]),
                text((clean(record["told"]), "" if record["answers"] else _DIM)),
                told if record["abilities"] is not None else text(("not known", _DIM)),
            ]
        )
    write_table([Column("engine", least=7), Column("there"), Column("can do")], rows)


def _write_one(record: dict[str, Any]) -> None:
    write(text((clean(record["name"]), "bold"), f"  {clean(record['told'])}"))
    if record["abilities"] is None:
        return
    lacking = _lacking(record)
    able = [name for name in Abilities.__struct_fields__ if name not in lacking]
    write(text(f"It can do {counted(len(able), 'thing')}: {', '.join(able)}"))
    rows = [[name, clean(record["abilities"][name])] for name in lacking]
    if rows:
        write_table([Column("it lacks", least=10), Column("because")], rows)


command = typer.main.get_command(app)
