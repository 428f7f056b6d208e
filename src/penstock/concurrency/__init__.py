"""Slots and turns of limits, under Prefect's module name.

`from penstock import concurrency` gives this module, whatever was imported before. So it can be called: it is
`concurrency` itself.
"""

import sys
from types import ModuleType
from typing import Any

from penstock.core.errors import LimitNotFound as ConcurrencySlotAcquisitionError
from penstock.core.errors import LimitTimedOut as AcquireConcurrencySlotTimeoutError
from penstock.engine.limits.calls import Slot, concurrency, rate_limit

__all__ = [
    "AcquireConcurrencySlotTimeoutError",
    "ConcurrencySlotAcquisitionError",
    "Slot",
    "concurrency",
    "rate_limit",
]


class _Module(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> concurrency:
        return concurrency(*args, **options)


sys.modules[__name__].__class__ = _Module
