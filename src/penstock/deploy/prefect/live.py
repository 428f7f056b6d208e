"""A run that Prefect executes in this process, as Penstock's own functions see it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from penstock.core.context import Scope
from penstock.core.errors import Unsupported
from penstock.core.events import now_us
from penstock.core.extras import LateExtra
from penstock.core.ports import ResultStore
from penstock.deploy.prefect.abilities import ABILITIES
from penstock.deploy.prefect.record import RunRecord
from penstock.engine.flows import info_of
from penstock.engine.live import RunInfo

_loggers: Any = LateExtra("prefect.logging", "prefect")
_client: Any = LateExtra("prefect.client.orchestration", "prefect")
_actions: Any = LateExtra("prefect.client.schemas.actions", "prefect")
_context: Any = LateExtra("prefect.context", "prefect")

_ARTIFACTS = {"link": "markdown"}
"""What Prefect calls an artifact, where it is not what Penstock calls it."""


class Family:
    """What a run shares with its subflows.

    Attributes:
        home: Penstock's home folder, where this process sees it.
        results: where values are kept.
        deployment: whose run it is.
        submitted: Prefect's futures, by the id of the task run.
    """

    def __init__(self, home: Path, results: ResultStore, deployment: str | None = None) -> None:
        self.home = home
        self.results = results
        self.deployment = deployment
        self.submitted: dict[str, Any] = {}


class _Lines:
    """Stands where the recorder is: log lines go to Prefect."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id

    def log(self, line: Any) -> None:
        """Say it as Prefect's own run loggers do."""
        with_context: logging.LoggerAdapter[logging.Logger] = _loggers.get_run_logger()
        with_context.log(line.level, "%s", line.message)


class Live:
    """Stands where `penstock.engine.live.LiveRun` is. There is no engine behind it, as in the process of a task.

    Attributes:
        family: what it shares with its subflows.
        record: what it leaves in the result store.
        pending: futures of steps that have not ended.
        outcome: how it ended; None until then.
    """

    alone = False
    replay = None
    suspends = False
    runner = None
    remote = False

    def __init__(
        self,
        flow: Any,
        run_id: str,
        flow_run: Any,
        parameters: dict[str, Any],
        tags: frozenset[str],
        parent: Live | None,
        family: Family,
    ) -> None:
        self.flow = flow
        self.id = run_id
        self.name: str = flow_run.name
        self.attempt: int = flow_run.run_count
        self.parameters = parameters
        self.tags = tags
        self.parent = parent
        self.root: Live = parent.root if parent is not None else self
        self.family = family
        self.started = now_us()
        self.facts: dict[str, Any] = parent.facts if parent is not None else _facts(flow_run, family.deployment)
        self.record = RunRecord(family.home, run_id, family.results)
        self.recorder = _Lines(run_id)
        self.scope = Scope(self, None)
        self.pending: set[Any] = set()
        self.lock = threading.Lock()
        self.outcome: Any = None
        self.told: set[str] = set()
        self.info: RunInfo = info_of(self)  # type: ignore[arg-type]

    def around(self) -> Iterator[Live]:
        """The runs around this one, nearest first."""
        parent = self.parent
        while parent is not None:
            yield parent
            parent = parent.parent

    def hold(self, request: Any) -> NoReturn:
        """Slots and turns are of Penstock's journal, which is not here.

        Raises:
            Unsupported: always.
        """
        raise lacking("limits")

    def ask(self, kind: str, what: Any) -> Any:
        """What a task asks its run for: see `penstock.engine.runners.favours`."""
        if kind == "keep":
            return _keep_artifact(*what)
        if kind == "move":
            return _move_artifact(*what)
        if kind == "journal":
            return self._journal(*what)
        raise lacking("transactions" if kind == "join" else "waiting")

    def _journal(self, name: str, values: tuple[Any, ...]) -> Any:
        """Of datasets nothing is on record here, and nothing is recorded."""
        if name == "append" and "datasets" not in self.told:
            self.told.add("datasets")
            logging.getLogger("penstock.run").warning(
                "What this run reads and writes of datasets is not recorded: Penstock's journal is not here."
            )
        return 0 if name == "last_seq" else []


def lacking(ability: str) -> Unsupported:
    """The error for something that Prefect cannot do for a flow of Penstock."""
    return Unsupported(
        f"On Prefect there is no {ability} for flows of Penstock: {getattr(ABILITIES, ability)}.",
        hint='run this flow on Penstock\'s own workers (engine "local")',
    )


def _facts(flow_run: Any, deployment: str | None) -> dict[str, Any]:
    """What the runtime tells of a run besides."""
    if deployment is None:
        return {}
    return {"deployment": deployment, "scheduled_start_time": flow_run.expected_start_time}


def _keep_artifact(kind: str, data: bytes, key: str | None, description: str | None) -> str:
    task_run, flow_run = _context.TaskRunContext.get(), _context.FlowRunContext.get()
    made = _actions.ArtifactCreate(
        type=_ARTIFACTS.get(kind, kind),
        key=key,
        description=description,
        data=_content(kind, data),
        task_run_id=task_run.task_run.id if task_run is not None else None,
        flow_run_id=flow_run.flow_run.id if flow_run is not None else task_run.task_run.flow_run_id,
    )
    with _client.get_client(sync_client=True) as client:
        return str(client.create_artifact(made).id)


def _move_artifact(artifact_id: str, data: bytes, description: str | None) -> str:
    told = {} if description is None else {"description": description}
    with _client.get_client(sync_client=True) as client:
        client.update_artifact(artifact_id, _actions.ArtifactUpdate(data=_content("progress", data), **told))
    return artifact_id


def _content(kind: str, data: bytes) -> Any:
    """As Prefect has it: tables are text in JSON."""
    return data.decode() if kind == "table" else msgspec.json.decode(data)
