"""The DAGs that Airflow itself ships as examples, all of which must be read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from tests.conftest import service_url

from penstock.deploy.porting import Verdict, port_airflow

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]


def examples() -> list[Path]:
    service_url("airflow")  # says why there is none, or skips
    found = sorted(ROOT.glob(".services/airflow/environment/lib/*/site-packages/airflow/example_dags/*.py"))
    if not found:
        pytest.skip("Airflow was not installed by scripts/services")
    return found


def test_every_example_is_read_and_what_is_made_of_it_is_python() -> None:
    made = {path.name: port_airflow(path) for path in examples()}
    assert len(made) > 30
    for name, ported in made.items():
        ast.parse(ported.text)
        lines = Path(ported.path).read_text().splitlines()
        for each in ported.findings:
            assert 1 <= each.line <= len(lines), name
            assert each.note or each.verdict in (Verdict.CHANGED, Verdict.SAME), (name, each)


def test_the_tutorial_of_functions_becomes_a_flow() -> None:
    (path,) = (path for path in examples() if path.name == "tutorial_taskflow_api.py")
    ported = port_airflow(path)
    assert [each.what for each in ported.findings if each.verdict is Verdict.TODO] == ["@dag(tags=)"]
    names: dict[str, object] = {"__name__": "tutorial"}
    exec(compile(ported.text.replace("import pendulum", "from unittest.mock import Mock"), "tutorial", "exec"), names)
    names["tutorial_taskflow_api"]()  # type: ignore[operator]
