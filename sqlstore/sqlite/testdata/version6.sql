PRAGMA application_id = 0x5061776c;
CREATE TABLE goose_db_version (
		id INTEGER PRIMARY KEY AUTOINCREMENT,
		version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL,
		tstamp TIMESTAMP DEFAULT (datetime('now'))
	);
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
CREATE TABLE users (
    id                  TEXT    NOT NULL PRIMARY KEY,
    name                TEXT    NOT NULL UNIQUE,
    display             TEXT    NOT NULL,
    hash                TEXT    NOT NULL,
    disabled            INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    created_at          INTEGER NOT NULL,
    password_changed_at INTEGER NOT NULL
, last_sign_in_at INTEGER, initial_until INTEGER) STRICT;
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
CREATE TABLE attempts (
    account      BLOB    NOT NULL CHECK (length(account) = 16),
    network      BLOB    NOT NULL CHECK (length(network) = 16),
    owed_until   INTEGER,
    closed_until INTEGER,
    known_until  INTEGER,
    ends_at      INTEGER NOT NULL, -- the last of the three
    PRIMARY KEY (account, network)
) STRICT, WITHOUT ROWID;
CREATE TABLE epoch (
    one    INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    at     INTEGER NOT NULL,
    reason TEXT    NOT NULL CHECK (reason <> ''),
    swept  BLOB    NOT NULL DEFAULT (zeroblob(16)) CHECK (length(swept) = 16) -- up to which session it was written into the rows
) STRICT;
CREATE TABLE services (
    name       TEXT    NOT NULL PRIMARY KEY,
    secret     BLOB    NOT NULL CHECK (length(secret) = 32), -- SHA-256 of it
    scopes     TEXT    NOT NULL, -- one a line
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
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
INSERT INTO goose_db_version VALUES (1, 0, 1, '2026-11-23 21:40:02');
INSERT INTO goose_db_version VALUES (2, 1, 1, '2026-11-23 21:40:02');
INSERT INTO goose_db_version VALUES (3, 2, 1, '2026-11-23 21:40:02');
INSERT INTO goose_db_version VALUES (4, 3, 1, '2026-11-23 21:40:02');
INSERT INTO goose_db_version VALUES (5, 4, 1, '2026-11-23 21:40:02');
INSERT INTO goose_db_version VALUES (6, 5, 1, '2026-11-23 21:40:02');
INSERT INTO goose_db_version VALUES (7, 6, 1, '2026-11-23 21:40:02');
INSERT INTO sessions VALUES (X'01000000000000000000000000000000', X'01020301000000000000000000000000', X'01020304', 'u_alice', 'web', 'https://api.example', 'openid', 1, 1772368496123456, NULL, NULL, 0, NULL, 1772368496123456, 1772368496123456, 'pwd', 1780144496123456, 1209600000000, 'cookie', 0, '', '', NULL, 'agent', '192.0.2.0/24', 1772366400000000, NULL, '');
INSERT INTO sessions VALUES (X'02000000000000000000000000000000', X'01020302000000000000000000000000', X'01020304', 'u_alice', 'web', 'https://api.example', 'openid', 300, 1772364896123456, 1772368436123456, 1772361296123456, 165, X'07000000000000000000000000000000', 1772195696123456, 1772192096123456, 'pwd
otp', 1780144496123456, 1209600000000, 'cookie', 1, 'dbsc', 'thumbprint', 1772368495123456, 'agent', '192.0.2.0/24', 1772366400000000, NULL, '');
INSERT INTO sessions VALUES (X'03000000000000000000000000000000', X'00000000000000000000000000000000', X'01020304', 'u_alice', 'web', 'https://api.example', 'openid', 1, 1772368496123456, NULL, NULL, 0, NULL, 1772368496123456, 1772368496123456, 'pwd', 1780144496123456, 1209600000000, 'cookie', 0, '', '', NULL, 'agent', '192.0.2.0/24', 1772366400000000, 1772368496123456, 'reuse');
INSERT INTO sessions VALUES (X'04000000000000000000000000000000', X'01020304000000000000000000000000', X'01020304', 'u_alice', 'web', 'https://api.example', 'openid', 1, 1772109296123456, NULL, NULL, 0, NULL, 1772109296123456, 1772109296123456, 'pwd', 1780144496123456, 1209600000000, 'cookie', 0, '', '', NULL, 'agent', '192.0.2.0/24', 1772366400000000, NULL, '');
INSERT INTO keys VALUES ('key0', 'EdDSA', 'header0', X'0100', X'01020304', NULL, 'retiring', 1772368496123456, 1772372096123456, 1772368496123456);
INSERT INTO keys VALUES ('key1', 'EdDSA', 'header1', X'0101', X'01020304', X'090901', 'active', 1772372096123456, NULL, 1772368496123456);
INSERT INTO keys VALUES ('key2', 'EdDSA', 'header2', X'0102', X'01020304', X'090902', 'next', 1772375696123456, 1772372096123456, 1772368496123456);
INSERT INTO users VALUES ('u_alice', 'alice', 'ALICE', '$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA', 0, 1772368496123456, 1772368496123456, 1772368496123456, NULL);
INSERT INTO users VALUES ('u_zoé', 'zoé', 'ZOÉ', '$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA', 1, 1772368496123456, 1772368496123456, NULL, 1772372096123456);
INSERT INTO events VALUES (1, 1772368496123456, 'session_started', NULL, 'u_alice', 'pseudonym', 1, 'web', NULL, NULL, '192.0.2.0/24', 'agent', 'r1');
INSERT INTO events VALUES (2, 1772368496123456, 'session_ended', 'reuse', NULL, NULL, 0, NULL, 'operator', 'key0', NULL, NULL, NULL);
INSERT INTO attempts VALUES (X'00000000000000000000000000000000', X'02000000000000000000000000000000', 1772369996123456, NULL, NULL, 1772369996123456);
INSERT INTO attempts VALUES (X'01000000000000000000000000000000', X'02000000000000000000000000000000', NULL, NULL, 1781008496123456, 1781008496123456);
INSERT INTO attempts VALUES (X'01000000000000000000000000000000', X'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF', 1772368556123456, NULL, NULL, 1772368556123456);
INSERT INTO attempts VALUES (X'04000000000000000000000000000000', X'00000000000000000000000000000000', 1772800496123456, NULL, NULL, 1772800496123456);
INSERT INTO attempts VALUES (X'04000000000000000000000000000000', X'02000000000000000000000000000000', 1772800496123456, 1772368506123456, NULL, 1772800496123456);
INSERT INTO epoch VALUES (1, 1772152496123456, 'fenced', X'00000000000000000000000000000000');
INSERT INTO services VALUES ('shop', X'0500000000000000000000000000000000000000000000000000000000000000', 'sessions:read
sessions:write', 1772368496123456);
INSERT INTO codes VALUES (X'0600000000000000000000000000000000000000000000000000000000000000', X'0700000000000000000000000000000000000000000000000000000000000000', 'u_alice', 'web', 'https://api.example', 'openid', 'pwd
otp', 1, 'shop', 1772368496123456, 1772368496123456, 1772372096123456);
CREATE INDEX sessions_of_user ON sessions (user_id, id);
CREATE INDEX sessions_by_end ON sessions (absolute_end);
CREATE TRIGGER ended_is_final BEFORE UPDATE OF salt, ended_at, end_reason ON sessions WHEN OLD.ended_at IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'an ended session stays as it is');
END;
CREATE UNIQUE INDEX keys_one_next ON keys (state) WHERE state = 'next';
CREATE UNIQUE INDEX keys_one_active ON keys (state) WHERE state = 'active';
CREATE INDEX attempts_by_end ON attempts (ends_at);
CREATE INDEX attempts_to_spare ON attempts (known_until, ends_at);
CREATE INDEX sessions_ended ON sessions (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX codes_of_user ON codes (user_id);
CREATE INDEX codes_expired ON codes (expires_at);
CREATE INDEX sessions_live ON sessions (user_id, id) WHERE ended_at IS NULL;
