"""Where submitted tasks run, under Prefect's module name."""

from penstock.core.ports import TaskRunner
from penstock.engine.processes import ProcessPoolTaskRunner
from penstock.engine.threads import ThreadPoolTaskRunner

ConcurrentTaskRunner = ThreadPoolTaskRunner

__all__ = ["ConcurrentTaskRunner", "ProcessPoolTaskRunner", "TaskRunner", "ThreadPoolTaskRunner"]
