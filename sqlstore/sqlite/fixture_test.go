package sqlite_test

import (
	"context"
	"database/sql"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore/sqlite"
	"github.com/pawlauth/pawl/token"
)

var update = flag.Bool("update", false, "write the fixture of the schema version, and what it must read as")

// fixtureTime is when the fixture was written.
var fixtureTime = time.Date(2026, time.March, 1, 12, 34, 56, 123456000, time.UTC)

func fixtureClock() time.Time { return fixtureTime }

// The fixtures are databases that each version of the schema wrote. Every later
// version opens them and reads what was written. With -update, that of this
// version is written anew; those of earlier ones never change.
func TestOpenReadsEveryVersion(t *testing.T) {
	for version := 1; version <= sqlite.SchemaVersion; version++ {
		t.Run(fmt.Sprint("version", version), func(t *testing.T) { openFixture(t, version) })
	}
}

func openFixture(t *testing.T, version int) {
	name := fmt.Sprintf("testdata/version%d", version)
	if *update && version == sqlite.SchemaVersion {
		writeFixture(t, name+".sql")
	}
	content, err := os.ReadFile(name + ".sql")
	if err != nil {
		t.Fatal(err)
	}
	path := newPath(t)
	db := raw(t, path)
	run(t, db, string(content))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	store := open(t, path, fixtureClock)
	sound(t, store)
	got := describe(t, store, path)
	if *update {
		if err := os.WriteFile(name+".golden", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name + ".golden")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" || len(got) < 1000 {
		t.Errorf("reads differently (-want +got):\n%s", diff)
	}
}

// writeFixture writes a database with something in every column, as SQL.
func writeFixture(t *testing.T, name string) {
	path, ctx := newPath(t), t.Context()
	s := open(t, path, fixtureClock)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		row := newRow(fixtureTime)
		row.ID, row.Salt = session.ID{byte(i + 1)}, token.Salt{1, 2, 3, byte(i + 1)}
		if i == 1 {
			row.Generation, row.LateRepeats, row.KeyHash, row.Remembered = 300, 0xA5, session.KeyHash{7}, true
			row.CreatedAt, row.AuthTime = fixtureTime.Add(-48*time.Hour), fixtureTime.Add(-49*time.Hour)
			row.RotatedAt, row.PriorUsedAt, row.ConfirmedAt = fixtureTime.Add(-time.Hour), fixtureTime.Add(-2*time.Hour), fixtureTime.Add(-time.Minute)
			row.Binding = session.Binding{Kind: session.DBSC, Thumbprint: "thumbprint", RolledBackAt: fixtureTime.Add(-time.Second)}
			row.Methods = []string{"pwd", "otp"}
		}
		must(s.Create(ctx, row))
	}
	_, err := s.End(ctx, session.Selection{Session: session.ID{3}}, session.ReasonReuse)
	must(err)
	old := newRow(fixtureTime)
	old.ID, old.Salt = session.ID{4}, token.Salt{1, 2, 3, 4}
	old.RotatedAt, old.CreatedAt, old.AuthTime = fixtureTime.Add(-72*time.Hour), fixtureTime.Add(-72*time.Hour), fixtureTime.Add(-72*time.Hour)
	must(s.Create(ctx, old))
	_, err = s.EndEveryone(ctx, fixtureTime.Add(-60*time.Hour), session.ReasonFenced)
	must(err)
	for i, state := range []keyring.State{keyring.Retiring, keyring.Active, keyring.Next} {
		record := keyring.Record{ID: fmt.Sprint("key", i), Algorithm: keyring.EdDSA, Header: fmt.Sprint("header", i), Public: []byte{1, byte(i)},
			Master: token.KeyID{1, 2, 3, 4}, State: state, CreatedAt: fixtureTime.Add(time.Duration(i) * time.Hour), ChangedAt: fixtureTime}
		if state != keyring.Retiring {
			record.Sealed = []byte{9, 9, byte(i)}
		}
		if state != keyring.Active {
			record.DueAt = fixtureTime.Add(time.Hour)
		}
		must(s.ChangeKeys(ctx, []keyring.Change{{To: record}}))
	}
	for i, name := range []string{"alice", "zo\u00e9"} {
		must(s.CreateUser(ctx, account.User{ID: "u_" + name, Name: name, Display: strings.ToUpper(name), Disabled: name != "alice",
			Hash: "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA"}, time.Duration(i)*time.Hour))
	}
	alice, err := s.UserByName(ctx, "alice")
	must(err)
	must(s.SignedIn(ctx, alice, ""))
	known, err := s.Tally(ctx, account.Attempt{Account: account.Tag{1}, Network: account.Tag{2}, Site: account.Tag{3}}.Take())
	must(err)
	_, err = s.Tally(ctx, known.Succeed())
	must(err)
	for range 5 { // and then closed
		_, err = s.Tally(ctx, account.Attempt{Account: account.Tag{4}, Network: account.Tag{2}}.Take())
		must(err)
	}
	must(s.Append(ctx, []session.Event{
		{Time: fixtureTime, Type: session.EventStarted, UserID: "u_alice", Session: "pseudonym", Generation: 1, ClientID: "web",
			Origin: session.Origin{Address: "192.0.2.0/24", UserAgent: "agent", RequestID: "r1"}},
		{Time: fixtureTime, Type: session.EventEnded, Reason: "reuse", Actor: "operator", Key: "key0"},
	}))
	_, err = s.AddService(ctx, service.Record{Service: service.Service{Name: "shop", Scopes: []service.Scope{service.SessionsRead, service.SessionsWrite}}, Secret: service.Hash{5}})
	must(err)
	must(s.PutCode(ctx, service.Code{Hash: service.Hash{6}, Binding: service.Hash{7}, Login: service.Login{UserID: "u_alice", ClientID: "web", Audience: "https://api.example",
		Scope: "openid", Methods: []string{"pwd", "otp"}, Remembered: true, Service: "shop", PasswordChangedAt: fixtureTime}}, time.Hour))
	text, err := dump(ctx, raw(t, path))
	must(err)
	must(os.WriteFile(name, []byte(text), 0o644))
}

