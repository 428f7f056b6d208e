"""`penstock pools`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from penstock.cli.console import Column, clean, counted, text, write, write_json, write_table
from penstock.cli.desk import at_desk
from penstock.cli.help import JSON, Command, Group, examples
from penstock.cli.plans import complete_pool, is_alive, pool_record, queue_record, worker_record
from penstock.cli.run_table import write_runs
from penstock.cli.session import executing, reading
from penstock.core.errors import ConfigurationError
from penstock.core.events import now_us
from penstock.core.model import Pool, Queue, Worker
from penstock.core.ports.reading import Reading
from penstock.orchestrator.pools import (
    KEEP,
    Keep,
    delete_pool,
    delete_queue,
    find_pool,
    known_pools,
    set_pool,
    set_queue,
)

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)
_DIM = "bright_black"

POOL = typer.Argument(metavar="POOL", help="Its name.", autocompletion=complete_pool, show_default=False)
LIMIT = typer.Option(metavar="N", min=1, help="At most so many runs at once, over all workers.")
NO_LIMIT = typer.Option("--no-limit", help="As many as its workers take.")


@app.callback()
def _pools() -> None:
    """Say how many runs of a pool may be executed at once, and which come first.

    A pool is where runs of deployments wait for workers. It is there as soon as something names it.
    """


@app.command("list", cls=Command, epilog=examples("penstock pools list", "penstock pools list --json  # for scripts"))
def list_pools(json: Annotated[bool, JSON] = False) -> None:
    """List pools: their limits, what waits and runs in them, and how many workers they have."""
    with at_desk() as desk:
        found = known_pools(desk.journal)
        workers = {pool.name: _workers(desk.journal, pool.name) for pool in found}
    if json:
        write_json({"pools": [pool_record(pool, workers[pool.name]) for pool in found]})
    elif not found:
        write(text("There are no pools yet; a deployment or a worker makes one: ", ("penstock deploy", "cyan")))
    else:
        _write(found, workers)


def _workers(journal: Reading, pool: str) -> list[Worker]:
    now = now_us()
    return [worker for worker in journal.workers(pool) if is_alive(worker, now)]


def _write(found: list[Pool], workers: dict[str, list[Worker]]) -> None:
    columns = [
        Column("pool", least=8),
        Column("limit", right=True),
        Column("running", right=True),
        Column("waiting", right=True),
        Column("workers", right=True),
        Column("queues", least=8, leaves=2),
        Column("", leaves=1),
    ]
    rows: list[list[Any]] = []
    for pool in found:
        count = len(workers[pool.name])
        rows.append(
            [
                clean(pool.name),
                text(str(pool.slots) if pool.slots is not None else ("none", _DIM)),
                f"{pool.running:,}",
                text((f"{pool.waiting:,}", "yellow" if pool.waiting and not count else "")),
                text((str(count), "" if count else _DIM)),
                text((clean(", ".join(queue.name for queue in pool.queues)), _DIM)),
                text(("paused", "yellow")) if pool.paused else "",
            ]
        )
    write_table(columns, rows)


@app.command(cls=Command, epilog=examples("penstock pools show default", "penstock pools show default --json"))
def show(name: Annotated[str, POOL], json: Annotated[bool, JSON] = False) -> None:
    """Show a pool: its queues, its workers, the deployments in it, and the runs under way."""
    with at_desk() as desk:
        journal, now = desk.journal, now_us()
        pool = find_pool(journal, name)
        workers = _workers(journal, name)
        deployments = [stored.name for stored in journal.deployments() if stored.pool == name]
        held = journal.held_runs(name)
    if json:
        told = {"deployments": deployments, "worker_list": [worker_record(worker, now) for worker in workers]}
        write_json({"pool": {**pool_record(pool, workers), **told}})
        return
    _write_pool(pool, workers)
    if deployments:
        write(text(("deployments  ", _DIM), clean(", ".join(deployments))), indent=2)
    if pool.queues:
        write()
        _write_queues(pool.queues)
    if held:
        write()
        write_runs(held, now)


def _write_pool(pool: Pool, workers: list[Worker]) -> None:
    write(text((clean(pool.name), "bold"), ("  paused", "yellow") if pool.paused else ""))
    if pool.description:
        write(clean(pool.description), indent=2)
    facts = [
        ("limit", f"{pool.slots} at once" if pool.slots is not None else "none"),
        ("runs", f"{pool.running:,} under way, {pool.waiting:,} waiting"),
        (
            "workers",
            f"{len(workers)}, for {counted(sum(w.slots for w in workers), 'run')} at once" if workers else "none",
        ),
    ]
    for name, told in facts:
        write(text((f"{name:<11}  ", _DIM), told), indent=2)


def _write_queues(queues: tuple[Queue, ...]) -> None:
    columns = [Column("queue", least=8), Column("priority", right=True), Column("limit", right=True), Column("")]
    rows: list[list[Any]] = [
        [
            clean(queue.name),
            str(queue.priority),
            str(queue.slots) if queue.slots is not None else text(("none", _DIM)),
            text(("paused", "yellow")) if queue.paused else "",
        ]
        for queue in queues
    ]
    write_table(columns, rows, indent=2)


@app.command(
    "set",
    cls=Command,
    epilog=examples(
        "penstock pools set etl --limit 10  # ten runs at once, over all workers",
        "penstock pools set etl --no-limit",
        'penstock pools set etl --description "runs that need the warehouse"',
    ),
)
def set_(
    name: Annotated[str, POOL],
    limit: Annotated[int | None, LIMIT] = None,
    no_limit: Annotated[bool, NO_LIMIT] = False,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="What it is for.")] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Set the limit of a pool; what is not given stays as it is."""
    slots = _limit(limit, no_limit)
    if isinstance(slots, Keep) and description is None:
        raise ConfigurationError("There is nothing to set.", hint="give --limit N, --no-limit or --description TEXT")
    _change(name, json, slots=slots, description=description if description is not None else KEEP)


