package pawl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/internal/pgtest"
	"github.com/pawlauth/pawl/session"
)

// old is how many of everything are over: more than two steps remove.
const old = 2*sweepRows + 500

// What is over, made from one session that is not.
const (
	oldSessions = `INSERT INTO pawl.sessions SELECT (r).* FROM (SELECT jsonb_populate_record(s, jsonb_build_object('id', gen_random_uuid(),
		'created_at', now() - interval '100 days', 'auth_time', now() - interval '100 days', 'rotated_at', now() - interval '99 days',
		'last_seen', date_trunc('hour', now() - interval '99 days'), 'absolute_end', now() - interval '10 days')) AS r
		FROM pawl.sessions s, generate_series(1, $1) WHERE s.id = $2) made`
	oldLines    = `INSERT INTO pawl.user_sessions SELECT user_id, id, absolute_end FROM pawl.sessions ON CONFLICT DO NOTHING`
	oldAttempts = `INSERT INTO pawl.attempts SELECT decode(md5(n::text), 'hex'), decode(md5('x' || n), 'hex'), now() - interval '1 day', NULL, NULL,
		now() - interval '1 day' FROM generate_series(1, $1) n`
	oldCodes = `INSERT INTO pawl.codes SELECT sha256(n::text::bytea), sha256('x'), 'u_nobody', 'web', 'x', '', 'pwd', false, 'shop', NULL,
		now() - interval '1 hour', now() - interval '59 minutes' FROM generate_series(1, $1) n`
	// How much is left of what is over, table by table.
	leftOver = `SELECT (SELECT count(*) FROM pawl.sessions WHERE absolute_end < now()), (SELECT count(*) FROM pawl.user_sessions WHERE over_at < now()),
		(SELECT count(*) FROM pawl.events WHERE at < now() - interval '90 days'), (SELECT count(*) FROM pawl.attempts WHERE ends_at < now()),
		(SELECT count(*) FROM pawl.codes WHERE expires_at < now())`
)

// What is over is removed in steps, beside requests; a sweep that dies after
// any of them is taken up by the next, on whatever node, and nothing goes that
// is not over.
//
// Rows: A96
func TestSweepGoesOnAfterItDied(t *testing.T) {
	store, dir := pgtest.Database(t), t.TempDir()
	conn, err := pgx.Connect(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	policy, err := session.Preset("default")
	if err != nil {
		t.Fatal(err)
	}
	open := func() *Pawl {
		p, err := Open(t.Context(), Options{Store: store, MasterKeyFile: filepath.Join(dir, "master.key"), Origins: []string{"http://localhost:8080"},
			Policy: policy.MakeStrict(), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	over := func() (counts [5]int) {
		t.Helper()
		if err := conn.QueryRow(t.Context(), leftOver).Scan(&counts[0], &counts[1], &counts[2], &counts[3], &counts[4]); err != nil {
			t.Fatal(err)
		}
		return counts
	}

	// Events are removed in their order, so these come first.
	data, err := OpenData(t.Context(), Place{Store: store, MasterKeyFile: filepath.Join(dir, "master.key")}, true)
	if err != nil {
		t.Fatal(err)
	}
	past := make([]session.Event, old)
	for i := range past {
		past[i] = session.Event{Time: time.Now().Add(-91 * 24 * time.Hour), Type: session.EventRenewed}
	}
	if err := errors.Join(data.Store.Append(t.Context(), past), data.Close()); err != nil {
		t.Fatal(err)
	}
	first := open()
	user, err := first.accounts.Add(t.Context(), "ada", account.NewPassword("correct horse battery"))
	if err != nil {
		t.Fatal(err)
	}
	live := make([]session.Issued, 4)
	for i := range live {
		if live[i], err = first.engine.Start(t.Context(), session.Login{UserID: user.ID, ClientID: "web", Audience: "x", Methods: []string{"pwd"},
			Transport: session.Bearer}); err != nil {
			t.Fatal(err)
		}
	}
	rows, _, err := first.data.Store.List(t.Context(), session.Query{Limit: 1})
	if err != nil || len(rows) != 1 {
		t.Fatalf("%d sessions, %v", len(rows), err)
	}
	for _, made := range []struct {
		sql  string
		args []any
	}{{oldSessions, []any{old, [16]byte(rows[0].ID)}}, {oldLines, nil}, {oldAttempts, []any{old}}, {oldCodes, []any{old}}} {
		if _, err := conn.Exec(t.Context(), made.sql, made.args...); err != nil {
			t.Fatalf("%s: %v", made.sql, err)
		}
	}
	if got, want := over(), [5]int{old, old, old, old, old}; got != want {
		t.Fatalf("over are %v, want %v", got, want)
	}

	// The first node dies after the first step of sessions, and of events.
	if n, err := first.engine.Sweep(t.Context(), sweepRows, first.options.Policy.FeedKeep(Leeway)); err != nil || n != sweepRows {
		t.Fatalf("one step removed %d sessions, %v", n, err)
	}
	if n, err := first.data.Store.TrimEvents(t.Context(), first.options.KeepEvents, sweepRows); err != nil || n != sweepRows {
		t.Fatalf("one step removed %d events, %v", n, err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if got := over(); got[0] != old-sweepRows || got[2] != old-sweepRows {
		t.Errorf("after a step of each, over are %v", got)
	}

	second := open()
	defer second.Close()
	// Its own sweep has no time: what is left is for the next.
	none, cancel := context.WithCancel(t.Context())
	cancel()
	_ = second.sweep(none)
	serving, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for i := range live {
		clients.Go(func() {
			for tries := 0; serving.Err() == nil; tries++ {
				issued, err := second.engine.Refresh(t.Context(), session.Renewal{Refresh: live[i].Refresh.Reveal(), Transport: session.Bearer, IdempotencyKey: fmt.Sprint(tries)})
				if err != nil {
					t.Errorf("a session that is not over: %v", err)
					return
				}
				live[i] = issued
			}
		})
	}
	err = second.sweep(t.Context())
	stop()
	clients.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if got := over(); got != [5]int{} {
		t.Errorf("after a sweep, over are %v", got)
	}
	left, _, err := second.data.Store.List(t.Context(), session.Query{User: user.ID, Limit: 10})
	if err != nil || len(left) != len(live) {
		t.Errorf("%d sessions of those that are not over, %v; want %d", len(left), err, len(live))
	}
	if report, err := second.data.Store.Fsck(t.Context()); err != nil || len(report.Faults) > 0 {
		t.Errorf("fsck: %v, %v", report, err)
	}
}
