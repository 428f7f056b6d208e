"""Where submitted tasks run, under Prefect's module name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.core.extras import late
from penstock.core.ports import TaskRunner
from penstock.engine.runners.processes import ProcessPoolTaskRunner
from penstock.engine.runners.threads import ThreadPoolTaskRunner

if TYPE_CHECKING:
    from penstock.engine.runners.dask import DaskRunner

ConcurrentTaskRunner = ThreadPoolTaskRunner

__all__ = ["ConcurrentTaskRunner", "DaskRunner", "ProcessPoolTaskRunner", "TaskRunner", "ThreadPoolTaskRunner"]
__getattr__ = late(__name__, {"DaskRunner": "penstock.engine.runners.dask"})
