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
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.dialects import postgresql

metadata = MetaData()

_Key = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
_Body = LargeBinary().with_variant(postgresql.JSON(), "postgresql")
_Row = BigInteger().with_variant(Integer(), "sqlite")


def _needed(name: str, kind: Any, *more: Any, **options: Any) -> Column[Any]:
    return Column(name, kind, *more, nullable=False, **options)


def _where(condition: Any) -> dict[str, Any]:
    """A partial index, in both dialects."""
    return {"sqlite_where": condition, "postgresql_where": condition}


events = Table(
    "events",
    metadata,
    _needed("position", _Row, autoincrement=False),
    _needed("stream", _Key),
    _needed("seq", BigInteger()),
    _needed("type", Text()),
    _needed("version", Integer()),
    _needed("at", BigInteger()),
    _needed("body", _Body),
    Column("data", LargeBinary()),
    PrimaryKeyConstraint("position", name="pk_events"),
    UniqueConstraint("stream", "seq", name="uq_events_run_id_seq"),
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
    Column("deployment", _Key),
    Column("pool", _Key),
    Column("queue", _Key),
    _needed("priority", Integer(), server_default="0"),
    Column("due_at", BigInteger()),
    Column("scheduled_at", BigInteger()),
    Column("partition", Text()),
    Column("interval_start", BigInteger()),
    Column("interval_end", BigInteger()),
    _needed("crashes", Integer(), server_default="0"),
    Column("waiting", Text()),
    Column("cause", Text()),
    _needed("pause_requested", Boolean(), server_default=false()),
    PrimaryKeyConstraint("id", name="pk_runs"),
)
_root, _below = runs.c.parent_id.is_(None), runs.c.parent_id.is_not(None)
Index("ix_runs_roots", runs.c.id, **_where(_root))
Index("ix_runs_state", runs.c.state, runs.c.id, **_where(_root))
Index("ix_runs_state_below", runs.c.state, runs.c.id, **_where(_below))
Index("ix_runs_flow", runs.c.flow, runs.c.id, **_where(_root))
Index("ix_runs_flow_below", runs.c.flow, runs.c.id, **_where(_below))
Index("ix_runs_parent", runs.c.parent_id, runs.c.id, **_where(_below))
Index("ix_runs_name", runs.c.name, runs.c.id)
Index("ix_runs_deployment", runs.c.deployment, runs.c.id, **_where(runs.c.deployment.is_not(None)))
Index(
    "ix_runs_due",
    *(runs.c.pool, runs.c.queue, runs.c.priority, runs.c.due_at, runs.c.id),
    **_where(runs.c.due_at.is_not(None) & runs.c.owner.is_(None)),
)
Index("ix_runs_held", runs.c.pool, runs.c.lease_until, **_where(runs.c.owner.is_not(None)))

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

terms = Table(
    "terms",
    metadata,
    _needed("term", _Key),
    _needed("run_id", _Key),
    PrimaryKeyConstraint("term", "run_id", name="pk_terms"),
    sqlite_with_rowid=False,
)
Index("ix_terms_run", terms.c.run_id, terms.c.term)

deployments = Table(
    "deployments",
    metadata,
    _needed("name", _Key),
    _needed("flow", Text()),
    _needed("spec", Text()),
    _needed("pool", Text()),
    _needed("queue", Text()),
    Column("concurrency", Integer()),
    _needed("paused", Boolean()),
    _needed("updated_at", BigInteger()),
    PrimaryKeyConstraint("name", name="pk_deployments"),
)

schedules = Table(
    "schedules",
    metadata,
    _needed("deployment", _Key),
    _needed("name", _Key),
    _needed("spec", Text()),
    _needed("paused", Boolean()),
    Column("fired_until", BigInteger()),
    Column("next_due", BigInteger()),
    PrimaryKeyConstraint("deployment", "name", name="pk_schedules"),
)
Index("ix_schedules_due", schedules.c.next_due, **_where(schedules.c.next_due.is_not(None)))

pools = Table(
    "pools",
    metadata,
    _needed("name", _Key),
    Column("slots", Integer()),
    _needed("paused", Boolean()),
    Column("description", Text()),
    PrimaryKeyConstraint("name", name="pk_pools"),
)

