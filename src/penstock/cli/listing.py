"""`penstock runs list`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import typer

from penstock.cli.console import fitting, text, write, write_json
from penstock.cli.desk import at_desk
from penstock.cli.help import JSON
from penstock.cli.run_table import write_runs
from penstock.cli.session import complete_flow, complete_run, named_run, short
from penstock.cli.times import instant
from penstock.core.errors import ConfigurationError
from penstock.core.events import now_us
from penstock.core.model import Run, RunFilter
from penstock.core.ports.reading import Reading
from penstock.core.states import StateType
from penstock.orchestrator.records import run_record

WORDS = {kind.word.lower(): kind.word for kind in StateType}
_OPEN = ("Running", "Retrying", "Pending", "Paused")
"""States in which a process may hold the run, and be gone."""


def list_runs(
    state: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATE",
            help="Only runs in this state; may be repeated.",
            autocompletion=lambda incomplete: [word for word in WORDS if word.startswith(incomplete.lower())],
        ),
    ] = None,
    flow: Annotated[
        str | None, typer.Option(metavar="FLOW", help="Only runs of this flow.", autocompletion=complete_flow)
    ] = None,
    deployment: Annotated[str | None, typer.Option(metavar="NAME", help="Only runs of this deployment.")] = None,
    partition: Annotated[str | None, typer.Option(metavar="NAME", help="Only runs for this partition.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="Only runs with this tag; with all, if repeated.")
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Only runs with this parameter; with all, if repeated."),
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Only runs with these words in their name, their flow's or deployment's name, or their message; "
            "the last one may be the beginning of a word.",
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only runs made since then: 2h (ago), 2026-01-31, today.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Only runs made before then.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="At most so many.")] = 20,
    before: Annotated[
        str | None, typer.Option(metavar="RUN", help="Only runs older than this one.", autocompletion=complete_run)
    ] = None,
    children: Annotated[bool, typer.Option("--children", help="List the runs of subflows too.")] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """List runs, newest first. Conditions of several kinds must all be true."""
    now = now_us()
    given: dict[str, Any] = {
        "state": state, "flow": flow, "deployment": deployment, "partition": partition, "tag": tag, "param": param,
        "search": search, "since": since, "until": until,
    }  # fmt: skip
    wanted = _states(state)
    where = RunFilter(
        flow=flow,
        deployment=deployment,
        partition=partition,
        tags=tuple(tag or ()),
        parameters=dict(map(_parameter, param or ())),
        text=search or "",
        since=instant("--since", since, now) if since is not None else None,
        until=instant("--until", until, now) if until is not None else None,
        children=children,
        limit=limit + 1,
    )
    if where.since is not None and where.until is not None and where.since >= where.until:
        raise ConfigurationError(f"--since {since!r} is not before --until {until!r}.", hint="exchange the two")
    with at_desk() as desk:
        if before is not None:
            where = msgspec.structs.replace(where, before=named_run(desk.journal, before).id)
        runs = _page(desk.journal, where, wanted, now)
    more = len(runs) > limit
    runs = runs[:limit]
    if json:
        write_json({"runs": [run_record(run, now) for run in runs], "next": runs[-1].id if more else None})
    elif not runs:
        asked = before is not None or any(given.values())
        told = "No such runs." if asked else "There are no runs yet."
        write(told if asked else text(told, fitting("  Start one: "), ("penstock run FILE.py", "cyan")))
    else:
        write_runs(runs, now)
        if more:
            again = _repeated(given, limit, children)
            write(text((f"\nolder: penstock runs list {again}--before {short(runs[-1].id)}", "bright_black")))


def _states(given: list[str] | None) -> set[str]:
    wanted: set[str] = set()
    for word in ",".join(given or ()).lower().split(","):
        if word.strip() and word.strip() not in WORDS:
            raise ConfigurationError(f"There is no state {word.strip()!r}.", hint=f"there are: {', '.join(WORDS)}")
        if word.strip():
            wanted.add(WORDS[word.strip()])
    return wanted


def _parameter(given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not name or not equals:
        raise ConfigurationError(f"--param {given!r} is not NAME=VALUE.", hint="such as --param day=2026-01-31")
    return name.strip(), value


def _repeated(given: dict[str, Any], limit: int, children: bool) -> str:
    """The options that the next page needs as well."""
    words: list[str] = []
    for name, value in given.items():
        for each in [value] if isinstance(value, str) else value or ():
            words += (f"--{name}", each)
    words += ["--limit", str(limit)] if limit != 20 else []
    words += ["--children"] if children else []
    return f"{shlex.join(words)} " if words else ""


def _page(journal: Reading, where: RunFilter, wanted: set[str], now: int) -> list[Run]:
    """Runs by the state they are shown in: one whose process is gone is on record as Running, and is Crashed."""
    asked: Sequence[str] = sorted(wanted | set(_OPEN) if "Crashed" in wanted else wanted)
    found: list[Run] = []
    before = where.before
    while True:
        page = journal.runs(msgspec.structs.replace(where, states=tuple(asked), before=before))
        found += [run for run in page if not wanted or run.shown_state(now) in wanted]
        if len(page) < where.limit or len(found) >= where.limit:
            return found[: where.limit]
        before = page[-1].id
