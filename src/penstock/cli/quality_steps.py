"""`penstock quality history`, `quarantined` and `retry`: what checks in flows have found, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import typer

from penstock.cli.console import (
    Column,
    clean,
    colour,
    counted,
    glyph,
    say,
    text,
    write,
    write_json,
    write_parts,
    write_table,
)
from penstock.cli.help import JSON, Command, examples
from penstock.cli.session import executing, reading, short
from penstock.cli.units import age, iso
from penstock.core.datasets import CHECKED, CheckFailed, CheckPassed, StoredDataset
from penstock.core.errors import ConfigurationError, DatasetNotFound, PenstockError
from penstock.core.events import now_us
from penstock.core.plans import stream_of
from penstock.core.ports import Journal
from penstock.data import Dataset
from penstock.engine import datasets
from penstock.quality.steps.quarantine import Filed, Quarantine
from penstock.quality.steps.retrying import PIPE, Record, done_records, records_of, retry

_DIM = "bright_black"
_PAGE = 1000
_MOST_PAGES = 500
_SAID = ("keys", "partition_by", "mode", "columns", "options", "description", "owner", "tags")
_TYPES = (CheckPassed.stored, CheckFailed.stored)


def add(app: typer.Typer) -> None:
    """Add these commands to the group."""
    app.command(
        "history",
        cls=Command,
        epilog=examples("penstock quality history  # the latest checks", "penstock quality history orders --json"),
    )(history)
    app.command(
        "quarantined",
        cls=Command,
        epilog=examples("penstock quality quarantined  # what waits", "penstock quality quarantined orders --json"),
    )(quarantined)
    app.command(
        "retry",
        cls=Command,
        epilog=examples(
            "penstock quality retry orders --rules orders.yaml  # into the dataset that the rows were for",
            "penstock quality retry load --rules orders.yaml --to lake:raw/orders  # nobody said what they were for",
        ),
    )(retry_rows)


def history(
    name: Annotated[str | None, typer.Argument(metavar="[DATASET]", help="Of these rows only.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="At most so many.")] = 20,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Show what checks in flows and on datasets have found, the latest first."""
    with reading() as penstock:
        found = list(_checks(penstock.journal, name, limit))
    if json:
        write_json({"checks": [_as_json(each) for each in found]})
        return
    if not found:
        write("No checks are on record." if name is None else f"No checks of {clean(name)} are on record.")
        return
    columns = [
        Column("checked"),
        Column(""),
        Column("data", least=8),
        Column("rows", right=True),
        Column("quarantined", right=True, leaves=1),
        Column("run", leaves=2),
        Column("", least=16, leaves=3),
    ]
    now = now_us()
    write_table(columns, [_check_row(each, now) for each in found])


def _checks(journal: Journal, name: str | None, limit: int) -> Iterable[Any]:
    if name is not None:
        stream = stream_of(CHECKED, name)
        after = max(0, journal.last_seq(stream) - limit)
        yield from [stored.event for stored in journal.load(stream, after)][::-1]
        return
    before: int | None = None
    for _ in range(_MOST_PAGES):
        page = journal.read_back(before, min(limit, _PAGE), _TYPES)
        yield from (stored.event for stored in page[:limit])
        limit -= len(page)
        if limit <= 0 or not page:
            return
        before = page[-1].position


def _as_json(event: Any) -> dict[str, Any]:
    told = msgspec.structs.asdict(event)
    told.pop("id")
    return {**told, "passed": isinstance(event, CheckPassed), "at": iso(event.at)}


def _check_row(event: Any, now: int) -> list[Any]:
    failed = isinstance(event, CheckFailed)
    state = "Failed" if failed else "Completed"
    tint = {"warning": "yellow", "info": "cyan"}.get(event.severity, colour(state)) if failed else colour(state)
    broken = [title for title, verdict in event.verdicts.items() if verdict in ("failed", "error")]
    return [
        age(event.at, now),
        text((glyph(state), tint)),
        clean(event.dataset),
        "" if event.rows is None else f"{event.rows:,}",
        f"{event.quarantined:,}" if event.quarantined else "",
        short(event.run) if event.run else "",
        clean(", ".join(broken)),
    ]


