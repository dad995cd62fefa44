package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pawlauth/pawl/token"
)

// A Renewal is a request for new tokens.
type Renewal struct {
	Refresh        string    // the refresh token as presented; empty: Device stands for it
	Device         *Device   // of a session bound by DBSC
	Transport      Transport // how it was presented
	ClientID       string    // as named by the client; empty: not named
	Scope          string    // asked for; empty: what was granted
	Witness        ID        // the session that the access cookie names; zero: none
	Thumbprint     string    // of the key that was proved; empty: none
	IdempotencyKey string    // the same on every retry of one attempt; empty: none
	Origin         Origin
}

// Refresh renews a session. It returns the newest tokens, a [*Refusal],
// [ErrUnavailable], [ErrBusy], or the context's error.
//
// All renewals in flight are loaded, decided and replaced together; while one
// batch commits, the next one gathers. The state is stored before anything is
// signed: whoever sees ErrUnavailable, or no answer, may try again with the
// same token.
func (e *Engine) Refresh(ctx context.Context, r Renewal) (Issued, error) {
	t, err := e.presented(&r)
	if err != nil {
		e.Record(Event{Type: EventRenewalRefused, Reason: string(ReasonNotOurs), Origin: r.Origin})
		return Issued{}, &Refusal{Reason: ReasonNotOurs}
	}
	r.Scope = strings.Join(strings.Fields(r.Scope), " ")
	a, err := e.decided(ctx, &r, t)
	if err != nil {
		return Issued{}, err
	}
	if err := e.report(a); err != nil {
		return Issued{}, err
	}
	return e.mint(&a.row, a.now, cmp.Or(r.Scope, a.row.Scope))
}

// maxTries is how often a renewal is decided anew because somebody else
// changed its row, with pauses of 0, 1, 2, 4, … ms in between.
const maxTries = 12

// decided takes a renewal through a batch, and through another one while its
// row is being changed by somebody else: the others of a batch do not wait for
// that.
func (e *Engine) decided(caller context.Context, r *Renewal, t token.Refresh) (*attempt, error) {
	ctx, cancel := context.WithTimeout(caller, 2*e.Timeout)
	defer cancel()
	for try := range maxTries {
		if try > 1 {
			pause, cancel := context.WithTimeout(ctx, time.Millisecond<<(try-2))
			<-pause.Done()
			cancel()
		}
		if ctx.Err() != nil {
			return nil, gaveUp(caller, ctx.Err())
		}
		// It fails until its outcome is stored: a panic of the store on its way
		// through a batch must not look like an answer.
		a := &attempt{caller: ctx, renewal: r, token: t, err: ErrUnavailable}
		if err := e.queue.run(ctx, a, e.process); err != nil {
			return nil, gaveUp(caller, err)
		}
		switch {
		case errors.Is(a.err, errGone):
			return nil, gaveUp(caller, ctx.Err())
		case !errors.Is(a.err, ErrConflict):
			return a, a.err
		}
	}
	return nil, fmt.Errorf("%w: too much contention", ErrUnavailable)
}

// errGone says that nobody waits for a renewal any more, so that it was not
// decided.
var errGone = errors.New("session: the caller has gone")

