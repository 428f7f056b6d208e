"""Data in, data out: sources, sinks, and what brings the one into the other."""

from penstock.core.ports.data import Batch, Counts, Part, Place, Position, Rejected, Sink, Source
from penstock.core.ports.tables import Table, Version
from penstock.data.dataset import Dataset
from penstock.data.ingest import Progress, ingest
from penstock.data.putting import put

__all__ = [
    "Batch",
    "Counts",
    "Dataset",
    "Part",
    "Place",
    "Position",
    "Progress",
    "Rejected",
    "Sink",
    "Source",
    "Table",
    "Version",
    "ingest",
    "put",
]
