package postgres_test

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
	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/storetest"
	"github.com/pawlauth/pawl/sqlstore"
	"github.com/pawlauth/pawl/token"
)

// columns returns every value of every column of every table, as bytes or as
// text.
func columns(t *testing.T, url string) (values [][]byte) {
	t.Helper()
	conn := connect(t, url)
	rows, err := conn.Query(t.Context(), `SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'pawl'`)
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	for _, table := range tables {
		rows, err := conn.Query(t.Context(), "SELECT * FROM pawl."+table)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			line, err := rows.Values()
			if err != nil {
				t.Fatal(err)
			}
			for _, value := range line {
				switch v := value.(type) {
				case nil:
				case []byte:
					values = append(values, v)
				case [16]byte:
					values = append(values, v[:])
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

// A copy of the database is worth nothing: no value of any column, in any
// spelling, is a token, a secret or a code, or makes one.
//
// Rows: 119, A43.
func TestNoColumnIsAToken(t *testing.T) {
	var key token.RefreshKey
	rand.Read(key.ID[:])
	rand.Read(key.Outer[:])
	rand.Read(key.Inner[:])
	codec := token.NewRefreshCodec(key)
	url := database(t)
	s := open(t, url, nil)
	engine := storetest.NewEngine(t, s, func(o *session.Options) { o.Codec, o.Key = codec, key.ID })
	issued, err := engine.Start(t.Context(), session.Login{UserID: "u_alice", ClientID: "web", Audience: "app", Transport: session.Bearer})
	if err != nil {
		t.Fatal(err)
	}
	services := service.New(s)
	_, secret, err := services.Add(t.Context(), "shop", []service.Scope{service.SessionsWrite})
	if err != nil {
		t.Fatal(err)
	}
	cookie := service.NewCookie()
	code, err := services.Offer(t.Context(), service.BindingOf(cookie), service.Login{UserID: "u_alice", Service: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	values := columns(t, url)
	if len(values) < 40 {
		t.Fatalf("%d values in the database", len(values))
	}
	secrets := []string{issued.Refresh.Reveal(), issued.Access.Reveal(), secret.Reveal(), code.Reveal(), cookie.Reveal()}
	for _, value := range values {
		for _, text := range []string{string(value), base64.RawURLEncoding.EncodeToString(value), hex.EncodeToString(value)} {
			if _, err := engine.Refresh(t.Context(), session.Renewal{Refresh: token.RefreshPrefix + text, Transport: session.Bearer}); !errors.Is(err, session.ErrRefused) {
				t.Errorf("a column renews: %v", err)
			}
			if _, err := services.Authenticate(t.Context(), "shop", service.SecretPrefix+text); !errors.Is(err, service.ErrCredentials) {
				t.Errorf("a column authenticates a service: %v", err)
			}
			if _, err := services.Look(t.Context(), token.Secret(text), cookie); !errors.Is(err, service.ErrCode) {
				t.Errorf("a column is a code: %v", err)
			}
			for _, secret := range secrets {
				if strings.Contains(text, secret) || len(value) > 8 && strings.Contains(secret, text) {
					t.Error("a column is part of a secret, or the other way round")
				}
			}
		}
	}
	if _, err := services.Look(t.Context(), code, cookie); err != nil {
		t.Errorf("the code itself: %v", err)
	}
	if _, err := engine.Refresh(t.Context(), session.Renewal{Refresh: issued.Refresh.Reveal(), Transport: session.Bearer}); err != nil {
		t.Errorf("the token itself: %v", err)
	}
}

// No error quotes what was to be stored, or what is: the server's messages do,
// in their details and where a value does not fit its column.
//
// Rows: 240.
func TestNoErrorTellsASecret(t *testing.T) {
	const canary = "canary-of-16byte"
	url := database(t)
	s := open(t, url, nil)
	row := newRow(time.Now())
	row.Salt, row.KeyHash = token.Salt([]byte(canary)), session.KeyHash([]byte(canary))
	key := keyring.Record{ID: "k", Algorithm: keyring.EdDSA, Header: "h", Public: []byte{1}, Sealed: []byte(canary), State: keyring.Active,
		CreatedAt: time.Now(), ChangedAt: time.Now()}
	user := account.User{ID: "u_1", Name: "alice", Display: "alice", Hash: canary}
	hash := service.Hash([]byte(canary + canary))
	record := service.Record{Service: service.Service{Name: "shop", Scopes: []service.Scope{service.EventsRead}}, Secret: hash}
	code := service.Code{Hash: hash, Binding: hash, Login: service.Login{UserID: canary}}
	_, err := s.AddService(t.Context(), record)
	if err := errors.Join(err, s.Create(t.Context(), row), s.ChangeKeys(t.Context(), []keyring.Change{{To: key}}),
		s.CreateUser(t.Context(), user, 0), s.PutCode(t.Context(), code, time.Minute)); err != nil {
		t.Fatal(err)
	}
	var errs []error
	try := func(what string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s: no error", what)
		}
		errs = append(errs, err)
	}
	try("taken id", s.Create(t.Context(), row))
	try("taken key", s.ChangeKeys(t.Context(), []keyring.Change{{To: key}}))
	try("taken name", s.CreateUser(t.Context(), user, 0))
	user.Name = "bob"
	try("taken user id", s.CreateUser(t.Context(), user, 0))
	try("taken code", s.PutCode(t.Context(), code, time.Minute))
	_, err = s.AddService(t.Context(), record)
	try("taken service", err)
	bad := row
	bad.ID, bad.Transport = token.NewID(), canary
	try("transport", s.Create(t.Context(), bad))
	bad.Transport, bad.Methods = session.Bearer, []string{canary + "\n"}
	try("method", s.Create(t.Context(), bad))
	key.ID, key.State = "l", canary
	try("state", s.ChangeKeys(t.Context(), []keyring.Change{{To: key}}))
	try("no text", s.SetPassword(t.Context(), "u_1", canary+"\x00", 0))
	try("no text either", s.SetPassword(t.Context(), "u_1", canary+"\xff", 0))
	c := turn(row, time.Now())
	c.Generation, c.KeyHash = 0, row.KeyHash
	try("generation", s.Replace(t.Context(), []session.Change{c})[0])
	try("no user", s.SetPassword(t.Context(), "nobody", canary, 0))
	_, err = s.TakeCode(t.Context(), service.Hash([]byte(canary+canary[:15]+"x")))
	try("no code", err)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	try("set, ended context", s.SetPassword(ctx, "u_1", canary, 0))
	_, err = s.UserByName(ctx, canary)
	try("user, ended context", err)

	sink := openSink(t, url)
	try("a copy", sink.Write(t.Context(), sqlstore.Records{Users: []account.User{{ID: canary}}}))
	run(t, connect(t, url), `INSERT INTO pawl.copying VALUES (1, gen_random_uuid())`)
	if err := sink.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	bad.Methods, bad.Transport = nil, canary
	try("a copy of what cannot be", sink.Write(t.Context(), sqlstore.Records{Sessions: []session.Row{bad}}))
	try("a copy of no text", sink.Write(t.Context(), sqlstore.Records{Users: []account.User{{ID: "u_2", Hash: canary + "\x00"}}}))

	// Columns that no longer hold what they should.
	run(t, connect(t, url), `ALTER TABLE pawl.sessions DROP CONSTRAINT sessions_salt_check; ALTER TABLE pawl.keys DROP CONSTRAINT keys_master_check;
		UPDATE pawl.sessions SET salt = '`+canary+canary+`'; UPDATE pawl.keys SET master = '`+canary+`'`)
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
