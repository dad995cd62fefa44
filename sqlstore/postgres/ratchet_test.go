package postgres_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	neturl "net/url"
	"testing"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/storetest"
	"github.com/pawlauth/pawl/sqlstore/postgres"
	"github.com/pawlauth/pawl/token"
)

// newRow returns a session as an engine makes it.
func newRow(now time.Time) session.Row {
	row := session.Row{
		ID: token.NewID(), Key: token.KeyID{1, 2, 3, 4}, UserID: "u_alice", ClientID: "web", Audience: "https://api.example",
		Scope: "openid", Generation: 1, RotatedAt: now, CreatedAt: now, AuthTime: now, Methods: []string{"pwd"},
		AbsoluteEnd: now.Add(90 * 24 * time.Hour), IdleLimit: 14 * 24 * time.Hour, Transport: session.Cookie,
		UserAgent: "agent", Address: "192.0.2.0/24", LastSeen: now.UTC().Truncate(time.Hour),
	}
	rand.Read(row.Salt[:])
	return row
}

// turn is the change that an engine makes of a row when it turns now.
func turn(row session.Row, now time.Time) session.Change {
	return session.Change{ID: row.ID, From: row.Generation, Generation: row.Generation + 1, RotatedAt: now, PriorUsedAt: now,
		LastSeen: now.UTC().Truncate(time.Hour)}
}

// create stores rows and returns them.
func create(t testing.TB, s *postgres.Store, n int) []session.Row {
	t.Helper()
	rows := make([]session.Row, n)
	for i := range rows {
		rows[i] = newRow(time.Now())
		if err := s.Create(t.Context(), rows[i]); err != nil {
			t.Fatalf("Create: %v", err)
		}
	}
	return rows
}

// A row that somebody holds fails by itself, and at once: the others of its
// batch are stored.
//
// Rows: 198, 252
func TestARowThatIsHeldFailsAlone(t *testing.T) { eachForm(t, testARowThatIsHeldFailsAlone) }

func testARowThatIsHeldFailsAlone(t *testing.T, open opener) {
	url := database(t)
	s := open(t, url, nil)
	rows := create(t, s, 20)
	holder := connect(t, url)
	run(t, holder, "BEGIN", fmt.Sprintf("SELECT 1 FROM pawl.sessions WHERE id = '%x' FOR UPDATE", rows[7].ID[:]))
	changes := make([]session.Change, len(rows))
	for i, row := range rows {
		changes[i] = turn(row, time.Now())
	}
	start := time.Now()
	for i, err := range s.Replace(t.Context(), changes) {
		if held := i == 7; errors.Is(err, session.ErrConflict) != held || err != nil && !held {
			t.Errorf("change %d: %v; held: %t", i, err, held)
		}
	}
	// Above what a loaded machine takes, below every timeout.
	if took := time.Since(start); took > 1500*time.Millisecond {
		t.Errorf("it waited for %v", took)
	}
	run(t, holder, "COMMIT")
	if err := s.Replace(t.Context(), changes[7:8])[0]; err != nil {
		t.Errorf("after the row was let go: %v", err)
	}
}

// A use of a row that somebody holds is confirmed when the row is let go.
func TestAUseOfAHeldRowIsConfirmedLater(t *testing.T) {
	eachForm(t, testAUseOfAHeldRowIsConfirmedLater)
}

func testAUseOfAHeldRowIsConfirmedLater(t *testing.T, open opener) {
	url := database(t)
	s := open(t, url, nil)
	row := create(t, s, 1)[0]
	holder := connect(t, url)
	run(t, holder, "BEGIN", fmt.Sprintf("SELECT 1 FROM pawl.sessions WHERE id = '%x' FOR UPDATE", row.ID[:]))
	done := make(chan error, 1)
	go func() {
		_, err := s.Confirm(t.Context(), usesOf(row), time.Minute)
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("Confirm returned (%v) while the row was held", err)
	case <-time.After(100 * time.Millisecond):
	}
	run(t, holder, "COMMIT")
	err := <-done
	if errors.Is(err, postgres.ErrHeld) { // a machine so slow that the row was held for too long: the next use
		_, err = s.Confirm(t.Context(), usesOf(row), time.Minute)
	}
	if err != nil {
		t.Fatalf("Confirm: %v", err)
	}
	if !confirmed(t, s, row) {
		t.Error("not confirmed")
	}
}

// One row that somebody holds for long does not hold up the uses of others for
// long.
//
// Rows: 252
func TestAUseOfARowThatIsHeldForLongIsLeft(t *testing.T) {
	eachForm(t, testAUseOfARowThatIsHeldForLongIsLeft)
}

func testAUseOfARowThatIsHeldForLongIsLeft(t *testing.T, open opener) {
	url := database(t)
	s := open(t, url, nil)
	rows := create(t, s, 20)
	holder := connect(t, url)
	run(t, holder, "BEGIN", fmt.Sprintf("SELECT 1 FROM pawl.sessions WHERE id = '%x' FOR UPDATE", rows[7].ID[:]))
	start := time.Now()
	if _, err := s.Confirm(t.Context(), usesOf(rows...), time.Minute); !errors.Is(err, postgres.ErrHeld) {
		t.Errorf("Confirm: %v, want ErrHeld", err)
	}
	// Above what a loaded machine takes, below every timeout.
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("it waited for %v", took)
	}
	for i, row := range rows {
		if confirmed(t, s, row) == (i == 7) {
			t.Errorf("row %d confirmed: %t", i, i != 7)
		}
	}
	run(t, holder, "COMMIT")
	if _, err := s.Confirm(t.Context(), usesOf(rows...), time.Minute); err != nil || !confirmed(t, s, rows[7]) {
		t.Errorf("after the row was let go: %v", err)
	}
}

