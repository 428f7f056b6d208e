"""What the parts of a batch come to: one write of the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from penstock.core.errors import SchemaRefused
from penstock.core.ports.data import Batch, Counts, Part, Rejected
from penstock.core.rows import Conformed, Misfit, conform, rejections
from penstock.core.rows.conforming import without
from penstock.core.sqltext import quoted
from penstock.stores.lake.delta import Clause
from penstock.stores.lake.options import TableOptions
from penstock.stores.lake.schemas import added, coarse, grown, is_new, named

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    from penstock.core.rows.arrow import pa, pc

_CLAUSE = "_penstock_clause"
_PLACE, _MINE, _THEIRS = "_penstock_place", "_penstock_mine", "_penstock_theirs"


@dataclass
class Group:
    """Rows that are changed in the same way; over all groups of a plan, a key comes once.

    Attributes:
        rows: with the columns they have.
        delete: they go away.
        whole: columns that are not there become null, also in a row that is there.
    """

    rows: pa.Table
    delete: bool = False
    whole: bool = False


@dataclass
class Plan:
    """What becomes of a table's parts of a batch.

    Attributes:
        schema: the columns of the table afterwards.
        fresh: the table is emptied first.
        adding: rows that are added.
        groups: rows that are merged.
        rejected: records that cannot land.
        superseded: records that a later one has replaced, within these parts.
        read: records of the parts.
        keys: the columns by which rows are merged.
    """

    schema: pa.Schema
    keys: tuple[str, ...] = ()
    fresh: bool = False
    adding: list[pa.Table] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    superseded: int = 0
    read: int = 0

    @property
    def kind(self) -> Literal["nothing", "add", "merge", "overwrite"]:
        """The write it takes."""
        if self.fresh:
            return "overwrite"
        if any(group.rows.num_rows for group in self.groups):
            return "merge"
        return "add" if any(rows.num_rows for rows in self.adding) else "nothing"

    def counts(self, batch: Batch | None, rejected: int) -> Counts:
        """What became of the records; with what the source rejected and superseded itself, where it is told."""
        superseded = self.superseded + (batch.superseded if batch is not None else 0)
        mine = len(self.rejected)
        read = self.read + rejected + (batch.superseded if batch is not None else 0)
        return Counts(read, read - superseded - mine - rejected, superseded, mine + rejected)

    def all_rows(self) -> pa.Table:
        """The rows to add; of a merge into a table without rows, those that it leads to."""
        rows = [*self.adding, *(group.rows for group in self.groups if not group.delete)]
        return pa.concat_tables([conform(one, self.schema).rows for one in rows] or [self.schema.empty_table()])


def planned(parts: Sequence[Part], schema: pa.Schema, options: TableOptions, where: str) -> Plan:
    """Make rows fit the table, and find what is left of them.

    Args:
        parts: of one table, in their order.
        schema: the columns that the table has, or that the load which replaces it has so far.
        options: of the table.
        where: tells rejected rows where they are: `raw/orders after {"next": 4}`.

    Raises:
        SchemaRefused: the table and the rows do not go together at all.
    """
    plan = Plan(schema, options.keys)
    for part in parts:
        if part.how == "truncate":
            plan.superseded += sum(group.rows.num_rows for group in plan.groups)
            plan.superseded += sum(rows.num_rows for rows in plan.adding)
            plan.fresh, plan.adding, plan.groups = True, [], []
            continue
        plan.read += part.rows.num_rows
        if part.rows.num_rows == 0:
            continue
        if part.how != "append":
            _take_keys(plan, part, options, where)
        rows = _fitting(plan, part, options, where)
        if plan.keys:
            _merge(plan, rows, part.how == "delete")
        else:
            plan.adding.append(rows)
    if plan.fresh:
        plan.groups = [group for group in plan.groups if not group.delete]
    return plan


def _take_keys(plan: Plan, part: Part, options: TableOptions, where: str) -> None:
    """Go by the keys that the source knows, where the table was told none."""
    if options.swapping:
        raise SchemaRefused(
            f"{where}: the source has changes (upsert, delete), and a table that is replaced takes records only.",
            hint='give the table mode="merge" and keys=[...]',
        )
    keys = options.keys or part.key
    if not keys or (plan.keys and plan.keys != keys):
        told = f"by {plan.keys} and by {keys} in one batch" if keys else "without a key"
        raise SchemaRefused(
            f"{where}: the source has changes (upsert, delete) of rows {told}.",
            hint='give the table mode="merge" and keys=[...]',
        )
    if plan.keys:
        return
    plan.keys, earlier, plan.adding = keys, plan.adding, []
    for rows in earlier:  # they may be changed again by this very batch
        _merge(plan, rows, delete=False)


def _fitting(plan: Plan, part: Part, options: TableOptions, where: str) -> pa.Table:
    """The rows of a part with the columns of the table; those that cannot have them are rejected."""
    given = coarse(named(part.rows, plan.schema))
    if part.how == "delete":
        given = given.select([name for name in given.schema.names if name in plan.keys])
    wider = grown(plan.schema, given.schema)
    _check(plan, wider, given, options, where)
    fields = [one.with_nullable(one.name not in options.keys) for one in wider]
    done = conform(given, pa.schema(fields), missing="leave" if plan.keys else "null")
    done = _without_empty_partitions(done, options.partition_by)
    plan.schema = wider
    plan.rejected.extend(rejections(part.rows, done.misfits, where, part.table))
    plain = pa.schema([one.with_nullable(True) for one in done.rows.schema])
    return pa.Table.from_arrays(done.rows.columns, schema=plain)


def _without_empty_partitions(done: Conformed, by: Sequence[str]) -> Conformed:
    """Delta does not tell empty text from nothing in the columns that files are parted by."""
    rows, misfits = done
    for name in by:
        if name not in rows.schema.names or not pa.types.is_string(rows.schema.field(name).type):
            continue
        empty = pc.indices_nonzero(pc.equal(rows.column(name), "")).to_pylist()
        if empty:
            gone = {misfit.row for misfit in misfits}
            kept = [place for place in range(rows.num_rows + len(gone)) if place not in gone]
            reason = f"{name}: empty text, which Delta cannot keep in a column that files are parted by"
            misfits = sorted([*misfits, *(Misfit(kept[place], reason) for place in empty)])
            rows = without(rows, empty)
    return Conformed(rows, misfits)


def _check(plan: Plan, wider: pa.Schema, given: pa.Table, options: TableOptions, where: str) -> None:
    new = added(plan.schema, wider)
    if new and options.strict and not is_new(plan.schema):
        told = ", ".join(f"{name} ({kind})" for name, kind in new.items())
        raise SchemaRefused(
            f'{where}: the rows have columns that the table does not have, and schema="strict": {told}.',
            hint='leave them out in the source, or take schema="evolve", which adds them',
        )
    wanted = {"merged": plan.keys, "partitioned": options.partition_by if is_new(plan.schema) else ()}
    for done, names in wanted.items():
        missing = [
            name for name in names if name not in wider.names or (done == "merged" and name not in given.schema.names)
        ]
        if missing:
            raise SchemaRefused(
                f"{where}: the rows have no column {', '.join(map(repr, missing))}, by which the table is {done}.",
                hint=f"they have {', '.join(map(repr, given.schema.names))}",
            )


def _merge(plan: Plan, rows: pa.Table, delete: bool) -> None:
    """Rows that come after all that is planned so far: the last one for a key stays."""
    keys = plan.keys
    latest = _latest(rows, keys)
    plan.superseded += rows.num_rows - latest.num_rows
    groups: list[Group] = []
    for earlier in plan.groups:
        mine, theirs = _overlap(latest, earlier.rows, keys)
        if not len(mine):
            groups.append(earlier)
            continue
        plan.superseded += len(mine)
        groups.append(Group(_all_but(earlier.rows, theirs), earlier.delete, earlier.whole))
        if delete:
            continue
        both = latest.take(mine)
        if not earlier.delete:
            before = earlier.rows.take(theirs)
            for name in before.schema.names:
                if name not in both.schema.names:
                    both = both.append_column(before.schema.field(name), before.column(name))
        groups.append(Group(both, whole=earlier.delete or earlier.whole))
        latest = _all_but(latest, mine)
    groups.append(Group(latest, delete))
    plan.groups = [group for group in groups if group.rows.num_rows]


def _latest(rows: pa.Table, keys: Sequence[str]) -> pa.Table:
    """The last row of each key, in the order of the rows."""
    numbered = rows.select(list(keys)).append_column(_PLACE, pa.arange(0, rows.num_rows))
    last = numbered.group_by(list(keys), use_threads=False).aggregate([(_PLACE, "max")]).column(f"{_PLACE}_max")
    return rows if len(last) == rows.num_rows else rows.take(last.take(pc.sort_indices(last)))


def _overlap(rows: pa.Table, others: pa.Table, keys: Sequence[str]) -> tuple[pa.Array, pa.Array]:
    """The places of keys that both have, in the one and in the other."""
    both = pa.concat_tables([_numbered(rows, keys, True), _numbered(others, keys, False)])
    places = both.group_by(list(keys), use_threads=False).aggregate([(_MINE, "max"), (_THEIRS, "max")])
    mine, theirs = (places.column(f"{name}_max").combine_chunks() for name in (_MINE, _THEIRS))
    shared = pc.and_(pc.is_valid(mine), pc.is_valid(theirs))
    return mine.filter(shared), theirs.filter(shared)


def _numbered(rows: pa.Table, keys: Sequence[str], mine: bool) -> pa.Table:
    places, nothing = pa.arange(0, rows.num_rows), pa.nulls(rows.num_rows, pa.int64())
    plain = rows.select(list(keys))
    first, second = (places, nothing) if mine else (nothing, places)
    return plain.append_column(_MINE, first).append_column(_THEIRS, second)


def _all_but(rows: pa.Table, places: pa.Array) -> pa.Table:
    every = pa.arange(0, rows.num_rows)
    return rows.filter(pc.invert(pc.is_in(every, places)))


def source_of(plan: Plan) -> pa.Table:
    """The rows of a merge, each with the number of its clause."""
    tables = []
    for number, group in enumerate(plan.groups):
        which = pa.array([number], pa.int32()).take(pa.array([0] * group.rows.num_rows, pa.int64()))
        tables.append(group.rows.append_column(_CLAUSE, which))
    return pa.concat_tables(tables, promote_options="default")


def clauses_of(plan: Plan, schema: pa.Schema) -> list[Clause]:
    """What happens to the rows of each group."""
    found = []
    for number, group in enumerate(plan.groups):
        values = {quoted(name): f"s.{quoted(name)}" for name in group.rows.schema.names}
        if group.whole:
            values |= {quoted(name): "NULL" for name in schema.names if name not in group.rows.schema.names}
        found.append(Clause(f"s.{quoted(_CLAUSE)} = {number}", values, group.delete))
    return found


def matching(keys: Sequence[str], source: pa.Table) -> str:
    """When a row of a merge and one of the table belong together; null is a key like others, where the rows have it."""
    pairs = [(f"t.{quoted(name)}", f"s.{quoted(name)}", source.column(name).null_count) for name in keys]
    return " AND ".join(
        f"{one} IS NOT DISTINCT FROM {other}" if nulls else f"{one} = {other}" for one, other, nulls in pairs
    )
