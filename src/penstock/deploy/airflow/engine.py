"""Airflow as an engine: DAG files in its folder, runs over its REST API, outcomes in Penstock's result store."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from penstock.core.decisions import ended_as
from penstock.core.deployments import Deployment
from penstock.core.engines import Abilities, Begun, EngineSettings, Order, OutsideLine, OutsideRun, OutsideStep, Placed
from penstock.core.errors import ConfigurationError, EngineRefused, EngineUnreachable, RunNotThere
from penstock.core.events import RunEnded
from penstock.core.ports import OutsideEngine
from penstock.core.states import FINAL_WORDS
from penstock.core.workflows import WorkflowSpec
from penstock.deploy.airflow.abilities import ABILITIES
from penstock.deploy.airflow.answers import DagRun, TaskInstance
from penstock.deploy.airflow.client import AirflowClient
from penstock.deploy.airflow.files import DagFiles
from penstock.deploy.airflow.names import (
    VERDICT,
    WHOLE,
    dag_id,
    dag_run_id,
    name_of,
    own_run_id,
    run_id_of,
    step_key,
    task_id,
)
from penstock.deploy.airflow.told import Told, told_of
from penstock.deploy.lines import read
from penstock.deploy.orders import VERDICT as VERDICT_STEP
from penstock.deploy.orders import WHOLE as WHOLE_STEP
from penstock.deploy.outcomes import Outcomes, OutcomesUnreachable
from penstock.deploy.parameters import as_described

_RUN_STATES = {"queued": "Pending", "running": "Running", "success": "Completed", "failed": "Failed"}
_WAITING = (None, "scheduled", "queued", "up_for_reschedule")
_AT_WORK = ("running", "restarting", "deferred", "awaiting_input")
_OVER = ("success", "failed", "upstream_failed", "skipped", "removed")
_LAST = {VERDICT: VERDICT_STEP, WHOLE: WHOLE_STEP}
"""The tasks that say how a run ends."""


class _Reference(NamedTuple):
    dag: str
    run: str

    @classmethod
    def of(cls, text: str) -> _Reference:
        dag, slash, run = text.partition("/")
        if not slash:
            raise RunNotThere(f"{text!r} is no run of Airflow.")
        return cls(dag, run)

    def __str__(self) -> str:
        return f"{self.dag}/{self.run}"


class AirflowEngine(OutsideEngine):
    """Has Airflow make runs.

    Args:
        client: asks it.
        files: writes what it reads.
    """

    name = "airflow"
    abilities: Abilities = ABILITIES

    def __init__(self, client: AirflowClient, files: DagFiles) -> None:
        self._client = client
        self._files = files
        self._outcomes: dict[str, Outcomes] = {}
        self._told: dict[tuple[str, str, str], Told] = {}
        self._tries: dict[tuple[str, str, str], int] = {}
        self._counts: dict[tuple[str, str, str, int], int] = {}
        """Log lines of tries that have ended."""

    def place(self, plan: Deployment | WorkflowSpec) -> Placed:
        """See `OutsideEngine`."""
        return self._files.place(plan)

    def remove(self, name: str) -> bool:
        """See `OutsideEngine`. Airflow itself forgets it when it sees that the file is gone."""
        return self._files.remove(name)

    def pause(self, name: str, paused: bool) -> None:
        """See `OutsideEngine`."""
        dag = dag_id(name)
        known = self._client.dag(dag)
        if known is None:
            raise RunNotThere(f"Airflow has not read the DAG {dag} yet.")
        if known.is_paused != paused:
            self._client.pause(dag, paused)

    def start(self, order: Order) -> str:
        """See `OutsideEngine`."""
        dag, run = dag_id(order.deployment), dag_run_id(order.run_id)
        known = self._client.dag(dag)
        if known is None:
            self._refuse_broken(dag)
            if not self._files.has(order.deployment):
                raise RunNotThere(f"{order.deployment!r} is not in Airflow's DAGs folder.")
            raise EngineUnreachable(f"Airflow has not read the file of the DAG {dag} yet.")
        if known.is_paused:  # else the run would wait there, and nobody would know for what
            self._client.pause(dag, False)
        given: Mapping[str, Any] = order.parameters
        if any(isinstance(value, str) for value in given.values()):
            given = as_described(given, self._client.schema(dag))
        self._client.trigger(dag, run, given)
        return str(_Reference(dag, run))

    def _refuse_broken(self, dag: str) -> None:
        for error in self._client.import_errors(dag):
            last = error.stack_trace.strip().rpartition("\n")[2]
            raise EngineRefused(f"Airflow cannot read {error.filename}: {last}.")

    def find(self, order: Order) -> str | None:
        """See `OutsideEngine`."""
        found = _Reference(dag_id(order.deployment), dag_run_id(order.run_id))
        try:
            self._client.run(*found)
        except RunNotThere:
            return None
        return str(found)

    def begun(self, deployments: Collection[str], since: int) -> Sequence[Begun]:
        """See `OutsideEngine`."""
        wanted = {dag_id(name) for name in deployments}
        moment = datetime.datetime.fromtimestamp(since / 1_000_000, datetime.UTC)
        runs = self._client.runs(moment, next(iter(wanted)) if len(wanted) == 1 else "~")
        return [
            Begun(
                deployment=name_of(run.dag_id),
                reference=str(_Reference(run.dag_id, run.dag_run_id)),
                run_id=own_run_id(run.dag_id, run.dag_run_id, _micros(run.run_after) or 0),
                parameters=run.conf or {},
                at=_micros(run.run_after) or 0,
            )
            for run in runs
            if run.dag_id in wanted and run_id_of(run.dag_run_id) is None
        ]

    def look(self, reference: str) -> OutsideRun:
        """See `OutsideEngine`."""
        place = _Reference.of(reference)
        run, tasks = self._client.run(*place), self._client.tasks(*place)
        steps: dict[str, OutsideStep] = {}
        artifacts: list[Any] = []
        verdict = Told()
        for task in tasks:
            self._tries[*place, task.task_id] = task.try_number
            key = None if task.task_id in _LAST else step_key(task.task_id)
            if key is not None and (seen := _seen(key, task)) is not None:
                steps[key] = seen
            told = self._left(run, task, _LAST.get(task.task_id, key))
            for step in told.steps:
                known = steps.get(step.key)
                if known is None or known.state not in FINAL_WORDS or step.state in FINAL_WORDS:
                    steps[step.key] = step
            artifacts += told.artifacts
            verdict = told if task.task_id in _LAST else verdict
        found = OutsideRun(
            reference=reference,
            state=_RUN_STATES.get(run.state, "Running"),
            started=_micros(run.start_date),
            ended=_micros(run.end_date),
            steps=tuple(sorted(steps.values(), key=lambda step: (step.started or step.ended or 0, step.key))),
            url=f"{self._client.url}/dags/{place.dag}/runs/{place.run}",
            artifacts=tuple(artifacts),
            whole_log=any(task.task_id == WHOLE for task in tasks),
        )
        return self._ended(found, place, verdict) if found.state in FINAL_WORDS else found

    def _ended(self, found: OutsideRun, place: _Reference, verdict: Told) -> OutsideRun:
        """How a run has ended: what its last task says, not only whether Airflow's tasks did what they should."""
        if verdict.end is None:
            told = f"Airflow ended the run as {found.state.lower()} before it was known how the flow ends"
            if found.state == "Completed":
                told = f"Airflow says that all went well, and nothing of the run is in {self._store(place.dag).address}"
            return msgspec.structs.replace(found, state="Crashed", message=f"{told}; see {found.url}")
        event, data = verdict.end
        kind = ended_as(event)
        assert isinstance(event, RunEnded)
        assert kind is not None
        return msgspec.structs.replace(
            found, state=kind.word, state_name=event.state_name, message=event.message, result=event.result,
            error=event.error, data=data,
        )  # fmt: skip

    def _left(self, run: DagRun, task: TaskInstance, step: str | None) -> Told:
        """What a task that has ended has left."""
        if step is None or task.state not in _OVER:
            return Told()
        place = (run.dag_id, run.dag_run_id, step)
        if place not in self._told:
            own = own_run_id(run.dag_id, run.dag_run_id, _micros(run.run_after) or 0)
            try:
                outcome = self._store(run.dag_id).get(own, step)
            except OutcomesUnreachable as error:
                raise EngineUnreachable(error.message, hint=error.hint) from None
            if outcome is None:
                return Told()
            self._told[place] = told_of(outcome.records)
        return self._told[place]

    def _store(self, dag: str) -> Outcomes:
        if dag not in self._outcomes:
            self._outcomes[dag] = Outcomes(self._files.results_of(name_of(dag)))
        return self._outcomes[dag]

    def content(self, reference: str, ref: str) -> bytes:
        """See `OutsideEngine`."""
        try:
            return self._store(_Reference.of(reference).dag).content(ref)
        except OutcomesUnreachable as error:
            raise EngineUnreachable(error.message, hint=error.hint) from None

    def lines(self, reference: str, step: str | None, after: int) -> Sequence[OutsideLine]:
        """See `OutsideEngine`."""
        place = _Reference.of(reference)
        found: list[OutsideLine] = []
        passed = 0
        for task in [task_id(step)] if step is not None else [*_LAST]:
            tries = self._tries.get((*place, task), 0)
            for attempt in range(1, tries + 1):
                known = self._counts.get((*place, task, attempt))
                if known is not None and passed + known <= after:
                    passed += known
                    continue
                lines = list(read(_texts(self._client.log(*place, task, attempt))))
                if attempt < tries:
                    self._counts[*place, task, attempt] = len(lines)
                found += lines[max(0, after - passed) :]
                passed += len(lines)
        return found

    def cancel(self, reference: str) -> None:
        """See `OutsideEngine`."""
        place = _Reference.of(reference)
        if self._client.run(*place).state in ("queued", "running"):
            self._client.end(*place)

    def status(self) -> str:
        """See `OutsideEngine`."""
        version = self._client.version()
        self._client.dag("penstock-asks-who-is-there")
        return f"Airflow {version} at {self._client.url}"


