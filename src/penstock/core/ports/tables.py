"""Tables that can be read again, wherever they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from penstock.core.errors import ConfigurationError
from penstock.core.ports.data import Place, Sink

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a table.

    Attributes:
        version: what it is called.
        at: when it was committed.
        operation: what was done.
        pipe: of the commit; empty where no pipe made it.
        rows: how many rows it added, where that is known.
    """

    version: str
    at: datetime
    operation: str
    pipe: str = ""
    rows: int | None = None


class Table(ABC):
    """A table that can be written, read again, and looked after.

    Nothing is opened before the first use; every method raises SinkUnavailable where the store cannot be reached, and
    those that read DatasetNotFound where there is no such table.

    Attributes:
        bare: it knows nothing of itself; to tell its columns, it must be read.
    """

    bare = False

    @property
    def place(self) -> Place:
        """Where it is."""
        return self.sink().place

    @property
    @abstractmethod
    def address(self) -> str:
        """The same as people type it, without passwords."""

    @abstractmethod
    def sink(self) -> Sink:
        """The table as the end of a pipe."""

    @abstractmethod
    def schema(self) -> pa.Schema:
        """Its columns."""

    @abstractmethod
    def read(
        self,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        limit: int | None = None,
        version: str | None = None,
    ) -> pa.RecordBatchReader:
        """Its rows, as a stream.

        Args:
            columns: these only.
            where: rows for which this SQL condition holds.
            limit: at most so many.
            version: as they were at that version.

        Raises:
            ConfigurationError: a column, a condition or a version that cannot be.
        """

    @abstractmethod
    def count(self) -> int | None:
        """How many rows it has; None where counting would mean reading all of it."""

    def version(self) -> str:
        """The version that is read; empty where there are no versions."""
        return ""

    def history(self, limit: int | None = None) -> list[Version]:
        """Its versions, the latest first."""
        raise self._cannot("keeps no versions")

    def rejected(self) -> pa.RecordBatchReader:
        """Records that could not land: reason, where, raw, pipe and at of each."""
        raise self._cannot("has no quarantine")

    def compact(self, z_order: Sequence[str] = ()) -> str:
        """Make it quick to read; what was done."""
        raise self._cannot("has nothing to compact")

    def vacuum(self, keep: timedelta | None = None, *, dry_run: bool = False, force: bool = False) -> list[str]:
        """Delete files that no version needs which was the latest in the last `keep`; these files."""
        raise self._cannot("has no old files")

    def close(self) -> None:  # noqa: B027 (some hold nothing)
        """Let go of connections."""

    def _cannot(self, why: str) -> ConfigurationError:
        return ConfigurationError(f"{self.address} {why}.")
