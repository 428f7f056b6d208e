"""Rows in quarantine: Parquet files in the home folder, one for each check that put rows there.

A file is named by the run and the step, so that a step which is executed again writes the same one again.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import msgspec

from penstock.core import typed
from penstock.core.context import current_scope
from penstock.core.errors import ConfigurationError, SinkUnavailable
from penstock.core.extras import require
from penstock.core.files import atomic_write
from penstock.core.ids import new_run_id
from penstock.core.ports import dataset_at, home_folder

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa
else:
    from penstock.quality.extras import pl

OWN = ("_rules", "_row", "_run", "_step", "_at")
"""What a row in quarantine has besides its own columns."""
_FACTS = b"penstock"
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


class Writing(NamedTuple):
    """One check, as it is told from all others.

    Attributes:
        id: the same when its step is executed again.
        run: None outside of runs.
    """

    id: str
    run: str | None = None
    step: str | None = None


def this_writing() -> Writing:
    """The next check of the code around."""
    scope = current_scope.get()
    if scope is None or scope.foreign:
        return Writing(new_run_id())
    return Writing(f"{scope.live.id}/{scope.numbered('check')}", str(scope.live.id), scope.key)


class Filed(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that one check put into quarantine.

    Attributes:
        dataset: what they are called.
        target: the address that they were for; empty where nobody said.
        at: when (ISO 8601).
        rows: how many are there.
        rules: how many of them do not follow a rule, by rule.
        path: of the file.
    """

    dataset: str
    target: str = ""
    run: str | None = None
    step: str | None = None
    at: str = ""
    rows: int = 0
    rules: dict[str, int] = {}
    path: str = ""


