"""Deploying and serving: a scheduler and a worker in one process."""

from __future__ import annotations

import contextlib
import datetime
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from penstock.app import Penstock, Settings, current, keep_of
from penstock.core.deployments import SERVED, Deployment
from penstock.core.errors import DeploymentError
from penstock.core.events import now_us
from penstock.core.ids import new_owner
from penstock.core.model import Run
from penstock.core.ports import Journal
from penstock.core.workflows import WorkflowFilter
from penstock.engine.connections.secret import secret_of
from penstock.engine.egress import Egress
from penstock.engine.project import project_file
from penstock.engine.uploads import PARTS
from penstock.orchestrator.alerts import alerts_in
from penstock.orchestrator.automations import Automations
from penstock.orchestrator.backfill import settle_all
from penstock.orchestrator.calls import calls
from penstock.orchestrator.channels import Channels, loader, project_alerts
from penstock.orchestrator.chores import Chores
from penstock.orchestrator.declaring import deployment_of
from penstock.orchestrator.deployments import declare, trigger
from penstock.orchestrator.emitting import chain_here
from penstock.orchestrator.engines import Engines
from penstock.orchestrator.losses import forget_silent, recover_lost
from penstock.orchestrator.promises import check_promises
from penstock.orchestrator.retention import Retention
from penstock.orchestrator.routing import Routing
from penstock.orchestrator.scheduler import Scheduler
from penstock.orchestrator.shelves import shelf_of
from penstock.orchestrator.tending import Tender
from penstock.orchestrator.worker import PoolWorker, WorkerOptions

DEFAULT_SLOTS = 8
_SWEEP_SECONDS = 15.0


def chores_of(app: Penstock, automations: Automations | None = None) -> Chores:
    """What the leading scheduler looks after; automations only where nothing else does."""
    journal = app.journal
    return Chores(
        [
            (2.0, partial(recover_lost, journal)),
            (5.0, partial(check_promises, journal)),
            (5.0, partial(settle_all, journal)),
            (5.0, Retention(journal, app.results, keep_of(app.settings)).turn),
            (60.0, partial(forget_silent, journal)),
            (_SWEEP_SECONDS, partial(sweep_files, app)),
            *([(0.0, automations.settle)] if automations is not None else []),
        ]
    )


def sweep_files(app: Penstock, now: int) -> None:
    """Take away the content of files that nobody can use any more; a part of it each time, for schedules wait."""
    number = now // int(_SWEEP_SECONDS * 1_000_000) % PARTS
    app.files.sweep(app.journal, range(number, number + 1))


def to_deployment(flow: Any, name: str | None, options: dict[str, Any]) -> Deployment:
    """See `Services.to_deployment`."""
    return deployment_of(flow, name, options)


def deploy(*deployments: Deployment, app: Penstock | None = None) -> list[str]:
    """Put deployments (made by `flow.to_deployment`) into the journal, for workers; returns their names.

    Raises:
        DeploymentError: a name is another flow's already; then nothing is changed.
    """
    journal = (app or current()).journal
    refuse_taken_names(journal, deployments)
    for deployment in deployments:
        declare(journal, deployment)
    return [deployment.name for deployment in deployments]


def refuse_taken_names(journal: Journal, deployments: Sequence[Deployment]) -> None:
    """See that no deployment has the name of another flow's, or of another one among these.

    Raises:
        DeploymentError: one has.
    """
    flows: dict[str, str] = {}
    for deployment in deployments:
        if not isinstance(deployment, Deployment):
            raise DeploymentError(f"{deployment!r} is no deployment.", hint="make one: my_flow.to_deployment(...)")
        if deployment.name in flows:
            raise DeploymentError(f"Two deployments are named {deployment.name!r}.", hint="give one another name")
        if journal.workflows(WorkflowFilter(name=deployment.name, limit=1)):
            raise DeploymentError(f"There is a workflow {deployment.name!r} already.", hint="give another name")
        known = journal.deployments(deployment.name)
        flows[deployment.name] = known[0].flow if known else deployment.flow
        if flows[deployment.name] != deployment.flow:
            raise DeploymentError(
                f"There is a deployment {deployment.name!r} of another flow ({known[0].flow!r}) already.",
                hint=f"give another name, or delete it: penstock deployments delete {deployment.name}",
            )


def environment_of(settings: Settings) -> dict[str, str]:
    """Which journal it is, as variables: processes in another folder would find other settings."""
    url = settings.database_url
    if url.startswith("sqlite:///"):
        url = f"sqlite:///{os.path.abspath(url.removeprefix('sqlite:///'))}"
    return {"PENSTOCK_HOME": settings.home, **({"PENSTOCK_DATABASE_URL": url} if url else {})}


