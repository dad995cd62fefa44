package sqlite_test

import (
	"testing"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

// That there is one active key and one next key does not rest on any code: the
// schema refuses a second, whoever writes it.
func TestSchemaKeepsOneNextAndOneActiveKey(t *testing.T) {
	path := newPath(t)
	open(t, path, time.Now)
	db := raw(t, path)
	insert := `INSERT INTO keys (id, algorithm, header, public, master, sealed, state, created_at, changed_at)
		VALUES (?, 'EdDSA', 'h', x'01', x'01020304', ?, ?, 1, 1)`
	for i, state := range []string{"next", "active", "retiring", "retiring", "gone", "gone", "withdrawn", "withdrawn"} {
		run(t, db, insert, i, nil, state)
	}
	for _, state := range []string{"next", "active", "unheard"} {
		if _, err := db.Exec(insert, "second "+state, nil, state); err == nil {
			t.Errorf("a second key in state %q was accepted", state)
		}
	}
	if _, err := db.Exec(`UPDATE keys SET state = 'active' WHERE state = 'next'`); err == nil {
		t.Error("two keys became active")
	}
}

// Nothing brings an ended session back, whoever writes it.
func TestSchemaKeepsAnEndedSessionEnded(t *testing.T) {
	path := newPath(t)
	s := open(t, path, time.Now)
	row := create(t, s)
	if _, err := s.End(t.Context(), session.Selection{Session: row.ID}, session.ReasonOperator); err != nil {
		t.Fatal(err)
	}
	db := raw(t, path)
	for _, set := range []string{"ended_at = NULL, end_reason = ''", "salt = randomblob(16)", "end_reason = 'other'", "ended_at = ended_at + 1"} {
		if _, err := db.Exec("UPDATE sessions SET " + set); err == nil {
			t.Errorf("an ended session was changed: %s", set)
		}
	}
	other := create(t, s)
	if _, err := db.Exec("UPDATE sessions SET ended_at = 1, end_reason = 'x' WHERE id = ?", other.ID[:]); err == nil {
		t.Error("an ended session kept its salt")
	}
	sound(t, s)
}

func TestEndRefusesASelectionOfNothing(t *testing.T) {
	s := open(t, newPath(t), time.Now)
	row := create(t, s)
	for _, which := range []session.Selection{{}, {Except: token.NewID()}, {User: "u_alice", Session: row.ID}} {
		if ended, err := s.End(t.Context(), which, session.ReasonOperator); err == nil || len(ended) > 0 {
			t.Errorf("%+v: ended %d, %v; want an error", which, len(ended), err)
		}
	}
	if got := load(t, s, row.ID); got.Ended() {
		t.Error("a session was ended")
	}
}

func TestCreateRefusesMethodsItCannotKeep(t *testing.T) {
	s := open(t, newPath(t), time.Now)
	for _, methods := range [][]string{{""}, {"pwd", ""}, {"pwd\notp"}} {
		row := newRow(time.Now())
		row.Methods = methods
		if err := s.Create(t.Context(), row); err == nil {
			t.Errorf("methods %q were accepted", methods)
		}
	}
}
