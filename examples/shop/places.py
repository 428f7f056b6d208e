"""Where everything is; the pipeline is the same wherever that may be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from penstock.stores.lake import Lake
from penstock.stores.warehouse import Warehouse


@dataclass(frozen=True)
class Places:
    """The shop's systems, and ours.

    Attributes:
        api: the shop's HTTP API.
        logs: the folder into which its web servers ship their logs.
        database: its database, `sqlite:///...` or `postgresql://...`.
        lake: a folder, or `s3://bucket/prefix`.
        warehouse: `duckdb:///...` or `postgresql://...`.
        exports: the folder for files that people open.
    """

    api: str
    logs: str
    database: str
    lake: str
    warehouse: str
    exports: str

    def open_lake(self) -> Lake:
        """The lake."""
        return Lake(self.lake)

    def open_warehouse(self) -> Warehouse:
        """The warehouse."""
        return Warehouse(self.warehouse)

    @staticmethod
    def in_folder(folder: Path, *, api: str, logs: str, database: str) -> Places:
        """Our own systems in one folder, with nothing to install."""
        return Places(
            api=api,
            logs=logs,
            database=database,
            lake=str(folder / "lake"),
            warehouse=f"duckdb:///{(folder / 'warehouse.duckdb').absolute()}",
            exports=str(folder / "exports"),
        )
