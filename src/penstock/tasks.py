"""`task`, `Task`, `exponential_backoff` and `task_input_hash`, under Prefect's module name."""

from typing import TYPE_CHECKING

from penstock.authoring.tasks import Task, task
from penstock.core.extras import late
from penstock.core.retry import exponential_backoff

if TYPE_CHECKING:
    from penstock.authoring.caching import task_input_hash

__all__ = ["Task", "exponential_backoff", "task", "task_input_hash"]

__getattr__ = late(__name__, {"task_input_hash": "penstock.authoring.caching"})
