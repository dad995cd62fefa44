package httpapi

import (
	"cmp"
	"errors"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

// token renews a bearer session with OAuth's refresh_token grant (RFC 6749
// §6). There is no other grant.
func (a *API) token(w http.ResponseWriter, r *http.Request) error {
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	form, err := readForm(r)
	if err != nil {
		return err
	}
	switch form["grant_type"] {
	case "refresh_token":
	case "":
		return errParameter
	default:
		return errGrantType
	}
	if form["refresh_token"] == "" {
		return errParameter
	}
	if err := a.admitClient(r, form["client_id"]); err != nil {
		return err
	}
	if err := a.limitRenewal(r, form["refresh_token"], session.ID{}, session.Bearer); err != nil {
		return err
	}
	print, err := a.renewalKey(r, form)
	if err != nil {
		return err
	}
	issued, err := a.Engine.Refresh(r.Context(), session.Renewal{
		Refresh: form["refresh_token"], Transport: session.Bearer, ClientID: form["client_id"], Scope: form["scope"],
		Thumbprint: print, IdempotencyKey: key, Origin: a.Guard.Proxies.Origin(r),
	})
	if refusal, ok := errors.AsType[*session.Refusal](err); ok && refusal.Reason == session.ReasonScope {
		return errScope
	}
	if err != nil {
		return err
	}
	if err := a.mayStay(&issued.Row); err != nil {
		return err
	}
	a.noteContext(r, &issued.Row)
	body, err := json.Marshal(issuedTokens(&issued, cmp.Or(form["scope"], issued.Row.Scope)))
	if err != nil {
		return err
	}
	return writeJSON(w, body)
}

// renewalKey returns the thumbprint of the key that a renewal proves; empty if
// it proves none. A proof is used up only beside a refresh token whose outer tag
// is right: what anybody can invent costs one MAC.
func (a *API) renewalKey(r *http.Request, form map[string]string) (string, error) {
	if _, err := a.Engine.Codec.Open(form["refresh_token"]); err != nil {
		return "", nil // to be refused
	}
	client, ok := a.client(form["client_id"])
	proof, err := a.possession(r, ok && client.RequireDPoP)
	if err == nil {
		err = a.spend(r, proof)
	}
	if err != nil || proof == nil {
		return "", err
	}
	return proof.Thumbprint, nil
}

// admitClient judges the caller of a route for clients. They are public: they
// have no secret (RFC 6749 §2.1), and one that sends some is mistaken. A
// program may leave its id away; a page must be of an origin listed for it.
func (a *API) admitClient(r *http.Request, id string) error {
	if len(r.Header["Authorization"]) > 0 {
		return errClient
	}
	if id == "" && !httpauth.FromBrowser(r) {
		return nil
	}
	client, ok := a.client(id)
	if !ok {
		return errClient
	}
	return client.admits(r)
}

// revoke ends the session that a token belongs to, so that all of its tokens
// are dead (RFC 7009 §2.1). A token that is not good any more is as revoked as
// can be, so that is a success too (§2.2). The hint is not needed.
func (a *API) revoke(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(r)
	if err != nil {
		return err
	}
	if form["token"] == "" {
		return errParameter
	}
	if err := a.admitClient(r, form["client_id"]); err != nil {
		return err
	}
	id, clientID, err := a.sessionOf(r, form["token"])
	if err != nil {
		return err
	}
	if form["client_id"] != "" && clientID != "" && form["client_id"] != clientID {
		return errForeignToken
	}
	if !id.IsZero() {
		if err := a.endSessions(r.Context(), []session.ID{id}, session.ReasonRevoked, a.Guard.Proxies.Origin(r)); err != nil {
			return err
		}
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// sessionOf returns the session of a genuine token of either kind, and its
// client; zero if there is none, or it is over. An error means that this
// cannot be told.
func (a *API) sessionOf(r *http.Request, raw string) (session.ID, string, error) {
	if strings.HasPrefix(raw, token.RefreshPrefix) {
		row, err := a.Engine.Identify(r.Context(), raw)
		if errors.Is(err, session.ErrRefused) {
			return session.ID{}, "", nil
		}
		return row.ID, row.ClientID, err
	}
	p, err := a.Guard.Verifier.VerifyBound(raw, a.Guard.Now())
	switch {
	case errors.Is(err, verify.ErrStale):
		return session.ID{}, "", err
	case err != nil:
		return session.ID{}, "", nil
	}
	return p.Session, p.ClientID, nil
}

// An introspection is what a service learns about a good access token (RFC
// 7662 §2.2). About any other it learns nothing but that it is not active.
type introspection struct {
	Active    bool       `json:"active"`
	Issuer    string     `json:"iss,omitzero"`
	Subject   string     `json:"sub,omitzero"`
	Audience  string     `json:"aud,omitzero"`
	ClientID  string     `json:"client_id,omitzero"`
	Scope     string     `json:"scope,omitzero"`
	Type      string     `json:"token_type,omitzero"`
	Expires   int64      `json:"exp,omitzero"`
	IssuedAt  int64      `json:"iat,omitzero"`
	TokenID   token.ID   `json:"jti,omitzero"`
	Session   session.ID `json:"sid,omitzero"`
	AuthTime  int64      `json:"auth_time,omitzero"`
	Methods   []string   `json:"amr,omitempty"`
	Confirmed *cnf       `json:"cnf,omitzero"`
}

type cnf struct {
	Thumbprint string `json:"jkt"`
}

// introspect tells a service whether an access token is good. Refresh tokens
// are for this server only, so here they are never active.
func (a *API) introspect(w http.ResponseWriter, r *http.Request) error {
	if _, err := a.AuthenticateService(r, service.Introspect); err != nil {
		return err
	}
	form, err := readForm(r)
	if err != nil {
		return err
	}
	if form["token"] == "" {
		return errParameter
	}
	p, err := a.Guard.Verifier.VerifyBound(form["token"], a.Guard.Now())
	if errors.Is(err, verify.ErrStale) {
		return err
	}
	var about introspection
	if err == nil && p.Device == "" { // a device's is good in its cookie only
		about = a.introspectionOf(p)
	}
	body, err := json.Marshal(&about)
	if err != nil {
		return err
	}
	return writeJSON(w, body)
}

func (a *API) introspectionOf(p *verify.Principal) introspection {
	i := introspection{
		Active: true, Issuer: a.Engine.Issuer, Subject: p.UserID, Audience: p.Audience, ClientID: p.ClientID, Scope: p.Scope,
		Type: "Bearer", Expires: p.Expires.Unix(), IssuedAt: p.IssuedAt.Unix(), TokenID: p.TokenID, Session: p.Session,
		AuthTime: p.AuthTime.Unix(), Methods: p.Methods,
	}
	if p.Thumbprint != "" {
		i.Type, i.Confirmed = "DPoP", &cnf{p.Thumbprint} // RFC 9449 §6.2
	}
	return i
}
