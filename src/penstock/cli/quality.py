"""`penstock quality`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.console import Column, answer_in_json, write_json, write_table
from penstock.cli.help import JSON, QUIET, Command, Group, examples
from penstock.cli.quality_view import write_report
from penstock.core.errors import ConfigurationError
from penstock.quality import KINDS, DataValidator

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)
_FAIL_ON = ("error", "warning")


@app.callback()
def _quality() -> None:
    """Check data against rules.

    Rules are written in a YAML, TOML or JSON file; `penstock quality rules` lists the kinds there are.
    """


@app.command(
    "check",
    cls=Command,
    epilog=examples(
        "penstock quality check orders.parquet --rules rules.yaml  # exit code 1 where a rule fails",
        "penstock quality check orders.csv -r rules.yaml --html report.html  # a page to send around",
        "penstock quality check 'logs/*.ndjson' -r rules.toml --json  # for programs",
        "penstock quality check orders.csv -r rules.yaml --table customers=customers.csv  # rules over two tables",
    ),
)
def check(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A CSV, Parquet, JSON lines or Arrow file, or a pattern.")
    ],
    rules: Annotated[Path, typer.Option("--rules", "-r", metavar="RULES", help="A .yaml, .toml or .json file.")],
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as a page, too.")] = None,
    table: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="Another table that rules speak of; may be repeated."),
    ] = None,
    fail_on: Annotated[
        str, typer.Option(metavar="SEVERITY", help="Fail for rules of this severity: error, warning.")
    ] = "error",
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="End with the first rule that fails.")] = False,
    quiet: Annotated[bool, QUIET] = False,
    json: Annotated[bool, JSON] = False,
) -> int:
    """Check a file against rules, in one pass however large it is.

    A rule that cannot be checked, such as one on a column that is not there, is reported, and the others run.
    """
    if json:
        answer_in_json()
    if fail_on not in _FAIL_ON:
        raise ConfigurationError(f"{fail_on!r} is no severity to fail on.", hint=f"there are: {', '.join(_FAIL_ON)}")
    validator = DataValidator(rules)
    report = validator.validate_dataset(file, tables=_tables(table or []), fail_fast=fail_fast)
    if html is not None:
        _written(html, report.to_html())
    if json:
        write_json(report.as_dict())
    else:
        write_report(report, quiet, html)
    return 1 if report.failing("warning" if fail_on == "warning" else "error") else 0


@app.command(
    "rules",
    cls=Command,
    epilog=examples("penstock quality rules  # every kind of rule", "penstock quality rules --json  # for programs"),
)
def kinds(json: Annotated[bool, JSON] = False) -> None:
    """List the kinds of rules, and what each takes."""
    if json:
        write_json(
            [
                {
                    "rule": kind.name,
                    "about": kind.about,
                    "columns": list(kind.columns),
                    "arguments": [{"name": each.name, "required": each.required} for each in kind.arguments],
                }
                for kind in KINDS.values()
            ]
        )
        return
    rows = []
    for kind in KINDS.values():
        takes = [each.name if each.required else f"[{each.name}]" for each in kind.arguments]
        column = ["column"] if kind.columns == (1, 1) else ["columns"] if kind.columns[1] else []
        rows.append([kind.name, kind.about, ", ".join([*column, *takes])])
    write_table([Column("rule"), Column("is kept when", least=30), Column("takes", least=20)], rows)


def _tables(given: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, equals, file = text.partition("=")
        if not equals or not name or not file:
            raise ConfigurationError(f"{text!r} is no table.", hint="such as --table customers=customers.csv")
        found[name] = file
    return found


def _written(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror or error}") from None


command = typer.main.get_command(app)
