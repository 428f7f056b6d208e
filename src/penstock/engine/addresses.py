"""Sources, sinks and tables by address: `logs/*.ndjson.gz`, `lake:raw/orders`, `postgresql://.../shop#public.orders`.

What a scheme stands for is found among the entry points `penstock.sources`, `penstock.sinks` and `penstock.tables`:
each names a function that takes an `Address` and gives a `Source`, a `Sink` or a `Table`. Penstock's own are declared
there too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from penstock.core.addresses import Address, parsed, without_secrets
from penstock.core.errors import ConfigurationError, DatasetNotFound
from penstock.core.ports.data import Place, Sink, Source
from penstock.core.ports.tables import Table
from penstock.core.rows import conform, first_rows, union

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

_OF_WRITING = ("mode", "keys", "partition_by")
Kind = Literal["sources", "sinks", "tables"]


def source_at(text: str | Address, options: Mapping[str, str] | None = None) -> Source:
    """The source at an address; one that was taken apart has its own options.

    Raises:
        ConfigurationError: there is no such scheme, or the address or an option cannot be.
        MissingExtra: what it needs is not installed.
    """
    made: Source = _at("sources", Source, text if isinstance(text, Address) else parsed(text, options))
    return made


def sink_at(text: str, options: Mapping[str, str] | None = None) -> Sink:
    """The sink at an address.

    Raises:
        ConfigurationError: there is no such scheme, or the address or an option cannot be.
        MissingExtra: what it needs is not installed.
    """
    made: Sink = _at("sinks", Sink, parsed(text, options))
    return made


def table_at(text: str, options: Mapping[str, str] | None = None) -> Table:
    """The table at an address. Where its scheme knows no tables, it is what can be read and written there.

    Raises:
        ConfigurationError: there is no such scheme, or the address or an option cannot be.
        MissingExtra: what it needs is not installed.
    """
    address = parsed(text, options)
    if address.scheme in _makers("tables"):
        made: Table = _at("tables", Table, address)
        return made
    return Plain(text, address)


def schemes(kind: Kind) -> list[str]:
    """The schemes there are."""
    return sorted(_makers(kind))


def _at(kind: Kind, wanted: Any, address: Address) -> Any:
    makers = _makers(kind)
    if address.scheme not in makers:
        what, other = ("read from", "write to") if kind == "sources" else ("write to", "read from")
        hint = f"there are: {', '.join(sorted(makers))}; a path is files"
        if address.scheme in _makers("sinks" if kind == "sources" else "sources"):
            hint = f"one can only {other} it; {hint}"
        raise ConfigurationError(f"{address.scheme}: is nothing to {what}.", hint=hint)
    made = makers[address.scheme]()(address)
    if not isinstance(made, wanted):
        raise ConfigurationError(f"What stands for {address.scheme}: gave {type(made).__name__}, no {wanted.__name__}.")
    return made


@cache
def _makers(kind: Kind) -> dict[str, Callable[[], Callable[[Address], Any]]]:
    from importlib.metadata import entry_points

    found: dict[str, Callable[[], Callable[[Address], Any]]] = {}
    for point in entry_points(group=f"penstock.{kind}"):
        if point.name in found:
            raise ConfigurationError(
                f"Two packages want to be {point.name}: among the {kind}.", hint="uninstall one of them"
            )
        found[point.name] = point.load
    return found


class Plain(Table):
    """What can be read and written at an address, such as a file: it has no versions, and is read as a whole."""

    bare = True

    def __init__(self, text: str, address: Address) -> None:
        self._text = text
        self._options = address.options
        self._reading = {name: value for name, value in address.options.items() if name not in _OF_WRITING}
        self._address = address

    @property
    def place(self) -> Place:
        """See `Table.place`."""
        if self._address.scheme in _makers("sinks"):
            told = {name: value for name, value in self._options.items() if name in ("mode", "format")}
            return sink_at(self._text, told).place
        with source_at(self._text, self._reading) as source:
            return source.place

    @property
    def address(self) -> str:
        """See `Table.address`."""
        return without_secrets(self._text)

    def sink(self) -> Sink:
        """See `Table.sink`."""
        return sink_at(self._text, self._options)

    def schema(self) -> pa.Schema:
        """See `Table.schema`."""
        return self.read(limit=1).schema

    def read(
        self,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        limit: int | None = None,
        version: str | None = None,
    ) -> pa.RecordBatchReader:
        """See `Table.read`: it is read to its end, as what comes later may have other columns."""
        if where is not None or version is not None:
            raise self._cannot("is read as a whole: where= and version= are for tables of a lake or a warehouse")
        with source_at(self._text, self._reading) as source:
            parts = [part.rows for batch in source.batches(None) for part in batch.parts]
        if not parts:
            raise DatasetNotFound(f"There is nothing at {self.address}.")
        schema = union(part.schema for part in parts)
        rows = pa.concat_tables([conform(part, schema).rows for part in parts])
        if columns is not None:
            if unknown := [name for name in columns if name not in schema.names]:
                raise ConfigurationError(
                    f"{self.address} has no column {', '.join(map(repr, unknown))}.",
                    hint=f"it has {', '.join(map(repr, schema.names))}",
                )
            rows = rows.select(list(columns))
        return first_rows(rows.to_reader(), limit)

    def count(self) -> int | None:
        """See `Table.count`."""
        return None
