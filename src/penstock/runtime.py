"""Where am I? Facts about the run and the task run this code is executed in.

`penstock.runtime.flow_run.id` and the like give None (or an empty list or dict) outside a run.
"""

from penstock.engine.runtime import deployment, flow_run, task_run

__all__ = ["deployment", "flow_run", "task_run"]
