package session_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pawlauth/pawl/session"
)

// maxEvents is the bound of the recorder's queue and of its batches.
const maxEvents = 4096

// An eventStore keeps events, or does what it is told instead.
type eventStore struct {
	mu      sync.Mutex
	batches [][]session.Event // guarded by mu
	instead func(context.Context) error
}

func (s *eventStore) Append(ctx context.Context, events []session.Event) error {
	if s.instead != nil {
		if err := s.instead(ctx); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches = append(s.batches, append([]session.Event(nil), events...))
	return nil
}

func (s *eventStore) events() (all []session.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, batch := range s.batches {
		all = append(all, batch...)
	}
	return all
}

// A recording is a recorder at work in a bubble.
type recording struct {
	*session.Recorder
	store *eventStore
	log   *bytes.Buffer
	stop  func() // ends Run and waits for it
}

func record(t *testing.T, store *eventStore) *recording {
	r := &recording{store: store, log: &bytes.Buffer{}}
	r.Recorder = session.NewRecorder(slog.New(slog.NewTextHandler(r.log, nil)), store, time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	r.stop = func() { cancel(); <-done }
	t.Cleanup(r.stop)
	return r
}

func (r *recording) lines() int { return strings.Count(r.log.String(), "\n") }

func TestRecorderWritesToLogAndStoreInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t, &eventStore{})
		zone := time.FixedZone("elsewhere", 3600)
		given := time.Now().Add(-time.Hour).In(zone)
		sent := []session.Event{
			{Type: session.EventSignInOK, UserID: "u_alice"},
			{Type: session.EventRenewed, Session: "pseudonym", Generation: 7, Reason: "late", ClientID: "web", Actor: "operator",
				Key: "k1", Time: given, Origin: session.Origin{Address: "192.0.2.0/24", UserAgent: "browser", RequestID: "r1"}},
			{Type: session.EventSignOut},
		}
		for _, e := range sent {
			r.Record(e)
		}
		synctest.Wait()
		want := append([]session.Event(nil), sent...)
		for i := range want {
			want[i].Time = time.Now().UTC()
		}
		want[1].Time = given.UTC()
		if diff := cmp.Diff(want, r.store.events()); diff != "" {
			t.Errorf("stored events differ (-want +got):\n%s", diff)
		}
		for _, e := range r.store.events() {
			if e.Time.Location() != time.UTC {
				t.Errorf("stored in the zone %v", e.Time.Location())
			}
		}
		r.stop()
		text := r.log.String()
		for _, part := range []string{"sign_in_ok", "user=u_alice", "session_renewed", "session=pseudonym", "generation=7", "reason=late",
			"client=web", "actor=operator", "key=k1", "address=192.0.2.0/24", "user_agent=browser", "request=r1"} {
			if !strings.Contains(text, part) {
				t.Errorf("the log lacks %q", part)
			}
		}
		if r.Dropped() != 0 || r.lines() != len(sent) {
			t.Errorf("dropped %d, %d lines; want none and %d", r.Dropped(), r.lines(), len(sent))
		}
	})
}

// What anybody can cause is kept at a bounded rate, and takes no place from
// what takes a credential.
//
// Rows: 242.
func TestRecorderBoundsWhatAnybodyCauses(t *testing.T) {
	for _, cheap := range []session.Event{
		{Type: session.EventCodeRefused}, {Type: session.EventServiceRefused}, {Type: session.EventRenewalRefused}, {Type: session.EventRateLimited, Reason: "code"},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := record(t, &eventStore{})
			flood := func(e session.Event) int {
				before := len(r.store.events())
				for range 10 {
					for range 400 {
						r.Record(e)
					}
					synctest.Wait()
				}
				return len(r.store.events()) - before
			}
			if n := flood(cheap); n < 1 || n > 1000 {
				t.Errorf("%s: %d of 4000 kept", cheap.Type, n)
			}
			for _, dear := range []session.Event{{Type: session.EventCodeRefused, Reason: "another_browser"}, {Type: session.EventSignInFailed}} {
				if n := flood(dear); n != 4000 {
					t.Errorf("%s: %d of 4000 kept", dear.Type, n)
				}
			}
		})
	}
}

