-- +goose Up

-- Times are by the clock of the database. NULL: never.

-- A renewal changes no column that an index names, in its list or in its
-- condition, and finds room on the page for the new version of its row.
CREATE TABLE pawl.sessions (
    id             uuid        PRIMARY KEY, -- any 16 bytes
    salt           bytea       NOT NULL CHECK (length(salt) = 16), -- all zero: erased
    master         bytea       NOT NULL CHECK (length(master) = 4),
    user_id        text        NOT NULL,
    client_id      text        NOT NULL,
    audience       text        NOT NULL,
    scope          text        NOT NULL,
    generation     bigint      NOT NULL CHECK (generation BETWEEN 1 AND 4294967295),
    rotated_at     timestamptz NOT NULL,
    confirmed_at   timestamptz,
    prior_used_at  timestamptz,
    late_repeats   smallint    NOT NULL CHECK (late_repeats BETWEEN 0 AND 255),
    key_hash       bytea       CHECK (length(key_hash) = 16),
    created_at     timestamptz NOT NULL,
    auth_time      timestamptz NOT NULL,
    methods        text        NOT NULL, -- one a line
    absolute_end   timestamptz NOT NULL,
    idle_limit     bigint      NOT NULL, -- microseconds
    transport      text        NOT NULL CHECK (transport IN ('cookie', 'bearer')),
    remembered     boolean     NOT NULL,
    binding        text        NOT NULL CHECK (binding IN ('', 'dpop', 'dbsc')),
    thumbprint     text        NOT NULL,
    rolled_back_at timestamptz,
    user_agent     text        NOT NULL,
    address        text        NOT NULL,
    last_seen      timestamptz NOT NULL,
    ended_at       timestamptz,
    end_reason     text        NOT NULL,
    CHECK ((ended_at IS NULL) = (end_reason = '')),
    CHECK (ended_at IS NULL OR salt = '\x00000000000000000000000000000000')
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);

-- The feed of ended sessions.
CREATE INDEX sessions_ended ON pawl.sessions (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX sessions_over ON pawl.sessions (absolute_end);

-- Which sessions a user has, or had. A line is there before its session is,
-- and may be there without.
CREATE TABLE pawl.user_sessions (
    user_id text        NOT NULL,
    session uuid        NOT NULL,
    over_at timestamptz NOT NULL, -- the session's absolute end
    PRIMARY KEY (user_id, session)
);

CREATE INDEX user_sessions_over ON pawl.user_sessions (over_at);

-- One row. Every session that was created until then has ended.
CREATE TABLE pawl.epoch (
    id      smallint    PRIMARY KEY CHECK (id = 1),
    at      timestamptz NOT NULL, -- -infinity: there was none
    reason  text        NOT NULL,
    written uuid -- the rows up to this id have it, NULL: all
);

INSERT INTO pawl.epoch VALUES (1, '-infinity', '', NULL);