// gaveUp is what a caller sees of a request that was not answered: that he went
// himself, or that it took too long.
func gaveUp(caller context.Context, err error) error {
	if caller.Err() != nil || errors.Is(err, ErrBusy) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// report records what was decided, and returns the refusal if it was one.
func (e *Engine) report(a *attempt) error {
	d, row, from := &a.decision, &a.row, a.renewal.Origin
	presented := a.token.Generation
	switch {
	case d.verdict == refuse && d.change != nil:
		e.Ends.Add(row.ID)
		e.record(EventEnded, row, presented, d.reason, from)
		return &Refusal{Reason: d.reason, Ended: true}
	case d.reason == ReasonEnded && row.EndReason != "":
		// The event of the end may have been lost with the answer of the store.
		e.record(EventRenewalRefused, row, presented, ReasonEnded+":"+row.EndReason, from)
		return &Refusal{Reason: d.reason}
	case d.verdict == refuse:
		e.record(EventRenewalRefused, row, presented, d.reason, from)
		return &Refusal{Reason: d.reason}
	case d.verdict == rotate:
		e.record(EventRenewed, row, presented, "", from)
	case d.reason == ReasonStoreBehind:
		e.record(EventCaughtUp, row, presented, d.reason, from)
	case d.late:
		e.record(EventRepeated, row, presented, "late", from)
	default:
		e.record(EventRepeated, row, presented, d.reason, from)
	}
	return nil
}

// loaded is a row of the batch: as it will be once change is stored.
type loaded struct {
	row    Row
	change *Change // nil: nothing to store
	err    error   // of storing the change
}

// process loads, decides and replaces one batch: two round trips, whatever
// its size. Requests for one session are decided one after the other in
// memory and stored as one change. Those whose rows had moved on have
// [ErrConflict]; those whose callers have gone by the time that the rows are
// there are not decided.
func (e *Engine) process(ctx context.Context, batch []*attempt) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.Timeout)
	defer cancel()
	ids := make([]ID, 0, len(batch))
	for _, a := range batch {
		ids = append(ids, a.token.Session)
	}
	slices.SortFunc(ids, ID.Compare)
	ids = slices.Compact(ids)
	rows, now, err := e.Store.Load(ctx, ids)
	if err != nil {
		for _, a := range batch {
			a.err = fmt.Errorf("%w: load: %w", ErrUnavailable, err)
		}
		return
	}
	known := make(map[ID]*loaded, len(rows))
	for i := range rows {
		known[rows[i].ID] = &loaded{row: e.known(rows[i], now)}
	}
	waiting := make([]*attempt, 0, len(batch))
	for _, a := range batch {
		// Who has gone may have asked another node meanwhile, and used what he
		// got there: his old token would then be a thief's. It matters where the
		// request waited in a machine that stood still.
		if a.caller.Err() != nil {
			a.err = errGone
			continue
		}
		e.decide(a, known[a.token.Session], now)
		waiting = append(waiting, a)
	}
	e.store(ctx, ids, known)
	for _, a := range waiting {
		l := known[a.token.Session]
		switch {
		case l == nil:
			a.err = nil
		case l.err == nil && l.row.Ended() && a.decision.verdict != refuse:
			// A later request of the batch ended the session: what this one
			// was to get was never stored.
			a.decision, a.err = decision{reason: ReasonEnded}, nil
		case l.err == nil:
			a.err = nil
		case errors.Is(l.err, ErrConflict):
			a.err = l.err
		default:
			a.err = fmt.Errorf("%w: replace: %w", ErrUnavailable, l.err)
		}
	}
}

// decide judges one attempt and applies the outcome to the row in memory, for
// the next attempt of the same session.
func (e *Engine) decide(a *attempt, l *loaded, now time.Time) {
	a.now, a.row, a.decision = now, Row{ID: a.token.Session}, decision{reason: ReasonUnknown}
	if l == nil {
		return
	}
	a.decision = decide(&l.row, a.token.Generation, proofs{
		genuine:    a.renewal.Device.shows(&l.row) || e.genuine(a.token, &l.row),
		transport:  a.renewal.Transport,
		client:     a.renewal.ClientID,
		scope:      a.renewal.Scope,
		witness:    a.renewal.Witness,
		thumbprint: a.renewal.Thumbprint,
		key:        HashKey(l.row.ID, a.renewal.IdempotencyKey),
		stale:      a.renewal.Device.stale(&l.row),
	}, now, &e.Policy)
	if c := a.decision.change; c != nil {
		l.row = l.row.Apply(*c, now)
		merged := *c
		if l.change != nil {
			merged.From = l.change.From
		}
		l.change = &merged
	}
	a.row = l.row
}

