package httpapi

import (
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/verify"
)

// A sessionDocument tells a client about its session. Durations are whole
// seconds from now, so that no client compares its clock with ours.
type sessionDocument struct {
	User struct {
		ID       string `json:"id"`
		Username string `json:"username,omitzero"` // left out if it could not be read at a renewal
	} `json:"user"`
	Session struct {
		ID            session.ID        `json:"id"`
		CreatedAt     time.Time         `json:"created_at"`
		ExpiresAt     time.Time         `json:"expires_at"`
		IdleExpiresAt time.Time         `json:"idle_expires_at"`
		Transport     session.Transport `json:"transport"`
		Binding       string            `json:"binding"`
	} `json:"session"`
	AccessExpiresIn int64  `json:"access_expires_in"`
	RefreshIn       int64  `json:"refresh_in"`
	CSRFToken       string `json:"csrf_token,omitzero"` // of a cookie session

	Tokens // of a bearer session, when it gets new ones
}

// Tokens is OAuth's answer with tokens (RFC 6749 §5.1).
type Tokens struct {
	AccessToken  string `json:"access_token,omitzero"`
	TokenType    string `json:"token_type,omitzero"`
	ExpiresIn    int64  `json:"expires_in,omitzero"`
	RefreshToken string `json:"refresh_token,omitzero"`
	Scope        string `json:"scope,omitzero"`
}

// document fills in what does not depend on who asks.
func (a *API) document(row *session.Row, username string) (d sessionDocument) {
	d.User.ID, d.User.Username = row.UserID, username
	s := &d.Session
	s.ID, s.Transport, s.Binding = row.ID, row.Transport, bindingName(row.Binding.Kind)
	s.CreatedAt, s.ExpiresAt = stamp(row.CreatedAt), stamp(row.AbsoluteEnd)
	if row.Transport == session.Cookie {
		d.CSRFToken = a.Guard.CSRF.Token(row.ID)
	}
	return d
}

// issuedDocument is the document of whoever was just given tokens.
func (a *API) issuedDocument(issued *session.Issued, username string) sessionDocument {
	d := a.document(&issued.Row, username)
	d.Session.IdleExpiresAt = stamp(issued.Row.IdleEnd())
	d.AccessExpiresIn = seconds(issued.Expires.Sub(issued.Now))
	d.RefreshIn = seconds(a.Engine.Policy.RefreshIn())
	return d
}

// presentedDocument is the document of whoever presents an access token. All
// that changes from renewal to renewal is computed from that token: its holder
// must not see when somebody else renews.
func (a *API) presentedDocument(p *verify.Principal, row *session.Row, username string) sessionDocument {
	now := a.Guard.Now()
	d := a.document(row, username)
	d.Session.IdleExpiresAt = stamp(p.IssuedAt.Add(row.IdleLimit))
	if d.Session.IdleExpiresAt.After(d.Session.ExpiresAt) {
		d.Session.IdleExpiresAt = d.Session.ExpiresAt
	}
	d.AccessExpiresIn = seconds(p.Expires.Sub(now))
	d.RefreshIn = seconds(p.IssuedAt.Add(a.Engine.Policy.RefreshIn()).Sub(now))
	if row.Binding.Kind == session.DBSC {
		d.RefreshIn = d.AccessExpiresIn // the browser renews by itself
	}
	return d
}

// issuedTokens are the tokens themselves, on their way to their owner.
func issuedTokens(issued *session.Issued, scope string) Tokens {
	kind := "Bearer"
	if issued.Row.Binding.Kind == session.DPoP {
		kind = "DPoP" // RFC 9449 §5
	}
	return Tokens{
		AccessToken: issued.Access.Reveal(), TokenType: kind, ExpiresIn: seconds(issued.Expires.Sub(issued.Now)),
		RefreshToken: issued.Refresh.Reveal(), Scope: scope,
	}
}

// deliverNew is [API.deliver] for a session that was just begun.
func (a *API) deliverNew(w http.ResponseWriter, r *http.Request, issued *session.Issued, username string) error {
	a.offerBinding(w, r, issued)
	return a.deliver(w, issued, username)
}

// deliver answers with the session document and the tokens: in cookies or in
// the body, as the session's transport says, never both.
func (a *API) deliver(w http.ResponseWriter, issued *session.Issued, username string) error {
	d := a.issuedDocument(issued, username)
	var cookies []string
	if issued.Row.Transport == session.Cookie {
		var err error
		if cookies, err = a.tokenCookies(issued); err != nil {
			return err
		}
	} else {
		d.Tokens = issuedTokens(issued, issued.Row.Scope)
	}
	body, err := json.Marshal(&d)
	if err != nil {
		return err
	}
	if cookies != nil {
		setCookies(w, cookies)
	}
	return writeJSON(w, body)
}

func bindingName(kind session.BindingKind) string {
	if kind == session.Unbound {
		return "none"
	}
	return string(kind)
}

func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// seconds rounds down; what is over is 0.
func seconds(d time.Duration) int64 { return int64(max(0, d) / time.Second) }
