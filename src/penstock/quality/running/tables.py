"""Tables of a lake or a warehouse, datasets, and whatever else has an address."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from penstock.core.addresses import FILES, parsed
from penstock.core.ports.tables import Table
from penstock.engine.addresses import schemes, source_at, table_at

_MORE = 3
"""So many records that a source rejects are told one by one."""


def is_address(text: str) -> bool:
    """Whether it is no path: `lake:raw/orders`, `postgresql://localhost/shop#orders`, `s3://bucket/orders.csv`."""
    scheme = parsed(text).scheme if text.strip() else FILES
    return scheme != FILES and scheme in {*schemes("tables"), *schemes("sources")}


def table_of(data: Any) -> Table | None:
    """The table that somebody gives, or that a dataset of theirs is; None where it is something else."""
    if isinstance(data, Table):
        return data
    inside = getattr(data, "table", None) if type(data).__module__.startswith("penstock.") else None
    return inside if isinstance(inside, Table) else None


def table_there(text: str) -> Table | None:
    """The table at an address; None where its scheme knows no tables.

    Raises:
        ConfigurationError: the address cannot be.
    """
    return table_at(text) if parsed(text).scheme in schemes("tables") else None


def pieces_at(text: str, notes: list[str]) -> Iterator[Any]:
    """Arrow tables of what a source hands out, until it ends; what it rejects is told in notes.

    Raises:
        ConfigurationError: there is no such source.
        SourceUnavailable: it cannot be read.
    """
    rejected = 0
    with closing(source_at(text)) as source:
        for batch in source.batches(None):
            for part in batch.parts:
                yield part.rows
            for record in batch.rejected[: max(_MORE - rejected, 0)]:
                notes.append(f"{record.where} cannot be read, and was left out: {record.reason}")
            rejected += len(batch.rejected)
            if batch.last:
                break
    if rejected > _MORE:
        notes.append(f"{rejected:,} records in all cannot be read, and were left out")
