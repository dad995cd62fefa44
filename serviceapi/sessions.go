package serviceapi

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/pawlauth/pawl/dpop"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

// Bounds of what a login says about its methods (RFC 8176).
const (
	maxMethods = 10
	maxMethod  = 32
)

// startRequest is a session for a user whom the service has authenticated.
type startRequest struct {
	UserID    string            `json:"user_id"`
	Username  string            `json:"username"` // instead of user_id, of one of Pawl's users
	Transport session.Transport `json:"transport"`
	ClientID  string            `json:"client_id"` // empty: the only one there is
	Scope     string            `json:"scope"`     // empty: all that the client may have
	Methods   []string          `json:"amr"`       // how the user was authenticated
	Remember  bool              `json:"remember"`  // of cookies
	Handoff   string            `json:"handoff"`   // of cookies: what the browser was given
	Key       string            `json:"dpop_jkt"`  // of bearer: thumbprint of the client's key (RFC 9449 §10); empty: not bound
}

// check returns [httpapi.ErrBody] unless the members fit together.
func (in *startRequest) check() error {
	cookie := in.Transport == session.Cookie
	oneName := (in.UserID == "") != (in.Username == "")
	if !cookie && in.Transport != session.Bearer || !oneName || in.UserID != "" && !validUserID(in.UserID) ||
		cookie != (in.Handoff != "") || in.Remember && !cookie || in.Key != "" && (cookie || !dpop.IsThumbprint(in.Key)) {
		return httpapi.ErrBody
	}
	if len(in.Methods) == 0 || len(in.Methods) > maxMethods || slices.ContainsFunc(in.Methods, func(m string) bool {
		return m == "" || len(m) > maxMethod || strings.ContainsFunc(m, func(c rune) bool { return c <= ' ' || c > '~' })
	}) {
		return httpapi.ErrBody
	}
	return nil
}

// startSession answers with the tokens of a bearer session, or with a code that
// the user's browser redeems for cookies.
func (a *API) startSession(w http.ResponseWriter, c *call) error {
	var in startRequest
	if err := httpapi.ReadJSON(w, c.Request, &in, maxBody); err != nil {
		return err
	}
	if err := in.check(); err != nil {
		return err
	}
	r, cancel := bounded(c.Request)
	defer cancel()
	if in.Username != "" {
		user, err := a.Accounts.ByName(r.Context(), in.Username)
		if err != nil {
			return err
		}
		in.UserID = user.ID
	}
	// The request is the service's, so it says nothing about the user's device.
	vouch := httpapi.Vouch{Service: c.service, UserID: in.UserID, Methods: in.Methods, ClientID: in.ClientID, Scope: in.Scope,
		Remember: in.Remember, Thumbprint: in.Key, Origin: session.Origin{RequestID: c.from.RequestID}}
	if in.Transport == session.Bearer {
		tokens, err := a.API.GiveTokens(r.Context(), vouch)
		if err != nil {
			return err
		}
		return answer(w, http.StatusOK, &tokens)
	}
	binding, err := service.ParseBinding(in.Handoff)
	if err != nil {
		return err
	}
	code, err := a.API.GiveCode(r.Context(), vouch, binding)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, struct {
		Code      string `json:"code"`
		ExpiresIn int64  `json:"expires_in"`
	}{code.Reveal(), int64(service.CodeLife / time.Second)})
}

// sessionDocument is a session as services see it. That of a generation is not
// told: when a client renews is nobody's business.
type sessionDocument struct {
	ID         session.ID        `json:"id"`
	UserID     string            `json:"user_id"`
	ClientID   string            `json:"client_id"`
	Scope      string            `json:"scope"`
	Methods    []string          `json:"amr"`
	Transport  session.Transport `json:"transport"`
	Remembered bool              `json:"remembered"`
	CreatedAt  time.Time         `json:"created_at"`
	ExpiresAt  time.Time         `json:"expires_at"` // if it is renewed until then
	LastSeen   time.Time         `json:"last_seen"`  // by the hour
	Address    string            `json:"address,omitzero"`
	UserAgent  string            `json:"user_agent,omitzero"`
}

// Bounds of a page of sessions.
const (
	defaultPage = 100
	maxPage     = 500
)

func (a *API) sessions(w http.ResponseWriter, c *call) error {
	q := c.query
	limit, err := q.number("limit", defaultPage, 1, maxPage)
	if err != nil || !validUserID(q["user_id"]) {
		return errQuery
	}
	var after session.ID
	if text, ok := q["cursor"]; ok {
		if after, err = token.ParseID(text); err != nil {
			return errQuery
		}
	}
	r, cancel := bounded(c.Request)
	defer cancel()
	rows, next, _, err := a.engine.Page(r.Context(), q["user_id"], after, int(limit))
	if err != nil {
		return err
	}
	page := struct {
		Sessions []sessionDocument `json:"sessions"`
		Next     string            `json:"next,omitzero"` // the cursor of the next page; left out: this is the last
	}{Sessions: make([]sessionDocument, len(rows))}
	for i, row := range rows {
		page.Sessions[i] = sessionDocument{
			ID: row.ID, UserID: row.UserID, ClientID: row.ClientID, Scope: row.Scope, Methods: row.Methods, Transport: row.Transport,
			Remembered: row.Remembered, CreatedAt: stamp(row.CreatedAt), ExpiresAt: stamp(row.AbsoluteEnd), LastSeen: stamp(row.LastSeen),
			Address: row.Address, UserAgent: row.UserAgent,
		}
	}
	if !next.IsZero() {
		page.Next = next.String()
	}
	return answer(w, http.StatusOK, &page)
}
