package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore/postgres"
)

// populated returns a store with something of everything.
func populated(t *testing.T, url string) *postgres.Store {
	t.Helper()
	s := open(t, url, nil)
	rows := create(t, s, 4)
	if _, err := s.End(t.Context(), session.Selection{Session: rows[0].ID}, session.ReasonOperator); err != nil {
		t.Fatal(err)
	}
	for i, state := range []keyring.State{keyring.Active, keyring.Next} {
		if err := s.ChangeKeys(t.Context(), []keyring.Change{{To: keyring.Record{ID: string(state), Algorithm: keyring.EdDSA, Header: "h",
			Public: []byte{byte(i)}, Sealed: []byte{9}, State: state, CreatedAt: time.Now(), ChangedAt: time.Now()}}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"alice", "bob"} {
		if err := s.CreateUser(t.Context(), account.User{ID: "u_" + name, Name: name, Display: name,
			Hash: "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA"}, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Append(t.Context(), []session.Event{{Type: session.EventStarted}, {Type: session.EventEnded}}); err != nil {
		t.Fatal(err)
	}
	return s
}

// What constraints and indexes keep from happening is found where they were
// taken away.
func TestFsckFindsEveryFault(t *testing.T) {
	const ended, live = ` WHERE ended_at IS NOT NULL`, ` WHERE ended_at IS NULL`
	const unchecked = `DO $$ DECLARE c record; BEGIN
		FOR c IN SELECT conname, conrelid::regclass AS tab FROM pg_constraint JOIN pg_namespace n ON n.oid = connamespace WHERE nspname = 'pawl' AND contype = 'c' LOOP
			EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.tab, c.conname);
		END LOOP; END $$`
	for name, damage := range map[string]string{
		"generation of 0":              `UPDATE pawl.sessions SET generation = 0` + live,
		"salt of one that lives":       `UPDATE pawl.sessions SET salt = '\x00000000000000000000000000000000'` + live,
		"salt of one that ended":       `UPDATE pawl.sessions SET salt = '\x01000000000000000000000000000000'` + ended,
		"late repeats of nothing":      `UPDATE pawl.sessions SET late_repeats = 2` + live,
		"end before the beginning":     `UPDATE pawl.sessions SET absolute_end = '1970-01-01'` + live,
		"unheard transport":            `UPDATE pawl.sessions SET transport = 'pigeon'` + live,
		"turned in the future":         `UPDATE pawl.sessions SET rotated_at = rotated_at + interval '30 days'` + live,
		"end without a reason":         `UPDATE pawl.sessions SET end_reason = ''` + ended,
		"session without a line":       `DELETE FROM pawl.user_sessions WHERE session IN (SELECT id FROM pawl.sessions` + live + ` LIMIT 1)`,
		"line of another user":         `UPDATE pawl.user_sessions SET user_id = 'u_mallory'`,
		"feed is gone":                 `DROP INDEX pawl.sessions_ended`,
		"feed is not complete":         `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'pawl.sessions_ended'::regclass`,
		"constraint that was not kept": `ALTER TABLE pawl.users ADD CONSTRAINT odd CHECK (name <> 'bob') NOT VALID`,
		"two active keys":              `DROP INDEX pawl.keys_one_active; UPDATE pawl.keys SET state = 'active'`,
		"two next keys":                `DROP INDEX pawl.keys_one_next; UPDATE pawl.keys SET state = 'next'`,
		"retiring key not erased":      `UPDATE pawl.keys SET state = 'retiring' WHERE state = 'active'`,
		"active key erased":            `UPDATE pawl.keys SET sealed = NULL WHERE state = 'active'`,
		"name not normal":              `UPDATE pawl.users SET name = 'BOB' WHERE name = 'bob'`,
		"hash not usable":              `UPDATE pawl.users SET hash = 'secret' WHERE name = 'bob'`,
		"cursors given again":          `UPDATE pawl.counter SET value = 1`,
		"counter is gone":              `DELETE FROM pawl.counter`,
	} {
		t.Run(name, func(t *testing.T) {
			url := database(t)
			s := populated(t, url)
			run(t, connect(t, url), unchecked)
			if report, err := s.Fsck(t.Context()); err != nil || len(report.Faults) > 0 {
				t.Fatalf("before: %v, %v", report, err)
			}
			run(t, connect(t, url), damage)
			report, err := s.Fsck(t.Context())
			if err != nil || len(report.Faults) == 0 {
				t.Fatalf("no fault found: %v, %v", report, err)
			}
			if text := report.String(); strings.Contains(text, "secret") || strings.Count(text, "\n") < len(report.Faults) {
				t.Errorf("the report tells a secret, or not every fault: %s", text)
			}
		})
	}
}

// The counter is what gives cursors: without it nothing is stored, and that is
// an error.
//
// Rows: 237
func TestEventsWithoutTheCounterAreAnError(t *testing.T) {
	url := database(t)
	s := open(t, url, nil)
	run(t, connect(t, url), `DELETE FROM pawl.counter`)
	if err := s.Append(t.Context(), []session.Event{{Type: session.EventStarted}}); err == nil {
		t.Error("events are lost without an error")
	}
}
