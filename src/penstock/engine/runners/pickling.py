"""Pickles for task processes."""

from __future__ import annotations

import importlib
import sys
from types import FunctionType
from typing import Any

import cloudpickle


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """cloudpickle, but a decorated function or task of an importable module goes by its name.

    By value, it would drag along every global it uses; and many of those (locks, clients) cannot be pickled.
    """

    def reducer_override(self, value: Any) -> Any:
        """Name it where that leads back to it."""
        is_function = isinstance(value, FunctionType)
        if is_function or hasattr(type(value), "with_options"):
            place = _place(value, is_function)
            if place is not None:
                return (_function_at if is_function else _object_at), place
        return super().reducer_override(value)


def _place(value: Any, is_function: bool) -> tuple[str, str] | None:
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if module is None or name is None or module == "__main__" or "<" in name:
        return None
    if getattr(sys.modules.get(module), "__spec__", None) is None or module.startswith("_penstock_"):
        return None
    found = _find(module, name)
    if found is value:
        return None if is_function else (module, name)
    return (module, name) if is_function and getattr(found, "fn", None) is value else None


def _find(module: str, name: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _object_at(module: str, name: str) -> Any:
    importlib.import_module(module)
    return _find(module, name)


def _function_at(module: str, name: str) -> Any:
    return _object_at(module, name).fn
