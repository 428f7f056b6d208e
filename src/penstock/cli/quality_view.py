"""Reports on data, as people see them in a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from penstock.cli.console import Column, clean, fitting, glyph, text, write, write_table
from penstock.cli.units import duration
from penstock.core.errors import ConfigurationError
from penstock.quality import RuleResult, ValidationReport

_DIM = "bright_black"
_MICROSECONDS = 1_000_000
_SAMPLES = 3
_COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}


def write_report(report: ValidationReport, quiet: bool, page: Path | None) -> None:
    """Write what was found: a line for each rule, with rows that do not follow it, and how it ended."""
    if not quiet:
        for note in report.notes:
            write(text((f"Note: {clean(note)}", _DIM)))
        for result in report.results:
            _write_result(result)
        write()
    sign, colour = (glyph("Completed"), "green") if report.passed else (glyph("Failed"), "red")
    write(text((f"{sign} ", colour), (clean(report.summary()), "bold")))
    if quiet:
        return
    told = [duration(int(report.seconds * _MICROSECONDS))]
    if report.rows and report.seconds:
        told.append(f"{report.rows / report.seconds:,.0f} rows/s")
    if page is not None:
        told.append(f"written to {clean(page)}")
    write(text((f"  {fitting(' · ').join(told)}", _DIM)))


def save(path: Path, text: str) -> None:
    """Write a page, or another text, to a file.

    Raises:
        ConfigurationError: it cannot be written there.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror or error}") from None


def _write_result(result: RuleResult) -> None:
    severity = result.rule.severity
    if result.good:
        sign, colour = glyph("Completed"), "green"
    elif result.verdict == "skipped":
        sign, colour = glyph("Pending"), _DIM
    else:
        sign, colour = glyph("Failed"), _COLOURS[severity]
    word = "" if result.good or severity == "error" else f" ({severity})"
    write(text((f"{sign} ", colour), clean(result.rule.title), (f"{word}  {clean(result.outcome)}", _DIM)))
    if result.samples and not result.good:
        _write_samples(result)


def _write_samples(result: RuleResult) -> None:
    first = result.samples[0]
    keys = [name for name in first.values if name not in first.key]
    columns = [Column("row", right=True), *(Column(clean(name), least=8) for name in [*first.key, *keys])]
    rows: list[list[Any]] = []
    for each in result.samples[:_SAMPLES]:
        values = [*each.key.values(), *(each.values[name] for name in keys)]
        rows.append([str(each.row), *(text(("null", _DIM)) if value is None else clean(value) for value in values)])
    write_table(columns, rows, indent=4)
    more = len(result.samples) - _SAMPLES
    if more > 0:
        write(text((f"    and {(result.failed or 0) - _SAMPLES:,} more", _DIM)))
