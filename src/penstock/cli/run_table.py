"""Runs in a table: a line each, with the columns that say something about them; and what a paused one waits for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from penstock.cli.console import Column, clean, clean_lines, colour, glyph, text, write_table
from penstock.cli.session import short
from penstock.cli.units import age, ahead, duration
from penstock.core.events import ON_REQUEST
from penstock.core.model import Run

if TYPE_CHECKING:
    from rich.text import Text

_DIM = "bright_black"


class _Told(NamedTuple):
    """A column, what stands in it, and whether it is left out where no run has anything to say in it."""

    column: Column
    cell: Callable[[Run, int], Text | str]
    optional: bool = False


def _state(run: Run, now: int) -> Text:
    state = run.shown_state(now)
    return text((f"{glyph(state)} {state}", colour(state)))


def _when(run: Run, now: int) -> Text:
    """When it was made; of a run that nobody has begun, when it is due."""
    if run.state == "Scheduled" and run.due_at is not None:
        return text((ahead(run.due_at, now), _DIM) if run.due_at > now else ("due now", "yellow"))
    return text((age(run.created_at, now), _DIM))


def _took(run: Run, now: int) -> str:
    ended = run.ended_at if run.ended or run.lost(now) else now
    return duration(ended - run.started_at) if run.started_at and ended else ""


def _dim(value: str | None) -> Text | str:
    return text((clean(value), _DIM)) if value else ""


_COLUMNS = (
    _Told(Column("state"), _state),
    _Told(Column("id"), lambda run, now: short(run.id)),
    _Told(Column("name", least=8, leaves=1), lambda run, now: clean(run.name)),
    _Told(Column("flow", least=8), lambda run, now: clean(run.flow)),
    _Told(Column("deployment", least=8, leaves=4), lambda run, now: _dim(run.deployment), optional=True),
    _Told(Column("partition", least=8, leaves=4), lambda run, now: clean(run.partition or ""), optional=True),
    _Told(Column("crashes", right=True, leaves=5), lambda run, now: str(run.crashes or ""), optional=True),
    _Told(Column("started", right=True, leaves=3), _when),
    _Told(Column("took", right=True, leaves=2), _took),
    _Told(Column("tags", least=6, leaves=6), lambda run, now: _dim(" ".join(run.tags)), optional=True),
)


def write_runs(runs: Sequence[Run], now: int) -> None:
    """A table of runs."""
    columns: list[Column] = []
    cells: list[list[Text | str]] = []
    for told in _COLUMNS:
        found = [told.cell(run, now) for run in runs]
        if not told.optional or any(found):
            columns.append(told.column)
            cells.append(found)
    write_table(columns, list(zip(*cells, strict=True)))


def waiting_told(run: Run, now: int) -> str:
    """What a paused run waits for."""
    found = run.waiting
    if found is None:
        return "paused"
    if found.key == ON_REQUEST:
        return clean(clean_lines(found.prompt or "paused")[0])
    if found.kind == "sleep":
        return f"sleeps, goes on {ahead(found.until, now)}" if found.until is not None else "sleeps"
    until = f", gives up {ahead(found.until, now)}" if found.until is not None else ""
    said = f": {clean(clean_lines(found.prompt)[0])}" if found.prompt else ""
    return f"waits for an answer{said}{until}"
