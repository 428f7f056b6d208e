"""Where everything is; the pipeline is the same wherever that may be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from penstock.connectors.files import Files
from penstock.connectors.sql import SqlTable
from penstock.data import Sink, Source
from penstock.stores.lake import Lake
from penstock.stores.warehouse import Warehouse

CHANGES, TOPIC = "cdc://", "kafka://"


@dataclass(frozen=True)
class Places:
    """The shop's systems, and ours.

    Attributes:
        api: the shop's HTTP API.
        logs: where its web servers bring what people click: a folder, or a topic, `kafka://host:9092/clicks`.
        database: its database: `sqlite:///...` or `postgresql://...`, which is asked what is new; or
            `cdc://user@host/shop`, a PostgreSQL whose log is followed.
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

    @property
    def followed(self) -> bool:
        """The database tells every change by itself."""
        return self.database.startswith(CHANGES)

    def open_table(self, name: str, *, key: list[str], cursor: str | None = None) -> Source:
        """A table of the shop's database: its changes where they are to be had, else its rows.

        Args:
            name: of the table.
            key: what tells its rows apart.
            cursor: the column that says when a row was changed, for a database that is asked.
        """
        if not self.followed:
            return SqlTable(self.database, name, key=key, cursor=cursor)
        from penstock.connectors.cdc import PostgresChanges  # it has an extra of its own

        url = f"postgresql://{self.database.removeprefix(CHANGES)}"
        database = url.rpartition("/")[2].partition("?")[0]
        return PostgresChanges(url, [f"public.{name}"], slot=f"{database}_{name}")

    def open_clicks(self) -> Source:
        """What people clicked."""
        if not self.logs.startswith(TOPIC):
            return Files(f"{self.logs}/*.ndjson.gz")
        from penstock.connectors.kafka import KafkaTopic  # so does this

        brokers, _, topic = self.logs.removeprefix(TOPIC).partition("/")
        return KafkaTopic(brokers, topic, metadata=False)

    def open_lake(self) -> Lake:
        """The lake."""
        return Lake(self.lake)

    def open_raw(self, name: str, *, key: list[str], changes: bool) -> Sink:
        """A table of the raw zone.

        Args:
            name: of the table.
            key: what tells its rows apart.
            changes: it gets what has changed; otherwise all there is, in the place of what there was.
        """
        lake = self.open_lake()
        if changes:
            return lake.table(f"raw/{name}", mode="merge", keys=key)
        return lake.table(f"raw/{name}", mode="replace")

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
