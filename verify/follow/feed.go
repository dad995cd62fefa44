package follow

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

const (
	// quietTime is how long a connection may bring no event; the server sends
	// one every 5 seconds.
	quietTime = 15 * time.Second
	// wholeTime is within what time everything must be told.
	wholeTime = time.Minute
	// goodTime is how long a connection must last for the next to be made at
	// once.
	goodTime = 5 * time.Second
	// forgetEvery is how often what may be forgotten is looked for.
	forgetEvery = 10 * time.Second
	// maxSessions bounds the ended sessions that are remembered, some 100 bytes
	// each. Rather than forget one the feed is given up, and grows stale.
	maxSessions = 1 << 20

	minKeep  = time.Minute
	maxKeep  = 31 * 24 * time.Hour
	maxAhead = 24 * time.Hour // of an epoch: a wrong one would refuse every token until then
)

var (
	errQuiet = errors.New("nothing was heard for too long")
	errEvent = errors.New("an event says what it must not; do the versions fit?")
	errMany  = errors.New("more sessions were ended than can be remembered")
)

// told is the data of every event. Whole and part have sessions; whole has
// keep besides, in seconds.
type told struct {
	Epoch    int64          `json:"epoch"` // microseconds since 1970; 0 is none
	Sessions []token.ID     `json:"sessions"`
	Keep     int64          `json:"keep"`
	Settle   *int64         `json:"settle"` // seconds; see [session.Policy]
	Unknown  jsontext.Value `json:",embed"` // of a newer server
}

// A feed is the ended sessions as the issuer tells them. One goroutine reads
// it.
type feed struct {
	url       string
	client    *http.Client
	authorize func(*http.Request)
	log       teller
	stale     time.Duration
	accept    bool // what is stale
	settle    func(time.Duration)

	revoked  atomic.Pointer[verify.Revoked] // nil until everything was told once
	connects atomic.Uint64

	// Owned by the goroutine that reads:
	keep     time.Duration
	lastID   string         // of the last event after which everything was known
	partial  bool           // not everything was told yet on this connection
	pending  verify.Endings // of it
	forgotAt time.Time
}

var _ verify.Revocations = (*feed)(nil)

// Check implements [verify.Revocations].
func (f *feed) Check(session token.ID, issued, now time.Time) error {
	err := verify.ErrStale
	if revoked := f.revoked.Load(); revoked != nil {
		err = revoked.Check(session, issued, now)
	}
	if f.accept && errors.Is(err, verify.ErrStale) {
		return nil
	}
	return err
}

// run reads the feed, over one connection after the other.
func (f *feed) run(ctx context.Context) {
	var b backoff
	for {
		began := time.Now()
		err := f.connect(ctx)
		if ctx.Err() != nil {
			return
		}
		f.log.tell(err)
		if time.Since(began) >= goodTime {
			b = backoff{}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(b.wait()):
		}
	}
}

// connect reads events until something is wrong, which is what it returns.
func (f *feed) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(quietTime, func() { cancel(errQuiet) })
	defer watchdog.Stop()
	err := f.read(ctx, watchdog)
	if errors.Is(context.Cause(ctx), errQuiet) {
		err = errQuiet
	}
	return fmt.Errorf("follow: read revocations: %w", err)
}

func (f *feed) read(ctx context.Context, watchdog *time.Timer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url, nil)
	if err != nil {
		return err
	}
	f.authorize(request)
	request.Header.Set("Accept", "text/event-stream")
	request.Header.Set("Cache-Control", "no-store")
	if f.lastID != "" {
		request.Header.Set("Last-Event-ID", f.lastID)
	}
	f.connects.Add(1)
	answer, err := f.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode != http.StatusOK:
		return &statusError{answer.StatusCode}
	case !is(answer, "text/event-stream"):
		return errContentType
	}
	// Without a place to go on from, everything must come first. What another
	// connection left undone is told again from its beginning.
	f.partial, f.pending = f.lastID == "", verify.Endings{}
	wholeBy := time.Now().Add(wholeTime)
	events := newStream(answer.Body, f.lastID)
	for {
		e, err := events.next()
		if errors.Is(err, errEventTooLong) || errors.Is(err, errEventID) {
			f.lastID = ""
		}
		if err != nil {
			return err
		}
		now := time.Now()
		heard, err := f.take(e, now)
		switch {
		case err != nil:
			f.lastID = "" // have everything told again, not that event once more
			return err
		case f.partial:
			watchdog.Reset(min(quietTime, wholeBy.Sub(now)))
		case heard:
			f.log.tell(nil)
			watchdog.Reset(quietTime)
			wholeBy = now.Add(wholeTime)
		}
	}
}

