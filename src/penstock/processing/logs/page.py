"""A report as one page of HTML that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

import html
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from penstock.processing.logs.report import LogReport, Top

_WIDTH, _HEIGHT = 960, 110
_MOST_POINTS = 960
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #888; --blue: #2b7de9; --red: #d64545; --green: #2e9e6b; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.soft { color: var(--soft); } .cards { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; }
.card { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem 1rem; min-width: 7rem; }
.card b { display: block; font-size: 1.3rem; } table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
svg { width: 100%; height: auto; } code { font-size: .85em; overflow-wrap: anywhere; }
"""


def page_of(report: LogReport) -> str:
    """The page."""
    name = ", ".join(report.files[:3]) + (" and more" if len(report.files) > 3 else "")
    parts = [f"<h1>{_e(name)}</h1>", f'<p class="soft">{_e(_when(report))}</p>', _cards(report)]
    parts += [_plots(report), _anomalies(report)]
    parts += [_counts("Status", {str(each): count for each, count in report.statuses.items()})]
    parts += [_counts("Levels", report.levels), _counts("Methods", report.methods)]
    for title, top in _tops(report):
        parts.append(_table(title, top))
    parts.append(_malformed(report))
    body = "\n".join(part for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_e(name)}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _e(value: object) -> str:
    return html.escape(str(value))


def _when(report: LogReport) -> str:
    if report.start is None or report.end is None:
        return "nothing in it means anything"
    return f"{report.start:%Y-%m-%d %H:%M:%S} to {report.end:%Y-%m-%d %H:%M:%S} UTC"


def _cards(report: LogReport) -> str:
    facts = {
        "lines": f"{report.lines:,}",
        "parsed": f"{report.parsed:,}",
        "malformed": f"{report.malformed:,}",
        "skipped": f"{report.skipped:,}",
        "failed": f"{report.error_rate:.2%}",
    }
    if report.statuses:
        facts |= {"bytes sent": f"{report.bytes_sent:,}", "visits": f"{report.sessions:,}"}
    facts |= {f"{name} (s)": f"{value:.3f}" for name, value in report.latency.items()}
    cards = (f'<div class="card"><b>{_e(value)}</b>{_e(name)}</div>' for name, value in facts.items())
    return f'<div class="cards">{"".join(cards)}</div>'


def _plots(report: LogReport) -> str:
    if report.minutes is None or len(report.minutes) < 2:
        return ""
    shown = [("Requests a minute", "requests", "--blue"), ("Failed a minute", "failed", "--red")]
    if report.statuses:
        shown.append(("Bytes a minute", "bytes", "--green"))
    plots = []
    for title, column, colour in shown:
        values = report.minutes[column].to_list()
        plots.append(f"<h2>{title}</h2>{_plot(values, colour, _spans(report))}")
    return "".join(plots)


def _spans(report: LogReport) -> list[tuple[float, float, str]]:
    """Where anomalies are, as shares of the time."""
    first, count = report.minutes["time"][0], len(report.minutes)
    found = []
    for each in report.anomalies:
        start = (each.start - first).total_seconds() / 60 / count
        end = (each.end - first).total_seconds() / 60 / count
        found.append((max(start, 0.0), min(end, 1.0), f"{each.kind}: {each.reason}"))
    return found


def _plot(values: Sequence[float], colour: str, spans: list[tuple[float, float, str]]) -> str:
    count = min(len(values), _MOST_POINTS)
    edges = [place * len(values) // count for place in range(count + 1)]
    highest = [max(values[a:b]) for a, b in pairwise(edges)]  # a mean would hide what is short
    most = max(highest) or 1
    points = " ".join(
        f"{place * _WIDTH / max(count - 1, 1):.1f},{_HEIGHT - value / most * (_HEIGHT - 10):.1f}"
        for place, value in enumerate(highest)
    )
    marks = "".join(
        f'<rect x="{start * _WIDTH:.1f}" y="0" width="{max((end - start) * _WIDTH, 2):.1f}" height="{_HEIGHT}" '
        f'fill="var(--red)" opacity=".18"><title>{_e(told)}</title></rect>'
        for start, end, told in spans
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{marks}<polyline points="{points}" fill="none" '
        f'stroke="var({colour})" stroke-width="1.2"/><text x="2" y="10" font-size="10" fill="currentColor">'
        f"{most:,.0f}</text></svg>"
    )


def _anomalies(report: LogReport) -> str:
    rows = [(f"{a.start:%Y-%m-%d %H:%M}", f"{a.end:%Y-%m-%d %H:%M}", a.kind, a.reason) for a in report.anomalies]
    return _rows("Anomalies", ["from (UTC)", "to", "kind", "why"], rows)


def _counts(title: str, counts: dict[str, int]) -> str:
    return _rows(title, [title.lower(), "n"], list(counts.items()))


def _tops(report: LogReport) -> list[tuple[str, Top]]:
    return [
        ("Paths", report.paths),
        ("Failing paths", report.failing),
        ("Slow paths", report.slow),
        ("Clients", report.clients),
        ("Scanners", report.scanners),
        ("Referrers", report.referrers),
        ("Agents", report.agents),
        ("Robots", report.robots),
        ("Components", report.components),
        ("Error templates", report.templates),
        ("New error templates", report.new_templates),
        ("Messages", report.messages),
    ]


def _table(title: str, top: Top) -> str:
    if not top.rows:
        return ""
    names = list(top.rows[0])
    many = f"{top.distinct:,} in all" if top.exact else f"at least {top.distinct:,}; counts too low by {top.error:,}"
    return _rows(f"{title} ({many})", names, [tuple(row[name] for name in names) for row in top.rows])


def _rows(title: str, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> str:
    if not rows:
        return ""
    numbers = [all(isinstance(row[place], (int, float, type(None))) for row in rows) for place in range(len(names))]
    classes = [' class="n"' if number else "" for number in numbers]
    head = "".join(f"<th{kind}>{_e(name)}</th>" for name, kind in zip(names, classes, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{_e(_told(v))}</td>" for v, kind in zip(row, classes, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<h2>{_e(title)}</h2><table><tr>{head}</tr>{body}</table>"


def _told(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}"
    return f"{value:,}" if isinstance(value, int) else "" if value is None else str(value)


def _malformed(report: LogReport) -> str:
    rows = [(each.file, each.line, each.reason, each.text) for each in report.samples]
    return _rows("Malformed lines", ["file", "line", "why", "text"], rows)
