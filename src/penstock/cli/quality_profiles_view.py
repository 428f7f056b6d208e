"""Profiles and drift, as people see them in a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.cli.console import Column, clean, counted, fitting, glyph, text, write, write_table
from penstock.cli.logs_view import sparkline
from penstock.quality.profiles.column import ORDERED
from penstock.quality.profiles.moments import Pair
from penstock.quality.profiles.words import distinct_of, share_of, shown

if TYPE_CHECKING:
    from penstock.quality.profiles import ColumnDrift, ColumnProfile, DriftReport, Profile

_DIM = "bright_black"
_SPARKS = 16
_MANY_NULLS = 0.05
_TOP = 3
_SHORT = 24
_CORRELATED = 0.5
_MOST = 5


def write_profile(found: Profile, quiet: bool, written: list[Path]) -> None:
    """Write a line for each column: its type, nulls, different values, distribution, and values."""
    head = f"{counted(found.rows, 'row')}, {counted(len(found.columns), 'column')}"
    name = f"{clean(found.name)}: " if found.name else ""
    write(text((f"{glyph('Completed')} ", "green"), (f"{name}{head}", "bold")))
    if not quiet:
        for note in found.notes:
            write(text((f"  Note: {clean(note)}", _DIM)))
        write()
        _write_columns(found)
        _write_relations(found)
    for path in written:
        write(text((f"  written to {clean(path)}", _DIM)))


def _write_columns(found: Profile) -> None:
    titles = [
        Column("column", least=8),
        Column("type"),
        Column("nulls", right=True),
        Column("different", right=True),
        Column("", leaves=2),
        Column("values", least=20, leaves=1),
    ]
    rows = [
        [
            text((clean(each.name), "bold")),
            text((clean(each.meaning or each.type), "magenta" if each.meaning else "cyan")),
            text((share_of(each.nulls, each.rows), "yellow" if each.null_share > _MANY_NULLS else _DIM)),
            text((_different(each), "default")),
            text((_spark(each), "blue" if each.family in ORDERED else "green")),
            _values(each),
        ]
        for each in found.columns
    ]
    write_table(titles, rows, indent=2)


def _different(column: ColumnProfile) -> str:
    if column.unique and column.values > 1:
        return f"{distinct_of(column)} all"
    told = distinct_of(column)
    return told if fitting("…") == "…" else told.replace("≈", "~")


def _spark(column: ColumnProfile) -> str:
    bins = column.histogram(_SPARKS)
    if bins:
        return sparkline([part.rows for part in bins], _SPARKS)
    counts = [each.least for each in column.top(_SPARKS)] if column.frequent.exact else []
    return sparkline(counts, _SPARKS) if column.compared and len(counts) > 1 else ""


def _values(column: ColumnProfile) -> Any:
    if not column.values:
        return text(("nothing", _DIM))
    if column.family in ORDERED:
        least, middle, most = (shown(each) for each in (column.minimum, column.quantile(0.5), column.maximum))
        between = (fitting(" … "), _DIM)
        special = column.nan + column.positive_infinite + column.negative_infinite
        return text(least, between, middle, between, most, (f"  {special:,} not finite" if special else "", "yellow"))
    if column.family in ("text", "boolean") and column.frequent.exact and column.top(1):
        told = [f"{clean(shown(each.value))[:_SHORT] or '(empty)'} {share_of(each.least, column.values)}"
                for each in column.top(_TOP)]  # fmt: skip
        return text(", ".join(told))
    shapes = [clean(each.value) for each in column.shapes.top(_TOP) if each.value]
    return text(("like ", _DIM), ", ".join(shapes)) if shapes and column.family == "text" else text("")


def _write_relations(found: Profile) -> None:
    keys = found.keys
    if keys:
        sure = [clean(each.name) for each in keys if each.unique]
        likely = [clean(each.name) for each in keys if not each.unique]
        write()
        if sure:
            write(text(("  Keys         ", _DIM), ", ".join(sure)))
        if likely:
            write(text(("  Likely keys  ", _DIM), ", ".join(likely), ("  (of a sample no value comes twice)", _DIM)))
    pairs = found.correlations.pairs(_CORRELATED)[:_MOST]
    if pairs:
        told = ", ".join(f"{clean(each.left)} and {clean(each.right)} {_strongest(each)}" for each in pairs)
        write(text(("  Correlated   ", _DIM), told))


def _strongest(pair: Pair) -> str:
    """Pearson's correlation; Spearman's where that tells more."""
    pearson, spearman = pair.pearson or 0.0, pair.spearman or 0.0
    return f"{pearson:+.2f}" if abs(pearson) >= abs(spearman) - 0.05 else f"{spearman:+.2f} by rank"


def write_drift(report: DriftReport, quiet: bool) -> None:
    """Write a line for each column: its figures, and why it drifted."""
    if not quiet:
        titles = [Column("", leaves=0), Column("column", least=8), Column("nulls"), Column("PSI", right=True),
                  Column("KS", right=True), Column("JS", right=True, leaves=1), Column("why", least=30)]  # fmt: skip
        write_table(titles, [_drift_row(each) for each in report.columns])
        write()
    sign, colour = (glyph("Failed"), "red") if report.drifted else (glyph("Completed"), "green")
    write(text((f"{sign} ", colour), (report.summary(), "bold")))


def _drift_row(column: ColumnDrift) -> list[Any]:
    sign, colour = (glyph("Failed"), "red") if column.drifted else (glyph("Completed"), "green")
    shares = column.null_shares
    nulls = "" if shares is None else fitting(f"{shares[0]:.1%} → {shares[1]:.1%}")
    figures = ["" if each is None else f"{each:.3f}" for each in (column.psi, column.ks, column.js)]
    why = clean("; ".join(column.reasons))
    return [text((sign, colour)), clean(column.name), text((nulls, _DIM)), *figures, text((why, colour))]
