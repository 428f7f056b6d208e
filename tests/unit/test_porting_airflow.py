"""Files of Airflow DAGs: what is said of them, and the flows that are made of them."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path

import pytest

from penstock.deploy.porting import BadPort, Verdict, port_airflow
from penstock.deploy.porting.airflow import ported

DAG = """\
from datetime import timedelta

import pendulum
from airflow.sdk import dag, task, Variable

DEFAULTS = {"retries": 2, "retry_delay": timedelta(minutes=5), "owner": "ann"}


@dag(
    dag_id="prices",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1),
    catchup=False,
    default_args=DEFAULTS,
)
def prices(factor: int = 2):
    @task
    def fetch() -> list[int]:
        return [1, 2, 3]

    @task(task_id="scale it", retries=0, execution_timeout=timedelta(hours=1))
    def scale(each: int) -> int:
        return each * 2

    @task(multiple_outputs=True)
    def total(values) -> dict:
        return {"sum": sum(values)}

    @task()
    def show(value: int) -> None:
        print("the sum is", value)

    scaled = scale.expand(each=fetch())
    found = total(scaled)
    show.override(task_id="tell", retries=1)(found["sum"])


prices()
"""


def left(text: str) -> list[tuple[int, str]]:
    return [(each.line, each.what) for each in ported(text).findings if each.verdict in (Verdict.TODO, Verdict.NONE)]


def test_a_dag_of_functions_becomes_a_flow_that_runs(
    tmp_path: Path, penstock_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = ported(DAG.replace(", Variable", "").replace("import pendulum\n", "")).text
    assert 'flow(name="prices")' in made
    assert '@task(retries=0, retry_delay_seconds=300, name="scale it", timeout_seconds=3600)' in made
    assert "@task(retries=2, retry_delay_seconds=300)\n    def fetch" in made
    assert 'show.with_options(name="tell", retries=1)(found["sum"])' in made
    (tmp_path / "prices.py").write_text(made)
    runpy.run_path(str(tmp_path / "prices.py"))  # nothing runs when it is only imported
    assert "the sum is" not in capsys.readouterr().out
    runpy.run_path(str(tmp_path / "prices.py"), run_name="__main__")
    assert "the sum is 12" in capsys.readouterr().out


def test_what_is_left_to_be_done() -> None:
    assert left(DAG) == [(4, "airflow.sdk.Variable"), (6, "default_args['owner']"), (11, "@dag(schedule=)")]
    assert ported(DAG).text.startswith(
        "from datetime import timedelta\n\nimport pendulum\nfrom penstock import flow, task\n"
        "from airflow.sdk import Variable\n"
    )


def test_operators_are_told_and_stay() -> None:
    text = (
        "from airflow import DAG\n"
        "from airflow.providers.standard.operators.python import PythonOperator\n"
        "from airflow.providers.standard.operators.bash import BashOperator\n"
        "with DAG('daily', schedule='@daily'):\n"
        "    one = PythonOperator(task_id='one', python_callable=print)\n"
        "    two = BashOperator(task_id='two', bash_command='echo {{ ds }}')\n"
        "    one >> two\n"
    )
    found = ported(text)
    assert not found.changed
    assert not found.ready
    assert [line for line, _ in left(text)] == [1, 2, 3, 4, 5, 6, 6, 7]
    notes = {each.line: each.note for each in found.findings}
    assert notes[2] == "call the function as a task"
    assert notes[3] == "subprocess.run in a task"
    assert "in the order of their calls" in notes[7]


def test_what_airflow_fills_in() -> None:
    text = (
        "from airflow.decorators import task\n"
        "@task\ndef a(ds, value): ...\n"
        "@task\ndef b(**context):\n    return context['ds']\n"
        "@task\ndef c(**unused): ...\n"
        "@task.branch\ndef d(): ...\n"
    )
    assert left(text) == [(3, "a(ds)"), (5, "b(**context)"), (10, "@task.branch d")]


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("timedelta(seconds=30)", "30"),
        ("datetime.timedelta(minutes=1, seconds=0.5)", "60.5"),
        ("pendulum.duration(weeks=2)", str(1_209_600)),
        ("timedelta(0, 30)", "(timedelta(0, 30)).total_seconds()"),
        ("DELAY", "(DELAY).total_seconds()"),
        ("15", "15"),
    ],
)
def test_lengths_of_time(given: str, made: str) -> None:
    text = f"from airflow.sdk import task\n@task(retry_delay={given})\ndef f(): ...\n"
    assert f"@task(retry_delay_seconds={made})" in ported(text).text


def test_defaults_are_those_of_their_dag() -> None:
    head = "from airflow.sdk import dag, task\n"
    dag = "@dag(default_args={{'retries': {0}, 'queue': 'q'}})\ndef d{0}():\n    @task\n    def t{0}(): ...\n"
    made = ported(head + dag.format(1) + dag.format(2) + "@task\ndef alone(): ...\n").text
    assert "@task(retries=1)\n    def t1" in made
    assert "@task(retries=2)\n    def t2" in made
    assert "@task\ndef alone" in made
    base = "@dag(default_args={**BASE, 'retries': 1})\ndef d(): ...\n"
    assert left(head + base) == [(2, "default_args")]


def test_calls_of_dags() -> None:
    head = "from airflow.sdk import dag\n@dag\ndef d(): ...\n"
    assert 'if __name__ == "__main__":\n    x = d()\n' in ported(head + "x = d()\n").text
    assert left(head + "x = d()\n") == [(4, "d()")]
    assert left(head + "for i in range(3):\n    d()\n") == [(5, "d()")]
    assert left(head + "def f():\n    d()\n") == []


def test_what_an_override_cannot_say_is_left_out() -> None:
    text = "from airflow.sdk import task\n@task\ndef f(): ...\nf.override(do_xcom_push=False, task_id='x')()\n"
    assert "f.with_options(name='x')()" in ported(text).text


def test_other_names_are_not_touched() -> None:
    text = "def dag(f):\n    return f\n\n\n@dag\ndef f(): ...\n\n\nf()\nfrom airflowish import task\n"
    assert (ported(text).text, ported(text).findings) == (text, ())


def test_what_is_no_python_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dag.py").write_text("def f(:\n")
    with pytest.raises(BadPort, match=r"dag\.py, line 1 is no Python"):
        port_airflow(tmp_path / "dag.py")


def test_every_piece_is_replaced_where_it_stands() -> None:
    text = DAG.replace("\n", "\r\n").replace("sum is", "sum ✓ is")
    found = ported(text)
    ast.parse(found.text)
    assert "sum ✓ is" in found.text
    assert found.text.count("\r\n") > 30
