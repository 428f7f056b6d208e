"""Listing and finding runs, newest first, without ever looking at all of them.

Every condition of a listing is a range of an index, in the order of the ids (`Condition.sources`). The rarest one is
read from its end, some ids at a time; the others are looked up for each of these. Ids sort by the millisecond they were
made in, so a time is a bound of the ids.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from penstock.core.model import Run, RunFilter, RunKey
from penstock.journal.access import SqlCore, slices
from penstock.journal.projections import RUN_COLUMNS
from penstock.journal.rows import run_of
from penstock.journal.terms import (
    LAST,
    below,
    parameter_term,
    partition_term,
    tag_term,
    tail_term,
    word_term,
    words_of,
)

_COLUMNS = ", ".join(f"r.{column}" for column in RUN_COLUMNS)
_KEYS = ", ".join(f"r.{column}" for column in RunKey._fields)
ROOTS, _BELOW = "parent_id IS NULL", "parent_id IS NOT NULL"
_NAME = re.compile(r"[^\W_]+-[^\W_]+")
_PROBED = 300
"""So many ids of a condition tell how rare it is."""
_MOST_WORDS = 400
"""The runs of so many words can be read in order; those of more words are sorted first."""
_MOST_SORTED = 50_000
"""Beginnings of words that fit more runs than this are looked up run by run."""
_MOST_READ = 40_000
_MOST_IDS = 5_000
_MOST_TAILS = 1_000
_TAILS = "SELECT run_id FROM terms WHERE term >= ? AND term < ? AND substr(run_id, length(run_id) - ?) = ?"

# The OFFSET keeps PostgreSQL from reading all runs with the term at once: it is looked up run by run.
_HAS_TERM = "EXISTS (SELECT 1 FROM terms WHERE run_id = r.id AND {} LIMIT 1 OFFSET 0)"

# Every word that begins so, by hopping over the index.
_WORDS = """
WITH RECURSIVE found(term, number) AS (
  SELECT (SELECT min(term) FROM terms WHERE term >= ? AND term < ?), 1
  UNION ALL
  SELECT (SELECT min(term) FROM terms WHERE term > found.term AND term < ?), number + 1 FROM found
  WHERE term IS NOT NULL AND number <= ?
) SELECT term FROM found WHERE term IS NOT NULL
"""


class Source(NamedTuple):
    """Runs whose column has a value, as a range of an index.

    Attributes:
        table, column, value: where.
        also: what the index requires besides.
    """

    table: str
    column: str
    value: str
    also: str = ""

    @property
    def id(self) -> str:
        """The column with the run's id."""
        return "run_id" if self.table == "terms" else "id"

    def ids(self, low: str, high: str) -> tuple[str, list[Any]]:
        """A query for the ids between two, to which ORDER BY `order` is to be added.

        The column is compared together with the id: so no planner thinks of reading the runs from their newest on.
        """
        both = f"({self.column}, {self.id})"
        sql = f"SELECT {self.id} AS id FROM {self.table} WHERE {both} >= (?, ?) AND {both} < (?, ?) {self.also}"
        return sql, [self.value, low, self.value, high]

    @property
    def order(self) -> str:
        """Newest first."""
        return f"{self.column} DESC, {self.id} DESC"


class Range(NamedTuple):
    """Runs that are found by a term between two, in no order."""

    first: str
    last: str

    @property
    def order(self) -> str:
        """Newest first."""
        return "id DESC"

    def ids(self, low: str, high: str) -> tuple[str, list[Any]]:
        """See `Source.ids`."""
        sql = "SELECT DISTINCT run_id AS id FROM terms WHERE term >= ? AND term < ? AND run_id >= ? AND run_id < ?"
        return sql, [self.first, self.last, low, high]


class All(NamedTuple):
    """All runs, or all of a kind."""

    also: str

    @property
    def order(self) -> str:
        """Newest first."""
        return "id DESC"

    def ids(self, low: str, high: str) -> tuple[str, list[Any]]:
        """See `Source.ids`."""
        return f"SELECT id FROM runs WHERE id >= ? AND id < ? {self.also}", [low, high]


