package httpapi

import (
	"net/http"

	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

// refresh renews a cookie session and answers with its document.
func (a *API) refresh(w http.ResponseWriter, r *http.Request) error {
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	issued, err := a.renew(r, key)
	if err != nil {
		p, row, err := a.byDevice(r, err)
		if err != nil {
			return err
		}
		return a.present(w, r, p, row)
	}
	// The session has turned. That the name cannot be read now is no reason to
	// keep the tokens from their owner.
	name, _ := a.userName(r.Context(), issued.Row.UserID)
	return a.deliver(w, &issued, name)
}

// renew renews the session of the request's cookies. Whatever goes wrong, no
// cookie is cleared: a refusal must not log out an owner whose cookies somebody
// else tampered with, and a client that got no answer comes again with the
// same ones.
func (a *API) renew(r *http.Request, key string) (session.Issued, error) {
	// Authorization is no way to renew, and the cookies are not used with it.
	if len(r.Header["Authorization"]) > 0 {
		return session.Issued{}, httpauth.ErrNoCredential
	}
	witness := a.witness(r)
	raw, ok := a.pickRefresh(r, witness)
	if !ok {
		return session.Issued{}, httpauth.ErrNoCredential
	}
	if err := a.limitRenewal(r, raw, witness, session.Cookie); err != nil {
		return session.Issued{}, err
	}
	issued, err := a.Engine.Refresh(r.Context(), session.Renewal{
		Refresh: raw, Transport: session.Cookie, Witness: witness, IdempotencyKey: key, Origin: a.Guard.Proxies.Origin(r),
	})
	if err == nil {
		a.noteContext(r, &issued.Row)
	}
	return issued, err
}

// witness is the session that the access cookie names; zero if there is not
// exactly one cookie that names one. It is compared, never trusted.
func (a *API) witness(r *http.Request) session.ID {
	cookies := httpauth.Cookies(r, httpauth.AccessCookie)
	if len(cookies) > 1 {
		a.Guard.RecordDuplicate(r, httpauth.AccessCookie)
	}
	if len(cookies) != 1 {
		return session.ID{}
	}
	id, err := token.WitnessOf(cookies[0])
	if err != nil {
		return session.ID{}
	}
	return id
}

// pickRefresh chooses among the refresh cookies: a sibling domain can plant
// more of that name. The highest generation that fits the witness is taken. If
// none fits, the first is, for the engine to refuse and record.
func (a *API) pickRefresh(r *http.Request, witness session.ID) (string, bool) {
	cookies := httpauth.Cookies(r, httpauth.RefreshCookie)
	if len(cookies) == 0 {
		return "", false
	}
	if len(cookies) > 1 {
		a.Guard.RecordDuplicate(r, httpauth.RefreshCookie)
	}
	best, newest := cookies[0], uint32(0)
	for _, value := range cookies {
		t, err := a.Engine.Codec.Open(value)
		if err == nil && t.Session == witness && t.Generation > newest {
			best, newest = value, t.Generation
		}
	}
	return best, true
}
