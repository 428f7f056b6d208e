"""Where submitted tasks run, under Prefect's module name."""

from penstock.core.ports import TaskRunner
from penstock.engine.runners.processes import ProcessPoolTaskRunner
from penstock.engine.runners.threads import ThreadPoolTaskRunner

ConcurrentTaskRunner = ThreadPoolTaskRunner

__all__ = ["ConcurrentTaskRunner", "ProcessPoolTaskRunner", "TaskRunner", "ThreadPoolTaskRunner"]
