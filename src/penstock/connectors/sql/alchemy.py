"""Tables of any database that SQLAlchemy knows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from penstock.connectors.postgres.types import chosen
from penstock.connectors.sql.systems import Ask, Page, Shape, Subject, System
from penstock.connectors.sql.values import packed, unpacked
from penstock.core.errors import BadData, ConfigurationError, SourceUnavailable
from penstock.core.extras import require
from penstock.core.ports.data import Place, Rejected
from penstock.core.rows import gather

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy as sa
else:
    from penstock.core.rows.arrow import pa

    sa = require("sqlalchemy", "data")

_MOST_DIGITS = 38
_TO_MILLISECONDS = "%Y-%m-%d %H:%M:%f"
_BYTES = 40
"""What a value takes in memory while it is a Python object, more or less: pages are bounded by it."""


class Alchemy(System):
    """A table or a query, read row by row through a driver for Python.

    Args:
        url: SQLAlchemy's.
        subject: what is read.
    """

    def __init__(self, url: str, subject: Subject) -> None:
        try:
            self._engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError) as error:
            raise ConfigurationError(
                f"SQLAlchemy does not understand the URL: {type(error).__name__}.",
                hint="it looks like mysql+pymysql://user:password@host/database or sqlite:///file.db",
            ) from None
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                f"The driver {error.name} is not installed.", hint=f"pip install {error.name}"
            ) from None
        self._subject = subject
        self._columns: dict[str, Any] = {}
        self._kinds: dict[str, Any] = {name: chosen(name, kind).arrow for name, kind in subject.types.items()}
        self._from: Any = None

    def __str__(self) -> str:
        return str(self._engine.url.render_as_string(hide_password=True))

    @property
    def place(self) -> Place:
        """See `System.place`."""
        url, subject = self._engine.url, self._subject
        digest = hashlib.blake2b(subject.query.encode(), digest_size=4).hexdigest()
        name = subject.table or f"query_{digest}"
        if not url.host:
            return Place(url.get_backend_name(), f"{url.database}/{name}")
        server = f"{url.host}:{url.port}" if url.port else url.host
        return Place(f"{url.get_backend_name()}://{server}", f"{url.database}.{name}")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.NoSuchTableError as error:
            raise ConfigurationError(f"{self} has no table {error}.") from error
        except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
            raise SourceUnavailable(f"{self} cannot be used: {_first(error)}") from error
        except (sa.exc.ProgrammingError, sa.exc.StatementError) as error:
            raise ConfigurationError(f"{self} does not understand this: {_first(error)}") from error
        except (ArithmeticError, TypeError, ValueError) as error:
            raise BadData(
                f"{self}: the driver cannot read a value as the type of its column: {_first(error)}",
                hint="read it as something else, with a query that casts it",
            ) from error

    def shape(self) -> Shape:
        """See `System.shape`."""
        subject = self._subject
        with self._translated():
            if subject.table:
                *schema, name = subject.table.split(".")
                table = sa.Table(name, sa.MetaData(), schema=".".join(schema) or None, autoload_with=self._engine)
                self._from, self._columns = table, dict(table.columns.items())
                key = subject.key or tuple(column.name for column in table.primary_key.columns)
            else:
                text = sa.text(f"({subject.query}) AS t")
                with self._engine.connect() as connection:
                    found = connection.execute(sa.select(sa.text("*")).select_from(text).limit(0))
                    self._columns = {name: sa.column(name) for name in found.keys()}  # noqa: SIM118
                self._from, key = text, subject.key
        for name, column in self._columns.items():
            kind = _kind(column.type)
            if kind is not None:
                self._kinds.setdefault(name, kind)
        wanted = subject.columns or tuple(self._columns)
        if unknown := [name for name in wanted if name not in self._columns]:
            raise ConfigurationError(f"{self.place} has no column {', '.join(unknown)}.")
        numbers = frozenset(name for name, kind in self._kinds.items() if pa.types.is_integer(kind))
        return Shape(wanted, key, numbers)

    def pages(self, ask: Ask, *, rows: int, size: int) -> Iterator[Page]:
        """See `System.pages`."""
        names = self._subject.columns or tuple(self._columns)
        keys = [self._columns[name].label(f"key {place}") for place, name in enumerate(ask.order)]
        query = sa.select(*map(self._selected, names), *keys).select_from(self._from)
        for condition in self._conditions(ask):
            query = query.where(condition)
        query = query.order_by(*(self._columns[name] for name in ask.order))
        rows = max(1, min(rows, size // (_BYTES * max(1, len(names)))))
        with self._translated(), self._engine.connect() as connection:
            result = connection.execution_options(stream_results=True, max_row_buffer=rows).execute(query)
            left = ask.skip
            for some in result.partitions(rows):
                kept = some[left:]
                left = max(0, left - len(some))
                if kept:
                    yield self._page(kept, names, len(keys))

    def _selected(self, name: str) -> Any:
        """A column; what SQLite has for numbers is left as it is: it keeps no decimals, but may keep texts there."""
        column = self._columns[name]
        plain = self._engine.dialect.name == "sqlite" and isinstance(getattr(column, "type", None), sa.types.Numeric)
        return sa.type_coerce(column, sa.types.NullType()).label(name) if plain else column

    def _page(self, rows: Sequence[Any], names: Sequence[str], keys: int) -> Page:
        records = [dict(zip(names, row, strict=False)) for row in rows]
        found = gather(records, self._kinds)
        for field in found.rows.schema:  # what the first rows are, the others are too
            self._kinds.setdefault(field.name, field.type)
        rejected = tuple(
            Rejected(
                misfit.reason, f"{self.place.name} ({list(rows[misfit.row][len(names) :])})", str(records[misfit.row])
            )
            for misfit in found.misfits
        )
        last = [packed(value) for value in rows[-1][len(names) :]] if keys else None
        return Page(found.rows, len(rows), rejected, last, found.rows.nbytes)

    def _conditions(self, ask: Ask) -> Iterator[Any]:
        if ask.after is not None:
            columns = [self._columns[name] for name in ask.order]
            values = [unpacked(value) for value in ask.after]
            yield sa.or_(
                *(
                    sa.and_(*(c == v for c, v in zip(columns[:n], values[:n], strict=True)), columns[n] > values[n])
                    for n in range(len(columns))
                )
            )
        if ask.since is not None:
            column = self._columns[ask.since[0]]
            yield column.is_not(None)
            if ask.since[1] is not None:
                yield self._since(column, ask.since[1])
        if ask.span is not None:
            column = self._columns[ask.span[0]]
            if ask.span[1] is not None:
                yield column >= ask.span[1]
            if ask.span[2] is not None:
                yield column < ask.span[2]

    def _since(self, column: Any, least: Any) -> Any:
        """SQLite keeps moments as texts of several forms, which only its own functions can compare."""
        if self._engine.dialect.name != "sqlite" or not isinstance(column.type, sa.types.DateTime):
            return column >= least
        kept = sa.type_coerce(column, sa.types.String())
        return sa.func.strftime(_TO_MILLISECONDS, kept) >= sa.func.strftime(_TO_MILLISECONDS, least.isoformat(" "))

    def ends(self, column: str) -> tuple[int, int] | None:
        """See `System.ends`."""
        it = self._columns[column]
        query = sa.select(sa.func.min(it), sa.func.max(it)).select_from(self._from)
        with self._translated(), self._engine.connect() as connection:
            row = connection.execute(query).one()
        return None if row[0] is None else (row[0], row[1])

    def has_null(self, column: str) -> bool:
        """See `System.has_null`."""
        query = sa.select(sa.literal(1)).select_from(self._from).where(self._columns[column].is_(None)).limit(1)
        with self._translated(), self._engine.connect() as connection:
            return connection.execute(query).first() is not None

    def close(self) -> None:
        """See `System.close`."""
        self._engine.dispose()


def _kind(given: Any) -> Any:
    """What becomes of the values of a type; None where they say it themselves."""
    types = sa.types
    if isinstance(given, types.NullType):
        return None
    if isinstance(given, types.Boolean):
        return pa.bool_()
    if isinstance(given, types.Integer):
        return pa.int64()
    if isinstance(given, types.Float):
        return pa.float64()
    if isinstance(given, types.Numeric):
        precision, scale = given.precision, given.scale
        return pa.decimal128(precision, scale or 0) if precision and precision <= _MOST_DIGITS else pa.string()
    if isinstance(given, types.DateTime):
        return pa.timestamp("us", "UTC" if given.timezone else None)
    if isinstance(given, types.Date):
        return pa.date32()
    if isinstance(given, types.Time):
        return pa.time64("us")
    return pa.binary() if isinstance(given, types.LargeBinary) else pa.string()


def _first(error: Any) -> str:
    return str(error.orig if getattr(error, "orig", None) is not None else error).strip().split("\n")[0]
