CREATE TABLE alembic_version (
  version_num VARCHAR(32) NOT NULL,
  CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE events (
  position INTEGER NOT NULL,
  stream TEXT NOT NULL,
  seq BIGINT NOT NULL,
  type TEXT NOT NULL,
  version INTEGER NOT NULL,
  at BIGINT NOT NULL,
  body BLOB NOT NULL,
  data BLOB,
  CONSTRAINT pk_events PRIMARY KEY (position),
  CONSTRAINT uq_events_run_id_seq UNIQUE (stream, seq)
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
  cancel_requested BOOLEAN NOT NULL, deployment TEXT, pool TEXT, queue TEXT, priority INTEGER DEFAULT '0' NOT NULL, due_at BIGINT, scheduled_at BIGINT, partition TEXT, interval_start BIGINT, interval_end BIGINT, crashes INTEGER DEFAULT '0' NOT NULL, waiting TEXT, cause TEXT, pause_requested BOOLEAN DEFAULT 0 NOT NULL,
  CONSTRAINT pk_runs PRIMARY KEY (id)
);
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
CREATE INDEX ix_runs_deployment ON runs (deployment, id) WHERE deployment IS NOT NULL;
CREATE INDEX ix_runs_due ON runs (pool, queue, priority, due_at, id) WHERE due_at IS NOT NULL AND owner IS NULL;
CREATE INDEX ix_runs_held ON runs (pool, lease_until) WHERE owner IS NOT NULL;
CREATE INDEX ix_runs_roots ON runs (id) WHERE parent_id IS NULL;
CREATE INDEX ix_runs_state ON runs (state, id) WHERE parent_id IS NULL;
CREATE INDEX ix_runs_state_below ON runs (state, id) WHERE parent_id IS NOT NULL;
CREATE INDEX ix_runs_flow ON runs (flow, id) WHERE parent_id IS NULL;
CREATE INDEX ix_runs_flow_below ON runs (flow, id) WHERE parent_id IS NOT NULL;
CREATE INDEX ix_runs_parent ON runs (parent_id, id) WHERE parent_id IS NOT NULL;
CREATE INDEX ix_runs_name ON runs (name, id);
CREATE TABLE terms (
  term TEXT NOT NULL,
  run_id TEXT NOT NULL,
  CONSTRAINT pk_terms PRIMARY KEY (term, run_id)
) WITHOUT ROWID;
CREATE INDEX ix_terms_run ON terms (run_id, term);
CREATE TABLE deployments (
  name TEXT NOT NULL,
  flow TEXT NOT NULL,
  spec TEXT NOT NULL,
  pool TEXT NOT NULL,
  queue TEXT NOT NULL,
  concurrency INTEGER,
  paused BOOLEAN NOT NULL,
  updated_at BIGINT NOT NULL,
  CONSTRAINT pk_deployments PRIMARY KEY (name)
);
CREATE TABLE schedules (
  deployment TEXT NOT NULL,
  name TEXT NOT NULL,
  spec TEXT NOT NULL,
  paused BOOLEAN NOT NULL,
  fired_until BIGINT,
  next_due BIGINT,
  CONSTRAINT pk_schedules PRIMARY KEY (deployment, name)
);
CREATE INDEX ix_schedules_due ON schedules (next_due) WHERE next_due IS NOT NULL;
CREATE TABLE pools (
  name TEXT NOT NULL,
  slots INTEGER,
  paused BOOLEAN NOT NULL,
  description TEXT,
  CONSTRAINT pk_pools PRIMARY KEY (name)
);
CREATE TABLE queues (
  pool TEXT NOT NULL,
  name TEXT NOT NULL,
  priority INTEGER NOT NULL,
  slots INTEGER,
  paused BOOLEAN NOT NULL,
  CONSTRAINT pk_queues PRIMARY KEY (pool, name)
);
CREATE TABLE workers (
  id TEXT NOT NULL,
  pool TEXT NOT NULL,
  queues TEXT NOT NULL,
  slots INTEGER NOT NULL,
  running INTEGER NOT NULL,
  state TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  seen_at BIGINT NOT NULL,
  CONSTRAINT pk_workers PRIMARY KEY (id)
);
CREATE TABLE leases (
  name TEXT NOT NULL,
  owner TEXT NOT NULL,
  until BIGINT NOT NULL,
  CONSTRAINT pk_leases PRIMARY KEY (name)
);
CREATE TABLE limits (
  name TEXT NOT NULL,
  slots INTEGER,
  per_second DOUBLE,
  burst INTEGER NOT NULL,
  declared BOOLEAN NOT NULL,
  turn BIGINT DEFAULT '0' NOT NULL,
  CONSTRAINT pk_limits PRIMARY KEY (name)
);
CREATE TABLE tickets (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  limit_name TEXT NOT NULL,
  run_id TEXT NOT NULL,
  owner TEXT NOT NULL,
  step TEXT,
  occupy INTEGER NOT NULL,
  at BIGINT NOT NULL
);
CREATE INDEX ix_tickets_limit ON tickets (limit_name, id);
CREATE TABLE cache (
  "key" TEXT NOT NULL,
  task TEXT NOT NULL,
  run_id TEXT NOT NULL,
  step TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT,
  saved TEXT NOT NULL,
  data BLOB,
  ref TEXT,
  CONSTRAINT pk_cache PRIMARY KEY ("key")
);
CREATE INDEX ix_cache_task ON cache (task, "key");
CREATE INDEX ix_cache_run ON cache (run_id);
CREATE INDEX ix_cache_ref ON cache (ref) WHERE ref IS NOT NULL;
CREATE TABLE artifacts (
  id TEXT NOT NULL,
  "key" TEXT,
  kind TEXT NOT NULL,
  run_id TEXT NOT NULL,
  step TEXT,
  description TEXT,
  at BIGINT NOT NULL,
  data BLOB NOT NULL,
  CONSTRAINT pk_artifacts PRIMARY KEY (id)
);
CREATE INDEX ix_artifacts_key ON artifacts ("key", id);
CREATE INDEX ix_artifacts_run ON artifacts (run_id, id);
CREATE TABLE automations (
  name TEXT NOT NULL,
  spec TEXT NOT NULL,
  paused BOOLEAN NOT NULL,
  fired_at BIGINT,
  CONSTRAINT pk_automations PRIMARY KEY (name)
);
CREATE TABLE automation_groups (
  automation TEXT NOT NULL,
  grp TEXT NOT NULL,
  state TEXT NOT NULL,
  CONSTRAINT pk_automation_groups PRIMARY KEY (automation, grp)
);
CREATE TABLE owed_actions (
  firing TEXT NOT NULL,
  action INTEGER NOT NULL,
  automation TEXT NOT NULL,
  outside BOOLEAN NOT NULL,
  due_at BIGINT NOT NULL,
  position BIGINT NOT NULL,
  attempt INTEGER NOT NULL,
  under_way BOOLEAN NOT NULL,
  lane TEXT NOT NULL,
  content TEXT NOT NULL,
  CONSTRAINT pk_owed_actions PRIMARY KEY (firing, action)
);
CREATE INDEX ix_owed_actions_due ON owed_actions (outside, due_at);
CREATE TABLE backfills (
  id TEXT NOT NULL,
  flow TEXT NOT NULL,
  pool TEXT NOT NULL,
  slots INTEGER NOT NULL,
  partitions INTEGER NOT NULL,
  state TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  ended_at BIGINT,
  CONSTRAINT pk_backfills PRIMARY KEY (id)
);
CREATE TABLE partitions (
  flow TEXT NOT NULL,
  partition TEXT NOT NULL,
  at BIGINT NOT NULL,
  CONSTRAINT pk_partitions PRIMARY KEY (flow, partition)
);
CREATE TABLE connections (
  name TEXT NOT NULL,
  type TEXT NOT NULL,
  "key" TEXT NOT NULL,
  sealed BLOB NOT NULL,
  seq BIGINT NOT NULL,
  saved_at BIGINT NOT NULL,
  CONSTRAINT pk_connections PRIMARY KEY (name)
);
CREATE TABLE bookmarks (
  name TEXT NOT NULL,
  seq BIGINT NOT NULL,
  saved_at BIGINT NOT NULL,
  data BLOB NOT NULL,
  CONSTRAINT pk_bookmarks PRIMARY KEY (name)
);
CREATE TABLE workflows (
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  spec TEXT NOT NULL,
  tags TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  CONSTRAINT pk_workflows PRIMARY KEY (name)
);
CREATE TABLE datasets (
  place TEXT NOT NULL,
  namespace TEXT NOT NULL,
  path TEXT NOT NULL,
  name TEXT,
  address TEXT,
  spec TEXT,
  columns TEXT,
  data_version TEXT,
  landed BIGINT,
  rejected BIGINT,
  written_at BIGINT,
  written_by TEXT,
  read_at BIGINT,
  read_by TEXT,
  CONSTRAINT pk_datasets PRIMARY KEY (place)
);
CREATE INDEX ix_datasets_name ON datasets (name);
CREATE TABLE webhooks (
  name TEXT NOT NULL,
  spec TEXT NOT NULL,
  updated_at BIGINT NOT NULL,
  CONSTRAINT pk_webhooks PRIMARY KEY (name)
);
CREATE TABLE deliveries (
  id TEXT NOT NULL,
  hook TEXT NOT NULL,
  stream TEXT NOT NULL,
  at BIGINT NOT NULL,
  status TEXT NOT NULL,
  delivery TEXT,
  reason TEXT,
  message TEXT,
  address TEXT,
  size BIGINT NOT NULL,
  verified BOOLEAN NOT NULL,
  again TEXT,
  CONSTRAINT pk_deliveries PRIMARY KEY (id)
);
CREATE INDEX ix_deliveries_hook ON deliveries (hook, id);
CREATE INDEX ix_deliveries_stream ON deliveries (stream);
CREATE TABLE files (
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  size BIGINT NOT NULL,
  digest TEXT NOT NULL,
  media_type TEXT NOT NULL,
  tags TEXT NOT NULL,
  at BIGINT NOT NULL,
  uploaded_by TEXT,
  CONSTRAINT pk_files PRIMARY KEY (id)
);
CREATE TABLE credentials (
  name TEXT NOT NULL,
  owner TEXT NOT NULL,
  data BLOB NOT NULL,
  seq BIGINT NOT NULL,
  until BIGINT,
  CONSTRAINT pk_credentials PRIMARY KEY (name)
);
CREATE INDEX ix_credentials_owner ON credentials (owner);
CREATE INDEX ix_credentials_until ON credentials (until);
CREATE TABLE audit (
  number BIGINT NOT NULL,
  at BIGINT NOT NULL,
  who TEXT NOT NULL,
  deed TEXT NOT NULL,
  target TEXT NOT NULL,
  CONSTRAINT pk_audit PRIMARY KEY (number)
);
CREATE INDEX ix_audit_who ON audit (who, number);
CREATE INDEX ix_audit_target ON audit (target, number);
