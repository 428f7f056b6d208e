"""What came to runs lately, and how many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.core.events import Stored
from penstock.core.model import FlowSummary, LogLine
from penstock.core.states import FINAL_WORDS, StateType
from penstock.journal.access import SqlCore
from penstock.journal.rows import EVENT_COLUMNS, stored_of
from penstock.journal.search import ROOTS, Source, bound_of
from penstock.journal.terms import LAST

_AT_ONCE = 500
_NEVER = (1 << 63) - 1
_EVENTS = ", ".join("NULL" if column == "data" else f"e.{column}" for column in EVENT_COLUMNS.split(", "))
_FLOWS = """
WITH RECURSIVE known(flow) AS (
  SELECT min(flow) FROM runs WHERE parent_id IS NULL
  UNION ALL
  SELECT (SELECT min(flow) FROM runs WHERE parent_id IS NULL AND flow > known.flow) FROM known
  WHERE known.flow IS NOT NULL
) SELECT known.flow,
  (SELECT count(*) FROM (SELECT 1 FROM runs c WHERE (c.flow, c.id) >= (known.flow, '')
    AND (c.flow, c.id) < (known.flow, ?) AND c.parent_id IS NULL ORDER BY c.flow, c.id LIMIT ?) AS counted),
  (SELECT l.id FROM runs l WHERE (l.flow, l.id) >= (known.flow, '')
    AND (l.flow, l.id) < (known.flow, ?) AND l.parent_id IS NULL ORDER BY l.flow DESC, l.id DESC LIMIT 1)
FROM known WHERE known.flow IS NOT NULL ORDER BY known.flow
"""
_LOGS = "l.run_id, l.key, l.at, l.level, l.logger, l.message, l.id"


class SqlNews(SqlCore):
    """Many runs asked about in one query."""

    visible: str

    def news(self, places: Mapping[str, tuple[int, int]], limit: int = 1000) -> tuple[list[Stored], list[LogLine]]:
        """See `Journal.news`. A run's numbers and its log ids are in the order of their commits: it has one writer."""
        events: list[Stored] = []
        lines: list[LogLine] = []
        wanted = list(places.items())
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            sql = (
                f"SELECT {_EVENTS} FROM {_wanted(len(some))} CROSS JOIN events e "
                f"WHERE e.stream = w.column1 AND e.seq > w.column2 AND {self.kept} ORDER BY e.position LIMIT ?"
            )
            events += map(stored_of, self._fetch(sql, _values(some, 0, limit)))
            sql = (
                f"SELECT {_LOGS} FROM {_wanted(len(some))} CROSS JOIN logs l "
                "WHERE l.run_id = w.column1 AND l.id > w.column2 ORDER BY l.id LIMIT ?"
            )
            lines += (LogLine(*row) for row in self._fetch(sql, _values(some, 1, limit)))
        return events, lines

    def glance(
        self, before: int | None, types: Sequence[str], limit: int, span: int
    ) -> tuple[list[Stored], int | None]:
        """See `Journal.glance`."""
        before = _NEVER if before is None else before
        inner = (
            f"SELECT position FROM events WHERE position < ? AND {self.visible} AND {self.kept} "
            "ORDER BY position DESC LIMIT ?"
        )
        low, number = self._fetch(f"SELECT min(position), count(*) FROM ({inner}) AS span", (before, span))[0]
        if not number:
            return [], None
        sql = (
            f"SELECT {_EVENTS} FROM events e WHERE e.position >= ? AND e.position < ? AND {self.visible} "
            f"AND {self.kept} AND e.type IN ({', '.join('?' * len(types))}) ORDER BY e.position DESC LIMIT ?"
        )
        found = [stored_of(row) for row in self._fetch(sql, (low, before, *types, limit))]
        if len(found) == limit:
            return found, found[-1].position
        return found, low if number == span else None

    def flows(self, most: int | None = None) -> list[FlowSummary]:
        """See `Journal.flows`. The names are found by hopping over the index, so that only what is counted is read."""
        found = self._fetch(_FLOWS, (LAST, _NEVER if most is None else most, LAST))
        last = {run.id: run for run in self.runs_of([run_id for _, _, run_id in found])}
        return [
            FlowSummary(flow, count, run.id, run.state, run.created_at, run.entrypoint)
            for flow, count, run_id in found
            if (run := last.get(run_id)) is not None
        ]

    def run_counts(self, since: int, most: int) -> dict[str, int]:
        """See `Journal.run_counts`."""
        parts, values = [], []
        words = [kind.word for kind in StateType]
        for word in words:
            low = bound_of(since) if word in FINAL_WORDS else ""
            source = Source("runs", "state", word, f"AND {ROOTS}")
            sql, some = source.ids(low, LAST)
            parts.append(f"(SELECT count(*) FROM ({sql} ORDER BY {source.order} LIMIT ?) AS counted)")
            values += [*some, most]
        return dict(zip(words, self._fetch(f"SELECT {', '.join(parts)}", values)[0], strict=True))


def _wanted(number: int) -> str:
    return f"(VALUES {', '.join(['(CAST(? AS TEXT), CAST(? AS BIGINT))'] * number)}) AS w"


def _values(some: Sequence[tuple[str, tuple[int, int]]], which: int, limit: int) -> list[Any]:
    return [*(value for run_id, place in some for value in (run_id, place[which])), limit]
