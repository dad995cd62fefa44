package httpapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

// What forms, programs and the JSON routes share begins with one of these.

// admitOwnPage admits a request that only a page of our own may make, whatever
// it carries.
func (a *API) admitOwnPage(r *http.Request) error {
	if err := a.admitTransport(r); err != nil {
		return err
	}
	return a.Guard.CrossSite(r)
}

// admitUse admits a request that changes something for the session it
// carries, whatever its method: the caller may have been reached by GET.
func (a *API) admitUse(r *http.Request) error {
	if err := a.admitTransport(r); err != nil {
		return err
	}
	return a.Guard.CheckUse(r, http.MethodPost)
}

func (a *API) admitTransport(r *http.Request) error {
	if err := a.Guard.Admit(r); err != nil {
		return err
	}
	return httpauth.CheckOneCredential(r)
}

// bounded bounds the work on a request; see requestTimeout.
func bounded(r *http.Request) (*http.Request, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	return r.WithContext(ctx), cancel
}

// beginSession is [API.setSession] for one that was just begun.
func (a *API) beginSession(w http.ResponseWriter, r *http.Request, issued *session.Issued) error {
	if err := a.setSession(w, issued); err != nil {
		return err
	}
	a.offerBinding(w, r, issued)
	return nil
}

// setSession writes the cookies of a session that was just begun or renewed.
func (a *API) setSession(w http.ResponseWriter, issued *session.Issued) error {
	lines, err := a.tokenCookies(issued)
	if err != nil {
		return err
	}
	setCookies(w, lines)
	return nil
}

// Renew renews the session of the request's cookies, as POST <prefix>/refresh
// does: only a page of our own can ask for it. The key, if any, is kept by the
// client for the retries of one attempt. The error, if any, is for [Describe];
// then nothing was written, and the cookies that the client has stay as they
// are.
func (a *API) Renew(w http.ResponseWriter, r *http.Request, idempotencyKey string) error {
	if err := a.admitOwnPage(r); err != nil {
		return err
	}
	if idempotencyKey != "" && !validIdempotencyKey(idempotencyKey) {
		return errIdempotencyKey
	}
	r, cancel := bounded(r)
	defer cancel()
	issued, err := a.renew(r, idempotencyKey)
	if err != nil {
		_, _, err := a.byDevice(r, err)
		return err
	}
	return a.setSession(w, &issued)
}

// A Viewer is who looks at a page.
type Viewer struct {
	UserID    string
	Username  string // empty if neither Accounts nor this node know it
	Session   token.ID
	AuthTime  time.Time // of the login, whatever was renewed since
	CSRFToken string    // for the hidden field [httpauth.CSRFField] of a form
}

// Viewer returns who makes the request. It fails as [httpauth.Guard.Protect]
// does; the error is for [API.Refuse] or [Describe].
func (a *API) Viewer(r *http.Request) (Viewer, error) {
	p, err := a.Guard.Authenticate(r)
	if err != nil {
		return Viewer{}, err
	}
	name, err := a.userName(r.Context(), p.UserID)
	if err != nil {
		return Viewer{}, err
	}
	return Viewer{UserID: p.UserID, Username: name, Session: p.Session, AuthTime: p.AuthTime, CSRFToken: a.Guard.CSRF.Token(p.Session)}, nil
}

// identifyUse is for what changes something for the user who asks.
func (a *API) identifyUse(r *http.Request) (*verify.Principal, error) {
	if err := a.admitUse(r); err != nil {
		return nil, err
	}
	return a.Guard.Identify(r)
}

// identifyRecent is for what a stolen session must not be enough for: the
// login itself must be recent, whatever was renewed since (OWASP ASVS 5.0
// §7.5.2).
func (a *API) identifyRecent(r *http.Request) (*verify.Principal, error) {
	p, err := a.identifyUse(r)
	if err != nil {
		return nil, err
	}
	if err := a.Guard.CheckRecent(r, p, a.RecentLogin); err != nil {
		return nil, err
	}
	if a.DeviceBinding.Requires() {
		if err := a.Guard.CheckBound(r, p); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// userName returns the name of a user; none, if the program has authenticated
// somebody whom Accounts do not know. It is asked for with every renewal and
// hardly ever changes, so it is remembered.
func (a *API) userName(ctx context.Context, id string) (string, error) {
	if name, ok := a.names.GetIfPresent(id); ok {
		return name, nil
	}
	user, err := a.Accounts.ByID(ctx, id)
	switch {
	case errors.Is(err, account.ErrNotFound):
		return "", nil
	case err != nil:
		return "", err
	}
	a.names.Set(id, user.Name)
	return user.Name, nil
}
