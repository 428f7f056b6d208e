"""DAG files: one for each deployment or workflow, small, the same whenever it is written from the same.

A file says at its top what the rest of it adds up to, so that one that somebody has edited is noticed.
"""

from __future__ import annotations

import ast
import fcntl
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from penstock.authoring.loading import load_flow
from penstock.authoring.schema import parameters_schema
from penstock.core.deployments import Deployment, Schedule
from penstock.core.engines import EngineSettings, Placed
from penstock.core.errors import ConfigurationError, EngineRefused, EngineUnreachable, Unsupported
from penstock.core.files import atomic_write
from penstock.core.release import VERSION
from penstock.core.workflows import FILE, WorkflowSpec, references_in
from penstock.core.workflows import as_data as workflow_data
from penstock.deploy.airflow.abilities import ABILITIES
from penstock.deploy.airflow.names import LONGEST, dag_id, task_id
from penstock.deploy.airflow.options import AirflowOptions, options_of
from penstock.deploy.airflow.schedules import Timing, timing_of
from penstock.deploy.airflow.text import dag_text
from penstock.deploy.needs import needs_of
from penstock.deploy.plans import Plan
from penstock.deploy.tracing import plan_of
from penstock.engine.workflows import callables_of

_RESULTS = re.compile(rb"^RESULTS = (.*)$", re.MULTILINE)
_HEAD = re.compile(rb"# Written by Penstock \S+ for .*: changes made here are lost. sha256:([0-9a-f]{64})\n")


