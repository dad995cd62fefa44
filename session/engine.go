package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pawlauth/pawl/token"
)

// Ends is what a node knows to have ended. Its methods must not block.
type Ends interface {
	// Add and AddEpoch are told of whatever this engine ends.
	Add(session ID)
	AddEpoch(epoch time.Time)
	// Has reports whether a session of that id, created at that time, has ended.
	// A store that lost its last writes may say that it lives.
	Has(session ID, created time.Time) bool
}

// none knows of no end.
type none struct{}

func (none) Add(ID)                 {}
func (none) AddEpoch(time.Time)     {}
func (none) Has(ID, time.Time) bool { return false }

// Options are what an engine is made of. Every field is required except Ends.
type Options struct {
	Store     Store
	Policy    Policy
	Issuer    string              // "iss" of access tokens
	Codec     *token.RefreshCodec // honours every master key in use
	Key       token.KeyID         // the master key of new sessions
	Signer    func() token.Signer // the key that signs now
	Pseudonym func(ID) string     // names a session in events
	Record    func(Event)         // must not block
	Ends      Ends                // what this node knows to have ended; nil: nothing
	Timeout   time.Duration       // for the store to answer one batch
	MaxQueue  int                 // renewals that may wait
}

// An Engine starts, renews, confirms and ends sessions. It is safe for
// concurrent use and starts no goroutine.
type Engine struct {
	Options
	queue queue
}

// New checks the options and returns an engine, or every fault at once.
func New(o Options) (*Engine, error) {
	if err := o.Policy.Validate(); err != nil {
		return nil, fmt.Errorf("session: policy: %w", err)
	}
	return DangerouslyNewUnchecked(o)
}

// DangerouslyNewUnchecked is [New] for a policy that New would refuse. It is
// there so that package explore can show what goes wrong with one.
func DangerouslyNewUnchecked(o Options) (*Engine, error) {
	if o.Store == nil || o.Issuer == "" || o.Codec == nil || o.Signer == nil || o.Pseudonym == nil ||
		o.Record == nil || o.Timeout <= 0 || o.MaxQueue <= 0 {
		return nil, errors.New("session: store, issuer, codec, signer, pseudonym, record, timeout and queue length are required")
	}
	if o.Ends == nil {
		o.Ends = none{}
	}
	e := &Engine{Options: o}
	e.queue.max = o.MaxQueue
	return e, nil
}

// A Login is what a new session is made from, after the user was
// authenticated.
type Login struct {
	UserID     string
	ClientID   string
	Audience   string
	Scope      string
	Methods    []string // what the user did to log in (RFC 8176)
	Transport  Transport
	Remembered bool
	Binding    Binding
	Origin     Origin
}

// Issued are the tokens of one generation, and the session they belong to.
type Issued struct {
	Row     Row
	Now     time.Time // the store's clock that the times count from
	Expires time.Time // of the access token
	Access  token.Secret
	Refresh token.Secret
}

// ErrBindingRequired says that the policy wants a session bound to a key and
// none was given.
var ErrBindingRequired = errors.New("session: the policy requires a session that is bound to a key")

// Start makes a session and its first tokens. The row is stored before
// anything is signed: if Start fails after that, the session is an orphan
// that nobody has a token of.
func (e *Engine) Start(ctx context.Context, l Login) (Issued, error) {
	if e.Policy.RequireBinding && l.Binding.Kind == Unbound && l.Transport != Cookie {
		return Issued{}, ErrBindingRequired
	}
	if l.UserID == "" || l.ClientID == "" || l.Audience == "" || l.Transport != Cookie && l.Transport != Bearer {
		return Issued{}, errors.New("session: a login needs user, client, audience and transport")
	}
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	_, now, err := e.Store.Load(ctx, nil)
	if err != nil {
		return Issued{}, fmt.Errorf("%w: read clock: %w", ErrUnavailable, err)
	}
	row := Row{
		ID: token.NewID(), Key: e.Key, UserID: l.UserID, ClientID: l.ClientID, Audience: l.Audience, Scope: l.Scope,
		Generation: 1, RotatedAt: now, CreatedAt: now, AuthTime: now, Methods: l.Methods,
		AbsoluteEnd: now.Add(e.Policy.AbsoluteLimit), IdleLimit: e.Policy.IdleLimit,
		Transport: l.Transport, Remembered: l.Remembered, Binding: l.Binding,
		UserAgent: l.Origin.UserAgent, Address: l.Origin.Address, LastSeen: now.Truncate(time.Hour),
	}
	rand.Read(row.Salt[:])
	if err := e.Store.Create(ctx, row); err != nil {
		return Issued{}, fmt.Errorf("%w: create: %w", ErrUnavailable, err)
	}
	issued, err := e.mint(&row, now, row.Scope)
	if err != nil {
		return Issued{}, err
	}
	e.record(EventStarted, &row, 1, "", l.Origin)
	return issued, nil
}

