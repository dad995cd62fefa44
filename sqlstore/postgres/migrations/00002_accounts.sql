-- +goose Up

-- Names and ids are compared, and names ordered, byte for byte.
CREATE TABLE pawl.users (
    id                  text COLLATE "C" PRIMARY KEY,
    name                text COLLATE "C" NOT NULL,
    display             text             NOT NULL,
    hash                text             NOT NULL,
    disabled            boolean          NOT NULL,
    created_at          timestamptz      NOT NULL,
    password_changed_at timestamptz      NOT NULL,
    initial_until       timestamptz, -- NULL: the user has chosen the password
    last_sign_in_at     timestamptz,
    CONSTRAINT users_name UNIQUE (name)
);

-- What attempts to sign in are counted under: hashes of an account and of a
-- network; all zero: any.
CREATE TABLE pawl.attempts (
    account      bytea       NOT NULL CHECK (length(account) = 16),
    network      bytea       NOT NULL CHECK (length(network) = 16),
    owed_until   timestamptz,
    closed_until timestamptz,
    known_until  timestamptz,
    ends_at      timestamptz NOT NULL, -- the last of the three; -infinity: there is none
    PRIMARY KEY (account, network)
) WITH (autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX attempts_ends ON pawl.attempts (ends_at);
CREATE INDEX attempts_to_spare ON pawl.attempts (ends_at) WHERE known_until IS NULL;

CREATE TABLE pawl.keys (
    id         text COLLATE "C" PRIMARY KEY,
    algorithm  text             NOT NULL,
    header     text             NOT NULL,
    public     bytea            NOT NULL,
    master     bytea            NOT NULL CHECK (length(master) = 4),
    sealed     bytea, -- NULL: erased
    state      text             NOT NULL CHECK (state IN ('next', 'active', 'retiring', 'gone', 'withdrawn')),
    created_at timestamptz      NOT NULL,
    due_at     timestamptz,
    changed_at timestamptz      NOT NULL
);

CREATE UNIQUE INDEX keys_one_next ON pawl.keys (state) WHERE state = 'next';
CREATE UNIQUE INDEX keys_one_active ON pawl.keys (state) WHERE state = 'active';

CREATE TABLE pawl.events (
    cursor     bigint      PRIMARY KEY,
    at         timestamptz NOT NULL,
    type       text        NOT NULL,
    reason     text,
    user_id    text,
    session    text,
    generation bigint      NOT NULL CHECK (generation BETWEEN 0 AND 4294967295),
    client_id  text,
    actor      text,
    key_id     text,
    address    text,
    user_agent text,
    request_id text
);

CREATE INDEX events_of_user ON pawl.events (user_id, cursor) WHERE user_id IS NOT NULL;

-- The last cursor that was given. Whoever gives more holds this row until the
-- events are committed, so cursors rise in the order in which events become
-- visible. It changes with every batch of events: most of its page is kept free.
CREATE TABLE pawl.counter (
    name  text   PRIMARY KEY,
    value bigint NOT NULL
) WITH (fillfactor = 10);

INSERT INTO pawl.counter VALUES ('events', 0);

-- Programs that may call.
CREATE TABLE pawl.services (
    name       text COLLATE "C" PRIMARY KEY,
    secret     bytea            NOT NULL CHECK (length(secret) = 32), -- SHA-256 of it
    scopes     text             NOT NULL, -- one a line
    created_at timestamptz      NOT NULL
);

-- What a browser redeems for a session, within a minute.
CREATE TABLE pawl.codes (
    hash                bytea       PRIMARY KEY CHECK (length(hash) = 32),
    binding             bytea       NOT NULL CHECK (length(binding) = 32),
    user_id             text        NOT NULL,
    client_id           text        NOT NULL,
    audience            text        NOT NULL,
    scope               text        NOT NULL,
    methods             text        NOT NULL, -- one a line
    remembered          boolean     NOT NULL,
    service             text        NOT NULL,
    password_changed_at timestamptz,
    created_at          timestamptz NOT NULL,
    expires_at          timestamptz NOT NULL
);

CREATE INDEX codes_of_user ON pawl.codes (user_id);
CREATE INDEX codes_expired ON pawl.codes (expires_at);

-- One row while another store is being copied into this one. Nothing is served
-- from such a database.
CREATE TABLE pawl.copying (
    id  smallint PRIMARY KEY CHECK (id = 1),
    run uuid     NOT NULL -- who copies
);
