"""Where functions and classes come from, told in the same words however their file was loaded."""

from __future__ import annotations

import sys
from typing import Any

_BY_PATH = "_penstock_"


def module_of(thing: Any) -> str:
    """The module that something is defined in; for a file that was executed or loaded by its path, the file's name."""
    module = getattr(thing, "__module__", None) or ""
    if module == "__main__":
        file = getattr(sys.modules.get("__main__"), "__file__", None)
        return str(file).rpartition("/")[2].removesuffix(".py") if file else module
    if module.startswith(_BY_PATH):
        return module.removeprefix(_BY_PATH).partition("_")[2]
    return str(module)


def origin_of(thing: Any) -> str:
    """Module and name of a class or a function."""
    return f"{module_of(thing)}.{getattr(thing, '__qualname__', '')}"


def reference_to(function: Any) -> str:
    """What a function can be found by in another process; empty where it cannot be.

    A lambda is known by its line too, for a module may have many.
    """
    code = getattr(function, "__code__", None)
    if code is None:
        return ""
    line = f":{code.co_firstlineno}" if function.__name__ == "<lambda>" else ""
    return f"{module_of(function).rpartition('.')[2]}:{function.__qualname__}{line}"
