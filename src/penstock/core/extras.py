"""Imports that wait until they are needed: optional dependencies, and what only a running flow needs.

`import penstock` is short because of the second kind: flows and tasks are declared with little, and the engine, the
journal and the checking of parameters are loaded with the first call.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from penstock.core.errors import MissingExtra


def require(module: str, extra: str) -> Any:
    """Import an optional dependency.

    Raises:
        MissingExtra: it is not installed; the hint is the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise MissingExtra(module, extra) from None


def _submodule(package: str, name: str) -> Any:
    return importlib.import_module(f"{package}.{name}")


def late(package: str, names: dict[str, str]) -> Callable[[str], Any]:
    """A module's `__getattr__` (PEP 562): each of these names comes from its module when it is first asked for.

    An empty module means that the name is a module of the package itself.
    """

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(names[name]), name) if names[name] else _submodule(package, name)

    return find


class LateModule:
    """Stands for a module, and imports it when something in it is first used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(importlib.import_module(self._name), attribute)
        setattr(self, attribute, value)
        return value


class LateExtra(LateModule):
    """The same for a module of an optional dependency; MissingExtra where it is not installed."""

    def __init__(self, name: str, extra: str) -> None:
        super().__init__(name)
        self._extra = extra

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(require(self._name, self._extra), attribute)
        setattr(self, attribute, value)
        return value
