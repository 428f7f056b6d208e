"""What Airflow's REST API answers, version 2: the fields that are made use of."""

from __future__ import annotations

import datetime
from typing import Any

import msgspec


class DagRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run of a DAG. `state` is queued, running, success or failed."""

    dag_id: str
    dag_run_id: str
    state: str
    run_after: datetime.datetime
    run_type: str = ""
    start_date: datetime.datetime | None = None
    end_date: datetime.datetime | None = None
    conf: dict[str, Any] | None = None
    note: str | None = None


class TaskInstance(msgspec.Struct, frozen=True, kw_only=True):
    """An operator in a run of a DAG. `state` is None until it is looked at; `try_number` 0 until it has begun."""

    task_id: str
    task_display_name: str = ""
    map_index: int = -1
    state: str | None = None
    try_number: int = 0
    max_tries: int = 0
    start_date: datetime.datetime | None = None
    end_date: datetime.datetime | None = None
    note: str | None = None


class Dag(msgspec.Struct, frozen=True, kw_only=True):
    """A DAG, as Airflow has read it."""

    dag_id: str
    is_paused: bool


class Param(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter of a DAG, with its JSON Schema."""

    schema: dict[str, Any] = {}


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """More of a DAG."""

    params: dict[str, Param] | None = None


class FileTrouble(msgspec.Struct, frozen=True, kw_only=True):
    """Why Airflow could not read a file."""

    filename: str | None = None
    stack_trace: str = ""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """Which Airflow it is."""

    version: str
