package httpapi

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/dpop"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
)

type loginRequest struct {
	Username  *string           `json:"username"`
	Password  *account.Password `json:"password"`
	New       *account.Password `json:"new_password"` // replaces an initial one
	Remember  bool              `json:"remember"`     // cookies outlive the browser
	Transport session.Transport `json:"transport"`    // empty: cookie
	ClientID  string            `json:"client_id"`    // with bearer; empty: the only one there is
	Scope     string            `json:"scope"`        // empty: all that the client may have
}

// login is [API.SignIn] for whoever sends JSON, and the only sign-in that can
// give tokens to a program.
func (a *API) login(w http.ResponseWriter, r *http.Request) error {
	var in loginRequest
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if in.Username == nil || in.Password == nil {
		return ErrBody
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
	var proof *dpop.Proof
	if transport == session.Bearer {
		if proof, err = a.possession(r, client.RequireDPoP); err != nil {
			return err
		}
	}
	issued, user, err := a.signIn(r, Credentials{Username: *in.Username, Password: *in.Password, NewPassword: in.New, Remember: in.Remember},
		session.Login{ClientID: client.ID, Audience: a.Audience, Scope: scope, Transport: transport, Binding: bindingOf(proof)}, proof)
	if err != nil {
		return err
	}
	return a.deliverNew(w, r, &issued, user.Name)
}

type signupRequest struct {
	Username *string           `json:"username"`
	Password *account.Password `json:"password"`
	Remember bool              `json:"remember"`
}

// signup is [API.SignUp] for whoever sends JSON. Nothing but these three can
// be said about the new user.
func (a *API) signup(w http.ResponseWriter, r *http.Request) error {
	if err := a.admitOwnPage(r); err != nil {
		return err
	}
	var in signupRequest
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if in.Username == nil || in.Password == nil {
		return ErrBody
	}
	issued, user, err := a.signUp(r, Credentials{Username: *in.Username, Password: *in.Password, Remember: in.Remember})
	if err != nil {
		return err
	}
	return a.deliverNew(w, r, &issued, user.Name)
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
		return nil, ErrBody
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
