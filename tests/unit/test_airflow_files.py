"""DAG files: what is in them, when they change, and what is refused before any is written."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.calendar import ScheduleSpec
from penstock.core.deployments import Deployment, Schedule
from penstock.core.engines import EngineSettings
from penstock.core.errors import ConfigurationError, EngineRefused, Unsupported
from penstock.core.workflows import TaskSpec, WorkflowSpec
from penstock.deploy.airflow.files import DagFiles
from penstock.deploy.airflow.names import dag_id, name_of, own_run_id, step_key, task_id
from penstock.deploy.airflow.schedules import timing_of

FLOWS = '''
from typing import Literal
from penstock import flow, task
from penstock.cache_policies import INPUTS

@task(retries=2, retry_delay_seconds=[4, 9], tags=["api"])
def fetch(what):
    return what

@task(name="save it: now!")
def save(*values):
    return values

@flow
def shop(limit: int, kind: Literal["a", "b"] = "a", day: str | None = None):
    """Brings the shop's orders in."""
    first, second = fetch.submit(limit), fetch.submit(kind)
    return save(first, second)

@flow
def whole(limit: int = 3):
    return [fetch(each) for each in range(limit)]

@task(cache_policy=INPUTS)
def cached(n):
    return n

@flow
def lacking():
    cached(1)