class Quarantine:
    """The quarantine of a project.

    Args:
        folder: where; `quarantine` in the home folder when left out.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = home_folder() / "quarantine" if folder is None else folder

    def keep(self, rows: pl.DataFrame, writing: Writing, dataset: str, target: str) -> str:
        """Put rows there, in place of those that the same check put there before; where that is.

        Args:
            rows: with the columns of `OWN`.
            writing: the check.
            dataset: what the rows are called.
            target: the address that they were for.

        Raises:
            SinkUnavailable: they cannot be written.
        """
        path = self._path(writing, dataset)
        at = rows["_at"][0].isoformat()
        filed = Filed(dataset=dataset, target=target, run=writing.run, step=writing.step, at=at)
        with self._changing():
            self._write(path, rows, filed)
        return str(path)

    def discard(self, writing: Writing, dataset: str) -> None:
        """Take out what the same check put there before."""
        path = self._path(writing, dataset)
        if path.exists():
            with self._changing():
                path.unlink(missing_ok=True)

    def _path(self, writing: Writing, dataset: str) -> Path:
        return self.folder / _name(dataset) / f"{_digest(writing.id)}.parquet"

    def waiting(self, dataset: str | None = None) -> list[Filed]:
        """What is there, the oldest first.

        Raises:
            SinkUnavailable: a file cannot be read.
        """
        folders = [self.folder / _name(dataset)] if dataset is not None else sorted(self.folder.glob("*"))
        found = [_facts(path) for folder in folders for path in sorted(folder.glob("*.parquet"))]
        return sorted(found, key=lambda filed: (filed.at, filed.path))

    def rows(self, filed: Filed) -> pl.DataFrame:
        """The rows, with the columns of `OWN`.

        Raises:
            SinkUnavailable: the file cannot be read.
        """
        with _translated(filed.path):
            return pl.DataFrame(pl.from_arrow(require("pyarrow.parquet", "quality").read_table(filed.path)))

    def leave(self, filed: Filed, rows: pl.DataFrame) -> None:
        """Keep only these rows of what was there; what its check has put there anew meanwhile stays as it is."""
        path = Path(filed.path)
        with self._changing():
            if not path.exists() or _facts(path).at != filed.at:
                return
            if rows.height:
                self._write(path, rows, filed)
            else:
                path.unlink()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let nobody else take rows out meanwhile.

        Raises:
            ConfigurationError: somebody does.
        """
        with self._file(".lock") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ConfigurationError(
                    "Another process takes rows out of this quarantine.", hint="wait until it has ended"
                ) from None
            yield

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Let nobody else put, replace or remove a file meanwhile: for the moment that this takes."""
        with self._file(".changes") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _file(self, name: str) -> IO[str]:
        with _translated(str(self.folder)):
            self.folder.mkdir(parents=True, exist_ok=True)
            return (self.folder / name).open("a")

    def _write(self, path: Path, rows: pl.DataFrame, filed: Filed) -> None:
        counts = rows["_rules"].explode().value_counts(name="rows", sort=True)
        told = msgspec.structs.replace(filed, rows=rows.height, rules=dict(counts.iter_rows()), path="")
        with _translated(str(path)):
            table: pa.Table = rows.to_arrow()
            table = table.replace_schema_metadata({_FACTS: msgspec.json.encode(told)})
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path, "wb") as file:
                require("pyarrow.parquet", "quality").write_table(table, file, compression="zstd")


def in_quarantine(frame: pl.DataFrame, bad: pl.DataFrame, rows: pl.Series | None, writing: Writing) -> pl.DataFrame:
    """The rows that do not follow the rules, with the reasons.

    Args:
        frame: all rows.
        bad: places in it, and the titles of rules.
        rows: for each row of the frame its place among those that were given; None where it is the same.
        writing: the check.

    Raises:
        ConfigurationError: a column is called as one of those that quarantine adds.
    """
    if taken := [name for name in OWN if name in frame.columns]:
        raise ConfigurationError(
            f"Quarantine adds the column {taken[0]}, which these rows have already.",
            hint="rename or drop it; rows that come out of quarantine are checked without these columns",
        )
    places = bad["row"] if rows is None else rows.gather(bad["row"])
    return frame[bad["row"]].with_columns(
        bad["rules"].alias("_rules"),
        places.cast(pl.Int64).alias("_row"),
        pl.lit(writing.run, pl.String).alias("_run"),
        pl.lit(writing.step, pl.String).alias("_step"),
        pl.lit(datetime.now(UTC)).cast(pl.Datetime("us", "UTC")).alias("_at"),
    )


def file_away(given: Any, rows: pl.DataFrame, writing: Writing, dataset: str, target: str) -> str:
    """Put rows into quarantine; where.

    Args:
        given: a `Dataset`, the address of one, or None for the project's own quarantine.
        rows: with the columns of `OWN`.
        writing: the check.
        dataset: what the rows are called.
        target: the address that they were for.

    Raises:
        ConfigurationError: that is no place for rows.
        SinkUnavailable: they cannot be written.
    """
    if given is None:
        return Quarantine().keep(rows, writing, dataset, target)
    place = dataset_at(f"{dataset} quarantine", given) if isinstance(given, str) else given
    if not callable(getattr(place, "write", None)):
        raise ConfigurationError(
            f"{given!r} is no place for rows.", hint='give a Dataset, or an address such as "lake:quarantine/orders"'
        )
    place.write(rows.to_arrow())
    return str(getattr(place, "name", given))


def _facts(path: Path) -> Filed:
    with _translated(str(path)):
        schema = require("pyarrow.parquet", "quality").read_schema(path)
        return msgspec.structs.replace(typed.from_json((schema.metadata or {}).get(_FACTS, b""), Filed), path=str(path))


@contextmanager
def _translated(path: str) -> Iterator[None]:
    arrow = require("pyarrow", "quality")
    try:
        yield
    except (OSError, arrow.ArrowException, msgspec.DecodeError, pl.exceptions.PolarsError) as error:
        what = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise SinkUnavailable(f"The quarantine {path} cannot be used: {what}.") from error


def _name(dataset: str) -> str:
    return f"{_UNSAFE.sub('_', dataset)[:60]}-{_digest(dataset)[:8]}"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