// The sink hangs: nobody waits for it, the queue stays within its bound, and
// what is lost is counted.
//
// Rows: 242.
func TestRecorderNeverBlocksAndCountsWhatItDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		store := &eventStore{instead: func(context.Context) error { <-release; return nil }}
		r := record(t, store)
		r.Record(session.Event{Type: session.EventStarted})
		synctest.Wait() // the recorder is stuck with the first
		start := time.Now()
		for range maxEvents + 1000 {
			r.Record(session.Event{Type: session.EventRenewed})
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("recording took %v", took)
		}
		if n := r.Dropped(); n != 1000 {
			t.Errorf("dropped %d, want what is over the bound: 1000", n)
		}
		close(release)
		synctest.Wait()
		if n := len(store.events()); n != 1+maxEvents {
			t.Errorf("stored %d, want the first and a full queue", n)
		}
		r.Record(session.Event{Type: session.EventRenewed})
		synctest.Wait()
		if n := len(store.events()); n != 2+maxEvents {
			t.Errorf("stored %d; want it to go on", n)
		}
	})
}

// A store that never answers is given up on, so that the queue moves on; the
// log has what the store has not.
//
// Rows: 242.
func TestRecorderGivesUpOnAStoreThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &eventStore{instead: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		r := record(t, store)
		r.Record(session.Event{Type: session.EventStarted})
		synctest.Wait()
		for range 5 {
			r.Record(session.Event{Type: session.EventRenewed})
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := r.Dropped(); n != 6 {
			t.Errorf("dropped %d, want 6", n)
		}
		r.stop()
		if text := r.log.String(); strings.Count(text, "session_renewed") != 5 || strings.Count(text, "events were not stored") != 2 {
			t.Errorf("the log lacks events, or the failures:\n%.2000s", text)
		}
	})
}

// Rows: 242.
func TestRecorderCountsWhatAFailingStoreLoses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &eventStore{instead: func(context.Context) error { return errBroken }}
		r := record(t, store)
		for range 7 {
			r.Record(session.Event{Type: session.EventRenewed})
		}
		synctest.Wait()
		if n := r.Dropped(); n != 7 {
			t.Errorf("dropped %d, want 7", n)
		}
	})
}

// Rows: 242.
func TestRecorderWritesWhatIsQueuedWhenItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		store := &eventStore{instead: func(ctx context.Context) error {
			<-release
			return ctx.Err() // the end must not reach a write
		}}
		r := record(t, store)
		r.Record(session.Event{Type: session.EventRenewed})
		synctest.Wait() // it is being written; the queue is empty
		for range maxEvents {
			r.Record(session.Event{Type: session.EventRenewed})
		}
		go func() { time.Sleep(time.Second); close(release) }()
		r.stop()
		if n := len(store.events()); n != maxEvents+1 || r.Dropped() != 0 {
			t.Errorf("stored %d, dropped %d; want all of %d", n, r.Dropped(), maxEvents+1)
		}
	})
}

// Run that is called after the end writes what it finds, too.
//
// Rows: 242.
func TestRecorderThatStartsAtItsEndLosesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 {
		store := &eventStore{}
		r := session.NewRecorder(slog.New(slog.DiscardHandler), store, time.Now)
		for range 3 {
			r.Record(session.Event{Type: session.EventRenewed})
		}
		r.Run(ctx)
		if n := len(store.events()); n != 3 || r.Dropped() != 0 {
			t.Fatalf("stored %d, dropped %d; want all of 3", n, r.Dropped())
		}
	}
}

// Whatever a client chose as its name: one event is one line.
func TestRecorderKeepsAnEventOnOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t, &eventStore{})
		r.Record(session.Event{Type: session.EventSignInFailed, Origin: session.Origin{
			UserAgent: "x\nlevel=INFO msg=session_started user=u_admin\r\n\x1b[2J", RequestID: "a\u2028b"}})
		synctest.Wait()
		r.stop()
		if text := r.log.String(); r.lines() != 1 || strings.ContainsAny(text, "\r\x1b\u2028") {
			t.Errorf("the log has %d lines: %q", r.lines(), text)
		}
	})
}