'''


ODD = r"""
from penstock import flow, task

@task(name="'\"\\ {x}")
def one(n): ...

@flow(description="\"\"\" \n # \\")
def odd(n: float = 1.0):
    one(n)

@flow
def worse(n: float = 1.0):
    one(n)
    raise ValueError("a\nb = 1\n")
"""
PLACE = """
import sys
from penstock.core.deployments import Deployment
from penstock.core.engines import EngineSettings
from penstock.deploy.airflow.files import DagFiles

environment = {"AIRFLOW_DAGS_FOLDER": sys.argv[1], "AIRFLOW_PYTHON": "/venv/bin/python"}
plan = Deployment(name="daily shop", flow="shop", entrypoint="flows.py:shop", folder=sys.argv[3])
print(DagFiles(EngineSettings(environment=environment, home=sys.argv[2])).place(plan).changed)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "flows.py").write_text(FLOWS)
    (folder / "pyproject.toml").write_text("")
    (tmp_path / "dags").mkdir()
    monkeypatch.chdir(folder)
    return folder


def files_of(project: Path, **variables: str) -> DagFiles:
    environment = {
        "AIRFLOW_DAGS_FOLDER": str(project.parent / "dags"),
        "AIRFLOW_PYTHON": "/venv/bin/python",
        **variables,
    }
    return DagFiles(EngineSettings(environment=environment, home=str(project.parent / "home")))


def deployed(project: Path, flow: str = "shop", **more: Any) -> Deployment:
    return Deployment(name="daily shop", flow=flow, entrypoint=f"flows.py:{flow}", folder=str(project), **more)


def content(project: Path) -> str:
    return (project.parent / "dags" / "penstock_daily.u20.shop.py").read_text()


def assigned(text: str, name: str) -> Any:
    """The value of a name at the top of a file, with `timedelta(seconds=3)` as 3."""
    plain = re.sub(r"timedelta\(seconds=([\d.]+)\)", r"\1", text).replace("'results': RESULTS,", "")
    for node in ast.parse(plain).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            return ast.literal_eval(node.value)
    raise AssertionError(name)


def test_a_traced_flow_is_one_operator_for_each_task(project: Path) -> None:
    placed = files_of(project).place(deployed(project))
    assert (placed.changed, placed.steps, placed.why) == (True, True, None)
    text = content(project)
    assert [(task, step, after) for task, step, after, _ in assigned(text, "STEPS")] == [
        ("fetch.1", "fetch#1", []),
        ("fetch.2", "fetch#2", []),
        ("save.u20.it.u3a..u20.now.u21..1", "save it: now!#1", ["fetch.1", "fetch.2"]),
        ("penstock.verdict", "verdict", ["fetch.1", "fetch.2", "save.u20.it.u3a..u20.now.u21..1"]),
    ]
    (_, _, _, first), *_, (_, _, _, last) = assigned(text, "STEPS")
    assert first == {"owner": "penstock", "retries": 5, "retry_delay": 4}
    assert last == {"owner": "penstock", "retries": 3, "trigger_rule": "all_done", "retry_delay": 0}
    assert assigned(text, "COMMAND") == ["/venv/bin/python", "-m", "penstock.deploy.step"]
    assert assigned(text, "ORDER")["entrypoint"] == "flows.py:shop"


def test_a_flow_without_a_plan_is_one_operator_and_the_file_says_why(project: Path) -> None:
    placed = files_of(project).place(deployed(project, "whole"))
    assert not placed.steps
    assert placed.why is not None
    assert "turns the parameter 'limit' into a number" in placed.why
    assert [step for _, step, _, _ in assigned(content(project), "STEPS")] == ["whole"]
    assert f"# One operator: the flow {placed.why}." in content(project)


def test_parameters_are_a_form(project: Path) -> None:
    files_of(project).place(deployed(project, parameters={"kind": "b"}))
    text = content(project)
    assert "'limit': Param(**{'type': 'integer'})," in text
    assert "'kind': Param('b', **{'enum': ['a', 'b']})," in text
    assert "'day': Param(None, **{'anyOf': [{'type': 'string'}, {'type': 'null'}]})," in text


def test_airflow_imports_nothing_of_penstock_and_little_else(project: Path) -> None:
    files_of(project).place(deployed(project))
    imported = set()
    for node in ast.walk(ast.parse(content(project))):
        if isinstance(node, ast.Import):
            imported |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
    assert imported == {"json", "os", "signal", "subprocess", "datetime", "airflow.sdk", "airflow.sdk.exceptions"}


def test_the_same_flow_makes_the_same_file_in_any_process(project: Path) -> None:
    assert files_of(project).place(deployed(project)).changed
    before = content(project)
    assert not files_of(project).place(deployed(project)).changed
    arguments = [str(project.parent / "dags"), str(project.parent / "home"), str(project)]
    told = subprocess.run([sys.executable, "-c", PLACE, *arguments], check=True, capture_output=True, text=True)
    assert told.stdout == "False\n"
    assert content(project) == before


@pytest.mark.parametrize("edited", ["line", "head", "foreign"])
def test_a_file_that_somebody_has_edited_is_left_as_it_is(project: Path, edited: str) -> None:
    files_of(project).place(deployed(project))
    path = project.parent / "dags" / "penstock_daily.u20.shop.py"
    text = path.read_text()
    changed = {"line": text + "# mine\n", "head": text.partition("\n")[2], "foreign": "print(1)\n"}[edited]
    path.write_text(changed)
    for deed in (lambda: files_of(project).place(deployed(project)), lambda: files_of(project).remove("daily shop")):
        with pytest.raises(EngineRefused, match="is left as it is") as caught:
            deed()
        assert "AIRFLOW_FORCE=1" in str(caught.value.hint)
    assert path.read_text() == changed
    assert files_of(project, AIRFLOW_FORCE="1").place(deployed(project)).changed
    assert path.read_text() == text


def test_nothing_that_is_told_breaks_the_file(project: Path) -> None:
    (project / "flows.py").write_text(ODD)
    for flow in ("odd", "worse"):
        name = f'it\'s "{flow}" # {{0}} \\'
        plan = Deployment(
            name=name, flow=flow, entrypoint=f"flows.py:{flow}", folder=str(project), parameters={"n": float("nan")}
        )
        placed = files_of(project).place(plan)
        compile(Path(placed.place).read_text(), placed.place, "exec")
        assert "nan" not in Path(placed.place).read_text()
        assert not files_of(project).place(plan).changed
        assert files_of(project).remove(name)


def test_a_file_is_removed_once(project: Path) -> None:
    files_of(project).place(deployed(project))
    assert files_of(project).remove("daily shop")
    assert not files_of(project).remove("daily shop")
    assert sorted(each.name for each in (project.parent / "dags").iterdir()) == [".penstock.lock"]


def test_deploys_at_once_leave_one_whole_file(project: Path) -> None:
    plans = [deployed(project, tags=(f"tag-{number}",)) for number in range(4)]
    files_of(project).place(plans[0])
    texts = {content(project)}
    for plan in plans[1:]:
        files_of(project).place(plan)
        texts.add(content(project))
    barrier = threading.Barrier(4)

    def deploy(plan: Deployment) -> None:
        barrier.wait()
        for _ in range(5):
            files_of(project).place(plan)

    threads = [threading.Thread(target=deploy, args=(plan,)) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(texts) == 4
    assert content(project) in texts


def test_what_airflow_cannot_do_is_refused_with_every_reason(project: Path) -> None:
    rule = Schedule(name="rule", spec=ScheduleSpec.of(rrule="FREQ=DAILY", timezone="UTC"))
    plan = deployed(project, "lacking", schedules=(rule,), collision="skip")
    with pytest.raises(Unsupported) as caught:
        files_of(project).place(plan)
    for told in ("caching: results of other runs", "recurrence rules", "collision:"):
        assert told in caught.value.message
    assert not list((project.parent / "dags").glob("*.py"))


def test_a_schedule_needs_parameters_with_defaults(project: Path) -> None:
    nightly = Schedule(name="cron", spec=ScheduleSpec.of("0 2 * * *"))
    with pytest.raises(Unsupported, match="limit has no default, and schedules give none"):
        files_of(project).place(deployed(project, schedules=(nightly,)))
    assert files_of(project).place(deployed(project, schedules=(nightly,), parameters={"limit": 3})).changed


def test_options_of_the_project_and_of_one_deployment(project: Path) -> None:
    (project / "pyproject.toml").write_text(
        '[tool.penstock.airflow]\nowner = "data"\nemail = ["a@example.com"]\npools = {fetch = "api"}\nretries = 1\n'
        '[tool.penstock.airflow.deployments."daily shop"]\npool = "shop"\ndeadline_seconds = 90\n'
    )
    files_of(project).place(deployed(project, concurrency=2, paused=True))
    text = content(project)
    (_, _, _, first), *_, (_, _, _, last) = assigned(text, "STEPS")
    assert first["pool"] == "api"
    assert last["pool"] == "shop"
    assert first["owner"] == "data"
    assert "email" not in first
    assert last["email"] == ["a@example.com"]
    assert last["email_on_failure"]
    for told in ("dagrun_timeout=timedelta(seconds=90.0)", "max_active_runs=2", "is_paused_upon_creation=True"):
        assert told in text


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("colour = 1", "unknown field `colour`"),
        ('email = "me"', "Expected `array`"),
        ('results = "s3://a:b@c/d"', "holds a password"),
        ('results = "here"', "is no absolute path"),
    ],
    ids=["unknown", "kind", "password", "relative"],
)
def test_an_option_that_cannot_be_is_told(project: Path, table: str, told: str) -> None:
    (project / "pyproject.toml").write_text(f"[tool.penstock.airflow]\n{table}\n")
    with pytest.raises(ConfigurationError, match=told):
        files_of(project).place(deployed(project))


def test_without_a_folder_for_dags_nothing_is_placed(project: Path) -> None:
    with pytest.raises(ConfigurationError, match="Nobody has said where Airflow looks for DAGs"):
        DagFiles(EngineSettings(environment={}, home="/home")).place(deployed(project))
    with pytest.raises(ConfigurationError, match="There is no folder"):
        files_of(project, AIRFLOW_DAGS_FOLDER="/nowhere/at/all").place(deployed(project))


def test_a_workflow_is_its_tasks(project: Path) -> None:
    (project / "steps.py").write_text("def one(): return 1\n\ndef two(a): return a\n")
    (project / "pyproject.toml").write_text('[tool.penstock.workflows]\nmodules = ["steps"]\n')
    tasks = (
        TaskSpec(name="second", python_callable="steps:two", params={"a": {"$result": "first"}}),
        TaskSpec(name="first", python_callable="steps:one", retry_count=2, retry_delay=3.0),
    )
    spec = WorkflowSpec(name="pair", schedule="@daily", timezone="Europe/Paris", parameters={"n": 1}, tasks=tasks)
    assert files_of(project).place(spec).steps
    text = (project.parent / "dags" / "penstock_pair.py").read_text()
    assert [step[:3] for step in assigned(text, "STEPS")][:2] == [
        ("first.1", "first#1", []),
        ("second.1", "second#1", ["first.1"]),
    ]
    assert "CronTriggerTimetable('0 0 * * *', timezone='Europe/Paris', run_immediately=True)" in text
    assert assigned(text, "ORDER")["workflow"]["name"] == "pair"


def spec(**given: Any) -> Schedule:
    return Schedule(name="one", spec=ScheduleSpec.of(given.pop("cron", None), **given))


@pytest.mark.parametrize(
    ("schedules", "expression"),
    [
        ([], "None"),
        ([spec(cron="@weekly", missed="skip")], "CronTriggerTimetable('0 0 * * 0', timezone='UTC')"),
        ([spec(interval="15m")], "DeltaTriggerTimetable(timedelta(seconds=900.0))"),
        (
            [spec(cron="0 1 * * *", missed="skip"), spec(cron="0 2 * * *", missed="skip")],
            "MultipleCronTriggerTimetable('0 1 * * *', '0 2 * * *', timezone='UTC')",
        ),
    ],
    ids=["none", "cron", "interval", "several"],
)
def test_schedules_as_airflow_has_them(schedules: list[Schedule], expression: str) -> None:
    timing = timing_of(schedules)
    assert (timing.expression, timing.reasons) == (expression, ())


@pytest.mark.parametrize(
    ("schedules", "told"),
    [
        ([spec(at="2030-01-01T00:00Z")], "single instants"),
        ([spec(cron="*/5 0 1 * * *")], "no seconds"),
        ([spec(cron="0 1 * * *", jitter=5)], "jitter"),
        ([spec(cron="0 1 * * *"), spec(interval="1h")], "one schedule"),
        ([spec(cron="0 1 * * *"), spec(cron="0 1 * * *", timezone="Asia/Tokyo")], "one schedule"),
        ([spec(cron="0 1 * * *", missed="all")], "from a start"),
    ],
    ids=["at", "seconds", "jitter", "kinds", "zones", "start"],
)
def test_schedules_that_airflow_does_not_have_are_told(schedules: list[Schedule], told: str) -> None:
    assert told in "; ".join(timing_of(schedules).reasons)


@given(st.text(min_size=1), st.integers(1, 10**6))
def test_names_are_airflows_and_can_be_read_back(name: str, number: int) -> None:
    assert name_of(dag_id(name)) == name
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", dag_id(name))
    assert step_key(task_id(f"{name}#{number}")) == f"{name}#{number}"


def test_runs_that_airflow_began_have_an_id_that_follows_from_theirs() -> None:
    assert own_run_id("dag", "penstock__abc", 5) == "abc"
    made = own_run_id("dag", "scheduled__2026", 1_700_000_000_000_000)
    assert (
        made == own_run_id("dag", "scheduled__2026", 1_700_000_000_000_000) != own_run_id("dog", "scheduled__2026", 1)
    )
