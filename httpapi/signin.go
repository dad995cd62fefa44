package httpapi

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/session"
)

// Credentials are what somebody types to sign in or to sign up.
type Credentials struct {
	Username string
	Password account.Password
	Remember bool // cookies outlive the browser
	// NewPassword is to replace Password, which must be an initial one then: no
	// session begins with that, and who tries is told to choose another
	// ("password_change_required"). Nil: it is the user's own.
	NewPassword *account.Password
	// Confirm says that a signed-in user shows once more who it is: the new
	// session is remembered if the one that it replaces was, whatever Remember
	// says.
	Confirm bool
}

// A Login is somebody whom the program itself has authenticated.
type Login struct {
	UserID   string
	Username string   // shown while this node remembers it, if Accounts do not know the user
	Methods  []string // how the user logged in (RFC 8176), never more than was done
	Remember bool     // cookies outlive the browser
	// DangerouslyFromAnotherSite is for the request by which another site sends
	// the user back (OAuth's redirect): it cannot come from a page of our own.
	// The program has made sure that this browser began the login here, by the
	// "state" of RFC 6749 §10.12 or its like. Otherwise anybody signs anybody
	// in as himself.
	DangerouslyFromAnotherSite bool
}

var errNoUser = errors.New("httpapi: a login needs the id of its user")

// SignIn starts a cookie session for whoever proves to be an enabled user, and
// ends the session whose cookies the request carried: a sign-in that confirms
// who it is gets new tokens as well (OWASP ASVS 5.0 §7.2.4). Only a page of our
// own can ask for it. The error, if any, is for [Describe]; then nothing was
// written.
func (a *API) SignIn(w http.ResponseWriter, r *http.Request, c Credentials) (account.User, error) {
	if err := a.admitOwnPage(r); err != nil {
		return account.User{}, err
	}
	r, cancel := bounded(r)
	defer cancel()
	issued, user, err := a.signIn(r, c, a.webLogin())
	if err == nil {
		err = a.setSession(w, &issued)
	}
	if err != nil {
		return account.User{}, err
	}
	return user, nil
}

// SignUp makes an account and signs its user in; otherwise it is as
// [API.SignIn]. It is refused unless Options.AllowSignup. That a name is taken
// is told, since names are chosen and shown; the work until then is that of
// making an account, and the attempts of one network are limited.
func (a *API) SignUp(w http.ResponseWriter, r *http.Request, c Credentials) (account.User, error) {
	if err := a.admitOwnPage(r); err != nil {
		return account.User{}, err
	}
	r, cancel := bounded(r)
	defer cancel()
	issued, user, err := a.signUp(r, c)
	if err == nil {
		err = a.setSession(w, &issued)
	}
	if err != nil {
		return account.User{}, err
	}
	return user, nil
}

// Start starts a cookie session for a user whom the program has authenticated,
// in the answer to the request by which the user logged in, and ends the one
// whose cookies that carried. The user need not be one of Accounts; one that
// is disabled there is refused. Otherwise it is as [API.SignIn].
func (a *API) Start(w http.ResponseWriter, r *http.Request, l Login) error {
	admit := a.admitOwnPage
	if l.DangerouslyFromAnotherSite {
		admit = a.admitUse
	}
	if err := admit(r); err != nil {
		return err
	}
	if l.UserID == "" {
		return errNoUser
	}
	r, cancel := bounded(r)
	defer cancel()
	login := a.webLogin()
	login.UserID, login.Methods, login.Remembered = l.UserID, slices.Clone(l.Methods), l.Remember
	login.Origin = a.Guard.Proxies.Origin(r)
	user, err := a.Accounts.ByID(r.Context(), l.UserID)
	var known *account.User
	switch {
	case err == nil:
		if err := a.Accounts.Recheck(r.Context(), user); err != nil {
			a.recordFailure("sign_in", err, login.ClientID, login.Origin)
			return err
		}
		known = &user
	case !errors.Is(err, account.ErrNotFound):
		return err
	case l.Username != "":
		a.names.Set(l.UserID, l.Username)
	}
	issued, err := a.begin(r, known, login, false)
	if err != nil {
		return err
	}
	return a.setSession(w, &issued)
}

// webLogin is the part of a login that is the same for every cookie session.
func (a *API) webLogin() session.Login {
	return session.Login{ClientID: a.Web.ID, Audience: a.Audience, Scope: a.Web.Scope, Transport: session.Cookie}
}

// signIn starts the session that l describes for whoever the credentials prove
// to be.
func (a *API) signIn(r *http.Request, c Credentials, l session.Login) (session.Issued, account.User, error) {
	l.Origin = a.Guard.Proxies.Origin(r)
	user, err := a.authenticate(r, c)
	if err != nil {
		a.recordFailure("sign_in", err, l.ClientID, l.Origin)
		return session.Issued{}, account.User{}, err
	}
	if c.NewPassword != nil {
		a.Engine.Record(session.Event{Type: session.EventPasswordSet, Reason: "initial", UserID: user.ID, ClientID: l.ClientID, Origin: l.Origin})
		// Those whom the program itself has signed in.
		_, err := a.Engine.End(context.WithoutCancel(r.Context()), session.Selection{User: user.ID}, session.ReasonPassword, "", l.Origin)
		if err != nil {
			return session.Issued{}, account.User{}, err
		}
	}
	l.UserID, l.Methods, l.Remembered = user.ID, []string{"pwd"}, c.Remember && l.Transport == session.Cookie
	issued, err := a.begin(r, &user, l, c.Confirm && l.Transport == session.Cookie)
	return issued, user, err
}

