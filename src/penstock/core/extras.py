"""Optional dependencies: imported late, and missed with the command that installs them."""

from __future__ import annotations

import importlib
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
