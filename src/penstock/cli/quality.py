"""`penstock quality`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.cli import quality_anomalies, quality_profiles, quality_steps, quality_writings
from penstock.cli.console import Column, answer_in_json, write_json, write_table
from penstock.cli.help import JSON, QUIET, Command, Group, examples
from penstock.cli.quality_data import checked, data_of
from penstock.cli.quality_view import save, write_report
from penstock.core.errors import ConfigurationError
from penstock.quality import KINDS

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)
_FAIL_ON = ("error", "warning")


@app.callback()
def _quality() -> None:
    """Check data against rules, and see what checks in flows have found.

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
        "penstock quality check lake:raw/orders -r rules.yaml --table customers=lake:raw/customers  # of a lake",
        "penstock quality check orders.csv -r suite.json --engine gx  # Great Expectations itself checks",
    ),
)
def check(
    file: Annotated[
        str, typer.Argument(metavar="DATA", help="A file or a pattern, an address such as lake:raw/orders, a dataset.")
    ],
    rules: Annotated[
        Path,
        typer.Option("--rules", "-r", metavar="RULES", help="A .yaml, .toml or .json file; or a suite of GX in JSON."),
    ],
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as a page, too.")] = None,
    table: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=DATA", help="Another table that rules speak of; may be repeated."),
    ] = None,
    engine: Annotated[
        str, typer.Option(metavar="ENGINE", help="Who checks: penstock, or gx for Great Expectations.")
    ] = "penstock",
    fail_on: Annotated[
        str, typer.Option(metavar="SEVERITY", help="Fail for rules of this severity: error, warning.")
    ] = "error",
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="End with the first rule that fails.")] = False,
    quiet: Annotated[bool, QUIET] = False,
    json: Annotated[bool, JSON] = False,
) -> int:
    """Check a file, a table or a dataset against rules, in one pass however large it is.

    A rule that cannot be checked, such as one on a column that is not there, is reported, and the others run.
    """
    if json:
        answer_in_json()
    if fail_on not in _FAIL_ON:
        raise ConfigurationError(f"{fail_on!r} is no severity to fail on.", hint=f"there are: {', '.join(_FAIL_ON)}")
    report = checked(rules, data_of(file), engine, tables=_tables(table or []), fail_fast=fail_fast)
    if html is not None:
        save(html, report.to_html())
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


def _tables(given: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in given:
        name, equals, file = text.partition("=")
        if not equals or not name or not file:
            raise ConfigurationError(f"{text!r} is no table.", hint="such as --table customers=customers.csv")
        found[name] = data_of(file)
    return found


quality_profiles.add(app)
quality_anomalies.add(app)
quality_writings.add(app)
quality_steps.add(app)
command = typer.main.get_command(app)