// mint makes the tokens of the row's newest generation. Call it only for a
// row that is stored.
func (e *Engine) mint(row *Row, now time.Time, scope string) (Issued, error) {
	id := token.NewID()
	life := e.Policy.AccessTTL - e.Policy.AccessTTL*time.Duration(id[0])/255/jitter
	expires := earlier(now.Add(life), row.AbsoluteEnd)
	claims := token.Claims{
		Issuer: e.Issuer, Subject: row.UserID, Audience: row.Audience, ClientID: row.ClientID,
		IssuedAt: now.Unix(), Expires: max(expires.Unix(), now.Unix()+1), ID: id, Session: row.ID,
		Generation: row.Generation, AuthTime: min(row.AuthTime.Unix(), now.Unix()), // the clock may have been set back
		Methods: row.Methods, Scope: scope,
	}
	switch row.Binding.Kind {
	case DPoP:
		claims.Binding = &token.Confirmation{Thumbprint: row.Binding.Thumbprint}
	case DBSC:
		claims.Binding = &token.Confirmation{Device: row.Binding.Thumbprint}
	}
	access, err := token.EncodeAccess(claims, e.Signer())
	if err != nil {
		return Issued{}, fmt.Errorf("session: access token: %w", err)
	}
	refresh, err := e.Codec.Seal(row.Key, row.ID, row.Generation, row.Salt)
	if err != nil {
		return Issued{}, fmt.Errorf("session: refresh token: %w", err)
	}
	return Issued{Row: *row, Now: now, Expires: time.Unix(claims.Expires, 0), Access: access, Refresh: refresh}, nil
}

// Identify returns the row that a refresh token belongs to, whatever its
// generation, if both tags are right, and [ErrRefused] if not, or if the session
// is bound to a device: then no refresh token of it is honoured for anything. It
// is for ending a session by its token, and changes nothing.
func (e *Engine) Identify(ctx context.Context, refresh string) (Row, error) {
	t, err := e.Codec.Open(refresh)
	if err != nil {
		return Row{}, &Refusal{Reason: ReasonNotOurs}
	}
	row, _, err := e.Get(ctx, t.Session)
	if err != nil {
		return Row{}, err
	}
	if !e.genuine(t, &row) {
		return Row{}, &Refusal{Reason: ReasonForged}
	}
	if row.Binding.Kind == DBSC {
		return Row{}, &Refusal{Reason: ReasonUnproved}
	}
	return row, nil
}

// genuine reports whether this issuer made the token for the row. A session
// keeps its master key for life: a token under another one, even one that is
// still honoured, was not issued for it.
func (e *Engine) genuine(t token.Refresh, row *Row) bool {
	return t.Key == row.Key && e.Codec.Genuine(t, row.Salt)
}

// Get returns one session and the store's clock. A session that does not
// exist is [ErrRefused].
func (e *Engine) Get(ctx context.Context, id ID) (Row, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	rows, now, err := e.Store.Load(ctx, []ID{id})
	if err != nil {
		return Row{}, now, fmt.Errorf("%w: load: %w", ErrUnavailable, err)
	}
	if len(rows) == 0 {
		return Row{}, now, &Refusal{Reason: ReasonUnknown}
	}
	return e.known(rows[0], now), now, nil
}

// known returns a row as this node knows it: an end that the store has lost is
// an end.
func (e *Engine) known(row Row, now time.Time) Row {
	if !row.Ended() && e.Ends.Has(row.ID, row.CreatedAt) {
		return Epoch{At: now, Reason: ReasonForgotten}.end(row)
	}
	return row
}

// maxDevices bounds the list of one user's sessions.
const maxDevices = 1000

// List returns the live sessions of a user, newest login first, and the
// store's clock.
func (e *Engine) List(ctx context.Context, userID string) ([]Row, time.Time, error) {
	if userID == "" {
		return nil, time.Time{}, errors.New("session: name the user whose sessions are to be listed")
	}
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	rows, now, err := e.Store.List(ctx, Query{User: userID, Limit: maxDevices})
	if err != nil {
		return nil, now, fmt.Errorf("%w: list: %w", ErrUnavailable, err)
	}
	for i := range rows {
		rows[i] = e.known(rows[i], now)
	}
	return liveNewestFirst(rows, now), now, nil
}

