"""pyarrow, imported when something in it is first used."""

from __future__ import annotations

from typing import Any

from penstock.core.extras import LateExtra

pa: Any = LateExtra("pyarrow", "data")
pc: Any = LateExtra("pyarrow.compute", "data")
