-- +goose Up

-- A user may have had any number of sessions; those that live are found without
-- looking at the others.
CREATE INDEX sessions_live ON sessions (user_id, id) WHERE ended_at IS NULL;
