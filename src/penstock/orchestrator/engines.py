"""The engines elsewhere that this project may use: found by their entry points, made when they are first needed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from penstock.app import Penstock
from penstock.core.deployments import Deployment, of_data
from penstock.core.engines import LOCAL, Abilities, EngineSettings
from penstock.core.errors import ConfigurationError, PenstockError, Unsupported
from penstock.core.extras import require
from penstock.core.model import Run, StoredDeployment
from penstock.core.ports import Journal, OutsideEngine
from penstock.core.workflows import WorkflowSpec
from penstock.engine.workflows import ENTRYPOINT as WORKFLOW
from penstock.engine.workflows import version_of

GROUP = "penstock.engines"
FOLLOW = "penstock.orchestrator.followed:follow"
"""In place of the flow's own entrypoint, for the process of a run that is executed elsewhere."""
ELSEWHERE = "engine"
"""The cause of a run that nobody ordered here; its key is its reference there."""
BUILT_IN = {
    "airflow": "penstock.deploy.airflow:airflow_engine",
    "prefect": "penstock.deploy.prefect:prefect_engine",
}
"""Found without a look through the installed packages, which takes longer than most commands."""


@cache
def _installed() -> Mapping[str, str]:
    from importlib.metadata import entry_points

    found: dict[str, str] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        known = {LOCAL: "penstock", **BUILT_IN, **found}.get(point.name, point.value)
        if known != point.value:
            raise ConfigurationError(
                f"Two packages give the engine {point.name!r}: {known} and {point.value}.", hint="uninstall one of them"
            )
        found[point.name] = point.value
    return found


def engine_names() -> list[str]:
    """How the engines elsewhere are called."""
    return sorted({*BUILT_IN, *_installed()})


def refuse_unknown_engine(name: str) -> None:
    """See that there is an engine of this name.

    Raises:
        ConfigurationError: there is none.
    """
    if name != LOCAL and name not in BUILT_IN and name not in _installed():
        raise ConfigurationError(
            f"There is no engine {name!r}.", hint=f"there are {', '.join([LOCAL, *engine_names()])}"
        )


def abilities_of(name: str) -> Abilities | None:
    """What an engine can do, also where it is not set up; None where its package does not say.

    Raises:
        ConfigurationError: there is none of this name.
        MissingExtra: what it needs is not installed.
    """
    if name == LOCAL:
        return Abilities()
    found: Abilities | None = getattr(_module(name)[0], "ABILITIES", None)
    return found


def _module(name: str) -> tuple[Any, str]:
    refuse_unknown_engine(name)
    module, _, factory = (BUILT_IN.get(name) or _installed()[name]).partition(":")
    return require(module, name), factory


def make_engine(name: str, settings: EngineSettings) -> OutsideEngine:
    """An engine.

    Raises:
        ConfigurationError: there is none of this name, or a setting of it is wrong or missing.
        MissingExtra: what it needs is not installed.
    """
    module, factory = _module(name)
    make: Callable[[EngineSettings], OutsideEngine] = getattr(module, factory)
    return make(settings)


def settings_of(app: Penstock, environ: Mapping[str, str] | None = None) -> EngineSettings:
    """What engines are made of: `PENSTOCK_AIRFLOW_API_URL` goes over `AIRFLOW_API_URL`, and so on."""
    given = os.environ if environ is None else environ
    own = {name.removeprefix("PENSTOCK_"): value for name, value in given.items() if name.startswith("PENSTOCK_")}
    values = {**given, **{name: value for name, value in own.items() if value}}
    return EngineSettings(environment=values, home=str(app.home))


def engine_of(stored: StoredDeployment) -> str:
    """Where the runs of a deployment are executed."""
    name: str = stored.spec.get("engine", LOCAL)
    return name


def workflow_of(journal: Journal, run: Run) -> WorkflowSpec | None:
    """The workflow that a run is of, as it was in the run's version; None for the run of a flow."""
    if run.entrypoint != WORKFLOW or run.flow_version is None or not run.flow_version.isdecimal():
        return None
    return version_of(journal, run.flow, int(run.flow_version))


def deployment_named(journal: Journal, name: str) -> Deployment | None:
    """A deployment as it is now; None where there is none."""
    found = journal.deployments(name)
    return of_data(found[0].spec) if found else None


def workflow_needs(spec: WorkflowSpec) -> set[str]:
    """What a workflow needs an engine to be able to do."""
    needs = {"workflows", "logs", "results"}
    asked = {
        "schedules": spec.schedule is not None,
        "parameters": bool(spec.parameters),
        "retries": any(task.retry_count for task in spec.tasks),
        "timeouts": any(task.timeout is not None for task in spec.tasks),
    }
    return needs | {need for need, wanted in asked.items() if wanted}


def refuse_lacking(name: str, engine: OutsideEngine, needs: set[str]) -> None:
    """See that an engine can do what something needs.

    Raises:
        Unsupported: it cannot; it names each, with its reason.
    """
    if lacking := engine.abilities.lacking(needs):
        told = "; ".join(f"{need}: {reason}" for need, reason in lacking.items())
        raise Unsupported(f"{name!r} needs what {engine.name} cannot do. {told}.")


class Engines:
    """Each engine once, for whoever asks for it by name.

    Args:
        app: whose runs they make.
        make: makes one; by its entry point when left out.
    """

    def __init__(self, app: Penstock, make: Callable[[str, EngineSettings], OutsideEngine] | None = None) -> None:
        self._app = app
        self._make = make or make_engine
        self._made: dict[str, OutsideEngine] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> OutsideEngine:
        """One of them; see `make_engine`."""
        with self._lock:
            if name not in self._made:
                self._made[name] = self._make(name, settings_of(self._app))
            return self._made[name]

    def mistakes_in(self, spec: WorkflowSpec) -> list[tuple[str, str]]:
        """Why a workflow cannot be executed where it says; nothing where it can."""
        if spec.engine == LOCAL:
            return []
        try:
            refuse_lacking(spec.name, self.get(spec.engine), workflow_needs(spec))
        except PenstockError as error:
            return [("engine", f"{error.message.rstrip('.')}{f' ({error.hint})' if error.hint else ''}")]
        return []

    def close(self) -> None:
        """Give their connections back."""
        with self._lock:
            for engine in self._made.values():
                engine.close()
            self._made.clear()

    def __iter__(self) -> Iterator[str]:
        return iter(engine_names())
