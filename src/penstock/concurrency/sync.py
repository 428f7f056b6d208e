"""Slots and turns of limits for sync code, under Prefect's module name."""

from penstock.core.errors import LimitNotFound as ConcurrencySlotAcquisitionError
from penstock.core.errors import LimitTimedOut as AcquireConcurrencySlotTimeoutError
from penstock.engine.limits.calls import concurrency
from penstock.engine.limits.calls import sync_rate_limit as rate_limit

__all__ = [
    "AcquireConcurrencySlotTimeoutError",
    "ConcurrencySlotAcquisitionError",
    "concurrency",
    "rate_limit",
]