def serve(*deployments: Deployment, limit: int | None = None, app: Penstock | None = None) -> None:
    """Deploy, and execute the runs from here until the process is stopped.

    SIGTERM and Ctrl-C let runs end first; a second one puts them back at once.

    Args:
        deployments: what to serve, made by `flow.to_deployment`.
        limit: so many runs at once.
        app: the Penstock to use.

    Raises:
        DeploymentError: there is nothing to serve, or a name or the limit cannot be.
    """
    if not deployments:
        raise DeploymentError("There is nothing to serve.", hint="give it what my_flow.to_deployment(...) makes")
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise DeploymentError(f"The limit {limit!r} must be a whole number, at least 1.")
    app = app or current()
    refuse_taken_names(app.journal, deployments)
    served = [msgspec.structs.replace(each, pool=SERVED, queue=each.name) for each in deployments]
    names = deploy(*served, app=app)
    _greet(served)
    worker = PoolWorker(
        app.journal,
        WorkerOptions(
            pool=SERVED,
            queues=names,
            slots=limit or DEFAULT_SLOTS,
            lease_seconds=app.settings.lease_seconds,
            environment=environment_of(app.settings),
        ),
    )
    with scheduling(app), stopping(worker):
        worker.run()


def run_deployment(
    name: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    scheduled_time: datetime.datetime | None = None,
    flow_run_name: str | None = None,
    timeout: float | None = None,
    tags: Sequence[str] = (),
    idempotency_key: str | None = None,
    poll_interval: float = 1.0,
) -> Run:
    """Ask for a run of a deployment, and wait for its end; a worker executes it.

    Args:
        name: of the deployment (or FLOW/NAME, as in Prefect).
        parameters: over those of the deployment.
        scheduled_time: when it is due; now when left out.
        flow_run_name: two words otherwise.
        timeout: wait so many seconds at most; 0 for not at all, None for as long as it takes.
        tags: besides the deployment's.
        idempotency_key: a second call with it gives the first one's run.
        poll_interval: how often to look, at least.

    Returns:
        The run, as it is when the wait is over.

    Raises:
        PlanNotFound: there is no such deployment.
    """
    journal = current().journal
    at = int(scheduled_time.timestamp() * 1_000_000) if scheduled_time is not None else None
    run = trigger(
        journal, name.rpartition("/")[2], parameters, at=at, key=idempotency_key, tags=tags, run_name=flow_run_name,
        cause="api", chain=chain_here(journal),
    )  # fmt: skip
    end = None if timeout is None else now_us() + int(timeout * 1_000_000)
    watch = journal.watch()
    try:
        while not run.ended and (end is None or now_us() < end):
            left = poll_interval if end is None else min(poll_interval, (end - now_us()) / 1_000_000)
            watch.wait(left)
            run = journal.run(run.id) or run
    finally:
        watch.close()
    return run


def automations_of(app: Penstock) -> Automations:
    """What looks after the automations of a journal, with the channels for alerts that the project has.

    Raises:
        BadAlerts: they are set up wrongly.
    """
    file = project_file(Path.cwd())
    settings = project_alerts(file)
    shelf = shelf_of(app)
    channels = Channels(settings, app.journal, loader(shelf), app.settings.public_url)
    send = calls(Egress(app.settings.call_hosts.split(",")), secret_of(shelf.load))
    return Automations(app.journal, alerts_in(app.home, channels), send, spread=Routing(settings))


@contextlib.contextmanager
def scheduling(app: Penstock) -> Iterator[Scheduler]:
    """A scheduler in a thread of its own, and automations in another one while it leads."""
    stop = threading.Event()
    scheduler = Scheduler(app.journal, new_owner(), chores_of(app))
    automations = automations_of(app)
    tender = Tender(app.journal, Engines(app))
    threads = [
        threading.Thread(target=scheduler.run, args=(stop,), name="penstock-scheduler", daemon=True),
        threading.Thread(
            target=automations.attend, args=(stop, lambda: scheduler.leads), name="penstock-automations", daemon=True
        ),
        threading.Thread(
            target=tender.attend, args=(stop, lambda: scheduler.leads), name="penstock-engines", daemon=True
        ),
    ]
    for thread in threads:
        thread.start()
    try:
        yield scheduler
    finally:
        stop.set()
        automations.wake()
        for thread in threads:
            thread.join(timeout=5)


def settle(app: Penstock) -> None:
    """Do once what a scheduler does, if no other process leads: make what is due, put back what was lost."""
    chores = chores_of(app, automations_of(app))
    scheduler = Scheduler(app.journal, new_owner(), chores)
    try:
        if scheduler.settle():
            chores(now_us())
            Tender(app.journal, Engines(app)).turn(now_us())
    finally:
        app.journal.let_go("scheduler", scheduler.owner)


@contextlib.contextmanager
def stopping(worker: PoolWorker) -> Iterator[None]:
    """SIGTERM and SIGINT stop the worker; the second one, at once. Only in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = []

    def stop(number: int, frame: Any) -> None:
        asked.append(number)
        worker.stop(now=len(asked) > 1)
        if len(asked) == 1:
            os.write(sys.stderr.fileno(), b"Stopping when the runs under way have ended. Once more: at once.\n")

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _greet(deployments: Sequence[Deployment]) -> None:
    for deployment in deployments:
        when = "; ".join(f"{each.spec}" for each in deployment.schedules if not each.paused) or "when triggered"
        print(f"Serving {deployment.name} ({deployment.flow}): {when}")
    print("Ctrl-C stops. Trigger a run: penstock deployments run NAME", flush=True)
