package httpauth

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/verify"
)

// What a [StepUpError] matches.
var (
	// ErrRecentLogin says that the login is too long ago for what is asked.
	ErrRecentLogin = errors.New("httpauth: the login is too long ago")
	// ErrLoginMethods says that the user must log in by more than was done.
	ErrLoginMethods = errors.New("httpauth: the login does not use the methods that are required")
)

// A StepUpError says that a good login is not enough for what is asked, and
// what would be (RFC 9470). Just one of its fields is set; it matches
// [ErrRecentLogin] or [ErrLoginMethods].
type StepUpError struct {
	MaxAge  time.Duration // the login must not be older
	Methods []string      // the login must use all of these (RFC 8176)
}

// Error implements error.
func (e *StepUpError) Error() string {
	if len(e.Methods) > 0 {
		return fmt.Sprintf("%v: %s", ErrLoginMethods, strings.Join(e.Methods, " "))
	}
	return fmt.Sprintf("%v: sign in again, at most %v before", ErrRecentLogin, e.MaxAge)
}

// Is makes the error match its sentinel.
func (e *StepUpError) Is(target error) bool {
	if len(e.Methods) > 0 {
		return target == ErrLoginMethods
	}
	return target == ErrRecentLogin
}

// CheckRecent returns a [StepUpError] if the principal's login is longer ago
// than maxAge, whatever was renewed since: a stolen session must not be enough
// for what matters (OWASP ASVS 5.0 §7.5.3). A refusal is recorded.
func (g *Guard) CheckRecent(r *http.Request, p *verify.Principal, maxAge time.Duration) error {
	if g.Now().Sub(p.AuthTime) <= maxAge {
		return nil
	}
	return g.deny(r, p, "recent_login_required", &StepUpError{MaxAge: maxAge})
}

// checkMethods returns a [StepUpError] unless the principal's login used every
// one of the methods, as values of "amr" (RFC 8176). A refusal is recorded.
func (g *Guard) checkMethods(r *http.Request, p *verify.Principal, methods ...string) error {
	for _, m := range methods {
		if !slices.Contains(p.Methods, m) {
			return g.deny(r, p, "login_methods_required", &StepUpError{Methods: methods})
		}
	}
	return nil
}

func (g *Guard) deny(r *http.Request, p *verify.Principal, reason string, err error) error {
	g.Record(session.Event{Type: session.EventAccessDenied, Reason: reason, UserID: p.UserID, ClientID: p.ClientID,
		Session: g.Pseudonym(p.Session), Origin: g.Proxies.Origin(r)})
	return err
}

// A Refuse answers a request that fails with the error.
type Refuse = func(http.ResponseWriter, *http.Request, error)

// RequireRecent returns a middleware for use inside [Guard.Protect]: it lets a
// request through only if the login is at most maxAge ago. It panics if maxAge
// is not more than nothing, which nobody could meet.
func (g *Guard) RequireRecent(maxAge time.Duration, refuse Refuse) func(http.Handler) http.Handler {
	if maxAge <= 0 {
		panic("httpauth: RequireRecent needs an age of more than nothing")
	}
	return require(refuse, func(r *http.Request, p *verify.Principal) error { return g.CheckRecent(r, p, maxAge) })
}

// RequireAMR returns a middleware for use inside [Guard.Protect]: it lets a
// request through only if the login used all of the methods (RFC 8176). It
// panics without a method, since everybody would meet that.
func (g *Guard) RequireAMR(refuse Refuse, methods ...string) func(http.Handler) http.Handler {
	if len(methods) == 0 || slices.Contains(methods, "") {
		panic("httpauth: RequireAMR needs the methods that a login must use")
	}
	methods = slices.Clone(methods)
	return require(refuse, func(r *http.Request, p *verify.Principal) error { return g.checkMethods(r, p, methods...) })
}

// require refuses what is not inside Protect as well: nobody is signed in
// there.
func require(refuse Refuse, check func(*http.Request, *verify.Principal) error) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			err := error(ErrNoCredential)
			if p, ok := verify.FromContext(r.Context()); ok {
				err = check(r, p)
			}
			if err != nil {
				refuse(w, r, err)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}
