-- Rendered from schemas/db; `UPDATE_GOLDEN=1 cargo test -p cofferdam-sinks golden` writes it anew.

CREATE TABLE schema_migrations (
  app TEXT NOT NULL,
  version INTEGER NOT NULL,
  checksum TEXT,
  applied_at INTEGER,
  _wts INTEGER NOT NULL,
  _exp INTEGER,
  PRIMARY KEY (app, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE objects (
  tenant TEXT NOT NULL,
  object_id BLOB NOT NULL,
  source TEXT,
  bucket TEXT,
  object_key TEXT,
  version TEXT,
  etag TEXT,
  size INTEGER,
  last_modified INTEGER,
  declared_type TEXT,
  checksums TEXT,
  event_id TEXT,
  plan TEXT,
  trace_id TEXT,
  _wts INTEGER NOT NULL,
  _exp INTEGER,
  PRIMARY KEY (tenant, object_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE object_events (
  tenant TEXT NOT NULL,
  object_id BLOB NOT NULL,
  stored_at INTEGER NOT NULL,
  verb TEXT NOT NULL,
  event_id TEXT,
  trace_id TEXT,
  _wts INTEGER NOT NULL,
  _exp INTEGER,
  PRIMARY KEY (tenant, object_id, stored_at, verb)
) STRICT, WITHOUT ROWID;

CREATE TABLE object_finals (
  tenant TEXT NOT NULL,
  object_id BLOB NOT NULL,
  event_id TEXT,
  state TEXT,
  verdict TEXT,
  sealed TEXT,
  results TEXT,
  finished_at INTEGER,
  trace_id TEXT,
  _wts INTEGER NOT NULL,
  _exp INTEGER,
  PRIMARY KEY (tenant, object_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE object_deletions (
  tenant TEXT NOT NULL,
  object_id BLOB NOT NULL,
  deleted_at INTEGER,
  _wts INTEGER NOT NULL,
  _exp INTEGER,
  PRIMARY KEY (tenant, object_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE objects_by_key (
  tenant TEXT NOT NULL,
  bucket TEXT NOT NULL,
  object_key TEXT NOT NULL,
  last_modified INTEGER NOT NULL,
  object_id BLOB NOT NULL,
  _wts INTEGER NOT NULL,
  _exp INTEGER,
  PRIMARY KEY (tenant, bucket, object_key, last_modified DESC, object_id DESC)
) STRICT, WITHOUT ROWID;

CREATE TABLE objects_by_day (
  tenant TEXT NOT NULL,
  day INTEGER NOT NULL,
  shard INTEGER NOT NULL,
  last_modified INTEGER NOT NULL,
  object_id BLOB NOT NULL,
  bucket TEXT,
  object_key TEXT,
  _wts INTEGER NOT NULL,
  _exp INTEGER,
  PRIMARY KEY (tenant, day, shard, last_modified DESC, object_id DESC)
) STRICT, WITHOUT ROWID;

CREATE TABLE days_by_tenant (
  tenant TEXT NOT NULL,
  day INTEGER NOT NULL,
  _wts INTEGER NOT NULL,
  _exp INTEGER,
  PRIMARY KEY (tenant, day DESC)
) STRICT, WITHOUT ROWID;

CREATE TABLE buckets_by_tenant (
  tenant TEXT NOT NULL,
  bucket TEXT NOT NULL,
  _wts INTEGER NOT NULL,
  _exp INTEGER,
  PRIMARY KEY (tenant, bucket)
) STRICT, WITHOUT ROWID;

CREATE TABLE results_by_doc (
  tenant TEXT NOT NULL,
  object_id BLOB NOT NULL,
  processor TEXT NOT NULL,
  outcome TEXT NOT NULL,
  processor_version TEXT,
  event_id TEXT,
  verdict TEXT,
  findings TEXT,
  findings_total INTEGER,
  details TEXT,
  artefacts TEXT,
  sealed TEXT,
  error_code TEXT,
  error TEXT,
  started_at INTEGER,
  finished_at INTEGER,
  trace_id TEXT,
  _wts INTEGER NOT NULL,
  _exp INTEGER,
  PRIMARY KEY (tenant, object_id, processor, outcome)
) STRICT, WITHOUT ROWID;

CREATE TABLE commands (
  tenant TEXT NOT NULL,
  command_id TEXT NOT NULL,
  verb TEXT,
  outcome TEXT,
  object_id BLOB,
  returned TEXT,
  error_code TEXT,
  error TEXT,
  finished_at INTEGER,
  trace_id TEXT,
  _wts INTEGER NOT NULL,
  _exp INTEGER,
  PRIMARY KEY (tenant, command_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE dead_letters (
  tenant TEXT NOT NULL,
  object_id BLOB NOT NULL,
  processor TEXT NOT NULL,
  bucket TEXT,
  object_key TEXT,
  error_code TEXT,
  failed_at INTEGER,
  _wts INTEGER NOT NULL,
  _exp INTEGER,
  PRIMARY KEY (tenant, object_id DESC, processor DESC)
) STRICT, WITHOUT ROWID;

CREATE TABLE object_decisions (
  tenant TEXT NOT NULL,
  object_id BLOB NOT NULL,
  kind TEXT NOT NULL,
  decided_at INTEGER,
  command_id TEXT,
  reason TEXT,
  _wts INTEGER NOT NULL,
  _exp INTEGER,
  PRIMARY KEY (tenant, object_id, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE keys_by_bucket (
  tenant TEXT NOT NULL,
  bucket TEXT NOT NULL,
  shard INTEGER NOT NULL,
  object_key TEXT NOT NULL,
  last_modified INTEGER NOT NULL,
  object_id BLOB NOT NULL,
  _wts INTEGER NOT NULL,
  _exp INTEGER,
  PRIMARY KEY (tenant, bucket, shard, object_key, last_modified, object_id)
) STRICT, WITHOUT ROWID;

