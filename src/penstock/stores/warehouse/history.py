"""Every version of a row, with the time in which it was true (a slowly changing dimension of type 2).

A version is true from `valid_from` on, until `valid_to`, which is not part of it any more; that of the version which is
true now is empty. For each key, what happened is a line of events, at most one at a time: a version begins, or a
deletion ends one. New events are put in the line where they belong by their time, late ones too, and the ends of the
versions around them are set anew. Without times of its own, a row that says the same as before is no new version; with
them it is one, for something else may turn out to have been true in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from penstock.core.errors import SchemaRefused
from penstock.core.ports.data import Part
from penstock.core.sqltext import quoted
from penstock.stores.warehouse.columns import Column, last_of
from penstock.stores.warehouse.database import same
from penstock.stores.warehouse.evolution import CURRENT, HISTORY, VALID_FROM, VALID_TO, Fitted
from penstock.stores.warehouse.names import listed
from penstock.stores.warehouse.targets import Done, Target

if TYPE_CHECKING:
    import pyarrow as pa
else:
    from penstock.core.rows.arrow import pa

_AT = "penstock_at"
_NEW, _LINE = "penstock_new", "penstock_line"
_NOW = "CAST(now() AS timestamp with time zone)"
_TICK = "INTERVAL '1 microsecond'"


class History(Target):
    """A table that keeps every version."""

    history = True

    def carry_out(self, part: Part) -> Done:
        """See `Target.carry_out`."""
        if part.how != "truncate" and (taken := [name for name in HISTORY if name in part.rows.schema.names]):
            raise SchemaRefused(
                f"The rows for {self.table} have a column {taken[0]!r}, which its history needs for itself.",
                hint="rename it in the source, or drop it",
            )
        return super().carry_out(part)

    def upsert(self, rows: pa.Table) -> Done:
        """Begin versions."""
        if self.way.changed_at and self.way.changed_at not in rows.schema.names:
            raise SchemaRefused(
                f"The rows for {self.table} have no column {self.way.changed_at!r}, which says when they changed.",
                hint=f"they have: {', '.join(rows.schema.names)}",
            )
        good, columns, done = self._good(rows, self._fitted(rows), keyed=True)
        self.database.key_index(self.session, self.table, (*self.way.keys, VALID_FROM))
        return self._happened(good, columns, done, ends=False)

    def delete(self, rows: pa.Table) -> Done:
        """End versions."""
        names = list(self.way.keys)
        if self.way.changed_at in rows.schema.names and self.way.changed_at not in names:
            names.append(str(self.way.changed_at))
        good, columns, done = self._good(rows, self._known(rows.select(names)), keyed=True)
        if not columns:
            return Done(landed=rows.num_rows)
        return self._happened(good, columns, done, ends=True)

    def truncate(self) -> None:
        """End all versions."""
        table = self.table.sql
        latest = f"(SELECT max({quoted(VALID_FROM)}) + {_TICK} FROM {table} WHERE {quoted(CURRENT)})"
        self.session.run(
            f"UPDATE {table} SET {quoted(VALID_TO)} = greatest({_NOW}, {latest}), {quoted(CURRENT)} = false "
            f"WHERE {quoted(CURRENT)}"
        )

    def _good(self, rows: pa.Table, fitted: Fitted, *, keyed: bool) -> tuple[pa.Table, list[Column], Done]:
        """See `Target._good`; a row that does not tell when it changed does not fit."""
        name = self.way.changed_at
        if not fitted.columns or name not in rows.schema.names:
            return super()._good(rows, fitted, keyed=keyed)
        dated = fitted.rows.append_column(_AT, rows.column(name))
        moment = Column(_AT, "timestamp with time zone", pa.timestamp("us", "UTC"), nullable=False)
        good, columns, done = super()._good(rows, Fitted(dated, [*fitted.columns, moment], fitted.added), keyed=keyed)
        told = [
            replace(one, reason=one.reason.replace(_AT, f"{name}, which says when it changed")) for one in done.rejected
        ]
        done.rejected[:] = told
        return good, columns, done

    def _happened(self, good: pa.Table, columns: list[Column], done: Done, *, ends: bool) -> Done:
        """Put versions that begin, or deletions that end them, in the lines of their keys."""
        keys = self.way.keys
        timed = _AT in good.schema.names
        last = last_of(good, (*keys, _AT) if timed else keys)
        if last.num_rows:
            with self.session.staged(last, columns) as staged:
                self._events(staged, [column.name for column in columns], timed)
            self._settle(timed, ends)
        done.landed, done.superseded = last.num_rows, good.num_rows - last.num_rows
        return done

    def _events(self, staged: str, names: Sequence[str], timed: bool) -> None:
        """The new events, in a table of their own, with all columns of a version."""
        run, keys, table = self.session.run, self.way.keys, self.table.sql
        at = f"s.{quoted(_AT)}"
        if not timed:  # later than whatever is known of these keys, whatever the clock says
            known = f"SELECT max(greatest(h.{VALID_FROM}, h.{VALID_TO})) + {_TICK} FROM {table} AS h WHERE EXISTS ("
            at = f"greatest({_NOW}, ({known}SELECT 1 FROM {staged} AS k WHERE {same('h', 'k', keys)})))"
        versions = self._versions()
        taken = [f"s.{quoted(name)}" if name in names else f"h.{quoted(name)}" for name in versions]
        covering = (
            f"LEFT JOIN {table} AS h ON {same('h', 's', keys)} AND h.{VALID_FROM} <= {at} "
            f"AND (h.{VALID_TO} > {at} OR h.{VALID_TO} IS NULL)"
        )
        partial = any(name not in names for name in versions)
        run(
            f"CREATE TEMPORARY TABLE {_NEW} AS SELECT {', '.join(taken)}, {at} AS {quoted(_AT)} "
            f"FROM {staged} AS s {covering if partial else ''}"
        )

    def _settle(self, timed: bool, ends: bool) -> None:
        """Put the new events in the line, and the line into the table."""
        run, keys, table = self.session.run, self.way.keys, self.table.sql
        versions = self._versions()
        own, at = listed(tuple(versions)), quoted(_AT)
        this = f"{same('h', 'l', keys)} AND h.{VALID_FROM} = l.{at}"
        if timed and not ends:  # what is there already need not be written again
            alike = "".join(f" AND h.{name} IS NOT DISTINCT FROM l.{name}" for name in map(quoted, versions))
            run(f"DELETE FROM {_NEW} AS l USING {table} AS h WHERE {this}{alike}")
        mine = f"EXISTS (SELECT 1 FROM {_NEW} AS n WHERE {same('n', 'h', keys)})"
        line = f"PARTITION BY {listed(tuple(keys))} ORDER BY {at}"
        others = [name for name in versions if name not in keys]
        idle = "".join(f" AND lag({quoted(name)}) OVER w IS NOT DISTINCT FROM {quoted(name)}" for name in others)
        idle = "false" if timed else f"NOT known AND NOT ends AND NOT coalesce(lag(ends) OVER w, true){idle}"
        run(
            f"CREATE TEMPORARY TABLE {_LINE} AS WITH events AS ("
            f"SELECT {own}, {VALID_FROM} AS {at}, false AS ends, true AS known FROM {table} AS h WHERE {mine} "
            f"UNION ALL SELECT {own}, {VALID_TO}, true, true FROM {table} AS h WHERE {mine} AND {VALID_TO} IS NOT NULL "
            f"UNION ALL SELECT {own}, {at}, {'true' if ends else 'false'}, false FROM {_NEW}"
            f"), single AS (SELECT *, row_number() OVER (PARTITION BY {listed(tuple(keys))}, {at} "
            f"ORDER BY known, ends) AS place FROM events"
            f"), told AS (SELECT *, {idle} AS idle FROM single WHERE place = 1 WINDOW w AS ({line})"
            f") SELECT {own}, {at}, ends, known, lead({at}) OVER ({line}) AS until FROM told WHERE NOT idle"
        )
        run(f"DELETE FROM {table} AS h USING {_NEW} AS l WHERE {this}")
        run(
            f"UPDATE {table} AS h SET {VALID_TO} = l.until, {CURRENT} = (l.until IS NULL) FROM {_LINE} AS l "
            f"WHERE {this} AND l.known AND NOT l.ends AND h.{VALID_TO} IS DISTINCT FROM l.until"
        )
        run(
            f"INSERT INTO {table} ({own}, {VALID_FROM}, {VALID_TO}, {CURRENT}) "
            f"SELECT {own}, {at}, until, until IS NULL FROM {_LINE} WHERE NOT known AND NOT ends"
        )
        run(f"DROP TABLE {_LINE}")
        run(f"DROP TABLE {_NEW}")

    def _versions(self) -> list[str]:
        """The columns of a version."""
        return [column.name for column in self.session.columns(self.table) if column.name not in HISTORY]
