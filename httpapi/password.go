package httpapi

import (
	"context"
	"errors"
	"fmt"
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
		return ErrBody
	}
	return a.done(w, a.ChangePassword(w, r, in.Current, *in.New))
}

// ChangePassword gives the user a new password, for which the current one is
// needed (OWASP ASVS 5.0 §6.2.3), and ends the user's sessions, so that a copy
// of their tokens is worth nothing any more (§7.2.4). A cookie session that
// asks is replaced by a new one, which is what the answer's cookies belong to;
// whoever asks by a token signs in again with the new password.
//
// The error, if any, is for [Describe]; then nothing was written, and the old
// password is good. Only "password_changed" says that the new one is, and that
// sessions may be left.
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
	who := session.Event{UserID: p.UserID, ClientID: p.ClientID, Session: a.Engine.Pseudonym(p.Session), Origin: from}
	user, err := a.changePassword(r, who, current, next)
	if err != nil {
		return err
	}
	who.Type = session.EventPasswordSet
	a.Engine.Record(who)
	// From here on the client may go, but the sessions of the old password must
	// not stay for that.
	if err := a.renounce(w, r.WithContext(context.WithoutCancel(r.Context())), &user, &row, from); err != nil {
		return fmt.Errorf("%w: %w", errPasswordChanged, err)
	}
	return nil
}

// changePassword is refused alike for every reason that has to do with the
// current password.
func (a *API) changePassword(r *http.Request, who session.Event, current, next account.Password) (account.User, error) {
	user, err := a.Accounts.ChangePassword(r.Context(), who.UserID, current, next, a.Guard.Proxies.ClientAddr(r))
	switch {
	case err == nil:
		return user, nil
	case errors.Is(err, account.ErrNotFound):
		return account.User{}, errNotFound // the program's own user has no password here
	}
	a.recordFailure("password", err, who)
	if errors.Is(err, account.ErrCredentials) {
		return account.User{}, errWrongPassword
	}
	return account.User{}, err
}

// renounce ends the sessions of a password that is no more. The one that
// asked is last, and only when there is another in its place.
func (a *API) renounce(w http.ResponseWriter, r *http.Request, user *account.User, row *session.Row, from session.Origin) error {
	ctx := r.Context()
	which := session.Selection{User: row.UserID}
	if row.Transport == session.Cookie {
		which.Except = row.ID
	}
	if _, err := a.Engine.End(ctx, which, session.ReasonPassword, "", from); err != nil {
		return err
	}
	if row.Transport != session.Cookie {
		return nil
	}
	issued, err := a.issue(ctx, user, session.Login{
		UserID: row.UserID, ClientID: row.ClientID, Audience: row.Audience, Scope: row.Scope, Methods: []string{"pwd"},
		Transport: row.Transport, Remembered: row.Remembered, Origin: from, // its browser binds it anew
	})
	if err != nil {
		return err
	}
	if err := a.endSessions(ctx, []session.ID{row.ID}, session.ReasonPassword, from); err != nil {
		a.abandon(ctx, issued.Row.ID, from)
		return err
	}
	return a.beginSession(w, r, &issued)
}
