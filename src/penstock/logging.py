"""Loggers, under Prefect's module name."""

from penstock.engine.logs import get_run_logger

__all__ = ["get_run_logger"]
