package postgres_test

import (
	"errors"
	"fmt"
	neturl "net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore/postgres"
)

// usesOf are settled uses of the first generation of rows.
func usesOf(rows ...session.Row) (uses []session.Use) {
	for _, row := range rows {
		uses = append(uses, session.Use{Session: row.ID, Generation: 1, IssuedAt: time.Now().Add(-time.Hour)})
	}
	return uses
}

func confirmed(t testing.TB, s *postgres.Store, row session.Row) bool {
	t.Helper()
	return !load(t, s, row).ConfirmedAt.IsZero()
}

func load(t testing.TB, s *postgres.Store, row session.Row) session.Row {
	t.Helper()
	rows, _, err := s.Load(t.Context(), []session.ID{row.ID})
	if err != nil || len(rows) != 1 {
		t.Fatalf("Load: %d rows, %v", len(rows), err)
	}
	return rows[0]
}

// changesOf returns a change of every kind, by turns, with the bits that a note
// leaves.
func changesOf(rows []session.Row) []session.Change {
	changes := make([]session.Change, len(rows))
	for i, row := range rows {
		switch changes[i] = turn(row, time.Now()); i % 3 {
		case 1:
			changes[i].End = session.ReasonReuse
		case 2:
			changes[i] = session.Change{ID: row.ID, From: 1, Generation: 1, LateRepeats: 4}
		}
	}
	return changes
}

// made reports whether such a change was made of the row.
func made(t testing.TB, s *postgres.Store, row session.Row, c session.Change) bool {
	t.Helper()
	now := load(t, s, row)
	switch {
	case c.End != "":
		return now.EndReason == c.End
	case c.Generation != c.From:
		return now.Generation == c.Generation
	}
	return now.LateRepeats == c.LateRepeats
}

// An engine that shards by key runs a statement that takes locks only if it
// sees in its text that one machine has all the rows: each table of sessions in
// it is bound to the id, which is an argument.
func TestShardedStatementsNameTheSession(t *testing.T) {
	id := regexp.MustCompile(`WHERE (?:s\.)?id = (\$\d+)::uuid`)
	for kind, form := range postgres.Forms() {
		one := form[1]
		named := id.FindAllStringSubmatch(one, -1)
		if tables := strings.Count(one, "pawl.sessions"); tables != 2 || len(named) != tables || named[0][1] != named[1][1] {
			t.Errorf("%s: %d tables of sessions, bound to %v:\n%s", kind, tables, named, one)
		}
		if strings.Count(one, "FOR UPDATE SKIP LOCKED") != 1 {
			t.Errorf("%s: it may wait for a lock:\n%s", kind, one)
		}
		for _, word := range []string{"WITH", "unnest", "ANY", "JOIN", "v."} {
			if strings.Contains(one, word) {
				t.Errorf("%s: %q in a statement of one session:\n%s", kind, word, one)
			}
		}
		if !strings.Contains(form[0], "FOR UPDATE OF s SKIP LOCKED") {
			t.Errorf("%s: it may wait for a lock:\n%s", kind, form[0])
		}
	}
}

// Sharded, no transaction has more than one session, however it is sent.
//
// Rows: 114
func TestShardedChangesAreTransactionsOfTheirOwn(t *testing.T) {
	url := database(t)
	u, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("default_query_exec_mode", "cache_describe")
	u.RawQuery = query.Encode()
	conn := connect(t, url)
	const n = 300 // more than travel on one connection, and more than at once
	for name, test := range map[string]struct {
		store        *postgres.Store
		transactions int
	}{
		"Together":             {open(t, url, nil), 1},
		"Sharded":              {openSharded(t, url, nil), n},
		"ShardedWithoutNaming": {openSharded(t, u.String(), nil), n}, // statements are not prepared by name
	} {
		t.Run(name, func(t *testing.T) {
			transactions := func(what string) {
				t.Helper()
				var got int
				if err := conn.QueryRow(t.Context(), "SELECT count(DISTINCT xmin::text) FROM pawl.sessions").Scan(&got); err != nil || got != test.transactions {
					t.Errorf("%s: %d transactions for %d sessions, want %d (%v)", what, got, n, test.transactions, err)
				}
			}
			run(t, conn, "DELETE FROM pawl.sessions")
			s, rows := test.store, create(t, test.store, n)
			if _, err := s.Confirm(t.Context(), usesOf(rows...), time.Minute); err != nil {
				t.Fatal(err)
			}
			transactions("Confirm")
			changes := changesOf(rows)
			for i, err := range s.Replace(t.Context(), changes) {
				if err != nil || !made(t, s, rows[i], changes[i]) {
					t.Errorf("change %d: %v", i, err)
				}
			}
			transactions("Replace")
			for i, err := range s.Replace(t.Context(), changes) {
				if again := i%3 == 2; again != (err == nil) || !again && !errors.Is(err, session.ErrConflict) { // a note changes no generation
					t.Errorf("change %d again: %v", i, err)
				}
			}
		})
	}
}

// onUpdateOf makes the database do something when a session is changed.
func onUpdateOf(t testing.TB, url string, row session.Row, do string) {
	t.Helper()
	run(t, connect(t, url), `CREATE SEQUENCE tries`,
		`CREATE FUNCTION happens() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN `+do+` RETURN NEW; END $$`,
		fmt.Sprintf(`CREATE TRIGGER happens BEFORE UPDATE ON pawl.sessions FOR EACH ROW WHEN (OLD.id = '%x') EXECUTE FUNCTION happens()`, row.ID[:]))
}

// Sharded, a change that the database undoes is sent again, and none of those
// that were made: they would be conflicts. One that it refuses fails alone.
//
// Rows: A96
func TestShardedChangesFailAlone(t *testing.T) {
	for name, test := range map[string]struct {
		do    string
		fails bool
	}{
		"Undone":  {`IF nextval('tries') < 3 THEN RAISE EXCEPTION 'made up' USING ERRCODE = '40001'; END IF;`, false},
		"Refused": {`RAISE EXCEPTION 'made up' USING ERRCODE = '23514';`, true},
	} {
		t.Run(name, func(t *testing.T) {
			url := database(t)
			s := openSharded(t, url, nil)
			rows := create(t, s, 12)
			changes := changesOf(rows)
			onUpdateOf(t, url, rows[5], test.do)
			for i, err := range s.Replace(t.Context(), changes) {
				if fails := i == 5 && test.fails; fails != (err != nil) || errors.Is(err, session.ErrConflict) || made(t, s, rows[i], changes[i]) == fails {
					t.Errorf("change %d: %v", i, err)
				}
			}
		})
	}
}

// Sharded, a connection that breaks leaves those changes unknown that were not
// answered: they are neither said to be made nor to be conflicts.
//
// Rows: A96
func TestShardedChangesOfABrokenConnectionAreUnknown(t *testing.T) {
	url := database(t)
	s := openSharded(t, url, nil)
	rows := create(t, s, 12)
	changes := changesOf(rows)
	onUpdateOf(t, url, rows[6], `PERFORM pg_terminate_backend(pg_backend_pid());`)
	known := 0
	for i, err := range s.Replace(t.Context(), changes) {
		if errors.Is(err, session.ErrConflict) || err == nil && !made(t, s, rows[i], changes[i]) {
			t.Errorf("change %d: %v", i, err)
		}
		if err == nil {
			known++
		}
	}
	if known == len(rows) || known == 0 {
		t.Errorf("%d of %d are known", known, len(rows))
	}
}