// store replaces every row that has a change, and notes each one's error.
func (e *Engine) store(ctx context.Context, ids []ID, known map[ID]*loaded) {
	var changes []Change
	for _, id := range ids {
		if l := known[id]; l != nil && l.change != nil {
			changes = append(changes, *l.change)
		}
	}
	if len(changes) == 0 {
		return
	}
	errs := e.Store.Replace(ctx, changes)
	for i, c := range changes {
		known[c.ID].err = errs[i]
	}
}

// An attempt is one renewal on its way through a batch.
type attempt struct {
	caller  context.Context // of the one request that waits for it
	renewal *Renewal
	token   token.Refresh

	decision decision
	row      Row
	now      time.Time
	err      error

	done   chan struct{} // closed when the fields above are set
	lead   chan struct{} // receives when this attempt must lead a batch
	called bool          // it was told to lead; guarded by the queue
}

// maxBatch is how many renewals are decided together. Beyond it a batch gains
// little, and its first request waits.
const maxBatch = 64

// maxFlights is how many batches are under way at once: while one is read,
// another commits, and a third one's answers are signed. Each takes a connection
// of the store.
const maxFlights = 4

// A queue gathers attempts into batches without a goroutine of its own: some of
// those that wait are called to lead a batch, and decide for others too. One
// batch is under way whenever anybody waits, and more gather until it is done;
// but a batch that is full does not wait for another.
type queue struct {
	max int

	mu      sync.Mutex
	waiting []*attempt // guarded by mu
	flights int        // batches under way, or about to be; guarded by mu
	called  int        // of these, those whose leader has not taken anybody along yet; guarded by mu
}

func (q *queue) run(ctx context.Context, a *attempt, process func(context.Context, []*attempt)) error {
	a.done, a.lead = make(chan struct{}), make(chan struct{}, 1)
	q.mu.Lock()
	if len(q.waiting) >= q.max {
		q.mu.Unlock()
		return ErrBusy
	}
	q.waiting = append(q.waiting, a)
	q.call()
	q.mu.Unlock()

	select {
	case <-a.lead:
		q.leadBatch(ctx, process)
		<-a.done // in this batch, or in one that was quicker
		return nil
	case <-a.done:
	case <-ctx.Done():
		q.mu.Lock()
		if i := slices.Index(q.waiting, a); i >= 0 {
			q.waiting = slices.Delete(q.waiting, i, i+1)
		} // else it is in a batch: its outcome is stored, and its caller sees none
		q.mu.Unlock()
	}
	// Nobody is called who does not wait any more, so this is for good.
	select {
	case <-a.lead:
		q.passLead()
	default:
	}
	select {
	case <-a.done:
		return nil
	default:
		return ctx.Err()
	}
}

// call calls a leader if a batch is to begin. It needs mu.
func (q *queue) call() {
	if len(q.waiting) == 0 {
		return
	}
	// Those who were called will take a full batch each.
	full := len(q.waiting) >= (q.called+1)*maxBatch && q.flights < maxFlights
	if q.flights > 0 && !full {
		return
	}
	for _, a := range q.waiting {
		if !a.called {
			a.called = true
			q.flights++
			q.called++
			a.lead <- struct{}{}
			return
		}
	}
}

// passLead gives the lead of somebody who does not take it to somebody else.
func (q *queue) passLead() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.flights--
	q.called--
	q.call()
}

func (q *queue) leadBatch(ctx context.Context, process func(context.Context, []*attempt)) {
	// Whoever could run now and is about to ask comes along. With nothing else
	// to run this takes no time.
	runtime.Gosched()
	q.mu.Lock()
	q.called--
	n := min(len(q.waiting), maxBatch)
	batch := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	q.mu.Unlock()
	defer func() {
		for _, a := range batch {
			close(a.done)
		}
		q.mu.Lock()
		q.flights--
		q.call()
		q.mu.Unlock()
	}()
	if n > 0 { // else others took everybody along
		process(ctx, batch)
	}
}
