"""Datasets in a journal in SQL."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.core.datasets import StoredDataset
from penstock.journal.bookmarks import SqlBookmarks

_COLUMNS = (
    "place", "namespace", "path", "name", "address", "spec", "columns", "data_version", "landed", "rejected",
    "written_at", "written_by", "read_at", "read_by",
)  # fmt: skip
_decode = msgspec.json.Decoder().decode


class SqlDatasets(SqlBookmarks):
    """A projection of the events of datasets."""

    def datasets(self, called: str | None = None) -> list[StoredDataset]:
        """See `Journal.datasets`."""
        where, values = ("WHERE name = ? OR place = ?", (called, called)) if called is not None else ("", ())
        sql = f"SELECT {', '.join(_COLUMNS)} FROM datasets {where} ORDER BY coalesce(name, place)"
        return [_dataset(dict(zip(_COLUMNS, row, strict=True))) for row in self._fetch(sql, values)]


def _dataset(row: dict[str, Any]) -> StoredDataset:
    row |= {name: _decode(row[name]) if row[name] else {} for name in ("spec", "columns")}
    version = row.pop("data_version") or ""
    return StoredDataset(
        **{**row, "name": row["name"] or row["place"], "address": row["address"] or "", "version": version}
    )