// take takes in an event, and says whether everything is known now. Events of
// other names are a newer server's, and mean nothing.
func (f *feed) take(e event, now time.Time) (heard bool, err error) {
	var t told
	switch e.name {
	case "part", "whole", "ended", "alive":
		if t, err = read(e.data, now); err != nil {
			return false, err
		}
	default:
		return false, nil
	}
	if e.name == "part" || e.name == "whole" || f.partial {
		f.partial = true
		if len(f.pending.Sessions)+len(t.Sessions) > maxSessions {
			return false, errMany
		}
		f.pending.Sessions = append(f.pending.Sessions, t.Sessions...)
		f.pending.Epoch = later(f.pending.Epoch, epochOf(t))
		if e.name != "whole" {
			return false, nil
		}
		if err := f.begin(t, now); err != nil {
			return false, err
		}
		f.partial, f.pending = false, verify.Endings{}
	} else if err := f.learn(verify.Endings{Sessions: t.Sessions, Epoch: epochOf(t)}, now); err != nil {
		return false, err
	}
	f.lastID = e.id
	return true, nil
}

// begin takes in everything that is remembered. If it is for another time than
// before, what is known goes over into a new set.
func (f *feed) begin(t told, now time.Time) error {
	keep := time.Duration(t.Keep) * time.Second
	if t.Keep > int64(maxKeep/time.Second) || keep < minKeep {
		return errEvent
	}
	if t.Settle != nil {
		f.settle(time.Duration(*t.Settle) * time.Second)
	}
	before := f.revoked.Load()
	if before != nil && keep == f.keep {
		return f.learn(f.pending, now)
	}
	revoked, err := verify.NewRevoked(verify.FollowOptions{Keep: keep, Overlap: keep, WholeEvery: keep, Stale: f.stale})
	if err != nil {
		return err
	}
	if before != nil {
		known, _, _ := before.Since(0)
		f.pending.Sessions = append(f.pending.Sessions, known.Sessions...)
		f.pending.Epoch = later(f.pending.Epoch, known.Epoch)
	}
	revoked.Take(f.pending, true, now)
	f.keep, f.forgotAt = keep, now
	f.revoked.Store(revoked)
	return nil
}

// learn takes in what is new. With it, all is known again that is remembered,
// so this counts as the whole now and then, which forgets what is old.
func (f *feed) learn(e verify.Endings, now time.Time) error {
	revoked := f.revoked.Load()
	// Those that are told again are counted twice here.
	if len(e.Sessions) > 0 && revoked.Len()+len(e.Sessions) > 2*maxSessions {
		return errMany
	}
	whole := now.Sub(f.forgotAt) >= forgetEvery
	if whole {
		f.forgotAt = now
	}
	revoked.Take(e, whole, now)
	return nil
}

// read decodes the data of an event.
func read(data []byte, now time.Time) (t told, err error) {
	// The library's error may quote the data, which may be of somebody else.
	if err := json.Unmarshal(data, &t); err != nil {
		return told{}, errEvent
	}
	if t.Epoch < 0 || t.Epoch > now.Add(maxAhead).UnixMicro() || t.Settle != nil && (*t.Settle < 0 || *t.Settle > int64(maxKeep/time.Second)) {
		return told{}, errEvent
	}
	return t, nil
}

func epochOf(t told) time.Time {
	if t.Epoch == 0 {
		return time.Time{}
	}
	return time.UnixMicro(t.Epoch)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
