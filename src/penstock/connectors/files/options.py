"""What a files source can be told, looked over as a whole."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from penstock.connectors.files.delimited import Delimited
from penstock.connectors.files.dialects import Dialect
from penstock.connectors.files.json_array import JsonArray
from penstock.connectors.files.json_lines import JsonLines
from penstock.connectors.files.packing import BLOCK
from penstock.connectors.files.parquet import Parquet
from penstock.connectors.files.reading import Reader
from penstock.core.errors import ConfigurationError
from penstock.core.packed import Broken, Compression
from penstock.core.words import mistakes_told

if TYPE_CHECKING:
    pass
else:
    pass

Format = Literal["csv", "tsv", "json", "ndjson", "parquet"]
Changed = Literal["refuse", "again", "ignore"]
OnBroken = Literal["reject", "raise"]
Schema = Mapping[str, Any] | Any
"""An Arrow schema, or types by column: Arrow types, or their names such as `int64`, `date32`, `decimal(10, 2)`."""

_BY_SUFFIX: dict[str, Format] = {
    **{"csv": "csv", "txt": "csv", "tsv": "tsv", "tab": "tsv", "json": "json", "parquet": "parquet", "pq": "parquet"},
    **{"ndjson": "ndjson", "jsonl": "ndjson"},
}
_PACKED = ("gz", "gzip", "zst", "zstd")


@dataclass(frozen=True)
class Layout:
    """How files are to be read.

    Attributes:
        format: of every file; None for what its name says.
        compression, encoding: see `Text`.
        delimiter: of CSV; None for a comma, and a tab where the format is tsv.
        quote, header, names, nulls: see `Delimited`.
        batch_bytes: about how much is read at once.
    """

    format: Format | None = None
    compression: Compression | None = None
    encoding: str | None = None
    delimiter: str | None = None
    quote: str = '"'
    header: bool = True
    names: tuple[str, ...] = ()
    nulls: tuple[str, ...] = ("",)
    batch_bytes: int = 16 << 20

    def reader(self, name: str) -> Reader:
        """What reads a file of this name.

        Raises:
            Broken: nothing says what it is.
        """
        format_ = self.format or format_of(name)
        if format_ is None:
            raise Broken("its name does not say what it is: give the format (csv, tsv, json, ndjson or parquet)")
        if format_ == "parquet":
            return Parquet()
        block = min(self.batch_bytes, BLOCK)
        if format_ == "json":
            return JsonArray(self.encoding, self.compression, block)
        if format_ == "ndjson":
            return JsonLines(self.encoding, self.compression, block)
        delimiter = self.delimiter or ("\t" if format_ == "tsv" else ",")
        dialect = Dialect(delimiter, self.quote)
        return Delimited(dialect, self.header, self.names, self.nulls, self.encoding, self.compression, block)

    def mistakes(self) -> list[tuple[str, str]]:
        """What is wrong with it."""
        found = [
            *one_of("format", self.format, (None, *get_args(Format))),
            *one_of("compression", self.compression, (None, *get_args(Compression))),
        ]
        if self.delimiter is not None and not sign(self.delimiter):
            found.append(("delimiter", f"is one ASCII character and no line end, and not {self.delimiter!r}"))
        if self.quote and (not sign(self.quote) or self.quote == self.delimiter):
            found.append(("quote", f"is one ASCII character, or empty, and not {self.quote!r}"))
        if len(set(self.names)) != len(self.names) or not all(self.names):
            found.append(("names", "are different from each other, and none is empty"))
        if self.encoding is not None and not _is_encoding(self.encoding):
            found.append(("encoding", f"is one that Python knows, and not {self.encoding!r}"))
        if self.batch_bytes < 1024:
            found.append(("batch_bytes", "is 1024 or more"))
        return found


def format_of(name: str) -> Format | None:
    """What the name of a file says, without the suffix of its compression."""
    parts = name.rpartition("/")[2].lower().split(".")[1:]
    while parts and parts[-1] in _PACKED:
        parts.pop()
    return _BY_SUFFIX.get(parts[-1]) if parts else None


def one_of(name: str, value: Any, allowed: Sequence[Any]) -> list[tuple[str, str]]:
    """Tell a choice that there is not."""
    if value in allowed:
        return []
    told = ", ".join(str(one) for one in allowed if one is not None)
    return [(name, f"is one of {told}, and not {value!r}")]


def refuse(what: str, mistakes: list[tuple[str, str]]) -> None:
    """Tell all mistakes at once.

    Raises:
        ConfigurationError: there are some.
    """
    if mistakes:
        raise ConfigurationError(mistakes_told(f"{what}(...)", mistakes))


def sign(text: str) -> bool:
    """Whether it is one character that can part or quote fields."""
    return len(text) == 1 and text.isascii() and text not in "\r\n\0"


def _is_encoding(name: str) -> bool:
    try:
        return codecs.lookup(name)._is_text_encoding
    except LookupError:
        return False
