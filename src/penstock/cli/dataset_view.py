"""What `penstock dataset` shows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from penstock.cli.console import Column, Parts, clean, counted, text, write, write_parts, write_table
from penstock.cli.session import short
from penstock.cli.units import age
from penstock.core.datasets import StoredDataset
from penstock.core.events import now_us
from penstock.core.ports.tables import Version

_DIM = "bright_black"


def write_datasets(found: Sequence[StoredDataset]) -> None:
    """A table of datasets."""
    now = now_us()
    columns = [
        Column("dataset", least=12),
        Column("place", least=12, leaves=3),
        Column("version", right=True, leaves=2),
        Column("landed", right=True),
        Column("rejected", right=True, leaves=1),
        Column("written"),
    ]
    write_table(columns, [_row(one, now) for one in found])


def _row(one: StoredDataset, now: int) -> list[Any]:
    return [
        text((clean(one.name), "bold")),
        text((clean(one.place) if one.declared else "", _DIM)),
        clean(one.version),
        "" if one.landed is None else f"{one.landed:,}",
        text((f"{one.rejected:,}", "yellow")) if one.rejected else "",
        text(("never", _DIM)) if one.written_at is None else age(one.written_at, now),
    ]


def write_dataset(
    name: str, known: StoredDataset | None, place: str, columns: Sequence[dict[str, str]], rows: int | None
) -> None:
    """What one dataset is."""
    now = now_us()
    told = "" if rows is None else f"  {counted(rows, 'row')}"
    lines: list[Parts] = [[(clean(name), "bold"), (told, "")]]
    facts: dict[str, str] = {"place": place}
    if known is not None:
        facts |= {str(key): _said(value) for key, value in known.spec.items() if key not in ("columns", "options")}
        facts |= {"version": known.version}
        facts |= {
            "written": _who(known.written_at, known.written_by, now),
            "read": _who(known.read_at, known.read_by, now),
        }
    widest = max(map(len, facts))
    lines += [[(f"  {key.ljust(widest)}  ", _DIM), (clean(value), "")] for key, value in facts.items() if value]
    write_parts(lines)
    write()
    write_table(
        [Column("column", least=12), Column("type")], [[clean(one["name"]), one["type"]] for one in columns], indent=2
    )


def _said(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _who(at: int | None, run: str | None, now: int) -> str:
    if at is None:
        return ""
    return f"{age(at, now)}, by the run {short(run)}" if run is not None else age(at, now)


def version_record(one: Version) -> dict[str, Any]:
    """A version as JSON."""
    told = {"version": one.version, "at": one.at.isoformat(), "operation": one.operation, "rows": one.rows}
    return {**told, "pipe": one.pipe or None}


def write_versions(versions: Sequence[Version]) -> None:
    """A table of versions."""
    now = datetime.now(UTC)
    columns = [
        Column("version", right=True),
        Column("committed"),
        Column("operation"),
        Column("rows", right=True, leaves=1),
        Column("pipe", least=12, leaves=2),
    ]
    rows = [
        [one.version, _ago(one.at, now), one.operation, "" if one.rows is None else f"{one.rows:,}", clean(one.pipe)]
        for one in versions
    ]
    write_table(columns, rows)


def _ago(at: datetime, now: datetime) -> str:
    microsecond = timedelta(microseconds=1)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return age((at - epoch) // microsecond, (now - epoch) // microsecond)


def write_events(events: Sequence[dict[str, Any]]) -> None:
    """A table of readings and writings on record."""
    if not events:
        return
    now = now_us()
    columns = [
        Column("on record"),
        Column(""),
        Column("rows", right=True),
        Column("run"),
        Column("step", least=8, leaves=1),
    ]
    rows = []
    for one in events:
        number = one.get("landed", one.get("rows"))
        who = [short(one["run"]) if one["run"] else "", clean(one["step"] or "")]
        rows.append([age(one["at_us"], now), one["what"], "" if number is None else f"{number:,}", *who])
    write_table(columns, rows)
