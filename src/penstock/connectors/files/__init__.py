"""Files in and out: folders and object stores as a source, growing files as a stream, exports that appear at once."""

from penstock.connectors.files.address import at, sink_at, tail_at
from penstock.connectors.files.export import FileExport
from penstock.connectors.files.source import Files
from penstock.connectors.files.tail import Tail

__all__ = ["FileExport", "Files", "Tail", "at", "sink_at", "tail_at"]
