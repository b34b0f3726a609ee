-- The index of the embedded bucket. Times are Unix milliseconds. Keys are blobs: they compare byte by byte.
CREATE TABLE IF NOT EXISTS buckets (
    id           INTEGER PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    created_at   INTEGER NOT NULL,
    versioning   TEXT NOT NULL DEFAULT 'unversioned',
    notification TEXT
) STRICT;

-- Bytes: in `data` when small, else in the file of that name. `refs` counts rows of objects, segments and parts.
CREATE TABLE IF NOT EXISTS blobs (
    id   INTEGER PRIMARY KEY,
    file TEXT UNIQUE,
    size INTEGER NOT NULL,
    refs INTEGER NOT NULL,
    data BLOB
) STRICT;

-- One row a version; the id is the internal version id and never used twice.
CREATE TABLE IF NOT EXISTS objects (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    bucket    INTEGER NOT NULL,
    key       BLOB NOT NULL,
    latest    INTEGER NOT NULL,              -- 1: what a request without a version id means
    held      INTEGER NOT NULL DEFAULT 0,    -- 1: overwritten, hidden, kept until its ledger row is closed
    marker    INTEGER NOT NULL DEFAULT 0,    -- 1: delete marker
    plain     INTEGER NOT NULL,              -- 1: its public version id is `null`
    size      INTEGER NOT NULL,
    etag      TEXT NOT NULL,
    modified  INTEGER NOT NULL,
    blob      INTEGER,                       -- the one blob, unless it has segments
    parts     INTEGER,                       -- number of segments
    algorithm TEXT,                          -- of the checksum that is shown
    composite TEXT,                          -- that checksum, when it is one over the parts' checksums
    sums      TEXT NOT NULL,                 -- whole-object checksums, JSON
    headers   TEXT NOT NULL,                 -- content type and other standard headers, JSON
    user      TEXT NOT NULL,                 -- user metadata, JSON
    tags      TEXT,                          -- JSON
    upload    TEXT                           -- the multipart upload it came from
) STRICT;
CREATE INDEX IF NOT EXISTS objects_versions ON objects (bucket, key, id DESC);
CREATE UNIQUE INDEX IF NOT EXISTS objects_latest ON objects (bucket, key) WHERE latest = 1;

-- The blobs of a multipart object, in order.
CREATE TABLE IF NOT EXISTS segments (
    object INTEGER NOT NULL,
    number INTEGER NOT NULL,                 -- 1, 2, …
    start  INTEGER NOT NULL,                 -- offset in the object
    size   INTEGER NOT NULL,
    blob   INTEGER NOT NULL,
    sums   TEXT NOT NULL,                    -- the part's checksums, JSON
    PRIMARY KEY (object, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS uploads (
    id         INTEGER PRIMARY KEY,
    token      TEXT NOT NULL UNIQUE,
    bucket     INTEGER NOT NULL,
    key        BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    algorithm  TEXT,
    composite  INTEGER NOT NULL,             -- 1: checksum over the parts' checksums
    headers    TEXT NOT NULL,
    user       TEXT NOT NULL,
    tags       TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS uploads_key ON uploads (bucket, key, id);

CREATE TABLE IF NOT EXISTS upload_parts (
    upload   INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    size     INTEGER NOT NULL,
    blob     INTEGER NOT NULL,
    sums     TEXT NOT NULL,
    modified INTEGER NOT NULL,
    PRIMARY KEY (upload, number)
) STRICT, WITHOUT ROWID;

-- What was accepted and is not final.
CREATE TABLE IF NOT EXISTS ledger (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    kind         TEXT NOT NULL,              -- upload, foreign, command
    subject      TEXT,                       -- object id, or tenant and command id
    object       INTEGER,                    -- the version, of an upload
    payload      TEXT NOT NULL,
    redrives     INTEGER NOT NULL DEFAULT 0,
    parked       INTEGER NOT NULL DEFAULT 0,
    accepted_at  INTEGER NOT NULL,
    published_at INTEGER,
    due_at       INTEGER                     -- final, but something is left to do at this time
) STRICT;
CREATE INDEX IF NOT EXISTS ledger_subject ON ledger (kind, subject) WHERE subject IS NOT NULL;
CREATE INDEX IF NOT EXISTS ledger_object ON ledger (object) WHERE object IS NOT NULL;
CREATE INDEX IF NOT EXISTS ledger_unpublished ON ledger (seq) WHERE published_at IS NULL;
CREATE INDEX IF NOT EXISTS ledger_published ON ledger (published_at) WHERE published_at IS NOT NULL AND parked = 0 AND due_at IS NULL;
CREATE INDEX IF NOT EXISTS ledger_due ON ledger (due_at) WHERE due_at IS NOT NULL;