def _seen(key: str, task: TaskInstance) -> OutsideStep | None:
    """A step as its task tells of it; None where it has not begun, or will not. A try counts once it is planned."""
    state, attempt = task.state, max(1, task.try_number)
    if state in _WAITING and task.try_number > 1:
        return OutsideStep(key=key, state="Retrying", attempt=attempt - 1)
    started, ended = _micros(task.start_date), _micros(task.end_date)
    if state == "up_for_retry":
        return OutsideStep(key=key, state="Retrying", attempt=attempt, started=started, ended=ended)
    if state in _AT_WORK:
        return OutsideStep(key=key, state="Running", attempt=attempt, started=started)
    if state == "success":
        return OutsideStep(key=key, state="Completed", attempt=attempt, started=started, ended=ended)
    if state == "failed":
        told = "Its process in Airflow ended before it could say how the step ends."
        return OutsideStep(key=key, state="Crashed", attempt=attempt, started=started, ended=ended, message=told)
    return None


def _texts(entries: Iterable[Any]) -> Iterable[str]:
    for entry in entries:
        text = entry.get("event") if isinstance(entry, dict) else entry
        if isinstance(text, str):
            yield text


def _micros(moment: datetime.datetime | None) -> int | None:
    return round(moment.timestamp() * 1_000_000) if moment is not None else None


def airflow_engine(settings: EngineSettings) -> AirflowEngine:
    """The Airflow that the settings name.

    Raises:
        ConfigurationError: they name none.
    """
    given = settings.environment
    url = given.get("AIRFLOW_API_URL", "")
    if not url:
        raise ConfigurationError(
            "It is not said where Airflow is.",
            hint="set AIRFLOW_API_URL, AIRFLOW_USER, AIRFLOW_PASSWORD and AIRFLOW_DAGS_FOLDER",
        )
    client = AirflowClient(url, given.get("AIRFLOW_USER", ""), given.get("AIRFLOW_PASSWORD", ""))
    return AirflowEngine(client, DagFiles(settings))
