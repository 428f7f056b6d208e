"""Wrappers that say how an argument is treated, under Prefect's module name."""

from penstock.core.annotations import allow_failure, opaque, quote, unmapped

__all__ = ["allow_failure", "opaque", "quote", "unmapped"]
