"""`task`, `Task` and `exponential_backoff`, under Prefect's module name."""

from penstock.authoring.tasks import Task, task
from penstock.core.retry import exponential_backoff

__all__ = ["Task", "exponential_backoff", "task"]
