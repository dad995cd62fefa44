package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/rs/cors"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/dbsc"
	"github.com/pawlauth/pawl/dpop"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

// What options are if they are not given.
const (
	DefaultPrefix      = "/auth"
	DefaultWebClient   = "web"
	DefaultRecentLogin = 15 * time.Minute
	DefaultMaxSessions = 100
)

// maxSessions bounds Options.MaxSessions: the list of devices holds that many.
const maxSessions = 500

// requestTimeout bounds the work on one request. It is below
// [session.RequestTime], so that a renewal is decided while its client may
// still be waiting, or not at all.
const requestTimeout = 10 * time.Second

// Accounts tells who somebody is; [*account.Accounts] does.
type Accounts interface {
	Authenticate(ctx context.Context, name string, password account.Password, from netip.Addr) (account.User, error)
	ReplaceInitial(ctx context.Context, name string, initial, next account.Password, from netip.Addr) (account.User, error)
	Recheck(ctx context.Context, user account.User) error
	ByID(ctx context.Context, id string) (account.User, error)
	SignUp(ctx context.Context, name string, password account.Password, from netip.Addr) (account.User, error)
	ChangePassword(ctx context.Context, id string, current, next account.Password, from netip.Addr) (account.User, error)
}

// Services knows the programs that may call, and the codes by which they hand
// users over; [*service.Services] does.
type Services interface {
	Authenticate(ctx context.Context, name, secret string) (service.Service, error)
	Offer(ctx context.Context, binding service.Hash, login service.Login) (token.Secret, error)
	Look(ctx context.Context, code, cookie token.Secret) (service.Code, error)
	Take(ctx context.Context, code service.Code) error
	Drop(ctx context.Context, userID string) error
}

// A Client is an application that sessions are started for.
type Client struct {
	ID string
	// Scope is what the client may be granted, space-separated; asking for
	// none grants all of it (RFC 6749 §3.3).
	Scope string
	// Origins are the exact origins whose pages may hold this client's tokens.
	// Without any, the client is not for browsers.
	Origins []string
	// RequireDPoP gives the client only tokens that are bound to a key, which it
	// must prove (RFC 9449 §5.2, dpop_bound_access_tokens).
	RequireDPoP bool
}

// Options are what an API is made of. Engine, Guard, Accounts, Keys, Audience
// and Log are required.
type Options struct {
	Engine   *session.Engine
	Guard    *httpauth.Guard
	Accounts Accounts
	Keys     verify.Keys
	Services Services // nil: no program may introspect or hand users over
	// DPoP judges the proofs of clients that bind their tokens to a key (RFC
	// 9449). Its nonces are not those of the guard's. Nil: none can.
	DPoP     *dpop.Verifier
	Audience string // of the access tokens made at sign-in
	Log      *slog.Logger

	Prefix string // of the routes; empty: DefaultPrefix
	SignIn string // path that a navigation without a login is sent to; empty: it gets 401
	// Renewal is the path of the page that a navigation with an expired access
	// token is sent to, where it is renewed; empty: it is sent to SignIn.
	Renewal string
	// SignInMethods says that SignIn can ask for more than a password, as a page
	// of the program's own may: a navigation that needs other methods than the
	// login used is sent there. Otherwise that would lead nowhere, and it gets
	// Page.
	SignInMethods bool
	// SignInHandoff says that SignIn is the page of a program that is a service: a
	// browser that is sent there gets the cookie that its code will be bound to,
	// and the page the binding, as "handoff" in its query. See [API.Handoff].
	SignInHandoff bool
	// Pages are the paths of the pages beside the routes, and whether a browser
	// may be sent to each after a sign-in or a renewal: not to one that would
	// send it on again.
	Pages map[string]bool
	// Page answers a navigation that fails and is not sent elsewhere, with the
	// description's status; nil: it gets a problem document. Headers are set
	// already, but for Content-Type and what a page needs of its own.
	Page func(http.ResponseWriter, *http.Request, Description)
	// AllowSignup lets everybody make an account.
	AllowSignup bool
	// Place names the place of a network, coarsely, for the list of devices. It
	// must not wait. Nil: none is told.
	Place func(network netip.Prefix) string
	// MaxSessions is how many live sessions a user may have: a new login ends
	// the oldest beyond it. Zero: DefaultMaxSessions.
	MaxSessions int
	// DBSC binds sessions in cookies to the devices of browsers that can
	// (package dbsc), as DeviceBinding says; nil: none. Empty: BindingOffer.
	DBSC          *dbsc.Issuer
	DeviceBinding DeviceBinding
	// Web is the client of cookie sessions. Its ID is DefaultWebClient if
	// empty; it has no origins, since it never holds a token.
	Web Client
	// Clients are those that hold tokens themselves. Without any, no tokens
	// leave in a body (RFC 9700 §4.14.2: refresh tokens are for clients that
	// were chosen to have them).
	Clients []Client
	// RecentLogin is how long after a login other sessions may be ended; zero:
	// DefaultRecentLogin.
	RecentLogin time.Duration
	// RenewalRate is how many renewals of one session a minute are served, and
	// how many at once; zero: DefaultRenewalRate.
	RenewalRate int
}

