"""`penstock serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from penstock.app import load_settings
from penstock.cli.console import answer_in_json, clean, counted
from penstock.cli.declared import CRON, INTERVAL, NAME, PARAM, PARAMS_FILE, TARGETS, ZONE, OfOne, declared
from penstock.cli.duty import attend, show_for
from penstock.cli.help import Command, examples
from penstock.cli.plans import next_sentence, schedules_told
from penstock.cli.session import executing
from penstock.core.deployments import SERVED
from penstock.core.events import now_us
from penstock.core.model import StoredDeployment
from penstock.orchestrator.automations import automations_in_project
from penstock.orchestrator.automations import declare as declare_automations
from penstock.orchestrator.services import DEFAULT_SLOTS, deploy, environment_of
from penstock.orchestrator.worker import WorkerOptions

app = typer.Typer(add_completion=False, rich_markup_mode=None)

QUIET = typer.Option("--quiet", "-q", help="Show only what does not go well, and no log lines of runs.")
PLAIN = typer.Option("--plain", help="Show lines instead of the live board.")
LINES = typer.Option("--json", help="JSON Lines on stdout: one object for everything that happens.", show_default=False)
DRAIN = typer.Option("--drain", metavar="SECONDS", min=0, help="How long runs may take to end when it is stopped.")
FRESH = typer.Option("--fresh", help="A new interpreter for each run, instead of a fork of one that has the flow.")


@app.command(
    cls=Command,
    epilog=examples(
        "penstock serve  # all that pyproject.toml declares",
        "penstock serve nightly hourly --limit 4  # two of them, four runs at once",
        "penstock serve flow.py:hello --cron @hourly  # a flow, without a file",
        "penstock serve flow.py:hello  # a flow that is run by `penstock deployments run hello`",
    ),
)
def serve(
    targets: Annotated[list[str] | None, TARGETS] = None,
    name: Annotated[str | None, NAME] = None,
    cron: Annotated[list[str] | None, CRON] = None,
    interval: Annotated[str | None, INTERVAL] = None,
    tz: Annotated[str | None, ZONE] = None,
    param: Annotated[list[str] | None, PARAM] = None,
    params_file: Annotated[Path | None, PARAMS_FILE] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="So many runs at once.")] = DEFAULT_SLOTS,
    drain: Annotated[float, DRAIN] = 30.0,
    fresh: Annotated[bool, FRESH] = False,
    quiet: Annotated[bool, QUIET] = False,
    plain: Annotated[bool, PLAIN] = False,
    json: Annotated[bool, LINES] = False,
) -> int:
    """Deploy flows, and execute their runs from here: a scheduler and a worker in one process.

    Each run has a process of its own; code that is changed is used from the next run on. Ctrl-C or SIGTERM stops it
    when the runs under way have ended, a second time puts them back into their queue at once. Without names, the
    automations of pyproject.toml are declared too.

    Exit codes: 0 stopped as asked, 2 a mistake (nothing was served).
    """
    if json:
        answer_in_json()
    options = {"cron": cron or None, "interval": interval, "timezone": tz}
    found, file = declared(targets or (), OfOne(name, options, param or (), params_file))
    automations = automations_in_project(file) if file is not None and not targets else {}
    with executing() as penstock:
        names = deploy(*(msgspec.structs.replace(each, pool=SERVED, queue=each.name) for each in found), app=penstock)
        declare_automations(penstock.journal, *automations.values())
        how = WorkerOptions(
            pool=SERVED,
            queues=names,
            slots=limit,
            drain_seconds=drain,
            fresh=fresh,
            lease_seconds=penstock.settings.lease_seconds,
            environment=environment(silent=quiet or json),
        )
        stored = [each for name in names for each in penstock.journal.deployments(name)]
        title = f"serving {counted(len(names), 'deployment')}"
        show = show_for(
            penstock, how, title, names=names, greeting=greeting(stored, limit), quiet=quiet, plain=plain, as_json=json
        )
        attend(penstock, how, show, with_scheduler=True)
    return 0


def environment(silent: bool) -> dict[str, str]:
    """For the processes of runs; with `silent` they log to the journal only."""
    return {**environment_of(load_settings()), **({"PENSTOCK_LOG_CONSOLE": "false"} if silent else {})}


def greeting(stored: list[StoredDeployment], limit: int) -> list[str]:
    """What is served, and when it is due."""
    now = now_us()
    longest = max(len(clean(each.name)) for each in stored)
    lines = [f"Serving {counted(len(stored), 'deployment')}, at most {counted(limit, 'run')} at once. Ctrl-C stops."]
    for each in stored:
        when = next_sentence(each, now)
        lines.append("  ".join(filter(None, [f"  {clean(each.name).ljust(longest)}", schedules_told(each), when])))
    return lines


command = typer.main.get_command(app)
