-- +goose Up

-- A user may have had any number of sessions. Whoever finds that one has ended
-- says so here, so that it need not be looked at again. It may have ended
-- without that.
ALTER TABLE pawl.user_sessions ADD COLUMN ended boolean NOT NULL DEFAULT false;

CREATE INDEX user_sessions_live ON pawl.user_sessions (user_id, session) WHERE NOT ended;
