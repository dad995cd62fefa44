package httpapi

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/dpop"
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
	issued, user, err := a.signIn(r, c, a.webLogin(), nil)
	if err == nil {
		err = a.beginSession(w, r, &issued)
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
		err = a.beginSession(w, r, &issued)
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
		admit = a.admitTransport
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
			a.recordFailure("sign_in", err, attempt(&login))
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
	return a.beginSession(w, r, &issued)
}

// webLogin is the part of a login that is the same for every cookie session.
func (a *API) webLogin() session.Login {
	return session.Login{ClientID: a.Web.ID, Audience: a.Audience, Scope: a.Web.Scope, Transport: session.Cookie}
}

// signIn starts the session that l describes for whoever the credentials prove
// to be. The proof of the key that l is bound to, if any, is used up once they
// are right: others cannot fill the memory of used proofs.
func (a *API) signIn(r *http.Request, c Credentials, l session.Login, proof *dpop.Proof) (session.Issued, account.User, error) {
	l.Origin = a.Guard.Proxies.Origin(r)
	user, err := a.authenticate(r, c)
	if err != nil {
		a.recordFailure("sign_in", err, attempt(&l))
		return session.Issued{}, account.User{}, err
	}
	if err := a.spend(r, proof); err != nil {
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
		a.recordFailure("sign_up", err, attempt(&l))
		return session.Issued{}, account.User{}, err
	}
	a.Engine.Record(session.Event{Type: session.EventUserAdded, Reason: "sign_up", UserID: user.ID, ClientID: l.ClientID, Origin: l.Origin})
	l.UserID, l.Methods, l.Remembered = user.ID, []string{"pwd"}, c.Remember
	issued, err := a.begin(r, &user, l, false)
	return issued, user, err
}

// recordFailure records why somebody was refused, but not the name that was
// typed: people type passwords there. What is "sign_in", "sign_up" or
// "password"; who says as much of the attempt as is known.
func (a *API) recordFailure(what string, err error, who session.Event) {
	who.Type, who.Reason = session.EventSignInFailed, account.Reason(err)
	switch {
	case errors.Is(err, account.ErrBusy):
		who.Type, who.Reason = session.EventOverload, what
	case errors.Is(err, account.ErrThrottled):
		who.Type, who.Reason = session.EventRateLimited, what
	case who.Reason == "":
		return // the cause is in the log
	}
	a.Engine.Record(who)
}

// attempt is what is known of a login that nobody has proved yet.
func attempt(l *session.Login) session.Event {
	return session.Event{ClientID: l.ClientID, Origin: l.Origin}
}