queues = Table(
    "queues",
    metadata,
    _needed("pool", _Key),
    _needed("name", _Key),
    _needed("priority", Integer()),
    Column("slots", Integer()),
    _needed("paused", Boolean()),
    PrimaryKeyConstraint("pool", "name", name="pk_queues"),
)

workers = Table(
    "workers",
    metadata,
    _needed("id", _Key),
    _needed("pool", _Key),
    _needed("queues", Text()),
    _needed("slots", Integer()),
    _needed("running", Integer()),
    _needed("state", Text()),
    _needed("started_at", BigInteger()),
    _needed("seen_at", BigInteger()),
    PrimaryKeyConstraint("id", name="pk_workers"),
)

leases = Table(
    "leases",
    metadata,
    _needed("name", _Key),
    _needed("owner", Text()),
    _needed("until", BigInteger()),
    PrimaryKeyConstraint("name", name="pk_leases"),
)

limits = Table(
    "limits",
    metadata,
    _needed("name", _Key),
    Column("slots", Integer()),
    Column("per_second", Double()),
    _needed("burst", Integer()),
    _needed("declared", Boolean()),
    _needed("turn", BigInteger(), server_default="0"),
    PrimaryKeyConstraint("name", name="pk_limits"),
)

tickets = Table(
    "tickets",
    metadata,
    _needed("id", _Row, Identity()),
    _needed("limit_name", _Key),
    _needed("run_id", _Key),
    _needed("owner", Text()),
    Column("step", Text()),
    _needed("occupy", Integer()),
    _needed("at", BigInteger()),
    PrimaryKeyConstraint("id", name="pk_tickets"),
    sqlite_autoincrement=True,
)
Index("ix_tickets_limit", tickets.c.limit_name, tickets.c.id)

cache = Table(
    "cache",
    metadata,
    _needed("key", _Key),
    _needed("task", _Key),
    _needed("run_id", _Key),
    _needed("step", Text()),
    _needed("created_at", BigInteger()),
    Column("expires_at", BigInteger()),
    _needed("saved", Text()),
    Column("data", LargeBinary()),
    Column("ref", _Key),
    PrimaryKeyConstraint("key", name="pk_cache"),
)
Index("ix_cache_task", cache.c.task, cache.c.key)
Index("ix_cache_run", cache.c.run_id)
Index("ix_cache_ref", cache.c.ref, **_where(cache.c.ref.is_not(None)))

artifacts = Table(
    "artifacts",
    metadata,
    _needed("id", _Key),
    Column("key", _Key),
    _needed("kind", Text()),
    _needed("run_id", _Key),
    Column("step", Text()),
    Column("description", Text()),
    _needed("at", BigInteger()),
    _needed("data", LargeBinary()),
    PrimaryKeyConstraint("id", name="pk_artifacts"),
)
Index("ix_artifacts_key", artifacts.c.key, artifacts.c.id)
Index("ix_artifacts_run", artifacts.c.run_id, artifacts.c.id)

automations = Table(
    "automations",
    metadata,
    _needed("name", _Key),
    _needed("spec", Text()),
    _needed("paused", Boolean()),
    Column("fired_at", BigInteger()),
    PrimaryKeyConstraint("name", name="pk_automations"),
)

automation_groups = Table(
    "automation_groups",
    metadata,
    _needed("automation", _Key),
    _needed("grp", _Key),
    _needed("state", Text()),
    PrimaryKeyConstraint("automation", "grp", name="pk_automation_groups"),
)

owed_actions = Table(
    "owed_actions",
    metadata,
    _needed("firing", _Key),
    _needed("action", Integer()),
    _needed("automation", Text()),
    _needed("outside", Boolean()),
    _needed("due_at", BigInteger()),
    _needed("position", BigInteger()),
    _needed("attempt", Integer()),
    _needed("under_way", Boolean()),
    _needed("lane", Text()),
    _needed("content", Text()),
    PrimaryKeyConstraint("firing", "action", name="pk_owed_actions"),
)
Index("ix_owed_actions_due", owed_actions.c.outside, owed_actions.c.due_at)

