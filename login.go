package pawl

import (
	"context"
	"net/http"
	"time"

	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/token"
)

// A LoginOption says more about a login; see [Pawl.SignIn].
type LoginOption func(*httpapi.Login)

// Remember keeps the user signed in when the browser is closed.
func Remember() LoginOption { return func(l *httpapi.Login) { l.Remember = true } }

// Methods says how the user logged in, as values of "amr" (RFC 8176): "pwd",
// "otp", "hwk". Say no more than was done: [Pawl.RequireAMR] goes by it.
func Methods(methods ...string) LoginOption {
	return func(l *httpapi.Login) { l.Methods = methods }
}

// Username is what the pages and the session document call a user whom
// [Pawl.Accounts] do not know, while this process remembers it.
func Username(name string) LoginOption { return func(l *httpapi.Login) { l.Username = name } }

// DangerouslyFromAnotherSite allows the request to come from another site, as
// the last one of a login with OAuth does. The program must have made sure
// that this browser began the login here, by "state" (RFC 6749 §10.12) or its
// like: otherwise anybody signs anybody in as himself.
func DangerouslyFromAnotherSite() LoginOption {
	return func(l *httpapi.Login) { l.DangerouslyFromAnotherSite = true }
}

// SignIn starts a session for a user whom the program has authenticated, by
// cookies in the answer to the request by which the user logged in. It ends
// the session whose cookies that carried. The user need not be one of
// [Pawl.Accounts]; one that is disabled there is refused. Only a page of the
// program's own site can ask for it.
//
// On an error nothing was written; give it to [Pawl.Refuse].
func (p *Pawl) SignIn(w http.ResponseWriter, r *http.Request, userID string, options ...LoginOption) error {
	l := httpapi.Login{UserID: userID}
	for _, option := range options {
		option(&l)
	}
	return p.web.api.Start(w, r, l)
}

// SignOut ends the session of the request's cookies and takes the cookies away.
// It works when the access token has expired, and doing it twice is no error.
// Only a page of the program's own site can ask for it.
//
// On an error nothing was written; give it to [Pawl.Refuse].
func (p *Pawl) SignOut(w http.ResponseWriter, r *http.Request) error {
	return p.web.api.SignOut(w, r)
}

// Refuse answers a request that [Pawl.SignIn] or [Pawl.SignOut] failed, as
// [Pawl.Protect] does. What is not theirs is answered by 500 and logged.
func (p *Pawl) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	p.web.api.Refuse(w, r, err)
}

// ReturnTo is where to send a browser on after a sign-in: the path that
// "return_to" in the query or the form names, if it is one of our own site,
// and otherwise Options.Home. It never leads to another site (RFC 9700
// §4.11.1).
func (p *Pawl) ReturnTo(r *http.Request) string {
	if local, ok := p.web.api.ReturnTo(r.FormValue("return_to")); ok {
		return local
	}
	return p.options.Home
}

// RequireRecent returns a middleware for use inside [Pawl.Protect]: it lets a
// request through only if the user logged in at most maxAge ago, whatever was
// renewed since. A browser that opens a page is sent to confirm who it is;
// anything else gets the challenge of RFC 9470. It panics if maxAge is not
// more than nothing.
func (p *Pawl) RequireRecent(maxAge time.Duration) func(http.Handler) http.Handler {
	return p.web.guard.RequireRecent(maxAge, p.web.api.Refuse)
}

// RequireAMR returns a middleware for use inside [Pawl.Protect]: it lets a
// request through only if the user logged in by all of the methods (RFC 8176),
// such as "otp". Otherwise a browser that opens a page is sent to
// Options.SignInPage to confirm who it is; without one it is told, since Pawl's
// own page asks for a password only. Anything else gets the challenge of RFC
// 9470. It panics without a method.
func (p *Pawl) RequireAMR(methods ...string) func(http.Handler) http.Handler {
	return p.web.guard.RequireAMR(p.web.api.Refuse, methods...)
}

// CSRFToken returns a token for the hidden field "csrf_token" of a form, or
// for the header X-Pawl-CSRF, inside a handler behind [Pawl.Protect]; empty
// elsewhere. It lets browsers in that say nothing of where a request comes
// from; all others need none.
func (p *Pawl) CSRFToken(ctx context.Context) string {
	caller, ok := PrincipalFrom(ctx)
	if !ok {
		return ""
	}
	return p.web.guard.CSRF.Token(caller.Session)
}

// Pseudonym is what the log and the events call a session: a keyed hash, which
// nobody can turn into its id.
func (p *Pawl) Pseudonym(session token.ID) string { return p.engine.Pseudonym(session) }
