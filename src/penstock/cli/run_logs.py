"""`penstock runs logs`."""

from __future__ import annotations

import heapq
import sys
import time
from collections.abc import Iterator
from typing import Annotated

import typer

from penstock.cli.console import clean, clean_lines, write, write_json_line
from penstock.cli.desk import at_desk
from penstock.cli.display import Said
from penstock.cli.help import JSON
from penstock.cli.session import complete_run, complete_step, named_run
from penstock.cli.units import moment
from penstock.core.errors import RunNotFound
from penstock.core.events import now_us
from penstock.core.model import LogLine, Run, RunFilter
from penstock.core.ports.reading import Reading
from penstock.orchestrator.records import level_name, log_record

_LOOK_SECONDS = 0.3
_PAGE = 2000


def logs(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="Its id, the beginning or end of its id, its name, or `last`.",
            autocompletion=complete_run,
            show_default=False,
        ),
    ],
    step: Annotated[
        str | None,
        typer.Option(
            metavar="STEP",
            help="Only of this step and what it called; a task's name for all of its calls.",
            autocompletion=lambda ctx, incomplete: complete_step(ctx.params.get("run") or "last"),
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Show what a run and its subflows logged."""
    with at_desk() as desk:
        journal = desk.journal
        wanted = named_run(journal, run)
        if step is not None and not _has_step(journal, wanted, step):
            raise RunNotFound(
                f"Run {wanted.name} has no step {step!r}.", hint=f"penstock runs show {wanted.id} lists its steps"
            )
        seen: dict[str, int] = {}
        count = 0
        while True:
            last_look = not follow or _is_over(journal, wanted.id)
            names = {found.id: found.flow for found in family(journal, wanted)}
            for line in new_lines(journal, list(names), seen):
                if step is None or _of_step(line, step):
                    count += 1
                    write_line(line, "" if line.run_id == wanted.id else names[line.run_id], json)
            sys.stdout.flush()
            if last_look:
                break
            time.sleep(_LOOK_SECONDS)
    if not count and not json:
        write(f"{clean(wanted.name)} has logged nothing{' in this step' if step else ''}.")


def _is_over(journal: Reading, run_id: str) -> bool:
    found = journal.run(run_id)
    if found is None or found.ended:
        return True
    return found.lost(now_us()) and found.pool is None  # a run of a pool is put back when its process died


def family(journal: Reading, run: Run) -> list[Run]:
    """The run, and the runs of its subflows."""
    found, place = [run], 0
    while place < len(found):
        found += journal.runs(RunFilter(parent_id=found[place].id, limit=10_000))
        place += 1
    return found


def _has_step(journal: Reading, run: Run, step: str) -> bool:
    return any(_fits(found.key, step) for member in family(journal, run) for found in journal.task_runs(member.id))


def _of_step(line: LogLine, step: str) -> bool:
    return line.key is not None and _fits(line.key, step)


def _fits(key: str, step: str) -> bool:
    """`fetch#2` is itself and what it called; `fetch` is every call of fetch."""
    return key == step or key.startswith((f"{step}/", f"{step}#", f"{step}~"))


def new_lines(journal: Reading, run_ids: list[str], seen: dict[str, int]) -> Iterator[LogLine]:
    """Lines not seen yet, of several runs in the order they were logged; read in pages."""

    def pages(run_id: str) -> Iterator[LogLine]:
        while page := journal.logs(run_id, after=seen.get(run_id, 0), limit=_PAGE):
            for line in page:
                seen[run_id] = line.id
                yield line

    yield from heapq.merge(*map(pages, run_ids), key=lambda line: (line.at, line.id))


def write_line(line: LogLine, flow: str, as_json: bool) -> None:
    """Write a log line; `flow` names the subflow it comes from."""
    if as_json:
        write_json_line(log_record(line))
        return
    step = f"{flow} · {line.key}" if flow and line.key else flow or line.key
    said = Said(line.at, level_name(line.level), step, line.message)
    if sys.stdout.isatty():
        from penstock.cli.live import said_lines

        for part in said_lines(said):
            write(part)
        return
    first, *more = clean_lines(said.message)
    print(f"{moment(said.at)}  {said.level:<8}  {clean(step) + '  ' if step else ''}{first}")
    for rest in more:
        print(" " * 31 + rest)
