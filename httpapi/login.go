package httpapi

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
)

type loginRequest struct {
	Username  *string           `json:"username"`
	Password  *account.Password `json:"password"`
	Remember  bool              `json:"remember"`  // cookies outlive the browser
	Transport session.Transport `json:"transport"` // empty: cookie
	ClientID  string            `json:"client_id"` // with bearer; empty: the only one there is
	Scope     string            `json:"scope"`     // empty: all that the client may have
}

// login starts a session for whoever proves to be an enabled user, and ends
// the one whose cookies the request carried.
func (a *API) login(w http.ResponseWriter, r *http.Request) error {
	var in loginRequest
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if in.Username == nil || in.Password == nil {
		return errBody
	}
	transport := cmp.Or(in.Transport, session.Cookie)
	client, err := a.signInClient(transport, in.ClientID)
	if err != nil {
		return err
	}
	if err := a.admitSignIn(r, transport, client); err != nil {
		return err
	}
	scope, err := client.grant(in.Scope)
	if err != nil {
		return err
	}
	from := a.Guard.Proxies.Origin(r)
	user, err := a.Accounts.Authenticate(r.Context(), *in.Username, *in.Password)
	if err != nil {
		a.recordSignInFailure(err, client.ID, from)
		return err
	}
	if err := a.endCarried(r, session.ReasonSignIn, from); err != nil {
		return err
	}
	issued, err := a.start(r.Context(), user, session.Login{
		UserID: user.ID, ClientID: client.ID, Audience: a.Audience, Scope: scope, Methods: []string{"pwd"},
		Transport: transport, Remembered: in.Remember && transport == session.Cookie, Origin: from,
	})
	if err != nil {
		return err
	}
	a.Engine.Record(session.Event{Type: session.EventSignInOK, UserID: user.ID, ClientID: client.ID,
		Session: a.Engine.Pseudonym(issued.Row.ID), Origin: from})
	return a.deliver(w, &issued, user.Name)
}

// admitSignIn judges who made the sign-in. A cookie is only ever set for a
// page of our own; a request with cookies of ours is judged as any other such;
// tokens in a body are for programs, and for pages that are listed. What has
// neither Sec-Fetch-Site nor Origin nor a cookie of ours comes from no
// browser.
func (a *API) admitSignIn(r *http.Request, transport session.Transport, client *Client) error {
	if transport == session.Cookie || httpauth.CarriesCookie(r) {
		if err := a.Guard.CrossSite(r); err != nil {
			return err
		}
	}
	if transport == session.Bearer {
		return client.admits(r)
	}
	return nil
}

func (a *API) signInClient(transport session.Transport, id string) (*Client, error) {
	switch transport {
	case session.Cookie:
		if id == "" || id == a.Web.ID {
			return &a.Web, nil
		}
	case session.Bearer:
		if id == "" && len(a.Clients) == 1 {
			return &a.Clients[0], nil
		}
		if client, ok := a.client(id); ok {
			return client, nil
		}
	default:
		return nil, errBody
	}
	return nil, errClient
}

// grant returns the scope that is granted for the one asked for (RFC 6749
// §3.3).
func (c *Client) grant(asked string) (string, error) {
	if asked == "" {
		return c.Scope, nil
	}
	want, may := strings.Fields(asked), strings.Fields(c.Scope)
	for _, value := range want {
		if !slices.Contains(may, value) {
			return "", errScope
		}
	}
	return strings.Join(want, " "), nil
}

// start starts the session and asks once more whether the user may have it. A
// user who is disabled, or whose password is changed, between Authenticate and
// Start has their sessions ended before this one is stored: either that end
// sees our session, or Recheck sees the change. The tokens were not sent yet.
func (a *API) start(ctx context.Context, user account.User, login session.Login) (session.Issued, error) {
	issued, err := a.Engine.Start(ctx, login)
	if err != nil {
		return session.Issued{}, err
	}
	if err := a.Accounts.Recheck(ctx, user); err != nil {
		a.recordSignInFailure(err, login.ClientID, login.Origin)
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

// recordSignInFailure records why, but not the name that was typed: people
// type passwords there.
func (a *API) recordSignInFailure(err error, clientID string, from session.Origin) {
	e := session.Event{Type: session.EventSignInFailed, Reason: account.Reason(err), ClientID: clientID, Origin: from}
	switch {
	case errors.Is(err, account.ErrBusy):
		e.Type, e.Reason = session.EventOverload, "sign_in"
	case !errors.Is(err, account.ErrCredentials):
		return // the cause is in the log
	}
	a.Engine.Record(e)
}
