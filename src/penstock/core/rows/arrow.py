"""pyarrow, imported when something in it is first used."""

from __future__ import annotations

from typing import Any

from penstock.core.extras import require


class _Late:
    """Stands for a module of an optional package; MissingExtra where it is not installed."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        value = getattr(require(self._module, "data"), name)
        setattr(self, name, value)
        return value


pa: Any = _Late("pyarrow")
pc: Any = _Late("pyarrow.compute")
