"""Where a files source is: the JSON of its positions, and what it stands for."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from penstock.connectors.files.reading import At, Types
from penstock.connectors.files.scanning import Known
from penstock.connectors.files.seen import Summary
from penstock.connectors.files.storage import Entry
from penstock.core.errors import SourceChanged
from penstock.core.ports.data import Position

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

_VERSION = 1


@dataclass
class Progress:
    """How far reading has come.

    Attributes:
        known: which files were read.
        types: what was told about the columns.
        current: the file that was read in part.
        at: where in it.
    """

    known: Known = field(default_factory=Known)
    types: Types = field(default_factory=lambda: Types({}))
    current: Entry | None = None
    at: At = field(default_factory=dict)
    _packed: tuple[dict[str, Any], str] = ({}, "")

    def finish(self, entry: Entry) -> None:
        """A file has been read to its end."""
        self.known.done(entry)
        self.current, self.at = None, {}

    def position(self) -> Position:
        """As JSON, of some five kilobytes at most and a few bytes for each column, however many files there are."""
        made: dict[str, Any] = {"files": _VERSION}
        if self.known.until is not None:
            made["until"] = list(self.known.until)
            made["seen"], made["count"] = self.known.seen.packed(), self.known.seen.count
        if self.known.looked:
            made["looked"] = self.known.looked
        if self.types.found:
            made["types"] = self._types()
        if self.current is not None:
            entry = self.current
            told = {"name": entry.name, "size": entry.size, "modified": entry.modified, "tag": entry.tag}
            made["file"] = {**told, "at": dict(self.at)}
        return made

    def _types(self) -> str:
        if self._packed[0] != self.types.found:
            self._packed = (dict(self.types.found), packed_types(self.types.found))
        return self._packed[1]

    @classmethod
    def of(cls, position: Position | None, types: Types) -> Progress:
        """What a position stands for.

        Raises:
            SourceChanged: it is no position of a files source.
        """
        if position is None:
            return cls(types=types)
        if position.get("files") != _VERSION:
            hint = "begin anew: let the sink forget the pipe"
            raise SourceChanged("This is no position of a files source.", hint=hint)
        known = Known(looked=position.get("looked", 0))
        if until := position.get("until"):
            known.until = (until[0], until[1])
            known.seen = Summary.unpacked(position["seen"], position["count"])
        types.found.update(unpacked_types(position.get("types")))
        made = cls(known=known, types=types)
        if current := position.get("file"):
            made.current = Entry(current["name"], current["size"], current["modified"], current["tag"])
            made.at = current["at"]
        return made


def packed_types(types: Mapping[str, pa.DataType]) -> str:
    """Types by column, as text."""
    return base64.b64encode(zlib.compress(pa.schema(dict(types)).serialize().to_pybytes(), 9)).decode()


def unpacked_types(text: str | None) -> dict[str, pa.DataType]:
    """The reverse of `packed_types`."""
    if not text:
        return {}
    schema = pa.ipc.read_schema(pa.py_buffer(zlib.decompress(base64.b64decode(text))))
    return {field.name: field.type for field in schema}
