"""The text of a DAG file. Airflow parses it again and again, so it imports little and does nothing that takes time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from pprint import pformat
from typing import Any

import msgspec

from penstock.core.release import VERSION
from penstock.deploy.airflow.names import VERDICT, WHOLE, dag_id, task_id
from penstock.deploy.airflow.options import AirflowOptions
from penstock.deploy.airflow.schedules import Timing
from penstock.deploy.plans import Plan

_OPERATOR = Path(__file__).with_name("operator.py.in")
_WIDTH = 116


def dag_text(
    name: str,
    plan: Plan,
    options: AirflowOptions,
    timing: Timing,
    *,
    order: Mapping[str, Any],
    form: Mapping[str, Mapping[str, Any]],
    description: str | None,
    tags: Iterable[str],
    most: int | None,
    paused: bool,
    crashes: int,
) -> str:
    """The file, without its head.

    Args:
        name: of the deployment or workflow.
        plan: what it does.
        options: how it is put there.
        timing: its schedule.
        order: what is told to the process of each step; see `penstock.deploy.orders.StepOrder`.
        form: its parameters: default, schema, and whether one is needed.
        description: for people.
        tags: for people.
        most: so many runs at once.
        paused: its schedule makes no runs.
        crashes: how often a task whose process died is executed again.
    """
    order, form = _plain(order), _plain(form)
    told = {key: value for key, value in order.items() if value not in (None, [])}
    told["penstock"] = VERSION
    if not plan.why:
        told["steps"] = [step.key for step in plan.steps]
    names = sorted({"DAG", "BaseOperator", "Param", *timing.imports})
    why = f"\n# One operator: the flow {plan.why}.\n" if plan.why else "\n"
    parts = [
        "import json",
        "import os",
        "import signal",
        "import subprocess",
        "from datetime import datetime, timedelta",
        "",
        f"from airflow.sdk import {', '.join(names)}",
        "from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException",
        why,
        f"COMMAND = {[options.python, '-m', 'penstock.deploy.step']!r}",
        f"RESULTS = {options.results!r}",
        f"ORDER = {{\n    'results': RESULTS,\n{_shown(told)}}}",
        f"STEPS = [  # task, step, after, options\n{''.join(_steps(plan, options, crashes))}]",
        "\n",
        _OPERATOR.read_text(encoding="utf-8"),
        "\nwith DAG(",
        *_dag(name, options, timing, form, description, tags, most, paused),
        "):",
        "    made = {}",
        "    for name, step, after, options in STEPS:",
        "        made[name] = PenstockStep(task_id=name, step=step, **options)",
        "        made[name].set_upstream([made[each] for each in after])",
        "",
    ]
    return "\n".join(parts)


def _dag(
    name: str,
    options: AirflowOptions,
    timing: Timing,
    form: Mapping[str, Mapping[str, Any]],
    description: str | None,
    tags: Iterable[str],
    most: int | None,
    paused: bool,
) -> Iterable[str]:
    yield f"    dag_id={dag_id(name)!r},"
    yield f"    dag_display_name={name!r},"
    if description:
        yield f"    doc_md={description!r},"
    yield f"    schedule={timing.expression},"
    for which in ("start", "end"):
        moment = getattr(timing, which)
        if moment is not None:
            yield f"    {which}_date=datetime.fromisoformat({moment.replace('Z', '+00:00')!r}),"
    yield f"    catchup={timing.catchup},"
    yield f"    tags={sorted({each[:100] for each in tags if each} | {'penstock'})!r},"
    if most is not None:
        yield f"    max_active_runs={most},"
    if options.deadline_seconds is not None:
        yield f"    dagrun_timeout=timedelta(seconds={options.deadline_seconds!r}),"
    yield f"    is_paused_upon_creation={paused},"
    if form:
        yield "    params={"
        for each, field in form.items():
            yield f"        {each!r}: {_param(field)},"
        yield "    },"


def _param(field: Mapping[str, Any]) -> str:
    schema = dict(field["schema"])
    if field["default"] is None and not field.get("needed") and schema:
        schema = {"anyOf": [{"type": "null"}, schema]} if "anyOf" not in schema else schema
    given = "" if field.get("needed") else f"{field['default']!r}"
    more = f"**{schema!r}" if schema else ""
    return f"Param({', '.join(each for each in (given, more) if each)})"


def _steps(plan: Plan, options: AirflowOptions, crashes: int) -> Iterable[str]:
    shared: dict[str, Any] = {"owner": options.owner}
    if options.pool is not None:
        shared["pool"] = options.pool
    last = dict(shared, retries=crashes)
    if options.email:
        last |= {"email": list(options.email), "email_on_failure": True}
    if plan.why:
        yield _line(WHOLE, "whole", [], last, 0.0)
        return
    for step in plan.steps:
        own = dict(shared, retries=step.retries + crashes)
        if step.task in options.pools:
            own["pool"] = options.pools[step.task]
        if step.anyway:
            own["trigger_rule"] = "all_done"
        yield _line(
            task_id(step.key), step.key, [task_id(each) for each in step.after], own, min(step.delays, default=0.0)
        )
    last["trigger_rule"] = "all_done"
    yield _line(VERDICT, "verdict", [task_id(step.key) for step in plan.steps], last, 0.0)


def _line(task: str, step: str, after: list[str], options: dict[str, Any], delay: float) -> str:
    told = ", ".join(f"{name!r}: {value!r}" for name, value in options.items())
    told += f", 'retry_delay': timedelta(seconds={delay:g})"
    return f"    ({task!r}, {step!r}, {after!r}, {{{told}}}),\n"


def _plain(value: Any) -> Any:
    """As JSON has it: what is not a number, for one, is none."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _shown(value: Mapping[str, Any]) -> str:
    lines = (f"{key!r}: {pformat(value[key], width=_WIDTH, sort_dicts=True)}" for key in sorted(value))
    return "".join(f"    {line.replace(chr(10), chr(10) + '    ')},\n" for line in lines)
