"""Tables that are elsewhere, asked in DuckDB's SQL."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.core.errors import DataError, DatasetNotFound
from penstock.core.sqltext import quoted
from penstock.stores.warehouse.database import RowsRefused
from penstock.stores.warehouse.duck_session import DuckSession, duckdb, translated

if TYPE_CHECKING:
    import pyarrow as pa

_HERE = Path("the query")
_BATCH_ROWS = 65_536
_MISSING = re.compile(r"Table with name (.+?) does not exist")


class OverArrow:
    """Tables that a query may name as `zone.table` or `"zone/table"`; only those that it names are opened.

    Args:
        names: of the tables there are, such as `raw/orders`.
        opened: gives the rows of one: an Arrow dataset, of which only what the query needs is read.
    """

    def __init__(self, names: Sequence[str], opened: Callable[[str], Any]) -> None:
        self._names = list(names)
        self._opened = opened

    def stream(
        self, sql: str, values: Sequence[Any] = (), *, batch_rows: int = _BATCH_ROWS
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a query, batch by batch: at least one of them, which may be empty.

        Raises:
            DatasetNotFound: it names a table that there is not.
            DataError: it cannot be executed.
        """
        connection = duckdb.connect(":memory:")
        try:
            connection.execute("SET TimeZone = 'UTC'")
            for number, name in enumerate(name for name in self._names if is_named(name, sql)):
                self._offer(connection, name, f"penstock_table_{number}")
            yield from DuckSession(connection, _HERE).read(sql, values, batch_rows)
        except RowsRefused as error:
            raise DataError(f"DuckDB refused: {error}") from error
        except DataError as error:
            missing = _MISSING.search(error.message)
            raise (self._unknown(missing[1].replace('"', "")) if missing else error) from error
        finally:
            connection.close()

    def _offer(self, connection: Any, name: str, rows: str) -> None:
        """Make a table known under both its names."""
        connection.register(rows, self._opened(name))
        zone, _, table = name.partition("/")
        with translated(_HERE):
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(zone)}")
            for target in (quoted(zone, table), quoted(name)):
                connection.execute(f"CREATE VIEW {target} AS SELECT * FROM {rows}")

    def _unknown(self, name: str) -> DatasetNotFound:
        own = {known.rpartition("/")[2]: known for known in self._names} | {known: known for known in self._names}
        close = difflib.get_close_matches(name, list(own), 1)
        known = ", ".join(self._names) or "none yet"
        hint = f"did you mean {own[close[0]]}?" if close else f"there are: {known}"
        return DatasetNotFound(f"There is no table {name} in the lake.", hint=hint)


def is_named(name: str, sql: str) -> bool:
    """Whether a table's name stands in a query: `raw.orders`, `"raw"."orders"` or `"raw/orders"`."""
    zone, _, table = map(re.escape, name.partition("/"))
    return re.search(rf'(?<!\w){zone}(?:/|"?\s*\.\s*"?){table}(?![\w/])', sql, re.IGNORECASE) is not None
