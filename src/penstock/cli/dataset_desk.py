"""Datasets for commands: those of the journal at hand, with what is in them. `dataset_desk_remote` has the same."""

from __future__ import annotations

from typing import Any, NamedTuple

from penstock.app import Penstock
from penstock.core.clock import iso
from penstock.core.datasets import KIND, DatasetRead, DatasetWritten, StoredDataset
from penstock.core.errors import ConfigurationError, DatasetNotFound
from penstock.core.plans import stream_of
from penstock.core.ports import Journal
from penstock.core.ports.tables import Table, Version
from penstock.engine import datasets
from penstock.engine.addresses import table_at


class SeenDataset(NamedTuple):
    """What a dataset is.

    Attributes:
        known: what is on record of it.
        place: where it is.
        columns: their names and types.
        rows: how many; None where that is not known.
    """

    name: str
    known: StoredDataset | None
    address: str
    place: str
    columns: list[dict[str, str]]
    rows: int | None


class LocalDatasets:
    """The datasets of the journal at hand."""

    def __init__(self, penstock: Penstock) -> None:
        self._journal = penstock.journal

    def seen(self, name: str) -> SeenDataset:
        """What one is."""
        name, known, table = meant(self._journal, name)
        columns = [{"name": field.name, "type": str(field.type)} for field in table.schema()]
        return SeenDataset(name, known, table.address, str(table.place), columns, table.count())

    def history(self, name: str, limit: int) -> tuple[list[Version] | None, list[dict[str, Any]]]:
        """Its versions, where it has some; and its readings and writings on record, the newest first."""
        _, known, table = meant(self._journal, name)
        try:
            versions: list[Version] | None = table.history(limit)
        except ConfigurationError:
            versions = None
        return versions, _events(self._journal, known, limit) if known is not None else []


def _events(journal: Journal, known: StoredDataset, limit: int) -> list[dict[str, Any]]:
    """Readings and writings on record, the newest first."""
    stream = stream_of(KIND, known.place)
    after = max(0, journal.last_seq(stream) - limit)
    found = []
    for stored in journal.load(stream, after):
        event = stored.event
        if isinstance(event, DatasetWritten):
            counts = {"landed": event.landed, "superseded": event.superseded, "rejected": event.rejected}
            facts = {"what": "written", **counts, "inputs": list(event.inputs)}
        elif isinstance(event, DatasetRead):
            facts = {"what": "read", "rows": event.rows}
        else:
            continue
        found.append({"at": iso(event.at), "at_us": event.at, "run": event.run, "step": event.step, **facts})
    return found[::-1]


class Meant(NamedTuple):
    """What a name or an address stands for.

    Attributes:
        known: what is on record of it.
    """

    name: str
    known: StoredDataset | None
    table: Table


def meant(journal: Journal, name: str) -> Meant:
    """The dataset of a name, or what is at an address.

    Raises:
        DatasetNotFound: it is neither.
    """
    try:
        known = datasets.named(journal, name)
    except DatasetNotFound:
        if not any(sign in name for sign in ":./"):
            raise
        table = table_at(name)
        return Meant(name, next(iter(journal.datasets(str(table.place))), None), table)
    if not known.address:
        raise ConfigurationError(
            f"It is not on record how {known.name} is read.",
            hint="give its address, such as lake:raw/orders, or declare it: Dataset(NAME, ADDRESS)",
        )
    return Meant(known.name, known, table_at(known.address, known.spec.get("options")))
