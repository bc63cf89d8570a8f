-- A tenant of '' is the installation itself.
CREATE TABLE records (
    tenant     TEXT    NOT NULL,
    collection TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    value      BLOB    NOT NULL,
    -- How many index entries it was ever given: 0 means there are none to remove.
    indexed    INTEGER NOT NULL,
    PRIMARY KEY (tenant, collection, key)
) STRICT;

CREATE TABLE record_indexes (
    tenant     TEXT NOT NULL,
    collection TEXT NOT NULL,
    name       TEXT NOT NULL,
    value      TEXT NOT NULL,
    key        TEXT NOT NULL,
    PRIMARY KEY (tenant, collection, name, value, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX record_indexes_by_key ON record_indexes (tenant, collection, key);

CREATE TABLE streams (
    tenant TEXT    NOT NULL,
    stream TEXT    NOT NULL,
    last   INTEGER NOT NULL,
    PRIMARY KEY (tenant, stream)
) STRICT, WITHOUT ROWID;

-- An entry without a position is in its stream alone, not in the global log.
CREATE TABLE events (
    tenant   TEXT    NOT NULL,
    stream   TEXT    NOT NULL,
    sequence INTEGER NOT NULL,
    position INTEGER,
    kind     TEXT    NOT NULL,
    payload  BLOB    NOT NULL,
    actor    TEXT    NOT NULL,
    at       TEXT    NOT NULL,
    PRIMARY KEY (tenant, stream, sequence)
) STRICT;

CREATE UNIQUE INDEX events_by_position ON events (position) WHERE position IS NOT NULL;
CREATE INDEX events_by_tenant ON events (tenant, position) WHERE position IS NOT NULL;

-- One row: the last position of the global log.
CREATE TABLE log_position (last INTEGER NOT NULL) STRICT;
INSERT INTO log_position (last) VALUES (0);

CREATE TABLE leases (
    name    TEXT    NOT NULL PRIMARY KEY,
    holder  TEXT    NOT NULL,
    fence   INTEGER NOT NULL,
    -- Microseconds since 1970.
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
