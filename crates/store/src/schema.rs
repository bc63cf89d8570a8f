//! The tables, per engine, and the statements that both share.
//!
//! Migrations only go forward: each is run once, in order, and its number recorded.

/// Migrations of SQLite, from 1.
pub const SQLITE: &[&str] = &["
CREATE TABLE records (
    scope TEXT NOT NULL, collection TEXT NOT NULL, key TEXT NOT NULL,
    version INTEGER NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (scope, collection, key)) WITHOUT ROWID;
CREATE TABLE record_index (
    scope TEXT NOT NULL, collection TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
    key TEXT NOT NULL, PRIMARY KEY (scope, collection, name, value, key)) WITHOUT ROWID;
CREATE INDEX record_index_by_key ON record_index (scope, collection, key);
CREATE TABLE streams (
    scope TEXT NOT NULL, stream TEXT NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (scope, stream)) WITHOUT ROWID;
CREATE TABLE events (
    scope TEXT NOT NULL, stream TEXT NOT NULL, sequence INTEGER NOT NULL, position INTEGER,
    kind TEXT NOT NULL, payload BLOB NOT NULL, actor TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (scope, stream, sequence));
CREATE UNIQUE INDEX events_by_position ON events (position) WHERE position IS NOT NULL;
CREATE TABLE log (id INTEGER PRIMARY KEY, last INTEGER NOT NULL);
INSERT INTO log VALUES (1, 0);
CREATE TABLE leases (
    name TEXT PRIMARY KEY, holder TEXT NOT NULL, fence INTEGER NOT NULL, expires INTEGER NOT NULL);
"];

/// Migrations of Postgres, from 1. Keys are compared by byte, as SQLite does.
pub const POSTGRES: &[&str] = &[r#"
CREATE TABLE records (
    scope TEXT NOT NULL, collection TEXT NOT NULL, key TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL, value BYTEA NOT NULL,
    PRIMARY KEY (scope, collection, key));
CREATE TABLE record_index (
    scope TEXT NOT NULL, collection TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
    key TEXT COLLATE "C" NOT NULL, PRIMARY KEY (scope, collection, name, value, key));
CREATE INDEX record_index_by_key ON record_index (scope, collection, key);
CREATE TABLE streams (
    scope TEXT NOT NULL, stream TEXT NOT NULL, last BIGINT NOT NULL,
    PRIMARY KEY (scope, stream));
CREATE TABLE events (
    scope TEXT NOT NULL, stream TEXT NOT NULL, sequence BIGINT NOT NULL, position BIGINT,
    kind TEXT NOT NULL, payload BYTEA NOT NULL, actor TEXT NOT NULL, at BIGINT NOT NULL,
    PRIMARY KEY (scope, stream, sequence));
CREATE UNIQUE INDEX events_by_position ON events (position) WHERE position IS NOT NULL;
CREATE TABLE log (id BIGINT PRIMARY KEY, last BIGINT NOT NULL);
INSERT INTO log VALUES (1, 0);
CREATE TABLE leases (
    name TEXT PRIMARY KEY, holder TEXT NOT NULL, fence BIGINT NOT NULL, expires BIGINT NOT NULL);
"#];

// Placeholders first appear in the order of their numbers, so that SQLite, which numbers `$n` by
// first appearance, and Postgres, which reads the number, agree.

pub const INSERT_RECORD: &str = "INSERT INTO records (scope, collection, key, version, value) \
    VALUES ($1, $2, $3, 1, $4) ON CONFLICT DO NOTHING";
pub const LOAD_RECORD: &str = "INSERT INTO records (scope, collection, key, version, value) \
    VALUES ($1, $2, $3, $4, $5)";
pub const LOAD_STREAM: &str = "INSERT INTO streams (scope, stream, last) VALUES ($1, $2, $3)";
/// Everything, in an order that rows keep when others come and go.
pub const DUMP_RECORDS: &str =
    "SELECT scope, collection, key, version, value FROM records ORDER BY scope, collection, key";
pub const DUMP_ENTRIES: &str = "SELECT scope, collection, name, value, key FROM record_index \
    ORDER BY scope, collection, name, value, key";
pub const DUMP_STREAMS: &str = "SELECT scope, stream, last FROM streams ORDER BY scope, stream";
pub const DUMP_EVENTS: &str = "SELECT scope, stream, sequence, position, kind, payload, actor, at \
    FROM events ORDER BY scope, stream, sequence";
/// Whether anything was ever written.
pub const COUNT_ALL: &str = "SELECT (SELECT COUNT(*) FROM records) + (SELECT COUNT(*) FROM events)";
/// Nothing was ever written any more.
pub const CLEAR: &[&str] = &[
    "DELETE FROM records",
    "DELETE FROM record_index",
    "DELETE FROM streams",
    "DELETE FROM events",
    "UPDATE log SET last = 0",
];
pub const UPSERT_RECORD: &str = "INSERT INTO records (scope, collection, key, version, value) \
    VALUES ($1, $2, $3, 1, $4) ON CONFLICT (scope, collection, key) \
    DO UPDATE SET version = records.version + 1, value = excluded.value";
pub const UPDATE_RECORD: &str = "UPDATE records SET value = $1, version = version + 1 \
    WHERE scope = $2 AND collection = $3 AND key = $4 AND version = $5";
pub const DELETE_RECORD: &str =
    "DELETE FROM records WHERE scope = $1 AND collection = $2 AND key = $3";
pub const DELETE_RECORD_AT: &str =
    "DELETE FROM records WHERE scope = $1 AND collection = $2 AND key = $3 AND version = $4";
pub const COUNT_RECORD: &str =
    "SELECT COUNT(*) FROM records WHERE scope = $1 AND collection = $2 AND key = $3";
pub const DELETE_INDEX: &str =
    "DELETE FROM record_index WHERE scope = $1 AND collection = $2 AND key = $3";
pub const INSERT_INDEX: &str = "INSERT INTO record_index (scope, collection, name, value, key) \
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
pub const NEXT_SEQUENCE: &str = "INSERT INTO streams (scope, stream, last) VALUES ($1, $2, 1) \
    ON CONFLICT (scope, stream) DO UPDATE SET last = streams.last + 1 RETURNING last";
pub const INSERT_EVENT: &str = "INSERT INTO events \
    (scope, stream, sequence, kind, payload, actor, at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
pub const COUNT_LOGGED: &str = "SELECT COUNT(*) FROM events \
    WHERE scope = $1 AND stream = $2 AND position IS NOT NULL";
pub const DELETE_EVENTS: &str = "DELETE FROM events WHERE scope = $1 AND stream = $2";
pub const DELETE_STREAM: &str = "DELETE FROM streams WHERE scope = $1 AND stream = $2";
pub const ADVANCE_LOG: &str = "UPDATE log SET last = last + $1 WHERE id = 1 RETURNING last";
pub const PLACE_EVENT: &str =
    "UPDATE events SET position = $1 WHERE scope = $2 AND stream = $3 AND sequence = $4";
pub const LAST_POSITION: &str = "SELECT last FROM log WHERE id = 1";
pub const ACQUIRE_LEASE: &str = "INSERT INTO leases (name, holder, fence, expires) \
    VALUES ($1, $2, 1, $3) ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, \
    fence = leases.fence + CASE WHEN leases.holder = excluded.holder AND leases.expires > $4 \
    THEN 0 ELSE 1 END, expires = excluded.expires \
    WHERE leases.holder = excluded.holder OR leases.expires <= $4 RETURNING fence";
pub const RELEASE_LEASE: &str =
    "UPDATE leases SET expires = 0 WHERE name = $1 AND holder = $2 AND fence = $3";

pub const GET_RECORD: &str = "SELECT key, value, version FROM records \
    WHERE scope = $1 AND collection = $2 AND key = $3";
pub const LIST_RECORDS: &str = "SELECT key, value, version FROM records \
    WHERE scope = $1 AND collection = $2 AND key > $3 AND key >= $4 AND key < $5 \
    ORDER BY key LIMIT $6";
/// Looked up row by row: as a join, Postgres compares all records of the collection with each entry
/// as long as it has no statistics.
pub const LIST_INDEXED: &str = "SELECT i.key, \
    (SELECT r.value FROM records r \
    WHERE r.scope = i.scope AND r.collection = i.collection AND r.key = i.key), \
    (SELECT r.version FROM records r \
    WHERE r.scope = i.scope AND r.collection = i.collection AND r.key = i.key) \
    FROM record_index i WHERE i.scope = $1 AND i.collection = $2 AND i.key > $3 AND i.key >= $4 AND i.key < $5 \
    AND i.name = $6 AND i.value = $7 ORDER BY i.key LIMIT $8";
const EVENT: &str =
    "SELECT position, scope, stream, sequence, kind, payload, actor, at FROM events";

pub fn read_stream() -> String {
    format!("{EVENT} WHERE scope = $1 AND stream = $2 AND sequence > $3 ORDER BY sequence LIMIT $4")
}

pub fn read_log() -> String {
    format!("{EVENT} WHERE position > $1 ORDER BY position LIMIT $2")
}

pub fn read_tenant_log() -> String {
    format!("{EVENT} WHERE position > $1 AND scope = $2 ORDER BY position LIMIT $3")
}
