-- Text that is searched sorts by its bytes, as it does in SQLite.
-- A tenant of '' is the installation itself.
CREATE TABLE records (
    tenant     TEXT COLLATE "C" NOT NULL,
    collection TEXT COLLATE "C" NOT NULL,
    key        TEXT COLLATE "C" NOT NULL,
    version    BIGINT NOT NULL,
    value      BYTEA NOT NULL,
    -- How many index entries it was ever given: 0 means there are none to remove.
    indexed    BIGINT NOT NULL,
    PRIMARY KEY (tenant, collection, key)
);

CREATE TABLE record_indexes (
    tenant     TEXT COLLATE "C" NOT NULL,
    collection TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    value      TEXT COLLATE "C" NOT NULL,
    key        TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, collection, name, value, key)
);

CREATE INDEX record_indexes_by_key ON record_indexes (tenant, collection, key);

CREATE TABLE streams (
    tenant     TEXT COLLATE "C" NOT NULL,
    stream     TEXT COLLATE "C" NOT NULL,
    last       BIGINT NOT NULL,
    PRIMARY KEY (tenant, stream)
);

-- An entry without a position is in its stream alone, not in the global log.
CREATE TABLE events (
    tenant     TEXT COLLATE "C" NOT NULL,
    stream     TEXT COLLATE "C" NOT NULL,
    sequence   BIGINT NOT NULL,
    position   BIGINT,
    kind       TEXT NOT NULL,
    payload    BYTEA NOT NULL,
    actor      TEXT NOT NULL,
    at         TEXT NOT NULL,
    PRIMARY KEY (tenant, stream, sequence)
);

CREATE UNIQUE INDEX events_by_position ON events (position) WHERE position IS NOT NULL;
CREATE INDEX events_by_tenant ON events (tenant, position) WHERE position IS NOT NULL;

-- One row: the last position of the global log.
CREATE TABLE log_position (last BIGINT NOT NULL);
INSERT INTO log_position (last) VALUES (0);

CREATE TABLE leases (
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    holder     TEXT NOT NULL,
    fence      BIGINT NOT NULL,
    -- Microseconds since 1970.
    expires    BIGINT NOT NULL
);
