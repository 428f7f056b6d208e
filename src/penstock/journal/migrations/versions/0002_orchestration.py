"""Streams that are no runs; deployments, schedules, pools, limits, cache, artifacts, automations, and data."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from penstock.core.events import decode_event
from penstock.journal.rows import result_refs
from penstock.journal.terms import ref_term, terms_of_message, terms_of_run

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_key = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
_row = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_RUN_COLUMNS: tuple[tuple[str, Any], ...] = (
    ("deployment", _key),
    ("pool", _key),
    ("queue", _key),
    ("priority", sa.Integer()),
    ("due_at", sa.BigInteger()),
    ("scheduled_at", sa.BigInteger()),
    ("partition", sa.Text()),
    ("interval_start", sa.BigInteger()),
    ("interval_end", sa.BigInteger()),
    ("crashes", sa.Integer()),
    ("waiting", sa.Text()),
    ("cause", sa.Text()),
    ("pause_requested", sa.Boolean()),
)
_DEFAULTS: dict[str, Any] = {"priority": "0", "crashes": "0", "pause_requested": sa.false()}
_FORMER_INDEXES: dict[str, list[str]] = {
    "ix_runs_state": ["state", "id"],
    "ix_runs_flow": ["flow", "id"],
    "ix_runs_parent": ["parent_id", "id"],
    "ix_runs_parent_flow": ["parent_id", "flow", "id"],
    "ix_runs_name": ["name"],
}
_ROOT, _BELOW = "parent_id IS NULL", "parent_id IS NOT NULL"
_INDEXES: dict[str, tuple[list[str], str | None]] = {
    "ix_runs_roots": (["id"], _ROOT),
    "ix_runs_state": (["state", "id"], _ROOT),
    "ix_runs_state_below": (["state", "id"], _BELOW),
    "ix_runs_flow": (["flow", "id"], _ROOT),
    "ix_runs_flow_below": (["flow", "id"], _BELOW),
    "ix_runs_parent": (["parent_id", "id"], _BELOW),
    "ix_runs_name": (["name", "id"], None),
}
_TABLES = ("terms", "deployments", "schedules", "pools", "queues", "workers", "leases", "limits", "tickets", "cache")


def upgrade() -> None:
    """Rename the column that names a stream, and make the tables of what is planned."""
    op.execute("ALTER TABLE events RENAME COLUMN run_id TO stream")
    for name, kind in _RUN_COLUMNS:
        default = _DEFAULTS.get(name)
        op.add_column("runs", sa.Column(name, kind, nullable=default is None, server_default=default))
    _index("ix_runs_deployment", "runs", ["deployment", "id"], "deployment IS NOT NULL")
    due = ["pool", "queue", "priority", "due_at", "id"]
    _index("ix_runs_due", "runs", due, "due_at IS NOT NULL AND owner IS NULL")
    _index("ix_runs_held", "runs", ["pool", "lease_until"], "owner IS NOT NULL")
    for name in _FORMER_INDEXES:
        op.drop_index(name, "runs")
    for name, (columns, where) in _INDEXES.items():
        _index(name, "runs", columns, where)
    _search()
    _deployments()
    _pools()
    _limits()
    _results()
    _connections()
    _bookmarks()
    _workflows()
    _datasets()
    _webhooks()
    _files()
    _access()


def _index(name: str, table: str, columns: list[str], where: str | None = None) -> None:
    condition = sa.text(where) if where else None
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)


def _needed(name: str, kind: Any, *more: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, *more, nullable=False, **options)


def _search() -> None:
    op.create_table(
        "terms",
        _needed("term", _key),
        _needed("run_id", _key),
        sa.PrimaryKeyConstraint("term", "run_id", name="pk_terms"),
        sqlite_with_rowid=False,
    )
    _index("ix_terms_run", "terms", ["run_id", "term"])
    if not op.get_context().as_sql:
        _fill_terms(op.get_bind())


def _fill_terms(connection: sa.Connection) -> None:
    """What the runs that are there can be found by, and which results they refer to."""
    texts = "SELECT id, name, flow, message, parameters, tags, parent_id, state FROM runs WHERE id > :after"
    after = ""
    while rows := connection.execute(sa.text(f"{texts} ORDER BY id LIMIT 1000"), {"after": after}).fetchall():
        after = rows[-1][0]
        _add_terms(connection, [(term, row[0]) for row in rows for term in _terms_of(*row)])
    bodies = "SELECT position, stream, type, version, at, CAST(body AS TEXT) FROM events WHERE position > :after"
    place = 0
    while rows := connection.execute(sa.text(f"{bodies} ORDER BY position LIMIT 1000"), {"after": place}).fetchall():
        place = rows[-1][0]
        found = [
            (ref_term(ref), stream)
            for _, stream, name, version, at, body in rows
            if '"ref"' in body
            for ref in result_refs(decode_event(name, version, at, body.encode()))
        ]
        _add_terms(connection, found)


def _terms_of(
    run_id: str, name: str, flow: str, message: str | None, parameters: str, tags: str, parent: str | None, state: str
) -> list[str]:
    child = parent is not None
    found = terms_of_run(run_id, (name, flow), json.loads(tags), json.loads(parameters), None, child=child)
    if message and state in ("Failed", "Crashed", "Cancelled"):
        found += terms_of_message(message)
    return list(dict.fromkeys(found))


def _add_terms(connection: sa.Connection, rows: list[tuple[str, str]]) -> None:
    if rows:
        sql = "INSERT INTO terms (term, run_id) VALUES (:term, :run_id) ON CONFLICT DO NOTHING"
        connection.execute(sa.text(sql), [{"term": term, "run_id": run_id} for term, run_id in rows])


def _deployments() -> None:
    op.create_table(
        "deployments",
        _needed("name", _key),
        _needed("flow", sa.Text()),
        _needed("spec", sa.Text()),
        _needed("pool", sa.Text()),
        _needed("queue", sa.Text()),
        sa.Column("concurrency", sa.Integer()),
        _needed("paused", sa.Boolean()),
        _needed("updated_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("name", name="pk_deployments"),
    )
    op.create_table(
        "schedules",
        _needed("deployment", _key),
        _needed("name", _key),
        _needed("spec", sa.Text()),
        _needed("paused", sa.Boolean()),
        sa.Column("fired_until", sa.BigInteger()),
        sa.Column("next_due", sa.BigInteger()),
        sa.PrimaryKeyConstraint("deployment", "name", name="pk_schedules"),
    )
    _index("ix_schedules_due", "schedules", ["next_due"], "next_due IS NOT NULL")


def _pools() -> None:
    op.create_table(
        "pools",
        _needed("name", _key),
        sa.Column("slots", sa.Integer()),
        _needed("paused", sa.Boolean()),
        sa.Column("description", sa.Text()),
        sa.PrimaryKeyConstraint("name", name="pk_pools"),
    )
    op.create_table(
        "queues",
        _needed("pool", _key),
        _needed("name", _key),
        _needed("priority", sa.Integer()),
        sa.Column("slots", sa.Integer()),
        _needed("paused", sa.Boolean()),
        sa.PrimaryKeyConstraint("pool", "name", name="pk_queues"),
    )
    op.create_table(
        "workers",
        _needed("id", _key),
        _needed("pool", _key),
        _needed("queues", sa.Text()),
        _needed("slots", sa.Integer()),
        _needed("running", sa.Integer()),
        _needed("state", sa.Text()),
        _needed("started_at", sa.BigInteger()),
        _needed("seen_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )
    op.create_table(
        "leases",
        _needed("name", _key),
        _needed("owner", sa.Text()),
        _needed("until", sa.BigInteger()),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )


def _limits() -> None:
    op.create_table(
        "limits",
        _needed("name", _key),
        sa.Column("slots", sa.Integer()),
        sa.Column("per_second", sa.Double()),
        _needed("burst", sa.Integer()),
        _needed("declared", sa.Boolean()),
        _needed("turn", sa.BigInteger(), server_default="0"),
        sa.PrimaryKeyConstraint("name", name="pk_limits"),
    )
    op.create_table(
        "tickets",
        _needed("id", _row, sa.Identity()),
        _needed("limit_name", _key),
        _needed("run_id", _key),
        _needed("owner", sa.Text()),
        sa.Column("step", sa.Text()),
        _needed("occupy", sa.Integer()),
        _needed("at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_tickets"),
        sqlite_autoincrement=True,
    )
    _index("ix_tickets_limit", "tickets", ["limit_name", "id"])


def _results() -> None:
    op.create_table(
        "cache",
        _needed("key", _key),
        _needed("task", _key),
        _needed("run_id", _key),
        _needed("step", sa.Text()),
        _needed("created_at", sa.BigInteger()),
        sa.Column("expires_at", sa.BigInteger()),
        _needed("saved", sa.Text()),
        sa.Column("data", sa.LargeBinary()),
        sa.Column("ref", _key),
        sa.PrimaryKeyConstraint("key", name="pk_cache"),
    )
    _index("ix_cache_task", "cache", ["task", "key"])
    _index("ix_cache_run", "cache", ["run_id"])
    _index("ix_cache_ref", "cache", ["ref"], "ref IS NOT NULL")
    op.create_table(
        "artifacts",
        _needed("id", _key),
        sa.Column("key", _key),
        _needed("kind", sa.Text()),
        _needed("run_id", _key),
        sa.Column("step", sa.Text()),
        sa.Column("description", sa.Text()),
        _needed("at", sa.BigInteger()),
        _needed("data", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("id", name="pk_artifacts"),
    )
    _index("ix_artifacts_key", "artifacts", ["key", "id"])
    _index("ix_artifacts_run", "artifacts", ["run_id", "id"])
    op.create_table(
        "automations",
        _needed("name", _key),
        _needed("spec", sa.Text()),
        _needed("paused", sa.Boolean()),
        sa.Column("fired_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("name", name="pk_automations"),
    )
    _automations()
    op.create_table(
        "backfills",
        _needed("id", _key),
        _needed("flow", _key),
        _needed("pool", sa.Text()),
        _needed("slots", sa.Integer()),
        _needed("partitions", sa.Integer()),
        _needed("state", sa.Text()),
        _needed("created_at", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_backfills"),
    )
    op.create_table(
        "partitions",
        _needed("flow", _key),
        _needed("partition", _key),
        _needed("at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("flow", "partition", name="pk_partitions"),
    )


def _automations() -> None:
    op.create_table(
        "automation_groups",
        _needed("automation", _key),
        _needed("grp", _key),
        _needed("state", sa.Text()),
        sa.PrimaryKeyConstraint("automation", "grp", name="pk_automation_groups"),
    )
    op.create_table(
        "owed_actions",
        _needed("firing", _key),
        _needed("action", sa.Integer()),
        _needed("automation", sa.Text()),
        _needed("outside", sa.Boolean()),
        _needed("due_at", sa.BigInteger()),
        _needed("position", sa.BigInteger()),
        _needed("attempt", sa.Integer()),
        _needed("under_way", sa.Boolean()),
        _needed("lane", sa.Text()),
        _needed("content", sa.Text()),
        sa.PrimaryKeyConstraint("firing", "action", name="pk_owed_actions"),
    )
    _index("ix_owed_actions_due", "owed_actions", ["outside", "due_at"])


def _connections() -> None:
    op.create_table(
        "connections",
        _needed("name", _key),
        _needed("type", sa.Text()),
        _needed("key", sa.Text()),
        _needed("sealed", sa.LargeBinary()),
        _needed("seq", sa.BigInteger()),
        _needed("saved_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("name", name="pk_connections"),
    )


def _bookmarks() -> None:
    op.create_table(
        "bookmarks",
        _needed("name", _key),
        _needed("seq", sa.BigInteger()),
        _needed("saved_at", sa.BigInteger()),
        _needed("data", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("name", name="pk_bookmarks"),
    )


def _workflows() -> None:
    op.create_table(
        "workflows",
        _needed("name", _key),
        _needed("version", sa.Integer()),
        _needed("spec", sa.Text()),
        _needed("tags", sa.Text()),
        _needed("created_at", sa.BigInteger()),
        _needed("updated_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("name", name="pk_workflows"),
    )


def _datasets() -> None:
    op.create_table(
        "datasets",
        _needed("place", _key),
        _needed("namespace", sa.Text()),
        _needed("path", sa.Text()),
        sa.Column("name", _key),
        sa.Column("address", sa.Text()),
        sa.Column("spec", sa.Text()),
        sa.Column("columns", sa.Text()),
        sa.Column("data_version", sa.Text()),
        sa.Column("landed", sa.BigInteger()),
        sa.Column("rejected", sa.BigInteger()),
        sa.Column("written_at", sa.BigInteger()),
        sa.Column("written_by", sa.Text()),
        sa.Column("read_at", sa.BigInteger()),
        sa.Column("read_by", sa.Text()),
        sa.PrimaryKeyConstraint("place", name="pk_datasets"),
    )
    _index("ix_datasets_name", "datasets", ["name"])


def _webhooks() -> None:
    op.create_table(
        "webhooks",
        _needed("name", _key),
        _needed("spec", sa.Text()),
        _needed("updated_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("name", name="pk_webhooks"),
    )
    op.create_table(
        "deliveries",
        _needed("id", _key),
        _needed("hook", _key),
        _needed("stream", _key),
        _needed("at", sa.BigInteger()),
        _needed("status", _key),
        sa.Column("delivery", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("message", sa.Text()),
        sa.Column("address", sa.Text()),
        _needed("size", sa.BigInteger()),
        _needed("verified", sa.Boolean()),
        sa.Column("again", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
    )
    _index("ix_deliveries_hook", "deliveries", ["hook", "id"])
    _index("ix_deliveries_stream", "deliveries", ["stream"])


def _files() -> None:
    op.create_table(
        "files",
        _needed("id", _key),
        _needed("name", sa.Text()),
        _needed("size", sa.BigInteger()),
        _needed("digest", sa.Text()),
        _needed("media_type", sa.Text()),
        _needed("tags", sa.Text()),
        _needed("at", sa.BigInteger()),
        sa.Column("uploaded_by", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_files"),
    )


def _access() -> None:
    op.create_table(
        "credentials",
        _needed("name", _key),
        _needed("owner", _key),
        _needed("data", sa.LargeBinary()),
        _needed("seq", sa.BigInteger()),
        sa.Column("until", sa.BigInteger()),
        sa.PrimaryKeyConstraint("name", name="pk_credentials"),
    )
    _index("ix_credentials_owner", "credentials", ["owner"])
    _index("ix_credentials_until", "credentials", ["until"])
    op.create_table(
        "audit",
        _needed("number", sa.BigInteger()),
        _needed("at", sa.BigInteger()),
        _needed("who", _key),
        _needed("deed", _key),
        _needed("target", _key),
        sa.PrimaryKeyConstraint("number", name="pk_audit"),
    )
    _index("ix_audit_who", "audit", ["who", "number"])
    _index("ix_audit_target", "audit", ["target", "number"])


def downgrade() -> None:
    """Drop what this layout added; what is planned is lost, runs are not."""
    others = (
        "artifacts",
        "automations",
        "automation_groups",
        "owed_actions",
        "backfills",
        "partitions",
        "files",
        "credentials",
        "audit",
    )
    for table in (*_TABLES, *others, "connections", "bookmarks", "workflows", "datasets", "webhooks", "deliveries"):
        op.drop_table(table)
    for index in ("ix_runs_deployment", "ix_runs_due", "ix_runs_held", *_INDEXES):
        op.drop_index(index, "runs")
    for index, columns in _FORMER_INDEXES.items():
        _index(index, "runs", columns)
    for name, _ in reversed(_RUN_COLUMNS):
        op.drop_column("runs", name)
    op.execute("DELETE FROM events WHERE stream LIKE '%/%'")
    op.execute("ALTER TABLE events RENAME COLUMN stream TO run_id")