// An API serves the routes. It is safe for concurrent use.
type API struct {
	Options
	routes     map[string]*route // by path
	clientCORS *cors.Cors        // nil: no client has origins
	publicCORS *cors.Cors
	metadata   []byte
	renewals   *renewalLimit
	services   *failureLimit // wrong credentials of services
	proved     proved
	codes      *failureLimit                // codes that are no good
	names      *otter.Cache[string, string] // user names by id

	replacements replacements
	used         usedChallenges
	strangers    *failureLimit // proofs of devices that are refused
}

// nameAge is how long the name of a user is remembered: longer than clients
// wait between renewals.
const nameAge = 15 * time.Minute

// withDefaults fills in what was left out.
func (o Options) withDefaults() Options {
	o.Prefix = cmp.Or(o.Prefix, DefaultPrefix)
	o.Web.ID = cmp.Or(o.Web.ID, DefaultWebClient)
	o.RecentLogin = cmp.Or(o.RecentLogin, DefaultRecentLogin)
	o.RenewalRate = cmp.Or(o.RenewalRate, DefaultRenewalRate)
	o.DeviceBinding = cmp.Or(o.DeviceBinding, BindingOffer)
	o.MaxSessions = cmp.Or(o.MaxSessions, DefaultMaxSessions)
	return o
}

// New checks the options and returns an API, or every fault at once.
func New(o Options) (*API, error) {
	o = o.withDefaults()
	if err := errors.Join(o.checkParts(), o.CheckSettings()); err != nil {
		return nil, fmt.Errorf("httpapi: %w", err)
	}
	a := &API{Options: o, publicCORS: publicCORS(), clientCORS: clientCORS(o.Clients)}
	a.routes = a.table()
	var err error
	if a.metadata, err = a.describe(); err != nil {
		return nil, fmt.Errorf("httpapi: metadata: %w", err)
	}
	if a.renewals, err = newRenewalLimit(o.RenewalRate); err != nil {
		return nil, fmt.Errorf("httpapi: renewal limit: %w", err)
	}
	if a.services, err = newFailureLimit(); err != nil {
		return nil, fmt.Errorf("httpapi: limit of services: %w", err)
	}
	if a.proved, err = newProved(); err != nil {
		return nil, fmt.Errorf("httpapi: cache of services: %w", err)
	}
	if a.codes, err = newFailureLimit(); err != nil {
		return nil, fmt.Errorf("httpapi: limit of codes: %w", err)
	}
	if a.replacements, err = newReplacements(); err != nil {
		return nil, fmt.Errorf("httpapi: cache of replaced sessions: %w", err)
	}
	if a.used, err = newUsedChallenges(); err != nil {
		return nil, fmt.Errorf("httpapi: cache of challenges: %w", err)
	}
	if a.strangers, err = newFailureLimit(); err != nil {
		return nil, fmt.Errorf("httpapi: limit of proofs: %w", err)
	}
	a.names, err = otter.New(&otter.Options[string, string]{
		MaximumSize: 1 << 14, ExpiryCalculator: otter.ExpiryWriting[string, string](nameAge),
	})
	if err != nil {
		return nil, fmt.Errorf("httpapi: cache of names: %w", err)
	}
	return a, nil
}

// checkParts checks what the program gives.
func (o *Options) checkParts() error {
	var faults faultList
	faults.add(o.Engine == nil, "engine is missing")
	faults.add(o.Guard == nil, "guard is missing")
	faults.add(o.Accounts == nil, "accounts are missing")
	faults.add(o.Keys == nil, "keys are missing")
	faults.add(o.Log == nil, "log is missing")
	faults.add(o.DeviceBinding.Requires() && o.DBSC == nil, "a binding to devices is required, but nothing is there to make it")
	faults.add(o.Audience == "", "audience is missing; give the one that the verifiers expect")
	for _, c := range o.Clients {
		faults.add(c.RequireDPoP && o.DPoP == nil, "client %q requires DPoP, and nothing judges its proofs", c.ID)
	}
	if o.Engine != nil && o.Guard != nil {
		faults.add(!o.Guard.Site.Has(o.Engine.Issuer),
			"issuer %q is not an origin of this site, so that nobody would find its metadata (RFC 8414 §3)", o.Engine.Issuer)
	}
	return errors.Join(faults...)
}

