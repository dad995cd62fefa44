package sqlite_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/storetest"
	"github.com/pawlauth/pawl/token"
)

// A copy of the database is worth nothing: no value of any column, in any
// spelling, is a token or makes one.
//
// Rows: 119, A43.
func TestNoColumnIsAToken(t *testing.T) {
	var key token.RefreshKey
	rand.Read(key.ID[:])
	rand.Read(key.Outer[:])
	rand.Read(key.Inner[:])
	codec := token.NewRefreshCodec(key)
	path := newPath(t)
	s := open(t, path, time.Now)
	engine := storetest.NewEngine(t, s, func(o *session.Options) { o.Codec, o.Key = codec, key.ID })
	var issued session.Issued
	for range 3 {
		var err error
		if issued, err = engine.Start(t.Context(), session.Login{UserID: "u_alice", ClientID: "web", Audience: "app", Transport: session.Bearer}); err != nil {
			t.Fatal(err)
		}
	}
	values := columns(t, path)
	if len(values) < 3*20 {
		t.Fatalf("%d values in the database", len(values))
	}
	row := issued.Row
	// And what a thief would try who knows the layout: the head of a token from
	// the columns, with the salt, zeros, or nothing for tags.
	head := append([]byte{1}, row.Key[:]...)
	head = append(append(head, row.ID[:]...), byte(row.Generation))
	for _, tags := range [][]byte{nil, make([]byte, 24), append(make([]byte, 8), row.Salt[:]...), append(row.Salt[:8:8], row.Salt[:]...)} {
		values = append(values, append(head[:len(head):len(head)], tags...))
	}
	for _, value := range values {
		for _, body := range []string{string(value), base64.RawURLEncoding.EncodeToString(value), hex.EncodeToString(value)} {
			for _, text := range []string{body, token.RefreshPrefix + body} {
				if _, err := codec.Open(text); !errors.Is(err, token.ErrRefresh) {
					t.Errorf("a column opens as a token")
				}
				if _, err := engine.Refresh(t.Context(), session.Renewal{Refresh: text, Transport: session.Bearer}); !errors.Is(err, session.ErrRefused) {
					t.Errorf("a column renews: %v", err)
				}
			}
		}
		for _, secret := range []string{issued.Refresh.Reveal(), issued.Access.Reveal()} {
			if strings.Contains(string(value), secret) || len(value) > 8 && strings.Contains(secret, string(value)) {
				t.Errorf("a column is part of a token, or the other way round")
			}
		}
	}
	if _, err := engine.Refresh(t.Context(), session.Renewal{Refresh: issued.Refresh.Reveal(), Transport: session.Bearer}); err != nil {
		t.Errorf("the token itself: %v", err)
	}
}

// columns returns every value of every column of every table.
func columns(t *testing.T, path string) (values [][]byte) {
	t.Helper()
	db := raw(t, path)
	tables, err := column(t.Context(), db, `SELECT name FROM sqlite_schema WHERE type = 'table'`)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		rows, err := db.QueryContext(t.Context(), "SELECT * FROM "+table)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		names, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			line, targets := make([]any, len(names)), make([]any, len(names))
			for i := range line {
				targets[i] = &line[i]
			}
			if err := rows.Scan(targets...); err != nil {
				t.Fatal(err)
			}
			for _, v := range line {
				switch v := v.(type) {
				case nil:
				case []byte:
					values = append(values, v)
				default:
					values = append(values, fmt.Append(nil, v))
				}
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return values
}

// Rows: 240.
func TestNoErrorTellsASecret(t *testing.T) {
	const canary = "canary-canary-16"
	path := newPath(t)
	s := open(t, path, time.Now)
	row := newRow(time.Now())
	row.Salt, row.KeyHash = token.Salt([]byte(canary)), session.KeyHash([]byte(canary))
	key := keyring.Record{ID: "k", Algorithm: keyring.EdDSA, Header: "h", Public: []byte{1}, Sealed: []byte(canary), State: keyring.Active,
		CreatedAt: time.Now(), ChangedAt: time.Now()}
	user := account.User{ID: "u_1", Name: "alice", Display: "alice", Hash: canary}
	var errs []error
	try := func(what string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s: no error", what)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(s.Create(t.Context(), row), s.ChangeKeys(t.Context(), []keyring.Change{{To: key}}), s.CreateUser(t.Context(), user, 0)); err != nil {
		t.Fatal(err)
	}
	try("taken id", s.Create(t.Context(), row))
	try("taken key", s.ChangeKeys(t.Context(), []keyring.Change{{To: key}}))
	try("taken name", s.CreateUser(t.Context(), user, 0))
	user.Name = "bob"
	try("taken user id", s.CreateUser(t.Context(), user, 0))
	bad := row
	bad.ID, bad.Transport = token.NewID(), canary
	try("transport", s.Create(t.Context(), bad))
	bad.Transport, bad.Methods = session.Bearer, []string{canary + "\n"}
	try("method", s.Create(t.Context(), bad))
	key.ID, key.State = "l", canary
	try("state", s.ChangeKeys(t.Context(), []keyring.Change{{To: key}}))
	c := turn(row, time.Now())
	c.Generation, c.KeyHash = 0, row.KeyHash
	try("generation", replace(t, s, c))
	try("no user", s.SetPassword(t.Context(), "nobody", canary, 0))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := s.Load(ctx, []session.ID{row.ID})
	try("load, ended context", err)
	try("set, ended context", s.SetPassword(ctx, "u_1", canary, 0))
	_, err = s.UserByName(ctx, canary)
	try("user, ended context", err)

	// Columns that no longer hold what they should.
	db := raw(t, path)
	run(t, db, "PRAGMA ignore_check_constraints = on")
	run(t, db, "UPDATE sessions SET salt = CAST('"+canary+canary+"' AS BLOB); UPDATE keys SET master = CAST('"+canary+"' AS BLOB)")
	_, _, err = s.Load(t.Context(), []session.ID{row.ID})
	try("load, damaged", err)
	_, _, err = s.List(t.Context(), session.Query{Limit: 1})
	try("list, damaged", err)
	_, _, err = s.Keys(t.Context())
	try("keys, damaged", err)
	report, err := s.Fsck(t.Context())
	try("fsck, damaged", err)
	errs = append(errs, errors.New(report.String()))

	for _, err := range errs {
		for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
			for _, form := range []string{canary, hex.EncodeToString([]byte(canary)), base64.RawURLEncoding.EncodeToString([]byte(canary))[:20]} {
				if strings.Contains(strings.ToLower(text), strings.ToLower(form)) {
					t.Errorf("an error tells a secret: %s", text)
				}
			}
		}
	}
}
