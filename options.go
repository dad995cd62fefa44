package pawl

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/pages"
	"github.com/pawlauth/pawl/session"
)

// Options say what to serve. Data and Origins are required.
type Options struct {
	_ struct{} // only fields by name

	// Data is the directory that holds everything; it is made if missing. With a
	// Store it holds at most the master key, and is not needed if that is in a
	// MasterKeyFile.
	Data string
	// MasterKeyFile is the path of the master key; empty: master.key in Data.
	// All nodes that share a Store have the same one.
	MasterKeyFile string
	// Store is the URL of a PostgreSQL that many nodes share,
	// postgres://user:password@host/name; empty: a file in Data. The way to one
	// that is not on this machine is encrypted and its server proved, as with
	// sslmode=verify-full.
	Store string
	// StoreSharded says that the Store spreads rows over machines and takes locks
	// in one statement only within one of them, as Citus does.
	StoreSharded bool
	// DangerouslyPlainStore allows other ways to the Store.
	DangerouslyPlainStore bool
	// Origins are the URLs that browsers see, exactly as in an Origin header:
	// https://app.example.com. The first is the issuer of tokens.
	Origins []string
	// Prefix is the path below which the routes are; empty: /auth.
	Prefix string
	// Audience is the resource that access tokens are for; empty: the issuer.
	Audience string
	// Policy is how long things live; zero: the preset "default".
	Policy session.Policy
	// Keys is how signing keys live; zero: EdDSA, 30 days, published for an
	// hour before use.
	Keys keyring.Options
	// Clients may get tokens in a body; none: the bearer transport is off.
	Clients []httpapi.Client
	// RequireDPoP gives Clients only tokens that are bound to a key, and accepts
	// no other token in Authorization: a copied token is worthless without its
	// key (RFC 9449; OWASP ASVS 5.0 §10.3.5 and §10.4.14).
	RequireDPoP bool
	// RenewalRate is how many renewals of one session a minute are served;
	// zero: 120.
	RenewalRate int
	// MaxSessions is how many live sessions a user may have: a new login ends
	// the oldest beyond it. Zero: [httpapi.DefaultMaxSessions].
	MaxSessions int
	// MinPassword is how many characters a new password must have, 8 to 64;
	// zero: 8, or 15 with a policy after NIST SP 800-63B-4, which wants no less
	// where the password is all that a user logs in by (§3.1.1.2).
	MinPassword int
	// AllowSignup lets everybody make an account.
	AllowSignup bool
	// DeviceBinding says whether browsers that can (DBSC) bind their session to a
	// key of the device, and what is refused to the others; empty:
	// [httpapi.BindingOffer], or BindingRequire if the policy requires it.
	DeviceBinding httpapi.DeviceBinding
	// RequireCSRFToken wants the CSRF token with whatever changes something by
	// a cookie, besides the proof that our own site made the request. A policy
	// after NIST SP 800-63B-4 always wants it (§5.1).
	RequireCSRFToken bool

	// Stale is how long the ends of sessions may be unknown to this node, because
	// the store does not answer, before it refuses every access token: 5 s to an
	// hour; zero: [DefaultStale].
	Stale time.Duration
	// DangerouslyAcceptStale has it go on accepting them: whoever can keep a
	// node from its store then keeps ended sessions alive there, each until its
	// access token expires.
	DangerouslyAcceptStale bool
	// KeepEvents is how long events are kept, from a day; zero: [DefaultKeepEvents].
	KeepEvents time.Duration

	// DangerouslyPlainServices lets services of other machines call in plain
	// http: whoever listens in between has their secrets then.
	DangerouslyPlainServices bool

	// Place names the place of a network, coarsely, for the list of devices:
	// "Vienna". It must not wait. Nil: none is shown.
	Place func(network netip.Prefix) string

	// Brand is how the pages look like yours; zero: like Pawl's.
	Brand Brand
	// Home is the path to go on to after a sign-in that was on the way nowhere;
	// empty: /.
	Home string
	// SignInPage is the path of a sign-in page of your own, whose form leads to
	// [Pawl.SignIn]; empty: Pawl's. With it, Pawl's leads there, and there are
	// no pages for passwords.
	SignInPage string
	// SignInHandoff says that SignInPage belongs to a program that is a service
	// (see [Pawl.ServiceAPI]) and signs users in itself: a browser that is sent
	// there gets what its code will be bound to.
	SignInHandoff bool
	// CSPReports is where browsers report what the pages' Content-Security-Policy
	// kept from happening: a path of this site, or an https URL; empty: nowhere.
	CSPReports string
	// WithoutPages leaves all pages away, for a program that has its own or
	// none: a navigation without a login that counts is sent to SignInPage, or
	// gets a problem document as a program does.
	WithoutPages bool

	// TrustedProxies are the networks of proxies whose X-Forwarded headers
	// count; none: no such header counts.
	TrustedProxies []netip.Prefix
	// Log gets the log; nil: [slog.Default].
	Log *slog.Logger
	// Observe is told of every event; it must not block. May be nil.
	Observe func(session.Event)
}

