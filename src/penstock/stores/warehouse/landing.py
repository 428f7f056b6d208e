"""One pipe's end in the warehouse."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from penstock.core.errors import DataError, SchemaRefused, SinkUnavailable
from penstock.core.ports.data import Batch, Counts, Landed, Landing, Part, Rejected
from penstock.core.rows import Misfit, rejections
from penstock.stores.warehouse import quarantine, register
from penstock.stores.warehouse.database import Conflict, Database, RowsRefused, Session
from penstock.stores.warehouse.history import History
from penstock.stores.warehouse.names import Name, check, folded
from penstock.stores.warehouse.register import MARK, Filling, Pipe, tables_of
from penstock.stores.warehouse.targets import Done, Target, swap
from penstock.stores.warehouse.ways import Way

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

_TRIES = 10
_MOST_PROBES = 1_000
_SHOWN = 200
_ANALYZE_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class Layout:
    """Which tables a sink has, and how they take rows.

    Attributes:
        schema: where they are, and what is known of the pipes.
        table: the only one; without it, parts name theirs.
        way: how a table takes rows.
        keys: of each table; those of `way` for the others.
        names: of tables that are called otherwise in the parts.
    """

    schema: str
    table: str | None
    way: Way
    keys: dict[str, tuple[str, ...]]
    names: dict[str, str]

    @property
    def target(self) -> str:
        """Names the sink, among those of the schema."""
        return self.table or "*"

    def name_of(self, called: str, longest: int) -> Name:
        """The table that a part is for."""
        if self.table is not None:
            return Name(self.schema, self.table)
        if not called and "" not in self.names:
            raise SchemaRefused("A part names no table, and the sink has several.", hint="use warehouse.table(...)")
        name = Name(self.schema, self.names.get(called, called.replace(".", "_")))
        check(name.table, longest)
        return name

    def way_of(self, called: str) -> Way:
        """How a table takes rows."""
        return replace(self.way, keys=self.keys.get(called, self.way.keys))


class _PartRefused(Exception):
    """The database does not take the rows of a part."""

    def __init__(self, place: int, reason: str) -> None:
        super().__init__(reason)
        self.place = place


class WarehouseLanding(Landing):
    """See `Landing`."""

    def __init__(self, database: Database, layout: Layout, pipe: str) -> None:
        self._database = database
        self._layout = layout
        self._ended: str = ""
        self._unanalyzed: dict[Name, tuple[int, int]] = {}
        self._called: dict[Name, str] = {}
        self._owner = uuid.uuid4().hex
        with self._told(), ExitStack() as held:
            held.enter_context(database.held())
            with database.session(writing=True) as session, session.transaction():
                self._pipe: Pipe = register.take(database, session, layout.schema, layout.target, pipe, self._owner)
            self._held = held.pop_all()
        self.counts = self._pipe.counts
        filling = self._pipe.filling is not None
        self.position = self._pipe.position if filling == self._replaces else None

    @property
    def _replaces(self) -> bool:
        return self._layout.way.mode == "replace"

    def land(self, batch: Batch) -> Landed:
        """See `Landing.land`."""
        if self._ended:
            raise SinkUnavailable(self._ended)
        position = json.dumps(dict(batch.position))
        try:
            with self._told(), self._database.session(writing=True) as session:
                done, pipe = self._committed(session, batch, position)
        except SinkUnavailable as error:
            self._ended = f"This landing has ended, and must be opened again: {error}"
            raise
        counts = Counts(batch.read, done.landed, done.superseded, len(done.rejected))
        self._pipe, self.counts = pipe, pipe.counts
        self.position = None if self._replaces and pipe.filling is None else json.loads(position)
        self._analyze(done.tables)
        return Landed(counts, columns=done.added)

    def close(self) -> None:
        """See `Landing.close`."""
        self._held.close()
        self._ended = self._ended or "This landing was closed; open the pipe again."

    @contextmanager
    def _told(self) -> Iterator[None]:
        """The database's refusals, as the contract names them."""
        try:
            yield
        except RowsRefused as error:
            raise SchemaRefused(f"The database refuses the rows for {self._layout.target}: {error}") from error
        except Conflict as error:
            raise SinkUnavailable(f"Others are changing the same rows all the time: {error}") from error
        except DataError as error:
            if type(error) is not DataError:
                raise
            raise SchemaRefused(error.message, hint=error.hint) from error

    def _committed(self, session: Session, batch: Batch, position: str) -> tuple[Done, Pipe]:
        """Commit; tried again without rows that are refused, or when others were at the same ones."""
        conflicts = 0
        while True:
            try:
                return self._commit(session, batch, position)
            except Conflict:
                conflicts += 1
                if conflicts == _TRIES:
                    raise
            except _PartRefused as refused:
                batch = self._without_refused(session, batch, refused)

    def _commit(self, session: Session, batch: Batch, position: str) -> tuple[Done, Pipe]:
        with session.transaction():
            register.hold(self._database, session, self._pipe)
            done = Done(superseded=batch.superseded, rejected=list(batch.rejected))
            filling: Filling = dict(self._pipe.filling or {}) if self._replaces else {}
            if not self._replaces and self._pipe.filling is not None:
                self._drop(session, self._pipe.filling)
            for place, part in enumerate(batch.parts):
                try:
                    target = self._target(session, part, position, filling)
                    done.add(target.carry_out(part), target.table)
                except RowsRefused as error:
                    raise _PartRefused(place, str(error)) from error
            if self._replaces and batch.last:
                done.added |= self._swapped(session, filling)
            quarantine.keep(self._database, session, self._name_of, done.rejected, self._pipe.name)
            counts = Counts(batch.read, done.landed, done.superseded, len(done.rejected))
            kept = filling if self._replaces and not batch.last else None
            pipe = replace(self._pipe, counts=self._pipe.counts + counts, filling=kept)
            register.record(self._database, session, pipe, position)
        return done, pipe

    def _name_of(self, called: str) -> Name:
        name = self._layout.name_of(called, self._database.longest_name)
        if self._layout.table is None and self._called.setdefault(name, called) != called:
            raise SchemaRefused(
                f"{called!r} and {self._called[name]!r} would both be the table {name}.",
                hint="call one of them otherwise: warehouse.tables(..., names={...})",
            )
        return name

    def _target(self, session: Session, part: Part, position: str, filling: Filling) -> Target:
        """The table that a part is for; that which is filled to take its place, where it is replaced."""
        called = part.table
        table, way = self._name_of(called), self._layout.way_of(called)
        if part.key and not way.keys:
            way = replace(way, keys=part.key)
        where = f"the batch up to {position[:_SHOWN]}"
        kind = History if way.mode == "history" else Target
        like = table
        if self._replaces:
            if self._database.deferred:
                filling.setdefault(MARK + table.table, [self._owner[:8]])
            staging = self._staging(table.table, filling)
            if table.table not in filling:
                filling[table.table] = []
                session.run(f"DROP TABLE IF EXISTS {staging.sql}")
                if known := session.columns(table):
                    declared = ", ".join(column.declared for column in known)
                    session.run(f"CREATE TABLE {staging.sql} ({declared})")
            if part.how in ("append", "upsert"):
                names = part.rows.schema.names
                filling[table.table] = list(dict.fromkeys([*filling[table.table], *names]))
            table = staging
        return kind(self._database, session, table, way, where, called, like)

    def _staging(self, table: str, filling: Filling) -> Name:
        return self._pipe.staging(table, filling, self._database.longest_name)

    def _swapped(self, session: Session, filling: Filling) -> dict[str, str]:
        """What was filled takes the place of what was there; a sink for one table empties it where nothing was."""
        only = self._layout.table
        added: dict[str, str] = {}
        for table in tables_of(filling):
            staging, name = self._staging(table, filling), Name(self._layout.schema, table)
            columns = filling[table]
            given = set(columns) if self._database.exact_names else {folded(column) for column in columns}
            if session.columns(staging):
                added |= swap(self._database, session, staging, name, given)
        if only is not None and only not in filling and session.columns(Name(self._layout.schema, only)):
            session.run(self._database.empty(Name(self._layout.schema, only)))
        return added

    def _drop(self, session: Session, filling: Filling) -> None:
        for table in tables_of(filling):
            session.tidy(f"DROP TABLE IF EXISTS {self._staging(table, filling).sql}")

    def _without_refused(self, session: Session, batch: Batch, refused: _PartRefused) -> Batch:
        """The batch without the rows that the database does not take, which are rejected.

        Raises:
            SchemaRefused: it takes hardly any of them, or all of them when they come one by one.
        """
        place, part = refused.place, batch.parts[refused.place]
        probes = 0

        def reason(start: int, stop: int) -> str | None:
            nonlocal probes
            probes += 1
            if probes > _MOST_PROBES:
                raise RowsRefused(f"most of {part.rows.num_rows} rows: {refused}")
            some = replace(part, rows=part.rows.slice(start, stop - start))
            return self._refusal(session, batch, place, some)

        def search(start: int, stop: int) -> Iterator[tuple[int, str]]:
            if why := reason(start, stop):
                if stop - start == 1:
                    yield start, why
                    return
                middle = (start + stop) // 2
                yield from search(start, middle)
                yield from search(middle, stop)

        bad = dict(search(0, part.rows.num_rows))
        if not bad:
            raise RowsRefused(str(refused))
        where = f"the batch up to {json.dumps(dict(batch.position))[:_SHOWN]}"
        rejected = [one for row, why in bad.items() for one in _rejection(part, row, why, where)]
        mask = pa.array([row not in bad for row in range(part.rows.num_rows)])
        parts = list(batch.parts)
        parts[place] = replace(part, rows=part.rows.filter(mask))
        return replace(batch, parts=tuple(parts), rejected=(*batch.rejected, *rejected))

    def _refusal(self, session: Session, batch: Batch, place: int, some: Part) -> str | None:
        """Why the database does not take some rows, after the parts before them; None where it does."""
        with _undone(session):
            filling: Filling = dict(self._pipe.filling or {}) if self._replaces else {}
            for part in batch.parts[:place]:
                self._target(session, part, "", filling).carry_out(part)
            try:
                self._target(session, some, "", filling).carry_out(some)
            except RowsRefused as error:
                return str(error)
        return None

    def _analyze(self, tables: Mapping[Name, int]) -> None:
        """Have the planner's figures counted anew after large loads: each time, twice as much must have landed."""
        for table, rows in tables.items():
            landed, due = self._unanalyzed.get(table, (0, _ANALYZE_ROWS))
            landed += rows
            if landed >= due:
                landed, due = 0, 2 * due
                with suppress(DataError, RowsRefused, Conflict), self._database.session(writing=True) as session:
                    self._database.analyze(session, table)
            self._unanalyzed[table] = (landed, due)


class _Undo(Exception):
    """Takes a transaction back."""


@contextmanager
def _undone(session: Session) -> Iterator[None]:
    """A transaction that leaves nothing behind."""
    try:
        with session.transaction():
            yield
            raise _Undo
    except _Undo:
        pass


def _rejection(part: Part, row: int, why: str, where: str) -> list[Rejected]:
    return rejections(part.rows, [Misfit(row, why)], where, part.table)


def forgotten(database: Database, layout: Layout, pipe: str) -> None:
    """See `Sink.forget`."""
    with database.session(writing=True) as session, session.transaction():
        found = register.forget(session, layout.schema, layout.target, pipe)
        if found is None:
            return
        for table in tables_of(found.filling or {}):
            staging = found.staging(table, found.filling or {}, database.longest_name)
            session.tidy(f"DROP TABLE IF EXISTS {staging.sql}")
