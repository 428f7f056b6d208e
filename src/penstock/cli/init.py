"""`penstock init`."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.console import counted, text, write, write_json, write_parts
from penstock.cli.help import JSON, Command, examples
from penstock.cli.summary import advice
from penstock.core.errors import ConfigurationError

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_TEMPLATE = Path(__file__).with_name("template")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*([-_][A-Za-z0-9]+)*")
_LONGEST = 60


@app.command(
    cls=Command, epilog=examples("penstock init shop  # makes the folder shop", "cd shop && penstock run flow.py")
)
def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits, - and _; also the folder's name.")],
    json: Annotated[bool, JSON] = False,
) -> None:
    """Make a new project with a flow that runs at once, offline, and its tests."""
    _check_name(name)
    folder = Path.cwd() / name
    files = make_project(name, folder)
    if json:
        write_json({"project": name, "folder": str(folder), "files": files})
        return
    write(text(("✓ ", "green"), f"Made {name}/ with {counted(len(files), 'file')}."))
    write()
    ways = [
        (f"cd {name}", ""),
        ("penstock run flow.py", "run the flow: no server, no network"),
        ("penstock runs show last", "see every step"),
        ("python -m pytest", "run the tests"),
    ]
    write_parts(advice(ways))


def _check_name(name: str) -> None:
    if len(name) > _LONGEST or _NAME.fullmatch(name) is None or name.lower() == "penstock":
        raise ConfigurationError(
            f"{name!r} cannot be the name of a project.",
            hint="begin with a letter and use letters and digits, with single - or _ between them, such as my-shop",
        )


def make_project(name: str, folder: Path) -> list[str]:
    """Write the project, whole or not at all; the files it has.

    Raises:
        ConfigurationError: something is there already, or the folder cannot be written.
    """
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise ConfigurationError(
            f"There is something at {folder} already; nothing was written.", hint="choose another name"
        )
    aside: Path | None = None
    try:
        aside = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder.parent))
        files = _fill(name, aside)
        aside.chmod(0o777 & ~_umask())
        os.replace(aside, folder)
    except OSError as error:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)
        raise ConfigurationError(
            f"The project cannot be written to {folder} ({error.strerror}).", hint="go to a folder you may write in"
        ) from error
    return files


def _fill(name: str, folder: Path) -> list[str]:
    files = []
    for source in sorted(_TEMPLATE.rglob("*.in")):
        place = source.relative_to(_TEMPLATE).with_suffix("")
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source.read_text(encoding="utf-8").replace("{{name}}", name), encoding="utf-8")
        files.append(place.as_posix())
    return files


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current


command = typer.main.get_command(app)