def quarantined(
    name: Annotated[str | None, typer.Argument(metavar="[DATASET]", help="Of these rows only.")] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Show rows that checks have put into quarantine, and that wait there."""
    with reading() as penstock:
        quarantine = Quarantine(penstock.home / "quarantine")
        found = quarantine.waiting(name)
        rejected, unknown = _rejected(penstock.journal, quarantine, name)
    for dataset, reason in unknown:
        say(f"What {clean(dataset)} has rejected is not known: {reason}")
    if json:
        told = [{"dataset": dataset, "rows": rows} for dataset, rows in rejected]
        write_json({"quarantined": [msgspec.to_builtins(each) for each in found], "rejected": told})
        return
    if not found and not rejected:
        write("Nothing else is in quarantine." if unknown else "Nothing is in quarantine.")
        return
    columns = [Column("data", least=8), Column("rows", right=True), Column("run"), Column("step", leaves=1),
               Column("since", leaves=2), Column("does not follow", least=16)]  # fmt: skip
    write_table(columns, [*map(_filed_row, found), *([clean(n), f"{rows:,}", "", "", "", ""] for n, rows in rejected)])
    total = sum(each.rows for each in found) + sum(rows for _, rows in rejected)
    write(text((f"{counted(total, 'row')} in quarantine; penstock quality retry DATASET --rules FILE", _DIM)))


def _filed_row(filed: Filed) -> list[Any]:
    rules = ", ".join(f"{title} ({rows:,})" for title, rows in filed.rules.items())
    run = short(filed.run) if filed.run else ""
    return [clean(filed.dataset), f"{filed.rows:,}", run, clean(filed.step or ""), filed.at[:19], clean(rules)]


def _rejected(
    journal: Journal, quarantine: Quarantine, name: str | None
) -> tuple[list[tuple[str, int]], list[tuple[str, str]]]:
    """Datasets with checks of their own: how many rejected rows wait to be tried again, or why that is not known."""
    found, unknown = [], []
    for known in journal.datasets(name):
        if not str(known.spec.get("checks", "")).endswith(": quarantine"):
            continue
        try:
            dataset = _dataset(known)
            with quarantine.alone(), dataset.open(PIPE) as landing:
                done = done_records(landing)
            if waiting := sum(record.id not in done for record in _records(dataset)):
                found.append((known.name, waiting))
        except PenstockError as error:  # such as a store that is away; the rest is shown all the same
            unknown.append((known.name, error.message))
    return found, unknown


def retry_rows(
    name: Annotated[str, typer.Argument(metavar="DATASET", help="What the rows are called: see `quarantined`.")],
    rules: Annotated[Path, typer.Option("--rules", "-r", metavar="RULES", help="A .yaml, .toml or .json file.")],
    to: Annotated[
        str | None, typer.Option(metavar="DATASET|ADDRESS", help="Where rows land; by default what they were for.")
    ] = None,
    json: Annotated[bool, JSON] = False,
) -> int:
    """Check rows in quarantine again: those that follow the rules now land in their dataset, and the rest stays.

    Each row lands once, whatever is killed. The exit code is 1 where rows stay.
    """
    with executing() as penstock:
        target = _target(penstock.journal, name, to)
        records = _records(target.dataset) if target.records else ()
        schema = target.dataset.schema() if target.dataset.exists() else None
        done = retry(name, target.dataset, rules, records=records, schema=schema)
    landed, refused = done.counts.landed + done.counts.superseded, done.counts.rejected
    if json:
        told = {"dataset": name, "landed": landed, "rejected": refused, "waiting": done.waiting}
        write_json({**told, "left_out": list(done.left_out)})
        return 1 if done.waiting else 0
    for title in done.left_out:
        write(text((f"Passed over, as it is not about single rows: {clean(title)}", _DIM)))
    sign = "Completed" if not done.waiting else "Failed"
    what = f"{clean(name)}: {counted(landed, 'row')} landed, {done.waiting:,} stay in quarantine"
    more = f", {refused:,} rejected by the dataset itself" if refused else ""
    write_parts([[(f"{glyph(sign)} ", colour(sign)), (f"{what}{more}", "")]])
    return 1 if done.waiting else 0


class _Target(NamedTuple):
    """Where rows land.

    Attributes:
        records: rejected records of it are tried, too.
    """

    dataset: Dataset
    records: bool


def _target(journal: Journal, name: str, to: str | None) -> _Target:
    waiting = Quarantine().waiting(name)
    if to is None:
        targets = {each.target for each in waiting if each.target}
        known = journal.datasets(name)
        if not known and not targets and waiting:
            raise ConfigurationError(f"Nobody said what the rows of {name} are for.", hint="say it: --to DATASET")
        if len(targets) > 1:
            raise ConfigurationError(
                f"The rows of {name} are for several places: {', '.join(sorted(targets))}.",
                hint="say which: --to ADDRESS",
            )
        if not known and not targets:
            raise DatasetNotFound(f"Nothing of {name!r} is in quarantine.", hint="see penstock quality quarantined")
        to = name if known else targets.pop()
    try:
        stored = datasets.named(journal, to)
    except DatasetNotFound:
        if not any(sign in to for sign in ":./"):
            raise
        return _Target(Dataset(name, to), False)
    checks = str(stored.spec.get("checks", "")).endswith(": quarantine")
    return _Target(_dataset(stored), stored.name == name and checks)


def _dataset(known: StoredDataset) -> Dataset:
    """A dataset as it is on record.

    Raises:
        ConfigurationError: it cannot take single rows, or it is not on record how it is written.
    """
    spec = known.spec
    if not known.address:
        raise ConfigurationError(f"It is not on record where {known.name} is.", hint="say it: --to ADDRESS")
    if spec.get("mode") == "replace":
        raise ConfigurationError(
            f"{known.name} is replaced as a whole by what is written.", hint="run the flow that writes it again"
        )
    said = {name: value for name, value in spec.items() if name in _SAID}
    return Dataset(known.name, known.address, **said)


def _records(dataset: Dataset) -> Iterable[Record]:
    return records_of(dataset.table.rejected())
