"""What a project says of Airflow: `[tool.penstock.airflow]` in its pyproject.toml, and `AIRFLOW_...` variables."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from penstock.core import typed
from penstock.core.errors import ConfigurationError
from penstock.deploy.outcomes import checked_address
from penstock.engine.project import penstock_table, project_file


class AirflowOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How flows are put into Airflow. `[tool.penstock.airflow.deployments.NAME]` goes over `[tool.penstock.airflow]`.

    Attributes:
        dags_folder: where Airflow looks for DAGs; also AIRFLOW_DAGS_FOLDER.
        results: what every worker of Airflow reaches, for what steps hand to each other: a folder, or s3://bucket/prefix;
            also AIRFLOW_RESULTS. The folder `airflow` in PENSTOCK_HOME when left out.
        python: of the environment that Penstock and the project are installed in, on Airflow's workers; also
            AIRFLOW_PYTHON. The one that deploys when left out.
        owner: shown in Airflow.
        pool: of every task.
        pools: of tasks, by their names.
        email: who is told of a run that failed.
        deadline_seconds: a run that takes longer is failed by Airflow.
        retries: how often a task whose process died is executed again; failures count by themselves.
    """

    dags_folder: str = ""
    results: str = ""
    python: str = ""
    owner: str = "penstock"
    pool: str | None = None
    pools: dict[str, str] = {}
    email: tuple[str, ...] = ()
    deadline_seconds: float | None = None
    retries: int = 3


_FROM_ENVIRONMENT = ("dags_folder", "results", "python")


def options_of(name: str, folder: str | None, home: str, environment: Mapping[str, str]) -> AirflowOptions:
    """The options of a deployment or workflow.

    Args:
        name: its name.
        folder: of its project.
        home: Penstock's folder.
        environment: variables.

    Raises:
        ConfigurationError: an option that cannot be, or no folder for DAGs.
    """
    file = project_file(Path(folder) if folder is not None else Path.cwd())
    table = penstock_table(file).get("airflow", {}) if file is not None else {}
    own = table.get("deployments", {}).get(name, {}) if isinstance(table, dict) else {}
    given: dict[str, Any] = {key: value for key, value in table.items() if key != "deployments"} | own
    given |= {each: found for each in _FROM_ENVIRONMENT if (found := environment.get(f"AIRFLOW_{each.upper()}"))}
    try:
        options = typed.convert(given, AirflowOptions)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"[tool.penstock.airflow] in {file}: {error}.") from None
    if not options.dags_folder:
        raise ConfigurationError(
            "Nobody has said where Airflow looks for DAGs.",
            hint="set AIRFLOW_DAGS_FOLDER, or dags_folder below [tool.penstock.airflow]",
        )
    base = file.parent if file is not None else Path.cwd()
    return msgspec.structs.replace(
        options,
        dags_folder=os.path.join(base, os.path.expanduser(options.dags_folder)),
        results=checked_address(options.results or os.path.join(home, "airflow")),
        python=options.python or sys.executable,
    )
