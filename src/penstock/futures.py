"""Futures, under Prefect's module and class names."""

from penstock.authoring.futures import PenstockFuture, PenstockFutureList, as_completed, wait

PrefectFuture = PenstockFuture
PrefectFutureList = PenstockFutureList

__all__ = ["PenstockFuture", "PenstockFutureList", "PrefectFuture", "PrefectFutureList", "as_completed", "wait"]
