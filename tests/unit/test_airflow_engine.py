"""What Airflow tells of runs and tasks, in Penstock's words. With a real Airflow it is tested elsewhere."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from penstock.core.engines import EngineSettings, Order
from penstock.core.errors import ConfigurationError, EngineRefused, EngineUnreachable, ResultUnavailable, RunNotThere
from penstock.core.events import Record, RunCompleted, Saved, Step, TaskCompleted, TaskFailed, TaskRetrying
from penstock.deploy.airflow.answers import Dag, DagRun, FileTrouble, TaskInstance
from penstock.deploy.airflow.engine import AirflowEngine, airflow_engine
from penstock.deploy.airflow.files import DagFiles
from penstock.deploy.airflow.names import VERDICT
from penstock.deploy.outcomes import Outcomes, outcome
from penstock.journal.results import FileResultStore

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
FETCH = Step("fetch#1", "fetch", "fetch", 1)


class Answers:
    """In the client's place: answers are attributes."""

    url = "http://airflow"

    def __init__(self) -> None:
        self.state = "running"
        self.operators: list[TaskInstance] = []
        self.known: Dag | None = None
        self.troubles: list[FileTrouble] = []
        self.ended: list[tuple[str, str]] = []

    def run(self, dag_id: str, run_id: str) -> DagRun:
        return DagRun(dag_id=dag_id, dag_run_id=run_id, state=self.state, run_after=NOW)

    def tasks(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        return self.operators

    def dag(self, dag_id: str) -> Dag | None:
        return self.known

    def import_errors(self, part: str) -> list[FileTrouble]:
        return self.troubles

    def end(self, dag_id: str, run_id: str) -> None:
        self.ended.append((dag_id, run_id))


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def engine(answers: Answers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AirflowEngine:
    monkeypatch.chdir(tmp_path)
    client: Any = answers
    given = EngineSettings(environment={"AIRFLOW_DAGS_FOLDER": str(tmp_path)}, home=str(tmp_path))
    return AirflowEngine(client, DagFiles(given))


@pytest.mark.parametrize(
    ("state", "tries", "seen"),
    [
        (None, 0, None),
        ("scheduled", 1, None),
        ("queued", 2, ("Retrying", 1)),
        ("running", 2, ("Running", 2)),
        ("deferred", 1, ("Running", 1)),
        ("up_for_retry", 1, ("Retrying", 1)),
        ("success", 3, ("Completed", 3)),
        ("failed", 1, ("Crashed", 1)),
        ("upstream_failed", 0, None),
        ("skipped", 0, None),
        ("removed", 0, None),
        ("something new", 1, None),
    ],
)
def test_a_task_is_a_step_from_when_it_has_begun(
    engine: AirflowEngine, answers: Answers, state: str | None, tries: int, seen: tuple[str, int] | None
) -> None:
    answers.operators = [TaskInstance(task_id="fetch.1", state=state, try_number=tries)]
    found = engine.look("nightly/penstock__r").steps
    assert [(step.key, step.state, step.attempt) for step in found] == ([("fetch#1", *seen)] if seen else [])


def test_a_result_that_is_kept_there(engine: AirflowEngine, tmp_path: Path) -> None:
    left = Outcomes(str(tmp_path / "airflow"))
    saved, _ = left.results.save([7] * 50_000)
    assert saved.ref is not None
    here = FileResultStore(tmp_path / "results")
    here.adopt(saved, lambda ref: engine.content("nightly/penstock__r", ref))
    assert here.load(saved, None) == [7] * 50_000
    with pytest.raises(ResultUnavailable):
        engine.content("nightly/penstock__r", "0" * 40)


def test_what_a_task_has_left_goes_over_what_airflow_says(
    engine: AirflowEngine, answers: Answers, tmp_path: Path
) -> None:
    left = Outcomes(str(tmp_path / "airflow"))
    records = [
        Record(TaskRetrying(at=5, step=FETCH, started=2)),
        Record(TaskCompleted(at=9, step=FETCH, attempt=2, started=2, result=Saved("json", 1)), b"7"),
    ]
    left.put("r", "fetch#1", outcome("0", records))
    never = Step("load#1", "load", "load", 2)
    records = [
        Record(TaskFailed(at=9, step=never, state_name="NotReady")),
        Record(RunCompleted(at=9, message="done")),
    ]
    left.put("r", "verdict", outcome("0", records))
    answers.state = "success"
    answers.operators = [
        TaskInstance(task_id="fetch.1", state="success", try_number=2),
        TaskInstance(task_id=VERDICT, state="success", try_number=1),
    ]
    run = engine.look("nightly/penstock__r")
    steps = {step.key: (step.state, step.state_name, step.attempt, step.data) for step in run.steps}
    assert steps == {"fetch#1": ("Completed", None, 2, b"7"), "load#1": ("Failed", "NotReady", 0, None)}
    assert (run.state, run.message) == ("Completed", "done")


@pytest.mark.parametrize(
    ("state", "told"), [("failed", "before it was known how the flow ends"), ("success", "nothing of the run is in")]
)
def test_a_run_that_has_left_no_verdict_has_crashed(
    engine: AirflowEngine, answers: Answers, state: str, told: str
) -> None:
    answers.state = state
    run = engine.look("nightly/penstock__r")
    assert run.state == "Crashed"
    assert told in str(run.message)


def test_a_dag_that_airflow_does_not_know_says_why(engine: AirflowEngine, answers: Answers, tmp_path: Path) -> None:
    order = Order(deployment="nightly", run_id="r")
    with pytest.raises(RunNotThere, match="not in Airflow's DAGs folder"):
        engine.start(order)
    (tmp_path / "penstock_nightly.py").touch()
    with pytest.raises(EngineUnreachable, match="has not read the file"):
        engine.start(order)
    answers.troubles = [FileTrouble(filename="penstock_nightly.py", stack_trace="Traceback\nSyntaxError: no\n")]
    with pytest.raises(EngineRefused, match="SyntaxError: no"):
        engine.start(order)


@pytest.mark.parametrize(("state", "ended"), [("running", 1), ("queued", 1), ("success", 0), ("failed", 0)])
def test_only_what_goes_on_is_ended(engine: AirflowEngine, answers: Answers, state: str, ended: int) -> None:
    answers.state = state
    engine.cancel("nightly/penstock__r")
    assert len(answers.ended) == ended


def test_a_reference_that_is_none_is_no_run(engine: AirflowEngine) -> None:
    with pytest.raises(RunNotThere):
        engine.look("nowhere")


def test_an_airflow_that_nobody_has_named_is_told_so() -> None:
    with pytest.raises(ConfigurationError) as caught:
        airflow_engine(EngineSettings(environment={}, home="."))
    assert "AIRFLOW_API_URL" in str(caught.value.hint)
