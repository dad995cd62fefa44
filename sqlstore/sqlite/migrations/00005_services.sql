-- +goose Up

CREATE TABLE services (
    name       TEXT    NOT NULL PRIMARY KEY,
    secret     BLOB    NOT NULL CHECK (length(secret) = 32), -- SHA-256 of it
    scopes     TEXT    NOT NULL, -- one a line
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a browser redeems for a session, within a minute.
CREATE TABLE codes (
    hash                BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    binding             BLOB    NOT NULL CHECK (length(binding) = 32),
    user_id             TEXT    NOT NULL,
    client_id           TEXT    NOT NULL,
    audience            TEXT    NOT NULL,
    scope               TEXT    NOT NULL,
    methods             TEXT    NOT NULL, -- one a line
    remembered          INTEGER NOT NULL CHECK (remembered IN (0, 1)),
    service             TEXT    NOT NULL,
    password_changed_at INTEGER,
    created_at          INTEGER NOT NULL,
    expires_at          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX codes_of_user ON codes (user_id);
CREATE INDEX codes_expired ON codes (expires_at);
