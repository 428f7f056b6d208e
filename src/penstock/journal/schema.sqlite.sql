CREATE TABLE alembic_version (
  version_num VARCHAR(32) NOT NULL,
  CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE events (
  position INTEGER NOT NULL,
  run_id TEXT NOT NULL,
  seq BIGINT NOT NULL,
  type TEXT NOT NULL,
  version INTEGER NOT NULL,
  at BIGINT NOT NULL,
  body BLOB NOT NULL,
  data BLOB,
  CONSTRAINT pk_events PRIMARY KEY (position),
  CONSTRAINT uq_events_run_id_seq UNIQUE (run_id, seq)
);
CREATE TABLE runs (
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  flow TEXT NOT NULL,
  flow_version TEXT,
  state TEXT NOT NULL,
  state_name TEXT NOT NULL,
  message TEXT,
  entrypoint TEXT,
  parameters TEXT NOT NULL,
  tags TEXT NOT NULL,
  parent_id TEXT,
  parent_key TEXT,
  root_id TEXT NOT NULL,
  origin_id TEXT,
  origin TEXT,
  from_step TEXT,
  attempt INTEGER NOT NULL,
  created_at BIGINT NOT NULL,
  started_at BIGINT,
  ended_at BIGINT,
  owner TEXT,
  lease_until BIGINT,
  cancel_requested BOOLEAN NOT NULL,
  CONSTRAINT pk_runs PRIMARY KEY (id)
);
CREATE INDEX ix_runs_state ON runs (state, id);
CREATE INDEX ix_runs_flow ON runs (flow, id);
CREATE INDEX ix_runs_parent ON runs (parent_id, id);
CREATE INDEX ix_runs_parent_flow ON runs (parent_id, flow, id);
CREATE INDEX ix_runs_name ON runs (name);
CREATE TABLE task_runs (
  run_id TEXT NOT NULL,
  "key" TEXT NOT NULL,
  name TEXT NOT NULL,
  task TEXT NOT NULL,
  state TEXT NOT NULL,
  state_name TEXT NOT NULL,
  message TEXT,
  parent TEXT,
  ordinal INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  started_at BIGINT,
  ended_at BIGINT,
  tags TEXT NOT NULL,
  child_id TEXT,
  CONSTRAINT pk_task_runs PRIMARY KEY (run_id, "key")
) WITHOUT ROWID;
CREATE TABLE logs (
  id INTEGER NOT NULL,
  run_id TEXT NOT NULL,
  "key" TEXT,
  at BIGINT NOT NULL,
  level INTEGER NOT NULL,
  logger TEXT NOT NULL,
  message TEXT NOT NULL,
  CONSTRAINT pk_logs PRIMARY KEY (id)
);
CREATE INDEX ix_logs_run ON logs (run_id, id);
CREATE TABLE cursors (
  name TEXT NOT NULL,
  position BIGINT NOT NULL,
  CONSTRAINT pk_cursors PRIMARY KEY (name)
);