backfills = Table(
    "backfills",
    metadata,
    _needed("id", _Key),
    _needed("flow", _Key),
    _needed("pool", Text()),
    _needed("slots", Integer()),
    _needed("partitions", Integer()),
    _needed("state", Text()),
    _needed("created_at", BigInteger()),
    Column("ended_at", BigInteger()),
    PrimaryKeyConstraint("id", name="pk_backfills"),
)

partitions = Table(
    "partitions",
    metadata,
    _needed("flow", _Key),
    _needed("partition", _Key),
    _needed("at", BigInteger()),
    PrimaryKeyConstraint("flow", "partition", name="pk_partitions"),
)

connections = Table(
    "connections",
    metadata,
    _needed("name", _Key),
    _needed("type", Text()),
    _needed("key", Text()),
    _needed("sealed", LargeBinary()),
    _needed("seq", BigInteger()),
    _needed("saved_at", BigInteger()),
    PrimaryKeyConstraint("name", name="pk_connections"),
)

bookmarks = Table(
    "bookmarks",
    metadata,
    _needed("name", _Key),
    _needed("seq", BigInteger()),
    _needed("saved_at", BigInteger()),
    _needed("data", LargeBinary()),
    PrimaryKeyConstraint("name", name="pk_bookmarks"),
)

workflows = Table(
    "workflows",
    metadata,
    _needed("name", _Key),
    _needed("version", Integer()),
    _needed("spec", Text()),
    _needed("tags", Text()),
    _needed("created_at", BigInteger()),
    _needed("updated_at", BigInteger()),
    PrimaryKeyConstraint("name", name="pk_workflows"),
)

datasets = Table(
    "datasets",
    metadata,
    _needed("place", _Key),
    _needed("namespace", Text()),
    _needed("path", Text()),
    Column("name", _Key),
    Column("address", Text()),
    Column("spec", Text()),
    Column("columns", Text()),
    Column("data_version", Text()),
    Column("landed", BigInteger()),
    Column("rejected", BigInteger()),
    Column("written_at", BigInteger()),
    Column("written_by", Text()),
    Column("read_at", BigInteger()),
    Column("read_by", Text()),
    PrimaryKeyConstraint("place", name="pk_datasets"),
)
Index("ix_datasets_name", datasets.c.name)

webhooks = Table(
    "webhooks",
    metadata,
    _needed("name", _Key),
    _needed("spec", Text()),
    _needed("updated_at", BigInteger()),
    PrimaryKeyConstraint("name", name="pk_webhooks"),
)

deliveries = Table(
    "deliveries",
    metadata,
    _needed("id", _Key),
    _needed("hook", _Key),
    _needed("stream", _Key),
    _needed("at", BigInteger()),
    _needed("status", _Key),
    Column("delivery", Text()),
    Column("reason", Text()),
    Column("message", Text()),
    Column("address", Text()),
    _needed("size", BigInteger()),
    _needed("verified", Boolean()),
    Column("again", Text()),
    PrimaryKeyConstraint("id", name="pk_deliveries"),
)
Index("ix_deliveries_hook", deliveries.c.hook, deliveries.c.id)
Index("ix_deliveries_stream", deliveries.c.stream)

files = Table(
    "files",
    metadata,
    _needed("id", _Key),
    _needed("name", Text()),
    _needed("size", BigInteger()),
    _needed("digest", Text()),
    _needed("media_type", Text()),
    _needed("tags", Text()),
    _needed("at", BigInteger()),
    Column("uploaded_by", Text()),
    PrimaryKeyConstraint("id", name="pk_files"),
)

credentials = Table(
    "credentials",
    metadata,
    _needed("name", _Key),
    _needed("owner", _Key),
    _needed("data", LargeBinary()),
    _needed("seq", BigInteger()),
    Column("until", BigInteger()),
    PrimaryKeyConstraint("name", name="pk_credentials"),
)
Index("ix_credentials_owner", credentials.c.owner)
Index("ix_credentials_until", credentials.c.until)

audit = Table(
    "audit",
    metadata,
    _needed("number", BigInteger()),
    _needed("at", BigInteger()),
    _needed("who", _Key),
    _needed("deed", _Key),
    _needed("target", _Key),
    PrimaryKeyConstraint("number", name="pk_audit"),
)
Index("ix_audit_who", audit.c.who, audit.c.number)
Index("ix_audit_target", audit.c.target, audit.c.number)