// withDefaults fills in what was left out.
func (o Options) withDefaults() Options {
	if o.Prefix == "" {
		o.Prefix = "/auth"
	}
	o.Home = cmp.Or(o.Home, "/")
	o.Stale = cmp.Or(o.Stale, DefaultStale)
	o.KeepEvents = cmp.Or(o.KeepEvents, DefaultKeepEvents)
	if o.Audience == "" && len(o.Origins) > 0 {
		o.Audience = o.Origins[0]
	}
	if o.Policy == (session.Policy{}) {
		o.Policy, _ = session.Preset("default")
	}
	o.MinPassword = o.PasswordLength()
	o.RequireCSRFToken = o.RequireCSRFToken || o.afterNIST()
	if o.DeviceBinding == "" {
		o.DeviceBinding = httpapi.BindingOffer
		if o.Policy.RequireBinding {
			o.DeviceBinding = httpapi.BindingRequire
		}
	}
	if o.Keys == (keyring.Options{}) {
		o.Keys = keyring.Options{Algorithm: keyring.EdDSA, Rotation: 30 * 24 * time.Hour, Publication: time.Hour}
	}
	if o.Keys.TokenLife == 0 {
		o.Keys.TokenLife = o.Policy.FeedKeep(Leeway)
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Observe == nil {
		o.Observe = func(session.Event) {}
	}
	return o
}

// singleFactorPassword is the least length of a password that is all a user
// logs in by, in characters (NIST SP 800-63B-4 §3.1.1.2).
const singleFactorPassword = 15

// afterNIST: every preset but our own is.
func (o Options) afterNIST() bool { return strings.HasPrefix(o.Policy.Name, "aal") }

// PasswordLength is MinPassword, or what it is if it is not said.
func (o Options) PasswordLength() int {
	switch {
	case o.MinPassword != 0:
		return o.MinPassword
	case o.afterNIST():
		return singleFactorPassword
	}
	return account.MinPasswordRunes
}

// Bounds of options. A store that fails over is away for some seconds.
const (
	minStale      = 5 * time.Second
	maxStale      = time.Hour
	minKeepEvents = 24 * time.Hour
)

// Validate returns every fault of the options at once, without opening
// anything.
func (o Options) Validate() error {
	o = o.withDefaults()
	var faults []error
	faults = append(faults, o.place().validate())
	if keep := o.Policy.FeedKeep(Leeway); o.Keys.TokenLife < keep {
		faults = append(faults, fmt.Errorf("keys must verify for at least %v after they signed, the longest for which a token may be presented; it is %v", keep, o.Keys.TokenLife))
	}
	if o.Stale < minStale || o.Stale > maxStale {
		faults = append(faults, fmt.Errorf("tokens must be refused after %v to %v without the store, not %v", minStale, maxStale, o.Stale))
	}
	if o.KeepEvents < minKeepEvents {
		faults = append(faults, fmt.Errorf("events must be kept for at least %v, not %v", minKeepEvents, o.KeepEvents))
	}
	_, _, err := o.site()
	if o.afterNIST() && o.MinPassword < singleFactorPassword {
		faults = append(faults, fmt.Errorf("policy %q requires passwords of at least %d characters, not %d", o.Policy.Name, singleFactorPassword, o.MinPassword))
	}
	faults = append(faults, o.Policy.Validate(), o.Keys.Validate(), err, o.surface().CheckSettings(), o.rules().Validate(), o.Brand.Validate(), pages.CheckReports(o.CSPReports))
	if o.Policy.RequireBinding && !o.DeviceBinding.Requires() {
		faults = append(faults, fmt.Errorf("policy %q requires sessions bound to a device; use require or require-all, not %q", o.Policy.Name, o.DeviceBinding))
	}
	if o.DeviceBinding.Requires() && slices.ContainsFunc(o.Origins, func(origin string) bool { return !strings.HasPrefix(origin, "https://") }) {
		faults = append(faults, errors.New("browsers bind a session to their device over https only; give origins of https, or require no binding"))
	}
	if _, ok := httpauth.LocalPath(o.Home); !ok {
		faults = append(faults, fmt.Errorf("home %q is not a plain path on this site", o.Home))
	}
	return errors.Join(faults...)
}

// place is where the data is.
func (o Options) place() Place {
	return Place{Directory: o.Data, MasterKeyFile: o.MasterKeyFile, Store: o.Store, StoreSharded: o.StoreSharded, DangerouslyPlainStore: o.DangerouslyPlainStore}
}
