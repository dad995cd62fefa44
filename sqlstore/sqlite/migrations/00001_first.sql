-- +goose Up

-- Times are microseconds since 1970, by the clock of the store. NULL: never.

PRAGMA application_id = 0x5061776c; -- "Pawl"

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The feed lacks what was ended before this.
INSERT INTO meta (name, value) VALUES ('feed_kept_from', 0);

-- No statement of a renewal changes an indexed column.
CREATE TABLE sessions (
    id             BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    salt           BLOB    NOT NULL CHECK (length(salt) = 16), -- all zero: erased
    master         BLOB    NOT NULL CHECK (length(master) = 4),
    user_id        TEXT    NOT NULL,
    client_id      TEXT    NOT NULL,
    audience       TEXT    NOT NULL,
    scope          TEXT    NOT NULL,
    generation     INTEGER NOT NULL CHECK (generation BETWEEN 1 AND 4294967295),
    rotated_at     INTEGER NOT NULL,
    confirmed_at   INTEGER,
    prior_used_at  INTEGER,
    late_repeats   INTEGER NOT NULL CHECK (late_repeats BETWEEN 0 AND 255),
    key_hash       BLOB    CHECK (length(key_hash) = 16),
    created_at     INTEGER NOT NULL,
    auth_time      INTEGER NOT NULL,
    methods        TEXT    NOT NULL, -- one a line
    absolute_end   INTEGER NOT NULL,
    idle_limit     INTEGER NOT NULL, -- microseconds
    transport      TEXT    NOT NULL CHECK (transport IN ('cookie', 'bearer')),
    remembered     INTEGER NOT NULL CHECK (remembered IN (0, 1)),
    binding        TEXT    NOT NULL CHECK (binding IN ('', 'dpop', 'dbsc')),
    thumbprint     TEXT    NOT NULL,
    rolled_back_at INTEGER,
    user_agent     TEXT    NOT NULL,
    address        TEXT    NOT NULL,
    last_seen      INTEGER NOT NULL,
    ended_at       INTEGER,
    end_reason     TEXT    NOT NULL,
    CHECK ((ended_at IS NULL) = (end_reason = '')),
    CHECK (ended_at IS NULL OR salt = zeroblob(16))
) STRICT;

CREATE INDEX sessions_of_user ON sessions (user_id, id);
CREATE INDEX sessions_by_end ON sessions (absolute_end);

-- The feed of ended sessions, in the order in which it is read.
CREATE TABLE ended (
    at      INTEGER NOT NULL,
    session BLOB    NOT NULL CHECK (length(session) = 16),
    PRIMARY KEY (at, session)
) STRICT, WITHOUT ROWID;

-- +goose StatementBegin
CREATE TRIGGER ended_is_told AFTER UPDATE OF ended_at ON sessions
BEGIN
    INSERT INTO ended (at, session) VALUES (NEW.ended_at, NEW.id);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER ended_is_final BEFORE UPDATE OF salt, ended_at, end_reason ON sessions WHEN OLD.ended_at IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'an ended session stays as it is');
END;
-- +goose StatementEnd

CREATE TABLE keys (
    id         TEXT    NOT NULL PRIMARY KEY,
    algorithm  TEXT    NOT NULL,
    header     TEXT    NOT NULL,
    public     BLOB    NOT NULL,
    master     BLOB    NOT NULL CHECK (length(master) = 4),
    sealed     BLOB,
    state      TEXT    NOT NULL CHECK (state IN ('next', 'active', 'retiring', 'gone', 'withdrawn')),
    created_at INTEGER NOT NULL,
    due_at     INTEGER,
    changed_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX keys_one_next ON keys (state) WHERE state = 'next';
CREATE UNIQUE INDEX keys_one_active ON keys (state) WHERE state = 'active';

CREATE TABLE users (
    id                  TEXT    NOT NULL PRIMARY KEY,
    name                TEXT    NOT NULL UNIQUE,
    display             TEXT    NOT NULL,
    hash                TEXT    NOT NULL,
    disabled            INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    created_at          INTEGER NOT NULL,
    password_changed_at INTEGER NOT NULL
) STRICT;

-- A cursor is never given again, not even after its event was removed.
CREATE TABLE events (
    cursor     INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    type       TEXT    NOT NULL,
    reason     TEXT,
    user_id    TEXT,
    session    TEXT,
    generation INTEGER NOT NULL,
    client_id  TEXT,
    actor      TEXT,
    key_id     TEXT,
    address    TEXT,
    user_agent TEXT,
    request_id TEXT
) STRICT;
