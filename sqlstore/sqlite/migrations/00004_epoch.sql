-- +goose Up

-- The feed of ended sessions is this index. It is no longer kept apart, so it
-- cannot lack an end, nor be told of one late. No renewal touches it.
CREATE INDEX sessions_ended ON sessions (ended_at) WHERE ended_at IS NOT NULL;

DROP TRIGGER ended_is_told;
DROP TABLE ended;
DROP TABLE meta; -- said how far back the feed reached

-- The end of every session that was created until then. There is one row, or
-- none.
CREATE TABLE epoch (
    one    INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    at     INTEGER NOT NULL,
    reason TEXT    NOT NULL CHECK (reason <> ''),
    swept  BLOB    NOT NULL DEFAULT (zeroblob(16)) CHECK (length(swept) = 16) -- up to which session it was written into the rows
) STRICT;
