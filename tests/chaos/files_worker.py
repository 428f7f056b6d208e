"""Processes that bring files into an export, and are struck before a chosen step."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet  # noqa: F401 - imported once here, for all workers

from penstock.connectors.files import FileExport, Files, ledger
from penstock.data import ingest

STEPS = ("replace", "remove", "fsync", "open", "makedirs")


def bring(folder: str, mode: str, strike_at: int = 0) -> int:
    """Bring everything in; how many steps it took. It is killed before the step of that number."""
    taken = 0

    def step(real: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal taken
            taken += 1
            if taken == strike_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return call

    for name in STEPS:
        setattr(ledger.os, name, step(getattr(os, name)))  # type: ignore[attr-defined]
    out = Path(folder) / ("parts" if mode == "append" else "rows.parquet")
    source = Files(Path(folder) / "in", schema={"id": "int64"}, batch_bytes=1024)
    ingest(source, FileExport(out, mode=mode), name="pipe", ahead=1)  # type: ignore[arg-type]
    return taken
