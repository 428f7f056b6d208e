"""What mkdocs is told when it builds this site; and the tables that are made from other files.

python docs/hooks.py          writes these tables anew: from-prefect.md from the list of Prefect's features,
                              cli.md from the command line itself, engines.md from what engines say of themselves
python docs/hooks.py --check  only tells whether they are up to date
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
FEATURES = DOCS.parent / "tests" / "prefect" / "features.toml"
_HEADS = {"same": "note", "differs": "how it differs", "not yet": "instead"}
_NOT_MEASURED = """# Benchmarks

Nothing was measured in this checkout yet. `make bench` runs Penstock and its peers side by side, and writes this page.
"""


def on_files(files: Any, config: Any) -> Any:
    """Stand in for the page that the benchmarks write, where they have not run."""
    from mkdocs.structure.files import File

    if files.get_file_from_path("benchmarks.md") is None:
        files.append(File.generated(config, "benchmarks.md", content=_NOT_MEASURED))
    return files


def feature_tables() -> dict[str, str]:
    """Prefect's features, a table for each status."""
    rows = tomllib.loads(FEATURES.read_text(encoding="utf-8"))["feature"]
    made = {}
    for status, head in _HEADS.items():
        cells = [(row["feature"], _code(row["prefect"]), row["note"]) for row in rows if row["status"] == status]
        made[status] = _table(("feature", "in Prefect", head), cells)
    return made


def engine_tables() -> dict[str, str]:
    """What each engine can do, and why not the rest."""
    from penstock.core.engines import Abilities
    from penstock.deploy.airflow.abilities import ABILITIES as AIRFLOW
    from penstock.deploy.prefect.abilities import ABILITIES as PREFECT
    from penstock.engine.runners.dask import ABILITIES as DASK
    from penstock.testing.engines import completeness

    every = {"local": Abilities(), "Dask": DASK, "`prefect`": PREFECT, "`airflow`": AIRFLOW}
    return {"engines": completeness(every).rstrip()}


def command_tables() -> dict[str, str]:
    """What each command takes."""
    made = {}
    for name, command in _commands():
        cells = [(f"`{names}`", told) for names, told in _parameters(command)]
        made[name] = _table((f"`penstock {name}`", "takes"), cells)
    return made


def _commands() -> Iterator[tuple[str, Any]]:
    import typer

    from penstock.cli.root import app, command_of

    root = typer.main.get_command(app)
    for name in root.list_commands(None):  # type: ignore[attr-defined, arg-type]
        command = command_of(name)
        below = getattr(command, "commands", None)
        if below is None:
            yield name, command
        else:
            yield from ((f"{name} {each}", found) for each, found in below.items())


def _context(command: Any) -> Any:
    return command.context_class(command)


def _parameters(command: Any) -> Iterator[tuple[str, str]]:
    for param in command.params:
        names = ", ".join([*sorted(param.opts, key=len), *param.secondary_opts])
        if param.param_type_name == "argument":
            names = (param.metavar or param.name).strip("{}")
        elif param.metavar and not param.is_flag:
            names += f" {param.metavar}"
        told = " ".join((param.help or "").split())
        default = param.get_default(_context(command), call=False)
        if param.show_default and default not in (None, False, "", [], ()):
            told += f" Default: {default}."
        yield names, told


def _code(names: str) -> str:
    """Names of code in code type; plain words as they are."""
    return ", ".join(_one(part.strip()) for part in re.split(r", (?![^(]*\))", names))


def _one(words: str) -> str:
    if words == "generators":
        return words
    if " " not in words or words.startswith(("async ", "await ")):
        return f"`{words}`"
    first, rest = words.split(" ", 1)
    return f"`{first}` {rest}" if re.search(r"[@._(]", first) else words


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return "(None.)"
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def with_tables(name: str, page: str, tables: dict[str, str]) -> str:
    """The page with its tables made anew. Each stands between two comments that name it."""
    for title, table in tables.items():
        begin, end = f"<!-- table: {title} -->", f"<!-- end: {title} -->"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise SystemExit(f"docs/{name} has no place for the table {title!r}: add {begin} and {end}")
        page = f"{before}{begin}\n\n{table}\n\n{end}{after}"
    return page


def main() -> None:
    """Write the tables, or check them."""
    tables = (("from-prefect.md", feature_tables), ("cli.md", command_tables), ("engines.md", engine_tables))
    for name, make in tables:
        path = DOCS / name
        page = path.read_text(encoding="utf-8")
        made = with_tables(name, page, make())
        if "--check" not in sys.argv[1:]:
            path.write_text(made, encoding="utf-8")
        elif made != page:
            raise SystemExit(f"docs/{name} is not up to date: run python docs/hooks.py")


if __name__ == "__main__":
    main()
