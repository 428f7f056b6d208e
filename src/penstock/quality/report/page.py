"""The report as one HTML page, which asks nothing of anybody: no scripts, no fonts, no pictures from outside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from penstock.quality.report.plots import bar, ring
from penstock.quality.report.report import ColumnStatistics, RuleResult, ValidationReport
from penstock.quality.report.style import STYLE

_LONGEST = 200
_COLOURS = {"error": "--bad", "warning": "--warn", "info": "--accent"}
_FIRST = {"failed": 0, "error": 0, "skipped": 1, "passed": 2}


def page_of(report: ValidationReport) -> str:
    """The page."""
    name = escape(report.name or "Data")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{name}: {'passed' if report.passed else 'failed'}</title><style>{STYLE}</style></head><body><main>"
        f"{_head(report, name)}{_facts(report)}{_notes(report)}{_repairs(report)}"
        f"<h2>Rules</h2>{''.join(map(_rule, _worst_first(report.results)))}"
        f"{_statistics(report)}"
        f"<footer>Written by Penstock, {escape(report.started)}</footer></main></body></html>\n"
    )


def _worst_first(results: Iterable[RuleResult]) -> list[RuleResult]:
    severities = list(_COLOURS)
    return sorted(results, key=lambda each: (_FIRST[each.verdict], severities.index(each.rule.severity)))


def _head(report: ValidationReport, name: str) -> str:
    good = sum(each.good for each in report.results)
    parts = [(good, "--good")]
    for severity, colour in _COLOURS.items():
        parts.append((sum(each.rule.severity == severity for each in report.broken), colour))
    word = "follows its rules" if report.passed else "does not follow its rules"
    return (
        f"<header>{ring(parts, f'{good}/{len(report.results)}')}<div><h1>{name} {word}</h1>"
        f'<p class="soft">{escape(report.summary())}</p></div></header>'
    )


def _facts(report: ValidationReport) -> str:
    failed = len(report.failing())
    warned = len(report.broken) - failed
    facts = [
        ("-" if report.rows is None else f"{report.rows:,}", "rows"),
        (f"{report.columns:,}", "columns"),
        (f"{len(report.results):,}", "rules"),
        (f"{failed:,}", "errors"),
        (f"{warned:,}", "warnings and notes"),
        (f"{report.seconds:.2f} s", f"{report.seconds_sampling:.2f} s of it for samples"),
    ]
    return f'<ul class="facts">{"".join(f"<li><b>{value}</b><span>{what}</span></li>" for value, what in facts)}</ul>'


def _notes(report: ValidationReport) -> str:
    return "".join(f'<p class="soft">Note: {escape(note)}.</p>' for note in report.notes)


def _repairs(report: ValidationReport) -> str:
    if not report.repairs:
        return ""
    titles = ["repair", "column", "changed", "removed", "nulls before", "nulls after", "such as"]
    rows = [
        [each.repair, each.column, each.changed, each.removed, each.nulls_before, each.nulls_after,
         each.reason or "; ".join(f"{one.before!r} → {one.after!r}" for one in each.samples)]
        for each in report.repairs
    ]  # fmt: skip
    return f'<h2>Repairs</h2><div class="card">{_table(titles, rows)}</div>'


def _rule(result: RuleResult) -> str:
    rule = result.rule
    tag = result.verdict if result.good or rule.severity == "error" else rule.severity
    told = {"error": "not checked"}.get(result.verdict, result.verdict)
    title = f'<b>{escape(rule.title)}</b><span class="tag {tag}">{told}</span>'
    lines = [f"<p>{escape(_sentence(result.outcome))}</p>"]
    if result.reason and result.verdict == "failed" and result.reason not in result.outcome:
        lines.append(f"<p>{escape(_sentence(result.reason))}</p>")
    if rule.name:
        lines.append(f"<p><code>{escape(rule.statement)}</code></p>")
    if result.failed and result.fraction is not None:
        drawn = bar(result.fraction, _COLOURS[rule.severity])
        lines.append(
            f'<p class="top">{drawn}<span class="soft">{_percent(result.fraction)} of {result.checked:,}</span></p>'
        )
    return (
        f'<div class="rule {result.verdict} as-{rule.severity}"><div class="top">{title}</div>'
        f"{''.join(lines)}{_samples(result)}</div>"
    )


def _samples(result: RuleResult) -> str:
    if not result.samples:
        return ""
    first = result.samples[0]
    titles = ["row", *first.key, *(name for name in first.values if name not in first.key)]
    rows = [
        [each.row, *each.key.values(), *(value for name, value in each.values.items() if name not in each.key)]
        for each in result.samples
    ]
    many = "1 row" if len(rows) == 1 else f"{len(rows)} rows"
    return (
        f"<details{' open' if len(rows) < 4 else ''}><summary>{many} of them</summary>{_table(titles, rows)}</details>"
    )


def _statistics(report: ValidationReport) -> str:
    if not report.statistics:
        return ""
    titles = ["column", "type", "nulls", "", "least", "mean", "greatest"]
    rows = "".join(_column(each, report.rows or 0) for each in report.statistics)
    sides = ["", "", " class='number'", "", *[" class='number'"] * 3]
    heads = "".join(f"<th{side}>{title}</th>" for title, side in zip(titles, sides, strict=True))
    return f'<h2>Columns</h2><div class="card wide"><table><tr>{heads}</tr>{rows}</table></div>'


def _column(column: ColumnStatistics, rows: int) -> str:
    share = column.nulls / rows if rows else 0.0
    cells = [f"<td><b>{escape(column.name)}</b></td>", f"<td>{escape(column.type)}</td>"]
    cells.append(f'<td class="number">{column.nulls:,}</td><td>{bar(share, "--warn", 90)}</td>')
    cells += [_cell("" if value is None else value) for value in (column.minimum, column.mean, column.maximum)]
    return f"<tr>{''.join(cells)}</tr>"


def _table(titles: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    heads = "".join(f"<th>{escape(str(title))}</th>" for title in titles)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{heads}</tr>{body}</table></div>'


def _cell(value: Any) -> str:
    if value is None:
        return '<td class="null">null</td>'
    if isinstance(value, float):
        return f'<td class="number">{value:,.6g}</td>'
    if isinstance(value, int) and not isinstance(value, bool):
        return f'<td class="number">{value}</td>'
    text = str(value)
    return f"<td>{escape(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + '…')}</td>"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _percent(fraction: float) -> str:
    return "<0.01 %".replace("<", "&lt;") if 0 < fraction < 0.0001 else f"{fraction:.2%}".replace("%", " %")