def _limit(limit: int | None, no_limit: bool) -> int | Keep | None:
    if limit is not None and no_limit:
        raise ConfigurationError("--limit and --no-limit contradict each other.", hint="give one of them")
    return None if no_limit else KEEP if limit is None else limit


@app.command(cls=Command, epilog=examples("penstock pools pause etl  # before the warehouse is taken down"))
def pause(name: Annotated[str, POOL], json: Annotated[bool, JSON] = False) -> None:
    """Let workers take no runs of a pool, until it is resumed. Those under way go on; schedules make more."""
    _change(name, json, paused=True)


@app.command(cls=Command, epilog=examples("penstock pools resume etl"))
def resume(name: Annotated[str, POOL], json: Annotated[bool, JSON] = False) -> None:
    """Let workers take runs of a pool again."""
    _change(name, json, paused=False)


def _change(name: str, as_json: bool, **changes: Any) -> None:
    with executing() as penstock:
        if "paused" in changes:  # a slip of the pen must not pause a pool that is not there
            find_pool(penstock.journal, name)
        pool = set_pool(penstock.journal, name, **changes)
        workers = _workers(penstock.journal, name)
    if as_json:
        write_json({"pool": pool_record(pool, workers)})
    else:
        _write_pool(pool, workers)


@app.command(cls=Command, epilog=examples("penstock pools delete etl"))
def delete(name: Annotated[str, POOL], json: Annotated[bool, JSON] = False) -> None:
    """Forget what was set for a pool and its queues. One that deployments or runs are in is not deleted."""
    with reading() as penstock:
        delete_pool(penstock.journal, name)
    if json:
        write_json({"deleted": name})
    else:
        write(f"Deleted the pool {clean(name)}.")


@app.command(
    cls=Command,
    epilog=examples(
        "penstock pools queue etl urgent --priority 1  # the lowest number comes first; others have 100",
        "penstock pools queue etl bulk --limit 2  # two of its runs at once",
        "penstock pools queue etl bulk --pause  # take none of its runs, until --resume",
    ),
)
def queue(
    pool: Annotated[str, POOL],
    name: Annotated[str, typer.Argument(metavar="QUEUE", help="Its name.", show_default=False)],
    priority: Annotated[int | None, typer.Option(metavar="N", help="The lowest number comes first.")] = None,
    limit: Annotated[int | None, LIMIT] = None,
    no_limit: Annotated[bool, NO_LIMIT] = False,
    pause: Annotated[bool, typer.Option("--pause", help="Workers take none of its runs.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Workers take its runs again.")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="Forget what was set for it.")] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Set the priority and the limit of a queue of a pool; what is not given stays as it is."""
    slots = _limit(limit, no_limit)
    if delete:
        if pause or resume or priority is not None or not isinstance(slots, Keep):
            raise ConfigurationError("--delete forgets what the others set.", hint="give it alone")
        with executing() as penstock:
            delete_queue(penstock.journal, pool, name)
        if json:
            write_json({"deleted": {"pool": pool, "queue": name}})
        else:
            write(f"Forgot what was set for the queue {clean(name)} of {clean(pool)}.")
        return
    if pause and resume:
        raise ConfigurationError("--pause and --resume contradict each other.", hint="give one of them")
    paused = True if pause else False if resume else KEEP
    if isinstance(slots, Keep) and isinstance(paused, Keep) and priority is None:
        raise ConfigurationError("There is nothing to set.", hint="give --priority N, --limit N, --pause or --resume")
    with executing() as penstock:
        kept = priority if priority is not None else KEEP
        found = set_queue(penstock.journal, pool, name, priority=kept, slots=slots, paused=paused)
    if json:
        write_json({"queue": queue_record(found)})
    else:
        _write_queues((found,))


command = typer.main.get_command(app)