// authenticate returns whoever the credentials prove to be.
func (a *API) authenticate(r *http.Request, c Credentials) (account.User, error) {
	from := a.Guard.Proxies.ClientAddr(r)
	if c.NewPassword != nil {
		return a.Accounts.ReplaceInitial(r.Context(), c.Username, c.Password, *c.NewPassword, from)
	}
	return a.Accounts.Authenticate(r.Context(), c.Username, c.Password, from)
}

func (a *API) signUp(r *http.Request, c Credentials) (session.Issued, account.User, error) {
	if !a.AllowSignup {
		return session.Issued{}, account.User{}, errSignupOff
	}
	l := a.webLogin()
	l.Origin = a.Guard.Proxies.Origin(r)
	user, err := a.Accounts.SignUp(r.Context(), c.Username, c.Password, a.Guard.Proxies.ClientAddr(r))
	if err != nil {
		a.recordFailure("sign_up", err, l.ClientID, l.Origin)
		return session.Issued{}, account.User{}, err
	}
	a.Engine.Record(session.Event{Type: session.EventUserAdded, Reason: "sign_up", UserID: user.ID, ClientID: l.ClientID, Origin: l.Origin})
	l.UserID, l.Methods, l.Remembered = user.ID, []string{"pwd"}, c.Remember
	issued, err := a.begin(r, &user, l, false)
	return issued, user, err
}

// begin is the one way in which a session begins: those whose cookies came
// along end, the new one is stored, and the oldest makes room if there are too
// many. With inherit, it is remembered as that which it replaces was. The user
// is nil if Accounts do not know it.
func (a *API) begin(r *http.Request, user *account.User, l session.Login, inherit bool) (session.Issued, error) {
	carried, err := a.carried(r)
	if err != nil {
		return session.Issued{}, err
	}
	if inherit {
		if l.Remembered, err = a.remembered(r.Context(), l.UserID, carried); err != nil {
			return session.Issued{}, err
		}
	}
	if err := a.endSessions(r.Context(), carried, session.ReasonSignIn, l.Origin); err != nil {
		return session.Issued{}, err
	}
	issued, err := a.issue(r.Context(), user, l)
	if err != nil {
		return session.Issued{}, err
	}
	if err := a.makeRoom(r.Context(), &issued.Row, l.Origin); err != nil {
		return session.Issued{}, err
	}
	a.Engine.Record(session.Event{Type: session.EventSignInOK, UserID: l.UserID, ClientID: l.ClientID,
		Session: a.Engine.Pseudonym(issued.Row.ID), Origin: l.Origin})
	return issued, nil
}

// remembered reports whether one of the user's sessions among these is.
func (a *API) remembered(ctx context.Context, userID string, ids []session.ID) (bool, error) {
	for _, id := range ids {
		row, _, err := a.Engine.Get(ctx, id)
		switch {
		case errors.Is(err, session.ErrRefused):
		case err != nil:
			return false, err
		case row.UserID == userID && row.Remembered:
			return true, nil
		}
	}
	return false, nil
}

// issue starts the session and asks once more whether the user may have it. A
// user who is disabled, or whose password is changed, between Authenticate and
// Start has their sessions ended before this one is stored: either that end
// sees our session, or Recheck sees the change. The tokens were not sent yet.
func (a *API) issue(ctx context.Context, user *account.User, login session.Login) (session.Issued, error) {
	issued, err := a.Engine.Start(ctx, login)
	if err != nil || user == nil {
		return issued, err
	}
	if err := a.Accounts.Recheck(ctx, *user); err != nil {
		a.recordFailure("sign_in", err, login.ClientID, login.Origin)
		why := session.ReasonDisabled
		if account.Reason(err) == account.ReasonPasswordChanged {
			why = session.ReasonPassword
		}
		// The client may have gone; the session must not stay for that. If the
		// store fails too, nobody has a token of what stays.
		_, endErr := a.Engine.End(context.WithoutCancel(ctx), session.Selection{Session: issued.Row.ID}, why, "", login.Origin)
		if endErr != nil {
			return session.Issued{}, endErr
		}
		return session.Issued{}, err
	}
	return issued, nil
}

// makeRoom ends the oldest sessions of a user who has more than allowed (OWASP
// ASVS 5.0 §7.1.2). It counts after the new one was stored, so that of logins
// at the same time at least the last counts all of them.
func (a *API) makeRoom(ctx context.Context, newest *session.Row, from session.Origin) error {
	rows, _, err := a.Engine.List(ctx, newest.UserID)
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(rows, func(row session.Row) bool { return row.ID == newest.ID })
	for _, row := range others[min(len(others), a.MaxSessions-1):] {
		ended, err := a.Engine.End(ctx, session.Selection{Session: row.ID}, session.ReasonExcess, "", from)
		if err != nil {
			return err
		}
		for _, s := range ended {
			a.Engine.Record(session.Event{Type: session.EventExcess, UserID: s.UserID, Session: a.Engine.Pseudonym(s.Session), Origin: from})
		}
	}
	return nil
}

// recordFailure records why somebody was refused, but not the name that was
// typed: people type passwords there. What is "sign_in", "sign_up" or
// "password".
func (a *API) recordFailure(what string, err error, clientID string, from session.Origin) {
	e := session.Event{Type: session.EventSignInFailed, Reason: account.Reason(err), ClientID: clientID, Origin: from}
	switch {
	case errors.Is(err, account.ErrBusy):
		e.Type, e.Reason = session.EventOverload, what
	case errors.Is(err, account.ErrThrottled):
		e.Type, e.Reason = session.EventRateLimited, what
	case e.Reason == "":
		return // the cause is in the log
	}
	a.Engine.Record(e)
}
