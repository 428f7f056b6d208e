"""The journal's tables, for migrations and for queries that are put together (SQLAlchemy Core).

Nothing on the way of a run imports this: a current journal is opened and written without SQLAlchemy.

Three things are so on purpose. A position in SQLite is the row's number, without AUTOINCREMENT, which would cost six
microseconds a commit. A position in PostgreSQL is made from the transaction's number (see `postgres/statements.py`).
And what is compared or sorted by its bytes has the collation "C" in PostgreSQL, as it has in SQLite anyway.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import postgresql

metadata = MetaData()

_Key = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
_Body = LargeBinary().with_variant(postgresql.JSON(), "postgresql")
_Row = BigInteger().with_variant(Integer(), "sqlite")


def _needed(name: str, kind: Any, *more: Any, **options: Any) -> Column[Any]:
    return Column(name, kind, *more, nullable=False, **options)


events = Table(
    "events",
    metadata,
    _needed("position", _Row, autoincrement=False),
    _needed("run_id", _Key),
    _needed("seq", BigInteger()),
    _needed("type", Text()),
    _needed("version", Integer()),
    _needed("at", BigInteger()),
    _needed("body", _Body),
    Column("data", LargeBinary()),
    PrimaryKeyConstraint("position", name="pk_events"),
    UniqueConstraint("run_id", "seq", name="uq_events_run_id_seq"),
)

runs = Table(
    "runs",
    metadata,
    _needed("id", _Key),
    _needed("name", _Key),
    _needed("flow", _Key),
    Column("flow_version", Text()),
    _needed("state", _Key),
    _needed("state_name", Text()),
    Column("message", Text()),
    Column("entrypoint", Text()),
    _needed("parameters", Text()),
    _needed("tags", Text()),
    Column("parent_id", _Key),
    Column("parent_key", Text()),
    _needed("root_id", Text()),
    Column("origin_id", Text()),
    Column("origin", Text()),
    Column("from_step", Text()),
    _needed("attempt", Integer()),
    _needed("created_at", BigInteger()),
    Column("started_at", BigInteger()),
    Column("ended_at", BigInteger()),
    Column("owner", Text()),
    Column("lease_until", BigInteger()),
    _needed("cancel_requested", Boolean()),
    PrimaryKeyConstraint("id", name="pk_runs"),
)
Index("ix_runs_state", runs.c.state, runs.c.id)
Index("ix_runs_flow", runs.c.flow, runs.c.id)
Index("ix_runs_parent", runs.c.parent_id, runs.c.id)
Index("ix_runs_parent_flow", runs.c.parent_id, runs.c.flow, runs.c.id)
Index("ix_runs_name", runs.c.name)

task_runs = Table(
    "task_runs",
    metadata,
    _needed("run_id", _Key),
    _needed("key", _Key),
    _needed("name", Text()),
    _needed("task", Text()),
    _needed("state", Text()),
    _needed("state_name", Text()),
    Column("message", Text()),
    Column("parent", _Key),
    _needed("ordinal", Integer()),
    _needed("attempt", Integer()),
    Column("started_at", BigInteger()),
    Column("ended_at", BigInteger()),
    _needed("tags", Text()),
    Column("child_id", Text()),
    PrimaryKeyConstraint("run_id", "key", name="pk_task_runs"),
    sqlite_with_rowid=False,
)

logs = Table(
    "logs",
    metadata,
    _needed("id", _Row, Identity()),
    _needed("run_id", _Key),
    Column("key", Text()),
    _needed("at", BigInteger()),
    _needed("level", Integer()),
    _needed("logger", Text()),
    _needed("message", Text()),
    PrimaryKeyConstraint("id", name="pk_logs"),
)
Index("ix_logs_run", logs.c.run_id, logs.c.id)

cursors = Table(
    "cursors",
    metadata,
    _needed("name", _Key),
    _needed("position", BigInteger()),
    PrimaryKeyConstraint("name", name="pk_cursors"),
)
