package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

// Handoff prepares the browser for a sign-in at a program that is a service
// here: it sets the cookie that the code will be bound to, and returns the
// binding, which is no secret, for that program. A browser that has a cookie
// keeps it, so that it can sign in on several tabs. Without services it returns
// "" and sets nothing. See package service.
func (a *API) Handoff(w http.ResponseWriter, r *http.Request) (binding string, err error) {
	if a.Services == nil {
		return "", nil
	}
	cookie, ok := handoffOf(r)
	if !ok {
		cookie = service.NewCookie()
	}
	lines, err := encodeCookies(handoffCookie(cookie.Reveal(), handoffAge))
	if err != nil {
		return "", err
	}
	setCookies(w, lines)
	return service.BindingOf(cookie).String(), nil
}

// HandOver is [API.Handoff] for a browser that is sent to a path: if that is
// the sign-in page of a service (see Options.SignInHandoff), it returns the path
// with the binding, so that it gets there without script; otherwise it returns
// the path alone.
func (a *API) HandOver(w http.ResponseWriter, r *http.Request, to string) string {
	u, err := url.Parse(to)
	if err != nil || !a.SignInHandoff || u.Path != a.Options.SignIn {
		return to
	}
	binding, err := a.Handoff(w, r)
	if err != nil || binding == "" {
		return to // the page can still ask for it
	}
	query := u.Query()
	query.Set("handoff", binding)
	u.RawQuery = query.Encode()
	return u.String()
}

// handoffOf returns the one cookie of a browser that is about to sign in
// elsewhere. Nobody but this host can have set it, since its name has the
// prefix.
func handoffOf(r *http.Request) (token.Secret, bool) {
	cookies := httpauth.Cookies(r, httpauth.HandoffCookie)
	if len(cookies) != 1 || !service.IsCookie(cookies[0]) {
		return "", false
	}
	return token.Secret(cookies[0]), true
}

// handoff is [API.Handoff] for a page's script.
func (a *API) handoff(w http.ResponseWriter, r *http.Request) error {
	if err := a.admitOwnPage(r); err != nil {
		return err
	}
	if err := readJSON(r, &struct{}{}); err != nil {
		return err
	}
	binding, err := a.Handoff(w, r)
	if err != nil {
		return err
	}
	if binding == "" {
		return errNotFound
	}
	body, err := json.Marshal(struct {
		Handoff string `json:"handoff"`
	}{binding})
	if err != nil {
		return err
	}
	return writeJSON(w, body)
}

// redeem starts the session that a code stands for, in the browser that it was
// made for: by a page's script, which gets the session document, or by its
// form, which leads on to "return_to". Whatever is wrong with a code, the
// answer is the same, and the browser keeps what it has. A network that
// presents bad ones too often has to wait, and its codes stay good meanwhile.
func (a *API) redeem(w http.ResponseWriter, r *http.Request) error {
	if err := a.admitOwnPage(r); err != nil {
		return err
	}
	if a.Services == nil {
		return errNotFound
	}
	code, returnTo, isForm, err := readRedemption(r)
	if err != nil {
		return err
	}
	from := a.Guard.Proxies.Origin(r)
	if a.codes.reached(from.Address, a.Guard.Now()) {
		a.Engine.Record(session.Event{Type: session.EventRateLimited, Reason: "code", Origin: from})
		return errTooManyFailures
	}
	issued, found, err := a.redeemCode(r, code, from)
	if err != nil {
		return a.refuseCode(err, found, from)
	}
	used, err := encodeCookies(handoffCookie("", -1))
	if err != nil {
		return err
	}
	if isForm {
		if err := a.beginSession(w, r, &issued); err != nil {
			return err
		}
		setCookies(w, used)
		to, _ := a.ReturnTo(returnTo)
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusSeeOther)
		return nil
	}
	name, err := a.userName(r.Context(), issued.Row.UserID)
	if err != nil {
		name = "" // the session has begun; its owner gets it all the same
	}
	setCookies(w, used)
	return a.deliverNew(w, r, &issued, name)
}

// readRedemption reads the code from the body, never from the query: it must
// not get into a log or a Referer.
func readRedemption(r *http.Request) (code token.Secret, returnTo string, isForm bool, err error) {
	if checkMediaType(r, jsonBody) == nil {
		var in struct {
			Code *string `json:"code"`
		}
		if err := readJSON(r, &in); err != nil {
			return "", "", false, err
		}
		if in.Code == nil {
			return "", "", false, ErrBody
		}
		return token.Secret(*in.Code), "", false, nil
	}
	form, err := readForm(r)
	if err != nil {
		return "", "", true, err
	}
	if form["code"] == "" {
		return "", "", true, errParameter
	}
	return token.Secret(form["code"]), form["return_to"], true, nil
}

// redeemCode uses a code up. What it stands for is returned with an error too,
// as far as it is known.
func (a *API) redeemCode(r *http.Request, code token.Secret, from session.Origin) (session.Issued, service.Code, error) {
	cookie, ok := handoffOf(r)
	if !ok {
		return session.Issued{}, service.Code{}, service.ErrCode
	}
	found, err := a.Services.Look(r.Context(), code, cookie)
	if err != nil {
		return session.Issued{}, found, err
	}
	// A user whose sessions ended with those of everybody must log in again.
	if a.Engine.Ends.Has(session.ID{}, found.CreatedAt) {
		return session.Issued{}, found, service.ErrCode
	}
	held, err := a.carried(r)
	if err != nil {
		return session.Issued{}, found, err
	}
	begin := beginning{held: held, actor: found.Service, last: func(ctx context.Context) error { return a.Services.Take(ctx, found) },
		login: session.Login{
			UserID: found.UserID, ClientID: found.ClientID, Audience: found.Audience, Scope: found.Scope, Methods: found.Methods,
			Transport: session.Cookie, Remembered: found.Remembered, Origin: from,
		}}
	if !found.PasswordChangedAt.IsZero() {
		// As it was when the code was made; whether it still is so is asked once
		// the session is stored.
		begin.user = &account.User{ID: found.UserID, PasswordChangedAt: found.PasswordChangedAt}
	}
	issued, err := a.beginFrom(r.Context(), begin)
	return issued, found, err
}

// refuseCode counts and records a code that is no good, and returns what to
// say about it.
func (a *API) refuseCode(err error, found service.Code, from session.Origin) error {
	switch {
	case errors.Is(err, account.ErrCredentials): // disabled since, or another password; recorded already
		err = service.ErrCode
	case errors.Is(err, service.ErrCode):
		e := session.Event{Type: session.EventCodeRefused, UserID: found.UserID, ClientID: found.ClientID, Actor: found.Service, Origin: from}
		if errors.Is(err, service.ErrForeign) {
			e.Reason = "another_browser"
		}
		a.Engine.Record(e)
	default:
		return err // the cause is in the log
	}
	a.codes.count(from.Address, a.Guard.Now())
	return err
}
