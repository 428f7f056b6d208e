"""The profile as one HTML page, which asks nothing of anybody: no scripts, no fonts, no pictures from outside."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from penstock.quality.profiles.words import distinct_of, facts_of, share_of, shown
from penstock.quality.report.plots import bar, columns
from penstock.quality.report.style import STYLE

if TYPE_CHECKING:
    from penstock.quality.profiles.column import ColumnProfile
    from penstock.quality.profiles.profile import Profile

_TOP = 8
_OPEN = 60
_MOST_COLUMNS = 200
_LEAST_CORRELATION = 0.3
_MOST_CORRELATIONS = 20


def page_of(profile: Profile) -> str:
    """The page."""
    name = escape(profile.name or "Data")
    notes = "".join(f'<p class="soft">Note: {escape(note)}.</p>' for note in profile.notes)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{name}: profile</title><style>{STYLE}</style></head><body><main>"
        f"<header><div><h1>{name}</h1><p class='soft'>What is in it, column by column</p></div></header>"
        f"{_facts(profile)}{notes}{_overview(profile)}{_correlations(profile)}"
        f"<h2>Columns</h2>{''.join(map(_column, profile.columns[:_MOST_COLUMNS]))}{_more(profile)}"
        "<footer>Written by Penstock. Figures with ≈ are estimates; documentation tells how far they may be off."
        "</footer></main></body></html>\n"
    )


def _more(profile: Profile) -> str:
    more = len(profile.columns) - _MOST_COLUMNS
    return f'<p class="soft">And {more:,} more columns, which are in the table above.</p>' if more > 0 else ""


def _facts(profile: Profile) -> str:
    cells = profile.rows * len(profile.columns)
    nulls = sum(each.nulls for each in profile.columns)
    facts = [
        (f"{profile.rows:,}", "rows"),
        (f"{len(profile.columns):,}", "columns"),
        (share_of(nulls, cells), "of the cells are null"),
        (", ".join(each.name for each in profile.keys if each.unique)[:_OPEN] or "-", "keys"),
    ]
    told = "".join(f"<li><b>{escape(value)}</b><span>{what}</span></li>" for value, what in facts)
    return f'<ul class="facts">{told}</ul>'


def _overview(profile: Profile) -> str:
    titles = ["column", "type", "nulls", "", "different", "values"]
    sides = ["", "", " class='number'", "", " class='number'", ""]
    head = "".join(f"<th{side}>{title}</th>" for title, side in zip(titles, sides, strict=True))
    rows = "".join(
        f"<tr><td><b>{escape(each.name)}</b></td><td>{escape(each.meaning or each.type)}</td>"
        f'<td class="number">{share_of(each.nulls, each.rows)}</td><td>{bar(each.null_share, "--warn", 90)}</td>'
        f'<td class="number">{escape(distinct_of(each))}</td><td>'
        f"{_drawn(each, 200, 26) if place < _MOST_COLUMNS else ''}</td></tr>"
        for place, each in enumerate(profile.columns)
    )
    return f'<h2>Overview</h2><div class="card wide"><table><tr>{head}</tr>{rows}</table></div>'


def _drawn(column: ColumnProfile, width: int, height: int) -> str:
    """The histogram of numbers and times, or how often the most frequent values come."""
    bins = column.histogram(32)
    if bins:
        return columns([(each.rows, f"{shown(each.low)} to {shown(each.high)}: {each.rows:,}") for each in bins],
                       width, height)  # fmt: skip
    if column.family not in ("text", "boolean") or not column.values:
        return ""
    top = column.top(32)
    if not top or top[0].least * 50 < column.values:  # none comes often enough to be seen
        return ""
    return columns([(each.least, f"{shown(each.value)}: {each.least:,}") for each in top], width, height, "--good")


def _correlations(profile: Profile) -> str:
    pairs = profile.correlations.pairs(_LEAST_CORRELATION)[:_MOST_CORRELATIONS]
    if not pairs:
        return ""
    rows = "".join(
        f"<tr><td>{escape(each.left)}</td><td>{escape(each.right)}</td>"
        f"{_correlation(each.pearson)}{_correlation(each.spearman)}</tr>"
        for each in pairs
    )
    sample = len(profile.correlations.sample.drawn)
    told = "" if sample >= profile.rows else f' title="of a sample of {sample:,} rows"'
    head = "<th>column</th><th>column</th><th class='number'>Pearson</th><th></th>"
    head += f"<th class='number'{told}>Spearman</th><th></th>"
    return f'<h2>Correlations</h2><div class="card wide"><table><tr>{head}</tr>{rows}</table></div>'


def _correlation(value: float | None) -> str:
    if value is None:
        return "<td></td><td></td>"
    return f'<td class="number">{value:+.3f}</td><td>{bar(abs(value), "--accent" if value > 0 else "--bad", 90)}</td>'


def _column(column: ColumnProfile) -> str:
    facts = "".join(
        f"<tr><td>{escape(what)}</td><td class='number'>{escape(told)}</td></tr>" for what, told in facts_of(column)
    )
    drawing = _drawn(column, 460, 90)
    tag = f'<span class="tag passed">{escape(column.meaning or column.type)}</span>'
    return (
        f'<details class="rule"><summary><b>{escape(column.name)}</b> {tag} '
        f'<span class="soft">{share_of(column.nulls, column.rows)} null, {escape(distinct_of(column) or "?")} different'
        f"</span></summary>{drawing}"
        f'<div class="wide"><table>{facts}</table></div>{_tops(column)}</details>'
    )


def _tops(column: ColumnProfile) -> str:
    made = ""
    for title, top, exact in (
        ("most frequent values", column.top(_TOP), column.frequent.exact),
        ("shapes", column.shapes.top(_TOP) if column.family == "text" else [], column.shapes.exact),
    ):
        if top and column.compared:
            rows = "".join(_top(each.value, each.least, column.values, exact) for each in top)
            made += f'<p class="soft">{title}</p><div class="wide"><table>{rows}</table></div>'
    return made


def _top(value: Any, count: int, values: int, exact: bool) -> str:
    told = f"{'' if exact else 'at least '}{count:,}"
    return (
        f"<tr><td><code>{escape(shown(value) or ' ')}</code></td><td>{bar(count / values, '--accent', 120)}</td>"
        f'<td class="number">{told}</td></tr>'
    )