// CheckSettings returns every fault of what an operator chooses: the paths,
// the clients and the bounds. [New] checks them too; a program asks before it
// opens anything.
func (o Options) CheckSettings() error {
	o = o.withDefaults()
	var faults faultList
	faults.add(!validPath(o.Prefix), "prefix %q is not a plain path, such as %s", o.Prefix, DefaultPrefix)
	faults.add(o.SignIn != "" && !validPath(o.SignIn), "sign-in path %q is not a plain path on this site", o.SignIn)
	faults.add(o.Renewal != "" && !validPath(o.Renewal), "renewal path %q is not a plain path on this site", o.Renewal)
	faults.add(o.Renewal != "" && (o.SignIn == "" || o.Renewal == o.SignIn), "a renewal page needs a sign-in page beside it")
	for page := range o.Pages {
		faults.add(validPath(o.Prefix) && !validPath(page), "path %q of a page is not a plain path on this site", page)
	}
	faults.add(o.SignInMethods && o.SignIn == "", "a sign-in page that asks for methods needs its path")
	faults.add(o.SignInHandoff && o.SignIn == "", "a handoff to a sign-in page needs its path")
	faults.add(!o.DeviceBinding.Valid(), "device binding %q is unknown; use off, offer, require or require-all", o.DeviceBinding)
	faults.add(o.MaxSessions < 0 || o.MaxSessions > maxSessions, "%d sessions of a user is outside 1 to %d", o.MaxSessions, maxSessions)
	faults.add(o.RenewalRate < 0, "renewal rate of %d a minute is negative", o.RenewalRate)
	faults.add(o.RecentLogin < 0, "recent login of %v is negative", o.RecentLogin)
	faults.add(len(o.Web.Origins) > 0, "client %q has origins, but a cookie session never yields a token to a page", o.Web.ID)
	seen := make(map[string]bool)
	for _, c := range slices.Concat([]Client{o.Web}, o.Clients) {
		faults.add(!validClientID(c.ID), "client id %q is empty or has characters other than letters, digits and -._~", c.ID)
		faults.add(seen[c.ID], "client %q is there twice", c.ID)
		faults.add(c.RequireDPoP && c.ID == o.Web.ID, "client %q has its tokens in cookies, which DPoP does not protect", c.ID)
		faults.add(!validScope(c.Scope), "scope %q of client %q has characters that RFC 6749 §3.3 does not allow", c.Scope, c.ID)
		seen[c.ID] = true
		for _, origin := range c.Origins {
			if err := httpauth.CheckOrigin(origin); err != nil {
				faults.add(true, "client %q: %w", c.ID, err)
			}
		}
	}
	return errors.Join(faults...)
}

// A faultList gathers everything that is wrong.
type faultList []error

func (l *faultList) add(bad bool, format string, args ...any) {
	if bad {
		*l = append(*l, fmt.Errorf(format, args...))
	}
}

const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

// validPath accepts a path that has one spelling only, and no end that could
// be cut off or doubled.
func validPath(p string) bool {
	return len(p) > 1 && len(p) <= 128 && p[0] == '/' && path.Clean(p) == p && strings.Trim(p, unreserved+"/") == ""
}

func validClientID(id string) bool { return id != "" && strings.Trim(id, unreserved) == "" }

// validScope: printable ASCII without quote and backslash (RFC 6749 §3.3).
func validScope(scope string) bool {
	return !strings.ContainsFunc(scope, func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' })
}

// client returns the client of a bearer session by its id.
func (a *API) client(id string) (*Client, bool) {
	for i := range a.Clients {
		if a.Clients[i].ID == id {
			return &a.Clients[i], true
		}
	}
	return nil, false
}

// admits returns an error if a browser made the request on a page that is not
// listed for the client: script there must not come to hold its tokens.
func (c *Client) admits(r *http.Request) error {
	if httpauth.FromBrowser(r) && !slices.Contains(c.Origins, r.Header.Get("Origin")) {
		return errOrigin
	}
	return nil
}