// describe writes down all that a store returns. Secrets of the fixture are
// none.
func describe(t *testing.T, s *sqlite.Store, path string) string {
	var b strings.Builder
	rows, now, err := s.List(t.Context(), session.Query{WithEnded: true, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(&b, "clock", now)
	for _, r := range rows {
		fmt.Fprintf(&b, "session %+v, salt %s, methods %q\n", r, hex.EncodeToString(r.Salt[:]), r.Methods)
	}
	told, err := s.Ended(t.Context(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(&b, "ended", told.Sessions)
	if !told.Epoch.IsZero() {
		fmt.Fprintln(&b, "ended all until", told.Epoch)
	}
	services, err := s.Services(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range services {
		record, err := s.Service(t.Context(), found.Name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "service %+v, secret %x\n", found, record.Secret[:2])
		code, err := s.Code(t.Context(), service.Hash{6})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "code %+v\n", code)
	}
	keys, _, err := s.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		fmt.Fprintf(&b, "key %+v\n", k)
	}
	users, err := s.Users(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range users {
		fmt.Fprintf(&b, "user %+v, hash %s\n", u, string(u.Hash))
	}
	attempts, err := column(t.Context(), raw(t, path), `SELECT concat_ws(' ', 'attempt', hex(account), hex(network),
		owed_until, closed_until, known_until, ends_at) FROM attempts`)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range attempts {
		fmt.Fprintln(&b, a)
	}
	events, err := s.Events(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		fmt.Fprintf(&b, "event %+v\n", e)
	}
	return b.String()
}

// dump writes what a database holds as statements that make it again.
func dump(ctx context.Context, db *sql.DB) (string, error) {
	text := "PRAGMA application_id = 0x5061776c;\n"
	for _, from := range []string{
		`SELECT sql || ';' FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' AND type = 'table'`,
		`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`,
		`SELECT sql || ';' FROM sqlite_schema WHERE sql IS NOT NULL AND type <> 'table'`,
	} {
		lines, err := column(ctx, db, from)
		if err != nil {
			return "", err
		}
		for _, line := range lines {
			if line[len(line)-1] == ';' {
				text += line + "\n"
				continue
			}
			columns, err := column(ctx, db, `SELECT 'quote("' || name || '")' FROM pragma_table_info(?)`, line)
			if err != nil {
				return "", err
			}
			list := ""
			for i, c := range columns {
				if i > 0 {
					list += " || ', ' || "
				}
				list += c
			}
			rows, err := column(ctx, db, fmt.Sprintf(`SELECT 'INSERT INTO %s VALUES (' || %s || ');' FROM %s`, line, list, line))
			if err != nil {
				return "", err
			}
			for _, row := range rows {
				text += row + "\n"
			}
		}
	}
	return text, nil
}

// column returns the one column that a query gives.
func column(ctx context.Context, db *sql.DB, query string, args ...any) (values []string, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, rows.Err()
}