// liveNewestFirst keeps the rows that can still be renewed.
func liveNewestFirst(rows []Row, now time.Time) []Row {
	rows = slices.DeleteFunc(rows, func(r Row) bool { return !r.Live(now) })
	slices.SortStableFunc(rows, func(a, b Row) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return rows
}

// End ends the sessions that the selection names. What it ends is refused by
// this node when it returns, and by the others when they next read the feed. If
// it fails, some may have ended: those that it returns, and perhaps others.
func (e *Engine) End(ctx context.Context, which Selection, reason Reason, actor string, from Origin) ([]Ended, error) {
	if !which.Valid() {
		return nil, errors.New("session: a selection names one session or one user")
	}
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	ended, err := e.Store.End(ctx, which, reason)
	for _, s := range ended {
		e.Ends.Add(s.Session)
		e.Record(Event{Type: EventEnded, Reason: string(reason), UserID: s.UserID,
			Session: e.Pseudonym(s.Session), Actor: actor, Origin: from})
	}
	if err != nil {
		return ended, fmt.Errorf("%w: end: %w", ErrUnavailable, err)
	}
	return ended, nil
}

// EndEveryone ends every session of everybody: all that were created until the
// epoch, which it returns. What it ends is refused by this node when it
// returns, and by the others when they next read the feed. See
// [Directory.EndEveryone].
func (e *Engine) EndEveryone(ctx context.Context, reason Reason, actor string, from Origin) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	epoch, err := e.Store.EndEveryone(ctx, time.Time{}, reason)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: end everyone: %w", ErrUnavailable, err)
	}
	e.Ends.AddEpoch(epoch.At)
	e.Record(Event{Type: EventEpoch, Reason: string(reason), Actor: actor, Origin: from})
	return epoch.At, nil
}

// EndAgain writes ends that the store has lost, as a standby that was promoted
// may have: of sessions, and the epoch if it is not zero.
func (e *Engine) EndAgain(ctx context.Context, sessions []ID, epoch time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	if !epoch.IsZero() {
		if _, err := e.Store.EndEveryone(ctx, epoch, ReasonForgotten); err != nil {
			return fmt.Errorf("%w: end everyone again: %w", ErrUnavailable, err)
		}
	}
	errs := make([]error, min(len(sessions), endsAtOnce))
	var wait sync.WaitGroup
	for w := range errs {
		wait.Go(func() {
			for i := w; i < len(sessions) && errs[w] == nil; i += len(errs) {
				errs[w] = e.endAgain(ctx, sessions[i])
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil { // one says it for all
			return fmt.Errorf("%w: end again: %w", ErrUnavailable, err)
		}
	}
	return nil
}

// endsAtOnce is how many lost ends are written side by side, so that they share
// commits, and leave connections to others.
const endsAtOnce = 4

func (e *Engine) endAgain(ctx context.Context, id ID) error {
	ended, err := e.Store.End(ctx, Selection{Session: id}, ReasonForgotten)
	for _, s := range ended {
		e.Record(Event{Type: EventEnded, Reason: string(ReasonForgotten), UserID: s.UserID, Session: e.Pseudonym(s.Session)})
	}
	return err
}

// Confirm tells the store of access tokens that were seen in use. It returns
// those that had not settled by the store's clock and confirmed nothing. See
// [Ratchet.Confirm].
func (e *Engine) Confirm(ctx context.Context, uses []Use) (early []Use, err error) {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	now, err := e.Store.Confirm(ctx, uses, e.Policy.Settle)
	if err != nil {
		return nil, fmt.Errorf("%w: confirm: %w", ErrUnavailable, err)
	}
	for _, u := range uses {
		if !u.Settled(now, e.Policy.Settle) {
			early = append(early, u)
		}
	}
	return early, nil
}

// FeedKeep is how long an ended session must stay in the feed: no access
// token of it can be good after that. It does not shrink with the access life,
// since tokens of the time before the change are still about. Who shortens a
// dangerously long life ends the sessions of that time.
func (p Policy) FeedKeep(leeway time.Duration) time.Duration {
	return max(p.AccessTTL, MaxAccessTTL) + leeway + time.Minute
}

// Sweep does a step of what is due: it removes rows that are over and writes an
// old epoch into rows. See [Directory.Sweep].
func (e *Engine) Sweep(ctx context.Context, limit int, feedKeep time.Duration) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	n, err := e.Store.Sweep(ctx, limit, feedKeep)
	if err != nil {
		return n, fmt.Errorf("%w: sweep: %w", ErrUnavailable, err)
	}
	return n, nil
}

func (e *Engine) record(kind EventType, row *Row, presented uint32, reason Reason, from Origin) {
	e.Record(Event{Type: kind, Reason: string(reason), UserID: row.UserID, Session: e.Pseudonym(row.ID),
		Generation: presented, ClientID: row.ClientID, Origin: from})
}

// HashKey returns what stands for an Idempotency-Key in a row. The hash is
// bound to the session, so that rows do not tell which clients share a key.
func HashKey(id ID, key string) (h KeyHash) {
	if key == "" {
		return h
	}
	sum := sha256.Sum256(append(id[:], key...))
	copy(h[:], sum[:])
	return h
}

// within reports whether every scope value asked for was granted (RFC 6749
// §6). Asking for none asks for what was granted.
func within(asked, granted string) bool {
	have := strings.Fields(granted)
	for _, want := range strings.Fields(asked) {
		found := false
		for _, h := range have {
			found = found || h == want
		}
		if !found {
			return false
		}
	}
	return true
}