// The bits of eight generations move along, however far a row catches up.
func TestLateRepeatsMoveAlong(t *testing.T) { eachForm(t, testLateRepeatsMoveAlong) }

func testLateRepeatsMoveAlong(t *testing.T, open opener) {
	s := open(t, database(t), nil)
	for _, on := range []uint32{1, 2, 7, 8, 9, 40} {
		row := newRow(time.Now())
		row.Generation, row.PriorUsedAt, row.LateRepeats = 20, time.Now(), 0b1011_0101
		if err := s.Create(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		c := turn(row, time.Now())
		c.Generation, c.LateRepeats = row.Generation+on, 1
		if err := s.Replace(t.Context(), []session.Change{c})[0]; err != nil {
			t.Fatal(err)
		}
		rows, _, err := s.Load(t.Context(), []session.ID{row.ID})
		if want := row.Apply(c, time.Now()).LateRepeats; err != nil || rows[0].LateRepeats != want {
			t.Errorf("on by %d: bits %08b, want %08b (%v)", on, rows[0].LateRepeats, want, err)
		}
	}
}

// A renewal changes no column that an index names: its new version stays on
// its page, and no index is written.
func TestRenewalsAreHeapOnly(t *testing.T) { eachForm(t, testRenewalsAreHeapOnly) }

func testRenewalsAreHeapOnly(t *testing.T, open opener) {
	url := database(t)
	s := open(t, url, nil)
	e := storetest.NewEngine(t, s, func(o *session.Options) { o.Policy = o.Policy.MakeStrict() })
	tokens := make([]string, 200)
	for i := range tokens {
		issued, err := e.Start(t.Context(), session.Login{UserID: "u", ClientID: "c", Audience: "a", Methods: []string{"pwd"}, Transport: session.Bearer})
		if err != nil {
			t.Fatal(err)
		}
		tokens[i] = issued.Refresh.Reveal()
	}
	const rounds = 10
	for range rounds {
		for i := range tokens {
			issued, err := e.Refresh(t.Context(), session.Renewal{Refresh: tokens[i], Transport: session.Bearer})
			if err != nil {
				t.Fatal(err)
			}
			tokens[i] = issued.Refresh.Reveal()
			if _, err := e.Confirm(t.Context(), []session.Use{{Session: issued.Row.ID, Generation: issued.Row.Generation}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = s.Close() // so that it reports what it changed
	var updates, hot int64
	conn := connect(t, url)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		run(t, conn, "SELECT pg_stat_clear_snapshot()")
		if err := conn.QueryRow(t.Context(), "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE schemaname = 'pawl' AND relname = 'sessions'").
			Scan(&updates, &hot); err != nil {
			t.Fatal(err)
		}
		if updates >= 2*rounds*int64(len(tokens)) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the statistics tell of %d updates", updates)
		}
	}
	t.Logf("%d of %d updates were heap-only", hot, updates)
	if hot*100 < updates*95 {
		t.Errorf("%d of %d updates were heap-only, want 95 of 100", hot, updates)
	}
}

// With the strictest isolation and failures that the database makes up, the
// contract is the same.
//
// Rows: 114, A96
func TestContractHoldsUnderSerializationFailures(t *testing.T) {
	eachForm(t, func(t *testing.T, open opener) {
		keepsTheContract(t, func(t testing.TB) string {
			url := database(t)
			run(t, connect(t, url), `CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
					IF random() < 0.05 THEN RAISE EXCEPTION 'made up' USING ERRCODE = CASE WHEN random() < 0.5 THEN '40001' ELSE '40P01' END; END IF;
					RETURN NULL; END $$`,
				`CREATE TRIGGER fail AFTER INSERT OR UPDATE OR DELETE ON pawl.sessions FOR EACH STATEMENT EXECUTE FUNCTION fail()`)
			return serializable(t, url)
		}, open)
	})
}

// serializable returns a URL whose connections are serializable.
func serializable(t testing.TB, url string) string {
	t.Helper()
	u, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("default_transaction_isolation", "serializable")
	u.RawQuery = query.Encode()
	return u.String()
}

// Another node's end wakes this one.
func TestEndsWakeOtherNodes(t *testing.T) {
	url := database(t)
	a, b := open(t, url, nil), open(t, url, nil)
	row := create(t, a, 1)[0]
	woken, failed := make(chan struct{}, 10), make(chan error, 1)
	ctx := t.Context()
	go func() { failed <- b.Wake(ctx, func() { woken <- struct{}{} }) }()
	next := func(what string) {
		t.Helper()
		select {
		case <-woken:
		case err := <-failed:
			t.Fatalf("Wake: %v", err)
		case <-time.After(20 * time.Second):
			t.Fatalf("not woken by %s", what)
		}
	}
	next("the beginning: what ended before must be read")
	if _, err := a.End(ctx, session.Selection{Session: row.ID}, session.ReasonSignOut); err != nil {
		t.Fatal(err)
	}
	next("an end")
	c := turn(create(t, a, 1)[0], time.Now())
	c.End = session.ReasonReuse
	if err := a.Replace(ctx, []session.Change{c})[0]; err != nil {
		t.Fatal(err)
	}
	next("an end by a renewal")
	if _, err := a.EndEveryone(ctx, time.Time{}, session.ReasonEveryone); err != nil {
		t.Fatal(err)
	}
	next("an epoch")
	// A listener whose connection breaks says so.
	run(t, connect(t, url), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
	select {
	case err := <-failed:
		if err == nil {
			t.Error("Wake returned without an error")
		}
	case <-time.After(20 * time.Second):
		t.Error("Wake did not notice that its connection was cut")
	}
}