class Condition(NamedTuple):
    """What runs must fulfil.

    Attributes:
        sources: where such runs are; none where they are in no order.
        check: the same as SQL about a run `r`.
        values: what is in it.
    """

    sources: tuple[Source | Range | All, ...]
    check: str
    values: tuple[Any, ...]


class SqlSearch(SqlCore):
    """Which runs there are."""

    lateral = False
    """The database knows LATERAL, which takes it far less time to plan than very many parts of a UNION."""

    def _run_rows(self, sql: str, parameters: Sequence[Any]) -> list[Run]:
        return list(map(_run_of, self._fetch(sql, parameters)))

    def run(self, run_id: str) -> Run | None:
        """See `Journal.run`."""
        found = self._run_rows(f"SELECT {_COLUMNS} FROM runs r WHERE id = ?", (run_id,))
        return found[0] if found else None

    def find(self, prefix: str, limit: int = 10) -> list[Run]:
        """See `Journal.find`. Of very many runs whose ids end so, it takes some."""
        exact = self.run(prefix)
        if exact is not None:
            return [exact]
        tail = tail_term(prefix)
        parts = (
            ("SELECT id FROM runs WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT ?", (prefix, prefix + LAST, limit)),
            ("SELECT id FROM runs WHERE name = ? ORDER BY id DESC LIMIT ?", (prefix, limit)),
            (f"{_TAILS} LIMIT ?", (tail, tail + LAST, len(prefix) - 1, prefix, _MOST_TAILS)),
        )
        inner = " UNION ".join(f"SELECT * FROM ({sql}) AS part" for sql, _ in parts)
        values = [value for _, some in parts for value in some]
        sql = f"SELECT {_COLUMNS} FROM runs r WHERE id IN ({inner}) ORDER BY id DESC LIMIT ?"
        return self._run_rows(sql, (*values, limit))

    def runs(self, where: RunFilter) -> list[Run]:
        """See `Journal.runs`."""
        return list(map(_run_of, self._found(where, _COLUMNS)))

    def runs_of(self, run_ids: Sequence[str]) -> list[Run]:
        """See `Journal.runs_of`."""
        found: dict[str, Run] = {}
        for some, marks in slices(run_ids):
            sql = f"SELECT {_COLUMNS} FROM runs r WHERE id IN ({marks})"
            found |= {run.id: run for run in self._run_rows(sql, some)}
        return [found[run_id] for run_id in run_ids if run_id in found]

    def run_keys(self, where: RunFilter, *, bare: bool = False) -> list[RunKey]:
        """See `Journal.run_keys`."""
        return [RunKey(*row) for row in self._found(where, "r.id" if bare else _KEYS)]

    def _found(self, where: RunFilter, columns: str) -> list[Any]:
        """Rows of the runs that fit, with these columns, of which the first one is the id."""
        if where.limit <= 0 or where.any_tags == () or (where.text.strip() and not words_of(where.text)):
            return []
        found = self._listed(where, columns, self._word_conditions)
        if _NAME.fullmatch(name := where.text.strip().lower()):
            # The words of a name that was made up are nowhere, so it is looked up whole.
            named = Condition((Source("runs", "name", name),), "r.name = ?", (name,))
            also = self._listed(where, columns, lambda *_: [named])
            both = {row[0]: row for row in (*found, *also)}
            found = [both[run_id] for run_id in sorted(both, reverse=True)][: where.limit]
        return found

    def _listed(self, where: RunFilter, columns: str, words: Callable[[RunFilter, str], list[Condition]]) -> list[Any]:
        kind = _BELOW if where.parent_id is not None else ROOTS
        conditions = _conditions(where, kind) + words(where, kind)
        low, high = _bounds(where)
        kinds = () if where.children and where.parent_id is None else (kind,)
        if not conditions:
            only = " AND ".join(("id >= ?", "id < ?", *kinds))
            sql = f"SELECT {columns} FROM runs r WHERE {only} ORDER BY id DESC LIMIT ?"
            return self._fetch(sql, (low, high, where.limit))
        if not any(each.sources for each in conditions):
            also = "".join(f" AND {each}" for each in kinds)
            conditions.insert(0, Condition((All(also),), "1 = 1", ()))
        return self._pages(conditions, kinds, (low, high), where.limit, columns)

    def _pages(
        self, conditions: list[Condition], kinds: Sequence[str], bounds: tuple[str, str], limit: int, columns: str
    ) -> list[Any]:
        """Read ids from the end of one condition, and those runs that fulfil the rest, until there are enough."""
        found: list[Any] = []
        some = max(4 * limit, 200) if len(conditions) == 1 else max(16 * limit, 800)
        low, high = bounds
        while True:
            driver = self._rarest(conditions, low, high)
            some = max(min(limit, _MOST_IDS), min(some, _MOST_IDS, _MOST_READ // len(driver.sources)))
            others = [each for each in conditions if each is not driver]
            where = " AND ".join(("r.id = page.id", *kinds, *(each.check for each in others)))
            values = [value for each in others for value in each.values]
            ids, between = self._newest(driver.sources, low, high, some)
            page = f"{ids} LIMIT {some}"
            sql = f"SELECT {columns} FROM ({page}) AS page CROSS JOIN runs r WHERE {where} ORDER BY r.id DESC LIMIT ?"
            found += self._fetch(sql, (*between, *values, limit - len(found)))
            if len(found) >= limit:
                return found
            last = self._fetch(f"{ids} LIMIT 1 OFFSET {some - 1}", between)
            if not last:
                return found
            high = last[0][0]
            some *= 4

    def _newest(
        self, sources: Sequence[Source | Range | All], low: str, high: str, limit: int
    ) -> tuple[str, list[Any]]:
        """A query for the highest ids of several sources together, in order, each once; the first so many are right."""
        terms = [source.value for source in sources if isinstance(source, Source) and source.table == "terms"]
        if self.lateral and len(terms) == len(sources) > 1:
            marks = ", ".join(["(?)"] * len(terms))
            part = (
                "SELECT run_id AS id FROM terms WHERE (term, run_id) >= (t.term, ?) AND (term, run_id) < (t.term, ?) "
                f"ORDER BY term DESC, run_id DESC LIMIT {limit}"
            )
            lateral = f"(VALUES {marks}) AS t(term) CROSS JOIN LATERAL ({part}) AS source"
            return f"SELECT DISTINCT source.id FROM {lateral} ORDER BY source.id DESC", [*terms, low, high]
        parts, values = [], []
        for source in sources:
            sql, some = source.ids(low, high)
            parts.append(f"SELECT * FROM ({sql} ORDER BY {source.order} LIMIT {limit}) AS source")
            values += some
        return f"SELECT id FROM ({' UNION '.join(parts)}) AS sources ORDER BY id DESC", values

    def _rarest(self, conditions: Sequence[Condition], low: str, high: str) -> Condition:
        """The condition that fits the fewest runs just below `high`: whose newest ids reach back furthest."""
        able = [each for each in conditions if each.sources]
        if len(able) == 1:
            return able[0]
        parts, values = [], []
        for each in able:
            ids, some = self._newest(each.sources, low, high, _PROBED)
            parts.append(f"(SELECT id FROM ({ids} LIMIT 1 OFFSET {_PROBED - 1}) AS probed)")
            values += some
        oldest = self._fetch(f"SELECT {', '.join(parts)}", values)[0]
        return min(zip((each or "" for each in oldest), range(len(able)), able, strict=True))[2]

    def _word_conditions(self, where: RunFilter, kind: str) -> list[Condition]:
        """One for each word of a text: all but the last are whole words, the last one is the beginning of one."""
        words = [*dict.fromkeys(words_of(where.text))]
        if not words:
            return []
        both = where.children or kind == _BELOW
        whole = [_term_condition(word_term(word), both) for word in words[:-1]]
        return [*whole, self._beginning(word_term(words[-1]), both)]

    def _beginning(self, term: str, both: bool) -> Condition:
        ranges = [(each, each + LAST) for each in ((term, below(term)) if both else (term,))]
        terms: list[str] = []
        for low, high in ranges:
            terms += [row[0] for row in self._fetch(_WORDS, (low, high, high, _MOST_WORDS))]
        one = _HAS_TERM.format("term >= ? AND term < ?")
        check = f"({' OR '.join([one] * len(ranges))})"
        values = tuple(bound for each in ranges for bound in each)
        if len(terms) <= _MOST_WORDS:
            return Condition(tuple(Source("terms", "term", each) for each in terms or [term]), check, values)
        inside = " OR ".join(["term >= ? AND term < ?"] * len(ranges))
        count = f"SELECT count(*) FROM (SELECT 1 FROM terms WHERE {inside} LIMIT ?) AS counted"
        few = self._fetch(count, (*values, _MOST_SORTED + 1))[0][0] <= _MOST_SORTED
        return Condition(tuple(Range(*each) for each in ranges) if few else (), check, values)


def _run_of(row: Sequence[Any]) -> Run:
    return run_of(dict(zip(RUN_COLUMNS, row, strict=True)))


def _conditions(where: RunFilter, kind: str) -> list[Condition]:
    """The conditions of a listing but for its words; the likeliest to fit few runs come first."""
    both = where.children or kind == _BELOW
    terms = [parameter_term(*item) for item in where.parameters.items()] + [tag_term(tag) for tag in where.tags]
    if where.partition is not None:
        terms.append(partition_term(where.partition))
    found = [_term_condition(term, both) for term in terms]
    if where.any_tags is not None:
        found.append(_any_condition([tag_term(tag) for tag in where.any_tags], both))
    if where.parent_id is not None:
        parent = Source("runs", "parent_id", where.parent_id)
        found.append(Condition((parent,), "r.parent_id = ?", (where.parent_id,)))
    if where.deployment is not None:
        deployment = Source("runs", "deployment", where.deployment, "AND deployment IS NOT NULL")
        found.append(Condition((deployment,), "r.deployment = ?", (where.deployment,)))
    kinds = (ROOTS, _BELOW) if where.children and kind == ROOTS else (kind,)
    if where.flow is not None:
        sources = tuple(Source("runs", "flow", where.flow, f"AND {each}") for each in kinds)
        found.append(Condition(sources, "r.flow = ?", (where.flow,)))
    states = tuple(dict.fromkeys(where.states))
    if states:
        sources = tuple(Source("runs", "state", state, f"AND {each}") for state in states for each in kinds)
        found.append(Condition(sources, f"r.state IN ({', '.join('?' * len(states))})", states))
    if where.pool is not None:
        found.append(Condition((), "r.pool = ?", (where.pool,)))
    return found


def _term_condition(term: str, both: bool) -> Condition:
    return _any_condition([term], both)


def _any_condition(wanted: Sequence[str], both: bool) -> Condition:
    """Runs with at least one of these terms."""
    terms = tuple(each for term in dict.fromkeys(wanted) for each in ((term, below(term)) if both else (term,)))
    check = _HAS_TERM.format(f"term IN ({', '.join('?' * len(terms))})")
    return Condition(tuple(Source("terms", "term", each) for each in terms), check, terms)


def _bounds(where: RunFilter) -> tuple[str, str]:
    """The lowest id that may be listed, and the lowest that may not any more."""
    low = bound_of(where.since) if where.since is not None else ""
    high = LAST if where.until is None else bound_of(where.until)
    if where.before is not None:
        high = min(high, where.before)
    return low, high


def bound_of(at: int) -> str:
    """What ids of runs made at this time (microseconds) or later do not sort before."""
    text = f"{max(0, at) // 1000 & (1 << 48) - 1:012x}"
    return f"{text[:8]}-{text[8:]}"
