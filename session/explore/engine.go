package explore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/session/memstore"
	"github.com/pawlauth/pawl/token"
)

// An issuer is what all states of a walk share: the keys, the session, and
// the refresh tokens that were made, by generation.
type issuer struct {
	world   *World
	codec   *token.RefreshCodec
	key     token.KeyID
	id      session.ID
	end     time.Time // the absolute end, as it was at the login
	refresh sync.Map  // uint32 → string
	clerks  [2]sync.Pool
}

// unsigned is a signer whose signatures nobody checks: the walk tells access
// tokens by generation and age.
type unsigned struct{}

func (unsigned) Header() string              { return "e30" }
func (unsigned) Sign([]byte) ([]byte, error) { return []byte{0}, nil }
func (i *issuer) held(generation uint32) string {
	text, _ := i.refresh.Load(generation)
	return text.(string) // nobody holds what was never made
}

// A clerk is an engine that can be put before one store after the other, so
// that a step need not make one.
type clerk struct {
	session.Store // the one at hand
	engine        *session.Engine
	event         session.EventType // the last one recorded
}

// clerk returns a clerk at the store, as a node of its own; give it back with
// dismiss. One with a longer policy has thresholds longer by a nanosecond; see
// doc.go.
func (i *issuer) clerk(store session.Store, longer bool) *clerk {
	c, ok := i.pool(longer).Get().(*clerk)
	if !ok {
		var err error
		if c, err = i.hire(longer); err != nil {
			panic(err) // login made one of the same options
		}
	}
	c.Store, c.event = store, ""
	return c
}

func (i *issuer) dismiss(c *clerk, longer bool) { i.pool(longer).Put(c) }

func (i *issuer) pool(longer bool) *sync.Pool {
	if longer {
		return &i.clerks[1]
	}
	return &i.clerks[0]
}

func (i *issuer) hire(longer bool) (*clerk, error) {
	policy := i.world.Policy
	if longer {
		policy.TurnInterval++
		policy.RaceWindow++
	}
	c := new(clerk)
	options := session.Options{
		Store: c, Policy: policy, Issuer: "https://explore.invalid", Codec: i.codec, Key: i.key,
		Signer:    func() token.Signer { return unsigned{} },
		Pseudonym: func(session.ID) string { return "" },
		Record:    func(e session.Event) { c.event = e.Type },
		Timeout:   time.Hour, MaxQueue: 1,
	}
	make := session.New
	if i.world.Without != Nothing {
		make = session.DangerouslyNewUnchecked
	}
	var err error
	c.engine, err = make(options)
	return c, err
}

// login starts the session that the walk is about, at tick 0.
func (i *issuer) login(ctx context.Context) (*state, error) {
	i.key = token.KeyID{'w', 'a', 'l', 'k'}
	i.codec = token.NewRefreshCodec(token.RefreshKey{ID: i.key, Outer: [32]byte{1}, Inner: [32]byte{2}})
	store := memstore.New(func() time.Time { return epoch })
	c, err := i.hire(false)
	if err != nil {
		return nil, err
	}
	c.Store = store
	issued, err := c.engine.Start(ctx, session.Login{UserID: "owner", ClientID: "browser", Audience: "api", Transport: session.Cookie})
	if err != nil {
		return nil, fmt.Errorf("explore: login: %w", err)
	}
	i.id, i.end = issued.Row.ID, issued.Row.AbsoluteEnd
	i.refresh.Store(issued.Row.Generation, issued.Refresh.Reveal())
	s := &state{
		store: store, row: &issued.Row, jar: pair{gen: issued.Row.Generation},
		ghost: ghost{newest: issued.Row.Generation, used: never, priorUsed: never},
	}
	return s, nil
}

// A ledger is the store of one step. It keeps what a failover would bring
// back.
type ledger struct {
	*memstore.Store
	step *step
}

func (l *ledger) row(ctx context.Context) *session.Row {
	rows, _, err := l.Store.Load(ctx, []session.ID{l.step.walk.issuer.id})
	if err != nil || len(rows) != 1 {
		panic("explore: memstore lost its row")
	}
	return &rows[0]
}

// written takes in that a write took effect, and what was there before.
func (l *ledger) written(ctx context.Context) {
	s := l.step.state
	if l.step.walk.world.Failovers > s.failovers {
		s.undo = &saved{row: s.row, ghost: s.ghost}
	}
	s.row = l.row(ctx)
}

// Replace implements [session.Ratchet].
func (l *ledger) Replace(ctx context.Context, changes []session.Change) []error {
	errs := l.Store.Replace(ctx, changes)
	if errs[0] == nil {
		l.written(ctx)
	}
	return errs
}

// Confirm implements [session.Ratchet].
func (l *ledger) Confirm(ctx context.Context, uses []session.Use, settle time.Duration) (time.Time, error) {
	now, err := l.Store.Confirm(ctx, uses, settle)
	if !l.row(ctx).ConfirmedAt.Equal(l.step.state.row.ConfirmedAt) {
		l.written(ctx)
	}
	return now, err
}

// End implements [session.Directory].
func (l *ledger) End(ctx context.Context, which session.Selection, why session.Reason) ([]session.Ended, error) {
	ended, err := l.Store.End(ctx, which, why)
	if len(ended) > 0 {
		l.written(ctx)
	}
	return ended, err
}

// failover returns the state with the store's last write undone.
func (k *walk) failover(s *state) *state {
	next := s.clone()
	now := k.world.at(s.now)
	next.store = memstore.New(func() time.Time { return now })
	if err := next.store.Create(context.Background(), *s.undo.row); err != nil {
		panic(err) // the store is empty
	}
	next.row, next.ghost = s.undo.row, s.undo.ghost
	next.undo, next.failovers = nil, s.failovers+1
	return next
}

// A node is the store as the engine of one request sees it: between its first
// decision and its first write, something else may reach the store.
type node struct {
	session.Store
	step    *step
	between func()
	read    time.Time // the clock at the last Load, which the decision counts from
	seen    ghost     // the history at the last Load
}

// Load implements [session.Ratchet].
func (n *node) Load(ctx context.Context, ids []session.ID) ([]session.Row, time.Time, error) {
	rows, now, err := n.Store.Load(ctx, ids)
	n.read, n.seen = now, n.step.state.ghost
	return rows, now, err
}

// Replace implements [session.Ratchet].
func (n *node) Replace(ctx context.Context, changes []session.Change) []error {
	n.step.wrote = true
	if between := n.between; between != nil {
		n.between = nil
		between()
	}
	return n.Store.Replace(ctx, changes)
}
