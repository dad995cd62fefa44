package httpapi

import (
	"context"
	"errors"
	"net/http"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/verify"
)

type passwordRequest struct {
	Current account.Password  `json:"current"` // left out, it is wrong
	New     *account.Password `json:"new"`
}

// password is [API.ChangePassword] for whoever sends JSON.
func (a *API) password(w http.ResponseWriter, r *http.Request) error {
	var in passwordRequest
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if in.New == nil {
		return errBody
	}
	return a.done(w, a.ChangePassword(w, r, in.Current, *in.New))
}

// ChangePassword gives the user a new password, for which the current one is
// needed (OWASP ASVS 5.0 §6.2.3), and ends the user's other sessions. A cookie
// session is replaced by a new one, which is what the answer's cookies belong
// to: a copy of the old ones is worth nothing any more (§7.2.4).
//
// The error, if any, is for [Describe]; then nothing was written. If it says
// that the service could not answer, the password may have changed without the
// other sessions having ended.
func (a *API) ChangePassword(w http.ResponseWriter, r *http.Request, current, next account.Password) error {
	p, err := a.identifyUse(r)
	if err != nil {
		return err
	}
	r, cancel := bounded(r)
	defer cancel()
	from := a.Guard.Proxies.Origin(r)
	// What can fail is asked before the password changes.
	row, _, err := a.Engine.Get(r.Context(), p.Session)
	if err != nil {
		return err
	}
	if row.Ended() {
		return verify.ErrRevoked // the feed will say so in a moment
	}
	user, err := a.changePassword(r, p, current, next)
	if err != nil {
		return err
	}
	a.Engine.Record(session.Event{Type: session.EventPasswordSet, UserID: p.UserID, ClientID: p.ClientID,
		Session: a.Engine.Pseudonym(p.Session), Origin: from})
	// From here on the client may go, but the sessions of the old password must
	// not stay for that.
	ctx := context.WithoutCancel(r.Context())
	_, err = a.Engine.End(ctx, session.Selection{User: p.UserID, Except: p.Session}, session.ReasonPassword, "", from)
	if err != nil {
		return err
	}
	if row.Transport != session.Cookie {
		return nil
	}
	return a.replace(ctx, w, &user, &row, from)
}

// changePassword is refused alike for every reason that has to do with the
// current password.
func (a *API) changePassword(r *http.Request, p *verify.Principal, current, next account.Password) (account.User, error) {
	user, err := a.Accounts.ChangePassword(r.Context(), p.UserID, current, next, a.Guard.Proxies.ClientAddr(r))
	switch {
	case err == nil:
		return user, nil
	case errors.Is(err, account.ErrNotFound):
		return account.User{}, errNotFound // the program's own user has no password here
	}
	a.recordFailure("password", err, p.ClientID, a.Guard.Proxies.Origin(r))
	if errors.Is(err, account.ErrCredentials) {
		return account.User{}, errWrongPassword
	}
	return account.User{}, err
}

// replace ends a session and begins one like it, of a user who has just shown
// who it is.
func (a *API) replace(ctx context.Context, w http.ResponseWriter, user *account.User, row *session.Row, from session.Origin) error {
	if _, err := a.Engine.End(ctx, session.Selection{Session: row.ID}, session.ReasonPassword, "", from); err != nil {
		return err
	}
	issued, err := a.issue(ctx, user, session.Login{
		UserID: row.UserID, ClientID: row.ClientID, Audience: row.Audience, Scope: row.Scope, Methods: []string{"pwd"},
		Transport: row.Transport, Remembered: row.Remembered, Binding: row.Binding, Origin: from,
	})
	if err != nil {
		return err
	}
	return a.setSession(w, &issued)
}
