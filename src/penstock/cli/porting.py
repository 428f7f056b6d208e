"""`penstock import`: flows that were written for another orchestrator."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from penstock.cli.console import Column, clean, counted, glyph, text, write, write_json, write_table
from penstock.cli.help import JSON, Command, Group, examples
from penstock.core.errors import ConfigurationError
from penstock.deploy.porting import BadPort, Finding, Ported, Verdict, port_airflow, port_prefect

_DIM = "bright_black"
_TINTS = {Verdict.SAME: _DIM, Verdict.CHANGED: "green", Verdict.TODO: "yellow", Verdict.NONE: "red"}

PATHS = Annotated[list[Path], typer.Argument(metavar="FILE|FOLDER...", help="Python files; of a folder, all.")]
WRITE = Annotated[bool, typer.Option("--write", help="Change the files themselves.")]

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)


@app.callback()
def _import() -> None:
    """Take over flows that were written for another orchestrator."""


@app.command(
    cls=Command,
    epilog=examples(
        "penstock import prefect flows.py  # what runs unchanged, what does not",
        "penstock import prefect flows.py --write  # and change its imports",
        "penstock import prefect . --json | jq '.files[] | select(.ready)'  # a folder, for scripts",
    ),
)
def prefect(paths: PATHS, write_files: WRITE = False, json: Annotated[bool, JSON] = False) -> int:
    """Look through flows of Prefect 3: what runs unchanged, what needs a change, and what has no equal.

    Nothing of the files is executed. With --write their imports are changed to Penstock's; what has no equal is left as
    it is. The exit code is 1 where something is left to be done by hand.
    """
    return _take_over(paths, port_prefect, "Prefect", write_files, json)


@app.command(
    cls=Command,
    epilog=examples(
        "penstock import airflow dags/daily.py  # what becomes of it",
        "penstock import airflow dags --write  # and make flows of the DAGs that are written as functions",
    ),
)
def airflow(paths: PATHS, write_files: WRITE = False, json: Annotated[bool, JSON] = False) -> int:
    """Look through DAGs of Airflow: what becomes a flow, what needs a change, and what has no equal.

    Nothing of the files is executed. With --write, DAGs that are written as functions (@dag and @task) become flows; of
    operators it is told what to write instead. The exit code is 1 where something is left to be done by hand.
    """
    return _take_over(paths, port_airflow, "Airflow", write_files, json)


def _take_over(paths: list[Path], port: Callable[[Path], Ported], whose: str, writing: bool, json: bool) -> int:
    found = [ported for path in _files(paths) if (ported := _looked_at(path, port)).findings]
    if writing:
        for each in found:
            if each.changed:
                _replace(Path(each.path), each.text)
    if json:
        write_json({"files": [_record(each, writing) for each in found]})
    else:
        for each in found:
            _write_one(each, writing)
        if not found:
            write(f"Nothing of {whose} is there.")
    return 0 if all(each.ready for each in found) else 1


def _looked_at(path: Path, port: Callable[[Path], Ported]) -> Ported:
    """A file that cannot be read is told with the others, and holds up none of them."""
    try:
        return port(path)
    except BadPort as error:
        return Ported(str(path), (Finding(1, "the file", Verdict.TODO, error.message),), "", False)


def _files(paths: list[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(each for each in path.rglob("*.py") if not _hidden(each.relative_to(path)))
        elif path.exists():
            found.append(path)
        else:
            raise ConfigurationError(f"There is no {path}.", hint="name files or folders that are there")
    return found


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") or part in ("site-packages", "__pycache__", "node_modules") for part in path.parts)


def _replace(path: Path, made: str) -> None:
    """Put a text in the place of a file, all or nothing."""
    path = path.resolve()
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        new.write_bytes(made.encode())
        new.chmod(path.stat().st_mode & 0o777)
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise ConfigurationError(f"{path} cannot be changed: {error.strerror}.") from None


def _record(ported: Ported, written: bool) -> dict[str, Any]:
    findings = [msgspec.to_builtins(each) for each in ported.findings]
    return {"file": ported.path, "ready": ported.ready, "written": written and ported.changed, "findings": findings}


def _write_one(ported: Ported, written: bool) -> None:
    columns = [Column("line", right=True), Column("what", least=12), Column(""), Column("", least=20, leaves=1)]
    write(text((clean(ported.path), "bold")))
    write_table(columns, [_row(each) for each in ported.findings])
    left = sum(each.verdict in (Verdict.TODO, Verdict.NONE) for each in ported.findings)
    sign, tint = (glyph("Failed"), "yellow") if left else (glyph("Completed"), "green")
    told = f"{counted(left, 'place')} to be seen to by hand" if left else "nothing is left to be done by hand"
    more = ("; the file is changed" if written else "; --write changes the file") if ported.changed else ""
    write(text((f"{sign} ", tint), (told, "bold"), (more, _DIM)))
    write()


def _row(finding: Finding) -> list[Any]:
    tint = _TINTS[finding.verdict]
    return [f"{finding.line}", clean(finding.what), text((str(finding.verdict), tint)), clean(finding.note)]


command = typer.main.get_command(app)