class DagFiles:
    """The files of Penstock in a folder of DAGs.

    Args:
        settings: of the engine.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._force = settings.environment.get("AIRFLOW_FORCE", "").lower() in ("1", "true", "yes")

    def options(self, name: str, folder: str | None = None) -> AirflowOptions:
        """How a deployment or workflow is put into Airflow.

        Raises:
            ConfigurationError: an option that cannot be, or no folder for DAGs.
        """
        return options_of(name, folder, self._settings.home, self._settings.environment)

    def place(self, plan: Deployment | WorkflowSpec) -> Placed:
        """See `OutsideEngine.place`.

        Raises:
            Unsupported: it needs what Airflow cannot do; nothing was written.
            EngineRefused: somebody has edited the file, or it is not Penstock's.
            EngineUnreachable: the folder cannot be written.
        """
        folder = plan.folder if isinstance(plan, Deployment) else None
        options = self.options(plan.name, folder)
        traced, text = described(plan, options)
        path = self._path(plan.name, options)
        body = text.encode()
        head = f"# Written by Penstock {VERSION} for {plan.name!r}: changes made here are lost. "
        data = head.encode() + b"sha256:" + hashlib.sha256(body).hexdigest().encode() + b"\n" + body
        with _alone(path.parent):
            before = _content(path)
            if before == data:
                return Placed(name=plan.name, place=str(path), changed=False, steps=not traced.why, why=traced.why)
            if before is not None:
                self._refuse_foreign(path, before)
            with atomic_write(path, "wb") as file:
                file.write(data)
        return Placed(name=plan.name, place=str(path), changed=True, steps=not traced.why, why=traced.why)

    def has(self, name: str) -> bool:
        """Whether there is a file of a deployment or workflow of this name."""
        return _content(self._path(name, self.options(name))) is not None

    def remove(self, name: str) -> bool:
        """See `OutsideEngine.remove`.

        Raises:
            EngineRefused: somebody has edited the file, or it is not Penstock's.
        """
        path = self._path(name, self.options(name))
        with _alone(path.parent):
            before = _content(path)
            if before is None:
                return False
            self._refuse_foreign(path, before)
            path.unlink()
        return True

    def results_of(self, name: str) -> str:
        """Where the steps of a deployment leave their outcomes, as it was placed."""
        options = self.options(name)
        found = _RESULTS.search(_content(self._path(name, options)) or b"")
        return str(ast.literal_eval(found[1].decode())) if found else options.results

    def _path(self, name: str, options: AirflowOptions) -> Path:
        return Path(options.dags_folder) / f"penstock_{dag_id(name)}.py"

    def _refuse_foreign(self, path: Path, content: bytes) -> None:
        if self._force:
            return
        head = _HEAD.match(content)
        if head is None:
            told = "is not Penstock's" if not content.startswith(b"# Written by Penstock") else "was edited"
        elif hashlib.sha256(content[head.end() :]).hexdigest().encode() != head[1]:
            told = "was edited by hand"
        else:
            return
        raise EngineRefused(
            f"{path} {told}, and is left as it is.",
            hint="bring the change into the flow or its deployment; AIRFLOW_FORCE=1 overwrites the file",
        )


def described(plan: Deployment | WorkflowSpec, options: AirflowOptions) -> tuple[Plan, str]:
    """The plan of a deployment or workflow, and its DAG file without the head.

    Raises:
        Unsupported: it needs what Airflow cannot do; every reason is told.
    """
    if isinstance(plan, WorkflowSpec):
        return _of_workflow(plan, options)
    flow = load_flow(_entrypoint(plan))
    timing = timing_of(plan.schedules)
    reasons = [f"{need}: {reason}" for need, reason in ABILITIES.lacking(needs_of(flow)).items()]
    reasons += timing.reasons
    if plan.collision == "skip":
        reasons.append("collision: Airflow has runs that are too many wait, and leaves none out")
    if plan.partitions is not None or flow.partitions is not None:
        reasons.append("partitions: Airflow tells runs which time they are for, and no partition")
    schema = parameters_schema(flow)
    form = {name: _field(name, schema, plan.parameters) for name in schema.get("properties", {})}
    if timing.expression != "None":
        reasons += [
            f"parameters: {name} has no default, and schedules give none" for name in form if "needed" in form[name]
        ]
    _refuse(plan.name, Plan(), reasons)
    traced = plan_of(flow)
    _refuse(plan.name, traced, [])
    order = {"deployment": plan.name, "entrypoint": plan.entrypoint, "folder": plan.folder, "tags": list(plan.tags)}
    text = dag_text(
        plan.name,
        traced,
        options,
        timing,
        order=order,
        form=form,
        description=plan.description or flow.description,
        tags=(*plan.tags, *flow.sorted_tags),
        most=plan.concurrency,
        paused=plan.paused,
        crashes=plan.crash_retries,
    )
    return traced, text


def _of_workflow(spec: WorkflowSpec, options: AirflowOptions) -> tuple[Plan, str]:
    reasons = []
    if any(mark == FILE for task in spec.tasks for mark, _, _ in references_in(task.params)):
        reasons.append("files: those that were sent in are on Penstock's server, and not where Airflow's tasks are")
    timing = Timing()
    if spec.schedule is not None:
        from penstock.core.calendar import ScheduleSpec

        timing = timing_of([Schedule(name="cron", spec=ScheduleSpec.of(spec.schedule, timezone=spec.timezone))])
    traced = plan_of(spec)
    _refuse(spec.name, traced, [*reasons, *timing.reasons])
    folder = callables_of().folder
    text = dag_text(
        spec.name,
        traced,
        options,
        timing,
        order={"deployment": spec.name, "workflow": workflow_data(spec), "folder": folder, "tags": list(spec.tags)},
        form={name: {"default": value, "schema": {}} for name, value in spec.parameters.items()},
        description=spec.description,
        tags=spec.tags,
        most=None,
        paused=not spec.active,
        crashes=options.retries,
    )
    return traced, text


def _refuse(name: str, plan: Plan, reasons: list[str]) -> None:
    long = [step.key for step in plan.steps if len(task_id(step.key)) > LONGEST]
    if len(dag_id(name)) > LONGEST:
        long.append(name)
    reasons += [f"names: {each[:60]!r}... is longer than Airflow takes ({LONGEST})" for each in long]
    if reasons:
        told = "; ".join(reasons)
        raise Unsupported(f"{name!r} cannot be executed by Airflow: {told}.", hint="deploy it for another engine")


def _entrypoint(deployment: Deployment) -> str:
    """Where this process finds the flow."""
    target, colon, name = deployment.entrypoint.rpartition(":")
    if deployment.folder is None:
        return deployment.entrypoint
    if target.endswith(".py"):
        return f"{os.path.join(deployment.folder, target)}{colon}{name}"
    if deployment.folder not in sys.path:
        sys.path.insert(0, deployment.folder)
    return deployment.entrypoint


def _field(name: str, schema: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """A parameter of the form: its default, and a schema that stands by itself."""
    own = dict(schema["properties"][name])
    needed = "default" not in own and name not in given
    default = given.get(name, own.pop("default", None))
    own.pop("default", None)
    if "$ref" in json.dumps(own) and "$defs" in schema:
        own["$defs"] = schema["$defs"]
    return {"default": default, "schema": own, **({"needed": True} if needed else {})}


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EngineUnreachable(f"{path} cannot be read: {error.strerror}.") from None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else deploys into the folder meanwhile."""
    try:
        if not folder.is_dir():
            raise ConfigurationError(
                f"There is no folder {folder} for DAGs.", hint="AIRFLOW_DAGS_FOLDER names the one that Airflow reads"
            )
        with open(folder / ".penstock.lock", "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise EngineUnreachable(f"{folder} cannot be written: {error.strerror}.") from None
