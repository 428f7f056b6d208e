"""How Airflow calls what Penstock knows by another name. Each of these names can be read back."""

from __future__ import annotations

import re

from penstock.core.ids import derived_run_id

VERDICT = "penstock.verdict"
"""The last task of a flow with a task for each step: it says how the flow ended, and with which result."""
WHOLE = "flow"
"""The task of a flow that is executed as a whole."""
RUN_PREFIX = "penstock__"
"""Of the ids of runs that Penstock has ordered."""

_PLAIN = re.compile(r"[A-Za-z0-9_-]")
_STEP = re.compile(r"(.*)\.(\d+)", re.DOTALL)
_ESCAPED = re.compile(r"\.u([0-9a-f]+)\.")
LONGEST = 250
"""Airflow has no longer ids."""


def dag_id(name: str) -> str:
    """Of a deployment or workflow: its name, with `.uHEX.` for every other character than [A-Za-z0-9_-]."""
    return "".join(each if _PLAIN.fullmatch(each) else f".u{ord(each):x}." for each in name)


def name_of(dag: str) -> str:
    """Of the deployment or workflow with this DAG id."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), dag)


def task_id(key: str) -> str:
    """Of a step: `fetch.1` for `fetch#1`."""
    name, _, number = key.rpartition("#")
    return f"{dag_id(name)}.{number}"


def step_key(task: str) -> str | None:
    """Of the step that is this task; None for a task that is none."""
    found = _STEP.fullmatch(task)
    return f"{name_of(found[1])}#{found[2]}" if found else None


def dag_run_id(run_id: str) -> str:
    """Of the run in Airflow that Penstock has ordered as this one."""
    return f"{RUN_PREFIX}{run_id}"


def run_id_of(dag_run: str) -> str | None:
    """Of the run that was ordered; None for one that Airflow has begun by itself."""
    return dag_run.removeprefix(RUN_PREFIX) if dag_run.startswith(RUN_PREFIX) else None


def own_run_id(dag: str, dag_run: str, run_after: int) -> str:
    """Penstock's id of a run in Airflow: the ordered one's, or one that follows from Airflow's.

    Args:
        dag: the DAG's id.
        dag_run: the run's id in Airflow.
        run_after: when it was due (microseconds).
    """
    return run_id_of(dag_run) or derived_run_id(run_after // 1000, "airflow", dag, dag_run)
