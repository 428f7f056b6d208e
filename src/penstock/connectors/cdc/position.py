"""How far the changes of a database have been read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from penstock.core.errors import BadData
from penstock.core.ports.data import Position

_STEPS = 9
"""The log is read on where it is divisible by 8; so 4096 orders are free between a place in the log and the next."""
_NEXT = 8
_COMMIT_RECORD = 40


def shown(lsn: int) -> str:
    """A place in the log as PostgreSQL shows it: `0/16B3748`."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def parsed(lsn: str) -> int:
    """The place in the log that is shown like this."""
    high, _, low = lsn.partition("/")
    return (int(high, 16) << 32) | int(low, 16)


@dataclass(frozen=True)
class Copying:
    """How far the rows of a table have been handed out.

    Attributes:
        after: the key of the last row, as text; None before the first.
        empty: the table is to be emptied before the first.
    """

    after: tuple[str, ...] | None = None
    empty: bool = False


@dataclass(frozen=True)
class Where:
    """A position.

    Every row of the tables in `copied`, and of those in `copying` the rows up to a key, are as they were after the last
    transaction that was committed before `lsn`. Of the other rows nothing has been handed out.

    Attributes:
        system: the number of the cluster; another one has another log.
        lsn: the place in the log.
        order: of the last batch.
        copying: tables that are being copied, or wait for it.
        copied: tables that are there, and changed as the log says.
        commit: where the transaction is committed of which only some has been handed out; 0 for none.
        changes: how many of its changes have been.
    """

    system: str
    lsn: int
    order: int = 0
    copying: Mapping[str, Copying] = field(default_factory=dict)
    copied: tuple[str, ...] = ()
    commit: int = 0
    changes: int = 0

    @property
    def position(self) -> Position:
        """As sinks keep it."""
        found: dict[str, Any] = {"system": self.system, "lsn": shown(self.lsn), "order": self.order}
        found["copied"] = list(self.copied)
        found["copying"] = {
            table: {"after": None if it.after is None else list(it.after), "empty": it.empty}
            for table, it in self.copying.items()
        }
        if self.commit:
            found["within"] = {"commit": shown(self.commit), "changes": self.changes}
        return found

    @staticmethod
    def of(position: Position) -> Where:
        """What a sink has kept.

        Raises:
            BadData: it is no position of this source.
        """
        try:
            within = position.get("within") or {"commit": "0/0", "changes": 0}
            copying = {
                table: Copying(None if it["after"] is None else tuple(it["after"]), it["empty"])
                for table, it in position["copying"].items()
            }
            return Where(
                str(position["system"]),
                parsed(position["lsn"]),
                int(position["order"]),
                copying,
                tuple(position["copied"]),
                parsed(within["commit"]),
                int(within["changes"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadData(
                "The position in the sink is none of PostgresChanges.",
                hint="give the pipe another name, or restart it: restart=True reads everything again",
            ) from error

    def skips(self, table: str) -> bool:
        """No row of the table has been handed out: what the log says of it until its copy begins is in the copy."""
        copying = self.copying.get(table)
        return (copying.after is None) if copying is not None else table not in self.copied

    def at(self, lsn: int) -> Where:
        """Everything before a place in the log has been handed out."""
        return replace(self, lsn=lsn, order=max(self.order + 1, lsn << _STEPS), commit=0, changes=0)

    def within(self, commit: int, changes: int) -> Where:
        """So many changes of a transaction have been handed out, and everything before it."""
        order = max(self.order + 1, commit << _STEPS)
        if order >= (commit + _COMMIT_RECORD) << _STEPS:
            raise BadData(f"The transaction that was committed at {shown(commit)} has too many changes.")
        return replace(self, order=order, commit=commit, changes=changes)

    def copied_on(self, table: str, after: tuple[str, ...] | None, lsn: int) -> Where:
        """More rows of a table have been handed out, as they are at `lsn`; None: all of them."""
        copying = dict(self.copying)
        if after is None:
            del copying[table]
        else:
            copying[table] = Copying(after)
        copied = self.copied if after is not None or table in self.copied else (*self.copied, table)
        order = self.order + 1 if self.order else lsn << _STEPS
        return replace(self, lsn=lsn, order=order, copying=copying, copied=copied)

    def has_room(self, lsn: int) -> bool:
        """Another batch of a copy taken at this place may come before the next transaction."""
        return self.order + 1 < (lsn + _NEXT) << _STEPS

    def again(self, tables: Mapping[str, bool]) -> Where:
        """Tables are to be copied (again); true where they are to be emptied first."""
        copying = {**self.copying, **{table: Copying(None, empty) for table, empty in tables.items()}}
        return replace(self, copying=copying, copied=tuple(table for table in self.copied if table not in tables))

    def only(self, tables: Mapping[str, Any]) -> Where:
        """Without the tables that are not followed any more."""
        return replace(
            self,
            copying={table: it for table, it in self.copying.items() if table in tables},
            copied=tuple(table for table in self.copied if table in tables),
        )
