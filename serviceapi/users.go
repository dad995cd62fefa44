package serviceapi

import (
	"net/http"
	"net/url"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/session"
)

// maxBody bounds the body of a request, in bytes; see httpapi.
const maxBody = 8 << 10

// userDocument is a user as services see it.
type userDocument struct {
	ID         string    `json:"id"`
	Username   string    `json:"username"` // in its normal form
	Disabled   bool      `json:"disabled"`
	CreatedAt  time.Time `json:"created_at"`
	LastSignIn time.Time `json:"last_sign_in,omitzero"`
	// InitialPassword is told once, to whoever made the user without a password:
	// it is good for choosing another one.
	InitialPassword string `json:"initial_password,omitzero"`
}

func newUserDocument(u account.User) userDocument {
	return userDocument{ID: u.ID, Username: u.Name, Disabled: u.Disabled, CreatedAt: stamp(u.CreatedAt), LastSignIn: stamp(u.LastSignIn)}
}

// stamp is a moment as documents tell it.
func stamp(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Second)
}

// addUser makes a user, with a password that the user has chosen or with an
// initial one.
func (a *API) addUser(w http.ResponseWriter, c *call) error {
	var in struct {
		Username *string           `json:"username"`
		Password *account.Password `json:"password"` // left out: an initial one is made
	}
	if err := httpapi.ReadJSON(w, c.Request, &in, maxBody); err != nil {
		return err
	}
	if in.Username == nil {
		return httpapi.ErrBody
	}
	r, cancel := bounded(c.Request)
	defer cancel()
	var user account.User
	var initial, why string
	var err error
	if in.Password != nil {
		user, err = a.Accounts.Add(r.Context(), *in.Username, *in.Password)
	} else {
		user, initial, err = a.Accounts.AddInitial(r.Context(), *in.Username)
		why = "initial"
	}
	if err != nil {
		return err
	}
	a.record(c, session.Event{Type: session.EventUserAdded, Reason: why, UserID: user.ID})
	doc := newUserDocument(user)
	doc.InitialPassword = initial
	w.Header().Set("Location", "/v1/users/"+url.PathEscape(user.ID))
	return answer(w, http.StatusCreated, &doc)
}

func (a *API) user(w http.ResponseWriter, c *call) error {
	r, cancel := bounded(c.Request)
	defer cancel()
	user, err := a.Accounts.ByID(r.Context(), c.id)
	if err != nil {
		return err
	}
	doc := newUserDocument(user)
	return answer(w, http.StatusOK, &doc)
}

// disableUser keeps a user from signing in and ends the user's sessions, in
// this order: a sign-in that is under way looks at the user again once its
// session exists.
func (a *API) disableUser(w http.ResponseWriter, c *call) error {
	r, cancel := bounded(c.Request)
	defer cancel()
	if err := a.Accounts.Disable(r.Context(), c.id); err != nil {
		return err
	}
	a.record(c, session.Event{Type: session.EventUserDisabled, UserID: c.id})
	_, err := a.endAllOf(r.Context(), c, c.id, session.ReasonDisabled)
	return done(w, err)
}

func (a *API) enableUser(w http.ResponseWriter, c *call) error {
	r, cancel := bounded(c.Request)
	defer cancel()
	if err := a.Accounts.Enable(r.Context(), c.id); err != nil {
		return err
	}
	a.record(c, session.Event{Type: session.EventUserEnabled, UserID: c.id})
	return done(w, nil)
}

// record records what a service did.
func (a *API) record(c *call, e session.Event) {
	e.Actor, e.Origin = c.service, c.from
	a.engine.Record(e)
}
