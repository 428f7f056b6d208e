"""Where a worker of Prefect finds a flow of Penstock.

A deployment has one pull step, `prepare`, which says which flow it is; and its entrypoint is `flow` of this module,
which is that flow as Prefect's. A worker that starts processes calls the first itself, and the second in the process
of the run, which then asks the server what the pull step was told.
"""

from __future__ import annotations

import inspect
import logging
import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from penstock.authoring.loading import load_flow
from penstock.core import typed
from penstock.core.errors import ConfigurationError, PenstockError
from penstock.core.extras import LateExtra
from penstock.core.ports import provide_engine
from penstock.core.workflows import of_data
from penstock.deploy.orders import refuse_other_version
from penstock.deploy.prefect.client import PrefectClient
from penstock.deploy.prefect.flows import FlowCall, prefect_flow
from penstock.deploy.prefect.inside import PrefectInside
from penstock.deploy.prefect.live import Family
from penstock.deploy.prefect.names import PREPARE, prepared_by
from penstock.engine.logs import install
from penstock.engine.workflows import flow_of as workflow_flow
from penstock.journal.results import FileResultStore

_settings: Any = LateExtra("prefect.settings.context", "prefect")
_prepared: list[Project] = []


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """What the pull step of a deployment is told.

    Attributes:
        entrypoint: of a flow.
        workflow: one that was given as data, instead of a flow.
        folder: the project's; the process is to be there.
        home: Penstock's home folder, unless PENSTOCK_HOME is set where the worker runs.
        deployment: its name.
        penstock: the version that made the deployment.
        content: tells what it was made of; see `penstock.deploy.prefect.placing`.
    """

    entrypoint: str | None = None
    workflow: dict[str, Any] | None = None
    folder: str | None = None
    home: str = ""
    deployment: str | None = None
    penstock: str | None = None
    content: str | None = None


def prepare(**told: Any) -> dict[str, str]:
    """The pull step of a deployment; see `Project`. Nothing of the project is imported yet.

    Raises:
        ConfigurationError: the project's folder is not there.
    """
    project = typed.convert(told, Project)
    folder = project.folder or os.getcwd()
    if not os.path.isdir(folder):
        raise ConfigurationError(
            f"The project of deployment {project.deployment!r} is not on this machine: there is no folder {folder!r}.",
            hint="deploy it from where the workers have it, or mount it there",
        )
    _prepared[:] = [project]
    return {"directory": folder}


def flow_of(project: Project) -> Any:
    """The flow of a deployment as Prefect's, for this process.

    Raises:
        Misfit: the deployment was made by a version that is too different.
        FlowNotFound: the flow is not there.
    """
    if project.penstock is not None:
        refuse_other_version(project.deployment or "The deployment", project.penstock)
    if project.folder is not None:
        os.chdir(project.folder)
        if project.folder not in sys.path:
            sys.path.insert(0, project.folder)
    home = Path(os.environ.get("PENSTOCK_HOME") or project.home).expanduser().absolute()
    family = family_in(home, project.deployment)
    provide(family)
    if project.entrypoint is not None:
        declared = load_flow(project.entrypoint)
        provide(family)  # what it imports may have provided Penstock's own engine
    else:
        declared = _of_workflow(project.workflow or {})
    made = prefect_flow(declared)
    made.penstock = FlowCall(family)
    return made


def family_in(home: Path, deployment: str | None = None) -> Family:
    """What the runs of a process share, with the result store of a home folder."""
    return Family(home, FileResultStore(home / "results"), deployment)


def provide(family: Family) -> None:
    """Have the flows and tasks of this process run on Prefect."""
    install(logging.INFO, False)
    logging.getLogger("penstock").propagate = False  # Prefect shows what the runs say
    engine = PrefectInside(family)
    provide_engine(lambda: engine)


def _of_workflow(data: dict[str, Any]) -> Any:
    """A workflow as a flow, whose parameters Prefect sees."""
    spec = of_data(data)
    only = inspect.Parameter.KEYWORD_ONLY
    named = [inspect.Parameter(name, only, default=value) for name, value in spec.parameters.items()]
    return workflow_flow(spec, inspect.Signature(named))


def __getattr__(name: str) -> Any:
    if name != "flow":
        raise AttributeError(name)
    run_id = os.environ.get("PREFECT__FLOW_RUN_ID")
    if run_id is None and not _prepared:
        raise PenstockError(
            "Prefect has not prepared a flow of Penstock in this process.",
            hint=f"a deployment that `penstock deploy prefect` makes has the pull step {PREPARE}",
        )
    return flow_of(_prepared[0] if run_id is None else _asked(run_id))


def _asked(run_id: str) -> Project:
    """What the pull step of a run's deployment is told."""
    client = PrefectClient(_environment())
    try:
        flow_run = client.ask("GET", f"/flow_runs/{run_id}")
        deployment = client.ask("GET", f"/deployments/{flow_run['deployment_id']}")
    finally:
        client.close()
    told = prepared_by(deployment)
    if told is None:
        raise PenstockError(f"The deployment {deployment['name']!r} was not made by Penstock.")
    return typed.convert(told, Project)


def _environment() -> dict[str, str]:
    """Where the server is, by Prefect's own settings, of which a profile may be the source."""
    settings = _settings.get_current_settings().api
    secrets = {"PREFECT_API_KEY": settings.key, "PREFECT_API_AUTH_STRING": settings.auth_string}
    told = {name: secret.get_secret_value() for name, secret in secrets.items() if secret is not None}
    return {"PREFECT_API_URL": settings.url or "", **told}
