"""`penstock db purge`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from penstock.app import keep_of, load_settings
from penstock.cli.asking import YES, ask
from penstock.cli.console import Column, clean, counted, text, write, write_json, write_table
from penstock.cli.help import JSON
from penstock.cli.session import journal_file, reading
from penstock.cli.times import instant
from penstock.cli.units import iso, moment
from penstock.core.errors import ConfigurationError
from penstock.core.events import now_us
from penstock.core.states import FINAL_WORDS
from penstock.orchestrator.purging import Purged
from penstock.orchestrator.retention import Purge

_DIM = "bright_black"
_WORDS = {word.lower(): word for word in sorted(FINAL_WORDS)}


def purge(
    older_than: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Runs that ended before then: 90d (ago), 12h, 2026-01-31. As the settings say, when left out.",
        ),
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATE",
            help="Only runs that ended in this state; may be repeated.",
            autocompletion=lambda incomplete: [word for word in _WORDS if word.startswith(incomplete.lower())],
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and remove nothing.")] = False,
    yes: Annotated[bool, YES] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Remove old runs that have ended, with their subflow runs, logs, results and artifacts, for good.

    A scheduler does this by itself, as the retention settings say. It goes in small steps that keep no run waiting, and
    can be stopped at any time. A run stays while anything still needs it, and so does the newest one of each flow.
    """
    now = now_us()
    wanted = _states(state)
    file = journal_file(load_settings())
    if file is not None and not file.exists():
        raise ConfigurationError(f"There is no journal yet: {file}", hint="nothing was removed")
    limit = instant("--older-than", older_than, now) if older_than is not None else None
    with reading() as penstock:
        before = keep_of(penstock.settings).before(now) if limit is None else dict.fromkeys(sorted(FINAL_WORDS), limit)
        before = {word: at for word, at in before.items() if not wanted or word in wanted}

        def purged(dry: bool) -> Purged:
            passing = before.get("Completed") if not wanted else None
            found = Purge(penstock.journal, penstock.results, before, now, passing=passing, asked=True, dry=dry)
            for _ in found.steps():
                pass
            return found.done

        if dry_run or not yes:
            found = purged(dry=True)
            if dry_run or not found.runs:
                _tell(found, before, dry=True, json=json)
                return
            _ask(found, before)
        _tell(purged(dry=False), before, dry=False, json=json)


def _states(given: list[str] | None) -> set[str]:
    wanted = {word.strip() for word in ",".join(given or ()).lower().split(",") if word.strip()}
    for word in sorted(wanted - _WORDS.keys()):
        raise ConfigurationError(f"No run ends {word!r}.", hint=f"runs end: {', '.join(_WORDS)}")
    return {_WORDS[word] for word in wanted}


def _ask(found: Purged, before: dict[str, int]) -> None:
    ask(
        f"Remove {counted(found.runs, 'run')} for good?",
        what="removed",
        hint="add --yes, or --dry-run",
        show=lambda: _tell(found, before, dry=True, json=False),
    )


def _tell(found: Purged, before: dict[str, int], *, dry: bool, json: bool) -> None:
    if json:
        write_json(_record(found, before, dry))
        return
    if not before:
        write("Retention is off, so nothing is old.  Name a time: --older-than 90d")
        return
    what = counted(found.runs, "run")
    if found.below:
        what += f" and {counted(found.below, 'run')} of subflows"
    if not found.runs:
        write("There is nothing to remove." if dry else _more(found, "No run was old enough"))
    elif dry:
        write(f"{what} would be removed:")
    else:
        write(text(("✓ ", "green"), _more(found, f"Removed {what}")))
    if found.first is not None and found.last is not None:
        span = f"made between {moment(found.first.created_at)} and {moment(found.last.created_at)}"
        write(text((f"  {span}", _DIM)))
        rows = [[clean(flow), ", ".join(f"{n:,} {state}" for state, n in sorted(counts.items()))] for flow, counts in
                sorted(found.flows.items())]  # fmt: skip
        write_table([Column("flow", least=8), Column("runs")], rows, indent=2)
    if found.shared:
        write(text(("  No result file was removed: other journals keep theirs in the same folder.", _DIM)))
    for why, number in sorted(found.kept.items()):
        write(text((f"  {counted(number, 'old run')} stay{'s' if number == 1 else ''}: {clean(why)}", _DIM)))


def _more(found: Purged, told: str) -> str:
    also = [
        counted(number, what)
        for number, what in (
            (found.results, "result file"),
            (found.cached, "expired cached result"),
            (found.events, "old event"),
        )
        if number
    ]
    return f"{told}; removed {', '.join(also)} besides." if also else f"{told}."


def _record(found: Purged, before: dict[str, int], dry: bool) -> dict[str, Any]:
    return {
        "dry_run": dry,
        "ended_before": {state: iso(at) for state, at in before.items()},
        "runs": found.runs,
        "subflow_runs": found.below,
        "result_files": found.results,
        "results_shared": found.shared,
        "cached_results": found.cached,
        "events": found.events,
        "flows": {flow: dict(counts) for flow, counts in sorted(found.flows.items())},
        "first_created_at": iso(found.first.created_at) if found.first is not None else None,
        "last_created_at": iso(found.last.created_at) if found.last is not None else None,
        "kept": dict(sorted(found.kept.items())),
    }
