package serviceapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"crypto/rand"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/sqlstore"
	"github.com/pawlauth/pawl/verify"
)

// requestTimeout bounds the work on one request but for a stream.
const requestTimeout = 10 * time.Second

// Accounts are the users; [*account.Accounts] has them.
type Accounts interface {
	Add(ctx context.Context, name string, password account.Password) (account.User, error)
	AddInitial(ctx context.Context, name string) (account.User, string, error)
	ByID(ctx context.Context, id string) (account.User, error)
	ByName(ctx context.Context, name string) (account.User, error)
	Disable(ctx context.Context, id string) error
	Enable(ctx context.Context, id string) error
}

// Events are what happened; see [sqlstore.Events].
type Events interface {
	Events(ctx context.Context, after int64, limit int) ([]sqlstore.StoredEvent, error)
}

// Options are what an API is made of. All fields are required but the last.
type Options struct {
	// API starts the sessions, knows the services, and has the engine and the
	// guard whose proxies and clock count here too.
	API      *httpapi.API
	Accounts Accounts
	Events   Events
	// Revoked is what followers are told, and Keep for how long they must
	// remember it: as [verify.FollowOptions] say.
	Revoked *verify.Revoked
	Keep    time.Duration
	// Now is the clock that Revoked is filled by: the machine's own.
	Now func() time.Time
	// Note is told of uses of access tokens, as [session.Confirmations.Note]
	// wants to be.
	Note func(session.Use, time.Time)
	// DangerouslyPlainHTTP serves plain http to other machines too: whoever
	// listens in between has the secrets of services then.
	DangerouslyPlainHTTP bool
}

// An API serves the routes. It is safe for concurrent use.
type API struct {
	Options
	engine    *session.Engine
	routes    map[string]*route
	process   string        // tells the places of this process from those of another
	followers chan struct{} // one for each stream
	stop      chan struct{} // closed when streams are to end
	stopOnce  sync.Once

	aliveEvery, writeTime time.Duration
}

// New checks the options and returns an API, or every fault at once.
func New(o Options) (*API, error) {
	var faults []error
	require := func(given bool, name string) {
		if !given {
			faults = append(faults, fmt.Errorf("%s is missing", name))
		}
	}
	require(o.API != nil && o.API.Services != nil, "API with services")
	require(o.Accounts != nil, "accounts")
	require(o.Events != nil, "events")
	require(o.Revoked != nil, "set of revoked sessions")
	require(o.Keep >= time.Second, "how long to remember an ended session")
	require(o.Now != nil, "clock of the machine")
	require(o.Note != nil, "note")
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("serviceapi: %w", err)
	}
	a := &API{Options: o, engine: o.API.Engine, process: rand.Text(), followers: make(chan struct{}, maxFollowers), stop: make(chan struct{}),
		aliveEvery: aliveEvery, writeTime: writeTime}
	a.routes = table()
	return a, nil
}

// EndStreams ends the streams of all followers, who come again elsewhere, and
// takes no more. It is for [http.Server.RegisterOnShutdown], since a server
// that shuts down waits for its requests.
func (a *API) EndStreams() { a.stopOnce.Do(func() { close(a.stop) }) }

// bounded bounds the work on a request.
func bounded(r *http.Request) (*http.Request, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	return r.WithContext(ctx), cancel
}
