package postgres_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/storetest"
	"github.com/pawlauth/pawl/sqlstore"
	"github.com/pawlauth/pawl/sqlstore/postgres"
	"github.com/pawlauth/pawl/sqlstore/sqlite"
	"github.com/pawlauth/pawl/token"
)

var allTables = []sqlstore.Table{sqlstore.EpochTable, sqlstore.KeyTable, sqlstore.UserTable, sqlstore.AttemptTable,
	sqlstore.ServiceTable, sqlstore.EventTable, sqlstore.CounterTable, sqlstore.SessionTable}

// openFile opens a new file as a store.
func openFile(t testing.TB, now func() time.Time) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "pawl.db"), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func openSink(t testing.TB, url string) *postgres.Sink {
	t.Helper()
	k, err := postgres.OpenSink(t.Context(), postgres.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return k
}

// populate stores something of everything, of sessions and events more than
// two pages.
func populate(t testing.TB, s sqlstore.Store) {
	t.Helper()
	now := time.Now()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	edits := []func(*session.Row){
		func(*session.Row) {},
		func(r *session.Row) { r.Transport, r.Scope, r.Methods, r.UserID = session.Bearer, "", nil, "u_bob" },
		func(r *session.Row) {
			r.Generation, r.LateRepeats, r.KeyHash, r.Remembered = 300, 0xA5, session.KeyHash{7}, true
			r.PriorUsedAt, r.ConfirmedAt, r.Methods = now, now, []string{"pwd", "otp"}
			r.Binding = session.Binding{Kind: session.DBSC, Thumbprint: "thumbprint", RolledBackAt: now}
		},
	}
	var wait sync.WaitGroup
	for i := range 50 {
		wait.Go(func() {
			for k := range 45 {
				row := newRow(now)
				edits[(i+k)%len(edits)](&row)
				if err := s.Create(t.Context(), row); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	_, err := s.End(t.Context(), session.Selection{User: "u_bob"}, session.ReasonDisabled)
	must(err)
	_, err = s.EndEveryone(t.Context(), now.Add(-time.Hour), session.ReasonEveryone)
	must(err)
	for i, state := range []keyring.State{keyring.Gone, keyring.Active, keyring.Next} {
		key := keyring.Record{ID: fmt.Sprint("key", i), Algorithm: keyring.EdDSA, Header: "header", Public: []byte{1, byte(i)},
			Master: token.KeyID{1, 2, 3, 4}, State: state, CreatedAt: now, ChangedAt: now}
		if state != keyring.Gone {
			key.Sealed, key.DueAt = []byte{9, 9}, now.Add(time.Hour)
		}
		must(s.ChangeKeys(t.Context(), []keyring.Change{{To: key}}))
	}
	for i, name := range []string{"zoé", "alice", "bob"} {
		must(s.CreateUser(t.Context(), account.User{ID: "u_" + name, Name: name, Display: "Á " + name, Disabled: i == 0,
			Hash: "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA"}, time.Duration(i)*time.Hour))
	}
	alice, err := s.UserByName(t.Context(), "alice")
	must(err)
	must(s.SignedIn(t.Context(), alice, ""))
	for n := range 20 {
		taken, err := s.Tally(t.Context(), account.Attempt{Account: account.Tag{1}, Network: account.Tag{byte(n)}, Site: account.Tag{3}}.Take())
		must(err)
		if n%2 == 0 {
			_, err = s.Tally(t.Context(), taken.Succeed())
			must(err)
		}
	}
	if services, ok := s.(service.Directory); ok {
		for _, name := range []string{"shop", "billing"} {
			_, err := services.AddService(t.Context(), service.Record{Service: service.Service{Name: name,
				Scopes: []service.Scope{service.EventsRead, service.UsersRead}}, Secret: service.Hash{1}})
			must(err)
		}
	}
	events := make([]session.Event, 2500)
	for i := range events {
		events[i] = session.Event{Time: now.Add(time.Duration(i) * time.Second), Type: session.EventRenewed, UserID: "u_alice",
			Generation: uint32(i), Origin: session.Origin{UserAgent: "agent"}}
	}
	events[0].Time = now.Add(-48 * time.Hour)
	must(s.Append(t.Context(), events))
	_, err = s.TrimEvents(t.Context(), 24*time.Hour, 10)
	must(err)
}

// everything returns all records of a source.
func everything(t testing.TB, from sqlstore.Source) map[sqlstore.Table]sqlstore.Records {
	t.Helper()
	all := make(map[sqlstore.Table]sqlstore.Records)
	for _, table := range allTables {
		records, err := from.Page(t.Context(), table, sqlstore.Place{}, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		n, err := from.Size(t.Context(), table)
		if err != nil || n != records.Len() {
			t.Errorf("%s: %d records, but a size of %d, %v", table, records.Len(), n, err)
		}
		all[table] = records
	}
	return all
}

var errKilled = errors.New("killed")

// A killed sink gets to so many calls, and does the last one or not.
type killed struct {
	sqlstore.Sink
	calls int
	does  bool
}

func (k *killed) call(do func() error) error {
	switch k.calls--; {
	case k.calls > 0:
		return do()
	case k.calls == 0 && k.does:
		return errors.Join(do(), errKilled)
	default:
		return errKilled
	}
}

func (k *killed) Begin(ctx context.Context) error {
	return k.call(func() error { return k.Sink.Begin(ctx) })
}

func (k *killed) Write(ctx context.Context, r sqlstore.Records) error {
	return k.call(func() error { return k.Sink.Write(ctx, r) })
}

func (k *killed) Finish(ctx context.Context) error {
	return k.call(func() error { return k.Sink.Finish(ctx) })
}

// However often a copy is ended, and wherever, it goes on and gets to the same
// as one that was not; until then nothing is served from it.
//
// Rows: 114
func TestCopyThatWasKilledGoesOn(t *testing.T) {
	from := openFile(t, time.Now)
	populate(t, from)
	want := everything(t, from)

	once := database(t)
	var last string
	progress := func(table string, done, of int) {
		if done > of || table == "" {
			t.Errorf("%d of %d of %q are copied", done, of, table)
		}
		last = fmt.Sprint(table, " ", done, " of ", of)
	}
	if err := sqlstore.Copy(t.Context(), from, openSink(t, once), progress); err != nil {
		t.Fatal(err)
	}
	if last != "sessions 2250 of 2250" {
		t.Errorf("the last progress was %q", last)
	}
	if diff := cmp.Diff(want, everything(t, openSink(t, once))); diff != "" {
		t.Fatalf("copied (-want +got):\n%.3000s", diff)
	}

	often := database(t)
	kills := 0
	for ; kills < 500; kills++ {
		var r [2]byte
		rand.Read(r[:])
		k := &killed{Sink: openSink(t, often), calls: 1 + int(r[0]%14), does: r[0]%14 == 0 || r[1]%2 == 0}
		if err := sqlstore.Copy(t.Context(), from, k, nil); err == nil {
			break
		} else if !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		s, err := postgres.Open(t.Context(), postgres.Options{URL: often})
		if err == nil { // killed after the last step
			s.Close()
			break
		}
		if !errors.Is(err, sqlstore.ErrIncomplete) {
			t.Fatalf("Open of what is being copied: %v, want ErrIncomplete", err)
		}
	}
	if diff := cmp.Diff(want, everything(t, openSink(t, often))); diff != "" {
		t.Fatalf("copied after %d kills (-want +got):\n%.3000s", kills, diff)
	}
	for _, url := range []string{once, often} {
		report, err := open(t, url, nil).Fsck(t.Context())
		if err != nil || len(report.Faults) > 0 || report.Sessions != 2250 {
			t.Errorf("the copy: %v, %v", report, err)
		}
	}
}

// Whoever was signed in stays signed in, and who was not is not; what comes
// next comes after what was.
//
// Rows: 94, 237
func TestSessionsGoOnInTheCopy(t *testing.T) {
	clock := storetest.NewClock()
	from := openFile(t, clock.Now)
	before := storetest.NewEngine(t, from, nil)
	login := session.Login{UserID: "u_alice", ClientID: "web", Audience: "app", Transport: session.Bearer}
	start := func() session.Issued {
		t.Helper()
		issued, err := before.Start(t.Context(), login)
		if err != nil {
			t.Fatal(err)
		}
		return issued
	}
	fresh, turned, ended := start(), start(), start()
	clock.Advance(10 * time.Minute)
	renew := func(e *session.Engine, with session.Issued) (session.Issued, error) {
		return e.Refresh(t.Context(), session.Renewal{Refresh: with.Refresh.Reveal(), Transport: session.Bearer})
	}
	newer, err := renew(before, turned)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := from.End(t.Context(), session.Selection{Session: ended.Row.ID}, session.ReasonSignOut); err != nil {
		t.Fatal(err)
	}
	if err := from.Append(t.Context(), []session.Event{{Type: session.EventStarted}, {Type: session.EventEnded}}); err != nil {
		t.Fatal(err)
	}
	clock.Advance(100 * 24 * time.Hour)
	if n, err := from.TrimEvents(t.Context(), time.Hour, 10); err != nil || n != 2 {
		t.Fatalf("trimmed %d, %v", n, err)
	}
	clock.Advance(-100 * 24 * time.Hour)

	url := database(t)
	if err := sqlstore.Copy(t.Context(), from, openSink(t, url), nil); err != nil {
		t.Fatal(err)
	}
	to := open(t, url, clock.Now)
	after := storetest.NewEngine(t, to, nil)
	clock.Advance(10 * time.Minute)
	for name, with := range map[string]session.Issued{"fresh": fresh, "turned": newer} {
		next, err := renew(after, with)
		if err != nil {
			t.Errorf("a session that was %s: %v", name, err)
			continue
		}
		if next.Row.Generation != with.Row.Generation+1 {
			t.Errorf("a session that was %s is in generation %d after %d", name, next.Row.Generation, with.Row.Generation)
		}
	}
	if _, err := renew(after, ended); !errors.Is(err, session.ErrRefused) {
		t.Errorf("a session that had ended: %v, want a refusal", err)
	}
	told, err := to.Ended(t.Context(), time.Hour)
	if err != nil || len(told.Sessions) != 1 || told.Sessions[0] != ended.Row.ID {
		t.Errorf("the feed has %v, %v", told.Sessions, err)
	}
	listed, _, err := to.List(t.Context(), session.Query{User: "u_alice", Limit: 10})
	if err != nil || len(listed) != 2 {
		t.Errorf("the user has %d sessions, %v; want 2", len(listed), err)
	}
	if err := to.Append(t.Context(), []session.Event{{Type: session.EventStarted}}); err != nil {
		t.Fatal(err)
	}
	if events, err := to.Events(t.Context(), 2, 10); err != nil || len(events) != 1 {
		t.Errorf("who follows from the last cursor gets %v, %v", events, err)
	}
}

// Nothing is mixed: not with what a store holds already, not by two copies, not
// by a source that is in use.
func TestCopyRefusesToMix(t *testing.T) {
	from := openFile(t, time.Now)
	if err := from.CreateUser(t.Context(), account.User{ID: "u_1", Name: "alice", Hash: "h"}, 0); err != nil {
		t.Fatal(err)
	}
	used := database(t)
	if err := open(t, used, nil).Append(t.Context(), []session.Event{{Type: session.EventStarted}}); err != nil {
		t.Fatal(err)
	}
	if err := sqlstore.Copy(t.Context(), from, openSink(t, used), nil); !errors.Is(err, sqlstore.ErrOccupied) {
		t.Errorf("into a store that is used: %v, want ErrOccupied", err)
	}
	open(t, used, nil) // it still opens

	url := database(t)
	first, second := openSink(t, url), openSink(t, url)
	users, err := from.Page(t.Context(), sqlstore.UserTable, sqlstore.Place{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{first.Begin(t.Context()), second.Begin(t.Context())} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := first.Write(t.Context(), users); !errors.Is(err, sqlstore.ErrOvertaken) {
		t.Errorf("Write of a copy that was overtaken: %v, want ErrOvertaken", err)
	}
	if err := first.Finish(t.Context()); !errors.Is(err, sqlstore.ErrOvertaken) {
		t.Errorf("Finish of a copy that was overtaken: %v, want ErrOvertaken", err)
	}
	if n, err := second.Size(t.Context(), sqlstore.UserTable); err != nil || n != 0 {
		t.Errorf("%d users, %v; want none", n, err)
	}

	if err := second.Write(t.Context(), users); err != nil {
		t.Fatal(err)
	}
	if err := from.SetDisabled(t.Context(), "u_1", true); err != nil {
		t.Fatal(err)
	}
	if err := sqlstore.Copy(t.Context(), from, openSink(t, url), nil); !errors.Is(err, sqlstore.ErrChanged) {
		t.Errorf("of a source that changed: %v, want ErrChanged", err)
	}
	if _, err := postgres.Open(t.Context(), postgres.Options{URL: url}); !errors.Is(err, sqlstore.ErrIncomplete) {
		t.Errorf("Open: %v, want ErrIncomplete", err)
	}
}

// Services are copied as well, and so is what another database of the same kind
// holds.
func TestCopyFromAnotherDatabase(t *testing.T) {
	url, target := database(t), database(t)
	populate(t, open(t, url, nil))
	from, to := openSink(t, url), openSink(t, target)
	if err := sqlstore.Copy(t.Context(), from, to, nil); err != nil {
		t.Fatal(err)
	}
	want := everything(t, from)
	if diff := cmp.Diff(want, everything(t, to)); diff != "" || len(want[sqlstore.ServiceTable].Services) != 2 {
		t.Errorf("copied (-want +got):\n%.3000s", diff)
	}
}
