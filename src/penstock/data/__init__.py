"""Data in, data out: sources, sinks, and what brings the one into the other."""

from penstock.core.ports.data import Batch, Counts, Part, Place, Position, Rejected, Sink, Source
from penstock.data.ingest import Progress, ingest
from penstock.data.putting import put

__all__ = [
    "Batch",
    "Counts",
    "Part",
    "Place",
    "Position",
    "Progress",
    "Rejected",
    "Sink",
    "Source",
    "ingest",
    "put",
]
