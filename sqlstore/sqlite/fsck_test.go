package sqlite_test

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore/sqlite"
	"github.com/pawlauth/pawl/token"
)

// populated returns a store with something of everything.
func populated(t *testing.T, path string) *sqlite.Store {
	t.Helper()
	s := open(t, path, time.Now)
	for range 3 {
		create(t, s)
	}
	row := create(t, s)
	if _, err := s.End(t.Context(), session.Selection{Session: row.ID}, session.ReasonOperator); err != nil {
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

func TestFsckFindsEveryFault(t *testing.T) {
	const ended, live = `WHERE ended_at IS NOT NULL`, `WHERE rowid = 1`
	for name, damage := range map[string]string{
		"generation of 0":          `UPDATE sessions SET generation = 0 ` + live,
		"salt of one that lives":   `UPDATE sessions SET salt = zeroblob(16) ` + live,
		"salt of one that ended":   `UPDATE sessions SET salt = randomblob(16) ` + ended,
		"late repeats of nothing":  `UPDATE sessions SET late_repeats = 2 ` + live,
		"end before the beginning": `UPDATE sessions SET absolute_end = 0 ` + live,
		"unheard transport":        `UPDATE sessions SET transport = 'pigeon' ` + live,
		"turned in the future":     `UPDATE sessions SET rotated_at = rotated_at + 30 * 86400000000 ` + live,
		"feed has another time":    `PRAGMA writable_schema = on; UPDATE sqlite_schema SET sql = replace(sql, '(ended_at)', '(ended_at - 1)') WHERE name = 'sessions_ended'`,
		"end without a reason":     `UPDATE sessions SET end_reason = '' ` + ended,
		"epoch without a reason":   `INSERT INTO epoch (one, at, reason) VALUES (1, 1, '')`,
		"two active keys":          `DROP INDEX keys_one_active; UPDATE keys SET state = 'active'`,
		"retiring key not erased":  `UPDATE keys SET state = 'retiring' WHERE state = 'active'`,
		"active key erased":        `UPDATE keys SET sealed = NULL WHERE state = 'active'`,
		"name not normal":          `UPDATE users SET name = 'BOB' WHERE name = 'bob'`,
		"hash not usable":          `UPDATE users SET hash = 'secret' WHERE name = 'bob'`,
		"cursors given again":      `UPDATE sqlite_sequence SET seq = 1`,
		"index lacks a row":        `PRAGMA writable_schema = on; UPDATE sqlite_schema SET sql = replace(sql, 'absolute_end', 'rotated_at') WHERE name = 'sessions_by_end'`,
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			populated(t, path)
			db := raw(t, path)
			run(t, db, `PRAGMA ignore_check_constraints = on; DROP TRIGGER ended_is_final`)
			run(t, db, damage)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			s := open(t, path, time.Now)
			report, err := s.Fsck(t.Context())
			if len(report.Faults) == 0 {
				t.Fatalf("no fault found: %v, %v", report, err)
			}
			if text := report.String(); strings.Contains(text, "secret") || strings.Count(text, "\n") < len(report.Faults) {
				t.Errorf("the report tells a secret, or not every fault: %s", text)
			}
		})
	}
}

// A page that was overwritten is found, and nothing is told of what it held.
func TestFsckFindsADamagedPage(t *testing.T) {
	path := newPath(t)
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	rows := manyRows(t, s, 300)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[:10] {
		at := strings.Index(string(file), string(row.Salt[:]))
		if at < 0 {
			t.Fatal("a salt is not in the file")
		}
		page := file[at/4096*4096:][:4096]
		for i := range 64 {
			page[i] = 0x5A
		}
	}
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	report, err := open(t, path, time.Now).Fsck(t.Context())
	if len(report.Faults) == 0 {
		t.Errorf("no fault found, %v", err)
	}
}

// Ending a session erases its salt, sweeping it the row, retiring a key its
// private half: from the file too, not only from the row.
//
// Rows: 119.
func TestWhatIsErasedIsGoneFromTheFile(t *testing.T) {
	path := newPath(t)
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	salt := token.Salt([]byte("canary of a salt"))
	row := newRow(time.Now())
	row.Salt = salt
	if err := s.Create(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	old := newRow(time.Now().Add(-100 * 24 * time.Hour))
	old.UserID = "canary of a user that is swept"
	if err := s.Create(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	key := keyring.Record{ID: "k", Algorithm: keyring.EdDSA, Header: "h", Public: []byte{1}, Sealed: []byte("canary of a sealed key"),
		State: keyring.Active, CreatedAt: time.Now(), ChangedAt: time.Now()}
	if err := s.ChangeKeys(t.Context(), []keyring.Change{{To: key}}); err != nil {
		t.Fatal(err)
	}
	contains := func(what []byte) bool {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if s, err = sqlite.Open(t.Context(), sqlite.Options{Path: path, Now: time.Now}); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(content), string(what))
	}
	defer func() { s.Close() }()
	if !contains(salt[:]) || !contains([]byte(old.UserID)) || !contains(key.Sealed) {
		t.Fatal("the canaries are not in the file")
	}
	if _, err := s.End(t.Context(), session.Selection{Session: row.ID}, session.ReasonOperator); err != nil {
		t.Fatal(err)
	}
	retired := key
	retired.State, retired.Sealed = keyring.Retiring, nil
	if err := s.ChangeKeys(t.Context(), []keyring.Change{{From: keyring.Active, To: retired}}); err != nil {
		t.Fatal(err)
	}
	if contains(salt[:]) {
		t.Errorf("the salt %s is still in the file", hex.EncodeToString(salt[:]))
	}
	if n, err := s.Sweep(t.Context(), 10, time.Minute); err != nil || n != 1 {
		t.Fatalf("swept %d, %v", n, err)
	}
	if contains([]byte(old.UserID)) {
		t.Error("the swept session is still in the file")
	}
	if contains(key.Sealed) {
		t.Error("the private half is still in the file")
	}
}
