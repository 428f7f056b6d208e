"""Polars and NumPy, imported when something in them is first used."""

from __future__ import annotations

from typing import Any

from penstock.core.extras import LateExtra

pl: Any = LateExtra("polars", "quality")
np: Any = LateExtra("numpy", "quality")
