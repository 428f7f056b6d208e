"""First tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_key = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
_body = sa.LargeBinary().with_variant(postgresql.JSON(), "postgresql")
_row = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _events()
    _runs()
    _task_runs()
    op.create_table(
        "logs",
        sa.Column("id", _row, sa.Identity(), nullable=False),
        sa.Column("run_id", _key, nullable=False),
        sa.Column("key", sa.Text()),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("logger", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_logs"),
    )
    op.create_index("ix_logs_run", "logs", ["run_id", "id"])
    op.create_table(
        "cursors",
        sa.Column("name", _key, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_cursors"),
    )


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("position", _row, nullable=False, autoincrement=False),
        sa.Column("run_id", _key, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body", _body, nullable=False),
        sa.Column("data", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("position", name="pk_events"),
        sa.UniqueConstraint("run_id", "seq", name="uq_events_run_id_seq"),
    )


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", _key, nullable=False),
        sa.Column("name", _key, nullable=False),
        sa.Column("flow", _key, nullable=False),
        sa.Column("flow_version", sa.Text()),
        sa.Column("state", _key, nullable=False),
        sa.Column("state_name", sa.Text(), nullable=False),
        sa.Column("message", sa.Text()),
        sa.Column("entrypoint", sa.Text()),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("parent_id", _key),
        sa.Column("parent_key", sa.Text()),
        sa.Column("root_id", sa.Text(), nullable=False),
        sa.Column("origin_id", sa.Text()),
        sa.Column("origin", sa.Text()),
        sa.Column("from_step", sa.Text()),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("owner", sa.Text()),
        sa.Column("lease_until", sa.BigInteger()),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_state", "runs", ["state", "id"])
    op.create_index("ix_runs_flow", "runs", ["flow", "id"])
    op.create_index("ix_runs_parent", "runs", ["parent_id", "id"])
    op.create_index("ix_runs_parent_flow", "runs", ["parent_id", "flow", "id"])
    op.create_index("ix_runs_name", "runs", ["name"])


def _task_runs() -> None:
    op.create_table(
        "task_runs",
        sa.Column("run_id", _key, nullable=False),
        sa.Column("key", _key, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("state_name", sa.Text(), nullable=False),
        sa.Column("message", sa.Text()),
        sa.Column("parent", _key),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("child_id", sa.Text()),
        sa.PrimaryKeyConstraint("run_id", "key", name="pk_task_runs"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop them all, newest first."""
    for table in ("cursors", "logs", "task_runs", "runs", "events"):
        op.drop_table(table)
