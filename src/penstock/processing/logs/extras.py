"""numpy, Polars and pyarrow, imported when something in them is first used."""

from __future__ import annotations

from typing import Any

from penstock.core.extras import LateExtra

np: Any = LateExtra("numpy", "data")
pl: Any = LateExtra("polars", "data")
pa: Any = LateExtra("pyarrow", "data")

Array = Any
"""A numpy array."""

Frame = Any
"""A Polars frame."""
