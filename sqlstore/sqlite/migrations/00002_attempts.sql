-- +goose Up

ALTER TABLE users ADD COLUMN last_sign_in_at INTEGER;

-- What attempts to sign in are counted under: hashes of an account and of a
-- network; all zero: any.
CREATE TABLE attempts (
    account      BLOB    NOT NULL CHECK (length(account) = 16),
    network      BLOB    NOT NULL CHECK (length(network) = 16),
    owed_until   INTEGER,
    closed_until INTEGER,
    known_until  INTEGER,
    ends_at      INTEGER NOT NULL, -- the last of the three
    PRIMARY KEY (account, network)
) STRICT, WITHOUT ROWID;

CREATE INDEX attempts_by_end ON attempts (ends_at);
-- Not of some rows only: those would be read to be counted.
CREATE INDEX attempts_to_spare ON attempts (known_until, ends_at);
