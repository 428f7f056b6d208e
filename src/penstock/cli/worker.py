"""`penstock worker`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from penstock.cli.console import Column, answer_in_json, clean, counted, text, write, write_json, write_table
from penstock.cli.duty import attend, show_for
from penstock.cli.help import JSON, Command, Group, examples
from penstock.cli.plans import complete_pool, is_alive, place_of, worker_record
from penstock.cli.serve import DRAIN, FRESH, LINES, PLAIN, QUIET, environment
from penstock.cli.session import executing, log_lines, reading
from penstock.cli.units import age
from penstock.core.events import now_us
from penstock.core.model import Worker
from penstock.core.ports import Journal
from penstock.orchestrator.pools import known_pools
from penstock.orchestrator.services import DEFAULT_SLOTS
from penstock.orchestrator.worker import WorkerOptions

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)
_DIM = "bright_black"


@app.callback()
def _worker() -> None:
    """Execute the runs of a pool; list the workers there are."""


@app.command(
    cls=Command,
    epilog=examples(
        "penstock worker start  # of the pool `default`",
        "penstock worker start --pool etl --limit 4  # four runs at once",
        "penstock worker start --pool etl --queue urgent --queue normal  # of these queues only",
        "penstock worker start --no-scheduler  # where another process makes the runs of schedules",
        "penstock worker start --until-idle  # work off what is due, and end",
        "penstock worker start --runs-per-process 500  # for very many short runs",
    ),
)
def start(
    pool: Annotated[
        str, typer.Option(metavar="POOL", help="Whose runs it takes.", autocompletion=complete_pool)
    ] = "default",
    queue: Annotated[
        list[str] | None, typer.Option(metavar="QUEUE", help="Only of this queue; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="So many runs at once.")] = DEFAULT_SLOTS,
    drain: Annotated[float, DRAIN] = 30.0,
    fresh: Annotated[bool, FRESH] = False,
    runs_per_process: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="How many runs a process may execute, one after another."),
    ] = 1,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="Work off what is due by now, and end.")] = False,
    with_scheduler: Annotated[
        bool,
        typer.Option(
            "--with-scheduler/--no-scheduler",
            help="Make the runs of schedules too. However many processes do, one of them leads.",
        ),
    ] = True,
    quiet: Annotated[bool, QUIET] = False,
    plain: Annotated[bool, PLAIN] = False,
    json: Annotated[bool, LINES] = False,
) -> int:
    """Take runs out of a pool, and execute each in a process of its own (or --runs-per-process of them in each).

    Ctrl-C or SIGTERM stops it when the runs under way have ended, or the time for that is over: what is left then goes
    back to its queue, and another worker goes on with it. A second time, all of it goes back at once.

    Exit codes: 0 stopped as asked, 2 a mistake.
    """
    if json:
        answer_in_json()
    log_lines()
    with executing() as penstock:
        how = WorkerOptions(
            pool=pool,
            queues=queue or (),
            slots=limit,
            drain_seconds=drain,
            fresh=fresh,
            lease_seconds=penstock.settings.lease_seconds,
            environment=environment(silent=quiet or json),
            until_idle=until_idle,
            runs_per_process=runs_per_process,
        )
        besides = ", and making those of schedules" if with_scheduler else ""
        told = f"Taking runs of the pool {clean(pool)}, at most {limit} at once{besides}. Ctrl-C stops."
        title = f"worker of the pool {clean(pool)}"
        show = show_for(penstock, how, title, greeting=[told], quiet=quiet, plain=plain, as_json=json)
        attend(
            penstock, how, show, with_scheduler=with_scheduler, warning=_warning(penstock.journal, pool, queue or ())
        )
    return 0


def _warning(journal: Journal, pool: str, queues: Sequence[str]) -> str | None:
    """A pool or a queue that nothing is in is most likely another one's name with a slip of the pen."""
    known = next((each for each in known_pools(journal) if each.name == pool), None)
    deployed = {stored.queue for stored in journal.deployments() if stored.pool == pool}
    if known is None or not (deployed or known.waiting or known.running):
        named = ", ".join(clean(each.name) for each in known_pools(journal) if each.name != pool)
        others = f"Others there are: {named}." if named else "`penstock deploy` makes some."
        return f"No deployment is in the pool {clean(pool)} yet. {others}"
    named_queues = deployed | {queue.name for queue in known.queues}
    odd = [clean(queue) for queue in queues if queue not in named_queues]
    if odd and not known.waiting:
        return f"Nothing is in the queue {', '.join(odd)} yet. Others there are: {', '.join(sorted(named_queues))}."
    return None


@app.command(
    "list",
    cls=Command,
    epilog=examples("penstock worker list", "penstock worker list --json | jq '.workers[].running'  # for scripts"),
)
def list_workers(
    pool: Annotated[
        str | None, typer.Option(metavar="POOL", help="Only of this pool.", autocompletion=complete_pool)
    ] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """List workers, as they last reported themselves (every ten seconds)."""
    with reading() as penstock:
        found, now = penstock.journal.workers(pool), now_us()
    if json:
        write_json({"workers": [worker_record(worker, now) for worker in found]})
    elif not found:
        write(text("There is no worker. Start one: ", ("penstock worker start", "cyan")))
    else:
        _write(found, now)


def _write(found: list[Worker], now: int) -> None:
    columns = [
        Column("worker"),
        Column("pool"),
        Column("queues", least=6, leaves=3),
        Column("runs", right=True),
        Column("state"),
        Column("started", right=True, leaves=2),
        Column("seen", right=True, leaves=1),
    ]
    rows: list[list[Any]] = []
    for worker in found:
        host, pid = place_of(worker)
        state = worker.state if is_alive(worker, now) else "gone"
        style = {"running": "green", "draining": "yellow", "gone": "red"}.get(state, "")
        rows.append(
            [
                clean(f"{host} {pid or ''}".strip()),
                clean(worker.pool),
                text((clean(", ".join(worker.queues) or "all"), _DIM)),
                f"{worker.running}/{worker.slots}",
                text((state, style)),
                text((age(worker.started_at, now), _DIM)),
                text((age(worker.seen_at, now), _DIM)),
            ]
        )
    write_table(columns, rows)
    gone = sum(not is_alive(worker, now) for worker in found)
    if gone:
        write(text((f"\n{counted(gone, 'worker')} died; what they had goes back to its queue.", _DIM)))


command = typer.main.get_command(app)
