"""Airflow's words, and Penstock's for the same."""

from __future__ import annotations

_HOOK = "a connection: penstock.connections.Connection.load(NAME), made by penstock connection create"
_SENSOR = "wait in a task, or let an event start the run: penstock automations"
_SQL = "SQL models, or a query through a connection in a task: penstock.stores.elt, penstock.connections"
_TASK = "call the function as a task"
_ASSET = "an automation starts a flow when a dataset was written: penstock automations"
_DAG = "a function with @flow, or a workflow in a file: penstock workflows"

TASK_OPTIONS: dict[str, str | None] = {
    "task_id": "=name",
    "retries": "=retries",
    "retry_delay": "=retry_delay_seconds",
    "execution_timeout": "=timeout_seconds",
    "multiple_outputs": None,
    "do_xcom_push": None,
    "owner": "of a deployment: owner is told by its tags",
    "depends_on_past": "the flow reads what the run before it has left",
    "email": "alerts: [tool.penstock.alerts]",
    "email_on_failure": "alerts: [tool.penstock.alerts]",
    "email_on_retry": "alerts: [tool.penstock.alerts]",
    "on_failure_callback": "the hook on_failure",
    "on_success_callback": "the hook on_completion",
    "on_retry_callback": "an automation on TaskRetrying",
    "pool": "a tag with a limit: tags=[NAME], penstock limits set tag:NAME N",
    "pool_slots": "a tag with a limit: tags=[NAME], penstock limits set tag:NAME N",
    "priority_weight": "the priority of its deployment",
    "queue": "the queue of its deployment",
    "retry_exponential_backoff": "retry_delay_seconds=exponential_backoff(FIRST)",
    "max_retry_delay": "a list of delays: retry_delay_seconds=[1, 10, 60]",
    "sla": "promises of the deployment",
    "start_date": "schedules begin with their deployment; what was before: penstock backfill",
    "end_date": "pause the deployment",
    "trigger_rule": "wait_for=[allow_failure(future)], or try and except around the call",
    "max_active_tis_per_dag": "a tag with a limit: tags=[NAME], penstock limits set tag:NAME N",
    "doc_md": "the docstring",
}
"""Options of tasks: `=NAME` is Penstock's name, None is left out, anything else is told."""

_SCHEDULE = "of its deployment: penstock deploy FILE:FLOW --cron EXPR, or [tool.penstock.deployments.NAME]"
DAG_OPTIONS: dict[str, str | None] = {
    "dag_id": "=name",
    "description": "=description",
    "dagrun_timeout": "=timeout_seconds",
    "default_args": None,
    "catchup": 'missed = "all" in the deployment\'s schedule, or penstock backfill',
    "schedule": _SCHEDULE,
    "schedule_interval": _SCHEDULE,
    "timetable": _SCHEDULE,
    "start_date": None,
    "end_date": "pause the deployment",
    "tags": "of its deployment: --tag TAG",
    "params": "parameters of the function, with annotations",
    "max_active_runs": "concurrency of its deployment",
    "max_active_tasks": "max_workers of its task_runner",
    "render_template_as_native_obj": None,
    "template_searchpath": "nothing is filled into texts",
    "user_defined_macros": "nothing is filled into texts",
    "user_defined_filters": "nothing is filled into texts",
    "on_failure_callback": "the hook on_failure",
    "on_success_callback": "the hook on_completion",
    "doc_md": "the docstring",
    "dag_display_name": None,
    "owner_links": None,
    "is_paused_upon_creation": "penstock deploy --paused",
    "fail_fast": None,
}
"""The same of DAGs."""

DECORATORS = {
    "bash": "subprocess.run in a task",
    "branch": "a task that returns the choice, and an if in the flow",
    "branch_external_python": "a task that returns the choice, and an if in the flow",
    "branch_virtualenv": "a task that returns the choice, and an if in the flow",
    "docker": "a worker in that image: penstock worker start --pool POOL",
    "external_python": "subprocess.run of that interpreter in a task",
    "kubernetes": "a worker in that image: penstock worker start --pool POOL",
    "run_if": "an if in the flow",
    "sensor": _SENSOR,
    "short_circuit": "an if in the flow",
    "skip_if": "an if in the flow",
    "virtualenv": "subprocess.run of an interpreter with these packages in a task",
}
"""What stands behind `@task.`."""

CONTEXT = frozenset(
    {
        *("conf", "dag", "dag_run", "inlets", "macros", "map_index", "outlets", "params", "run_id", "var"),
        *("data_interval_end", "data_interval_start", "ds", "ds_nodash", "execution_date", "logical_date"),
        *("next_ds", "prev_ds", "task_instance", "ti", "triggering_asset_events", "ts", "ts_nodash"),
    }
)
"""Parameters that Airflow fills in by their names."""

INSTEAD = {
    "Asset": _ASSET,
    "AssetAlias": _ASSET,
    "AssetWatcher": _ASSET,
    "Dataset": _ASSET,
    "BaseHook": _HOOK,
    "BaseOperator": _TASK,
    "BashOperator": "subprocess.run in a task",
    "BranchPythonOperator": "a task that returns the choice, and an if in the flow",
    "Connection": _HOOK,
    "DAG": _DAG,
    "EmailOperator": "alerts: [tool.penstock.alerts]",
    "EmptyOperator": "nothing: the flow's own code says what comes after what",
    "DummyOperator": "nothing: the flow's own code says what comes after what",
    "Label": "a comment",
    "LatestOnlyOperator": 'missed = "latest" in the deployment\'s schedule',
    "Param": "a parameter of the function, with its annotation",
    "PythonOperator": _TASK,
    "PythonVirtualenvOperator": "subprocess.run of an interpreter with these packages in a task",
    "ShortCircuitOperator": "an if in the flow",
    "TaskGroup": "a flow called in the flow",
    "task_group": "a flow called in the flow",
    "TriggerDagRunOperator": "call the other flow, or run_deployment(NAME)",
    "TriggerRule": "wait_for=[allow_failure(future)], or try and except around the call",
    "Variable": "a parameter, a setting of a profile, or a variable of the environment",
    "XCom": "what a task returns is what the next one takes",
    "chain": "tasks run in the order of their calls",
    "cross_downstream": "tasks run in the order of their calls",
    "get_current_context": "penstock.runtime",
    "setup": "a task that is called first",
    "teardown": "try and finally in the flow",
    "days_ago": "schedules begin with their deployment",
    "airflow.operators.bash": "subprocess.run in a task",
    "airflow.sensors": _SENSOR,
    "airflow.providers.standard.sensors": _SENSOR,
    "airflow.providers.common.sql": _SQL,
    "airflow.providers.postgres": _SQL,
    "airflow.providers.snowflake": _SQL,
    "airflow.providers.google": "a connection, and addresses such as gs://bucket/prefix or bigquery://project/dataset",
    "airflow.providers.amazon": "a connection, and addresses such as s3://bucket/prefix",
    "airflow.providers.http": "the HTTP source: penstock.connectors.http",
    "airflow.providers.apache.kafka": "the Kafka source and sink: penstock.connectors.kafka",
    "airflow.providers.apache.spark": "penstock.processing has Spark jobs",
    "airflow.providers.slack": "alerts: [tool.penstock.alerts]",
    "airflow.providers.smtp": "alerts: [tool.penstock.alerts]",
    "airflow.hooks": _HOOK,
    "airflow.models": _DAG,
    "airflow.utils": "Python's own library",
    "airflow.exceptions": "any exception fails a task; the states of penstock.states end it otherwise",
    "airflow": "write it as a task",
}
"""What to write instead, by a name or the beginning of a module."""
