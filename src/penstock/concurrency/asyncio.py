"""Slots and turns of limits for async code, under Prefect's module name."""

from penstock.core.errors import LimitNotFound as ConcurrencySlotAcquisitionError
from penstock.core.errors import LimitTimedOut as AcquireConcurrencySlotTimeoutError
from penstock.engine.limits.calls import async_rate_limit as rate_limit
from penstock.engine.limits.calls import concurrency

__all__ = [
    "AcquireConcurrencySlotTimeoutError",
    "ConcurrencySlotAcquisitionError",
    "concurrency",
    "rate_limit",
]
