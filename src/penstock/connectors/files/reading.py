"""What every reader of a format gives, and what it is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from penstock.core.ports.data import Rejected
from penstock.core.rows import conform, kind_of

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    from penstock.core.rows.arrow import pa, pc

RAW = 2000
"""Characters of a rejected record that are kept."""

At = Mapping[str, Any]
"""Where in a file reading goes on: JSON that the reader of its format understands; empty for its beginning."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some records of a file, and where to go on after them.

    Attributes:
        rows: what could be read.
        rejected: what could not.
        at: where the next piece begins.
        size: bytes that were read for it.
    """

    rows: pa.Table | None
    rejected: list[Rejected]
    at: At
    size: int


@dataclass
class Types:
    """The types of columns: those the user gave, and those that were told from the first rows of each.

    Attributes:
        given: by the user.
        found: by column; kept in the position, so that a file is read the same when it is resumed.
        infer: tell types from values; otherwise a column of text stays text.
    """

    given: Mapping[str, pa.DataType]
    found: dict[str, pa.DataType] = field(default_factory=dict)
    infer: bool = True

    @property
    def known(self) -> dict[str, pa.DataType]:
        """All that are known."""
        return {**self.found, **self.given}

    def learn(self, name: str, kind: pa.DataType) -> None:
        """What a column is from now on."""
        if name not in self.given:
            self.found[name] = kind

    def learn_texts(self, rows: pa.Table, nulls: Sequence[str]) -> None:
        """Tell the types of columns of text that are not known yet."""
        for name in rows.schema.names:
            if name in self.given or name in self.found:
                continue
            values = rows.column(name)
            filled = values.filter(pc.invert(pc.is_in(values, pa.array(nulls, pa.string()))))
            self.found[name] = kind_of(filled) if self.infer else pa.string()


@dataclass(frozen=True)
class Job:
    """One file to be read.

    Attributes:
        file: its bytes, at the beginning.
        label: what messages call it.
        at: where to begin.
        types: of its columns; readers add to them.
    """

    file: BinaryIO
    label: str
    at: At
    types: Types

    def where(self, line: int, offset: int | None = None) -> str:
        """A place in it: `orders.csv:17@1042` is line 17, which begins at byte 1042."""
        return f"{self.label}:{line}" if offset is None else f"{self.label}:{line}@{offset}"


class Reader(Protocol):
    """Reads files of one format."""

    def pieces(self, job: Job) -> Iterator[Piece]:
        """The records of a file, from a place on.

        Raises:
            Broken: from the place of the last piece on, nothing can be told any more.
        """


def cut(raw: bytes | str) -> str:
    """A record as it came, for the quarantine."""
    text = raw if isinstance(raw, str) else raw[: 4 * RAW].decode("utf-8", "backslashreplace")
    return text if len(text) <= RAW else f"{text[:RAW]}…"


def typed(rows: pa.Table, types: Mapping[str, pa.DataType], nulls: Sequence[str]) -> tuple[pa.Table, dict[int, str]]:
    """Give columns of text their types; the rows that do not fit, and why."""
    fields, columns = [], []
    for name, values in zip(rows.schema.names, rows.columns, strict=True):
        kind = types.get(name, pa.string())
        if nulls and kind != pa.string():
            values = _without_nulls(values, nulls)
        fields.append(pa.field(name, kind))
        columns.append(values)
    texts = pa.table(columns, names=rows.schema.names) if columns else rows
    done, misfits = conform(texts, pa.schema(fields))
    return done, dict(misfits)


def _without_nulls(values: pa.ChunkedArray, nulls: Sequence[str]) -> pa.ChunkedArray:
    absent = pc.is_in(values, pa.array(nulls, pa.string()))
    return pc.if_else(absent, None, values) if pc.any(absent).as_py() else values
