package httpapi

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

// logout ends the session of the request's credential. Doing it twice is no
// error.
func (a *API) logout(w http.ResponseWriter, r *http.Request) error {
	if len(r.Header["Authorization"]) > 0 {
		return a.done(w, a.endBearer(r))
	}
	return a.done(w, a.SignOut(w, r))
}

// SignOut ends the session of the request's cookies and then, not before,
// takes the cookies away. It works with an expired access token, and doing it
// twice is no error. Only a page of our own can ask for it. The error, if any,
// is for [Describe]; then nothing was written, and the cookies stay for another
// try.
func (a *API) SignOut(w http.ResponseWriter, r *http.Request) error {
	if err := a.admitOwnPage(r); err != nil {
		return err
	}
	r, cancel := bounded(r)
	defer cancel()
	from := a.Guard.Proxies.Origin(r)
	held, err := a.carried(r)
	if err != nil {
		return err
	}
	if len(held.live) == 0 && a.couldNotRenew(r) {
		return errSkipped
	}
	if err := a.endSessions(r.Context(), held.live, session.ReasonSignOut, from); err != nil {
		return err
	}
	cookies, err := a.emptyCookies(r)
	if err != nil {
		return err
	}
	setCookies(w, cookies)
	if a.Guard.Proxies.HTTPS(r) {
		// Not "cookies": that would take those of every host of the domain
		// (W3C Clear Site Data §3.1). Over plain http it has no effect.
		w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
	}
	return nil
}

// endBearer ends the session of an access token, which is used as any is: one
// that is bound needs its proof (RFC 9449 §7.2). An expired one proves nothing:
// its holder signs out by revoking the refresh token.
func (a *API) endBearer(r *http.Request) error {
	p, err := a.Guard.Identify(r)
	if errors.Is(err, verify.ErrRevoked) {
		return nil // signed out already
	}
	if err != nil {
		return err
	}
	return a.endSessions(r.Context(), []session.ID{p.Session}, session.ReasonSignOut, a.Guard.Proxies.Origin(r))
}

// maxCarried bounds how many planted cookies are looked up.
const maxCarried = 4

// carried are the sessions that genuine cookies of a request belong to.
type carried struct {
	// live: a refresh token of any generation whose tags are good, or an access
	// token that has not expired, names it.
	live []session.ID
	// over: it ended, so that its refresh tokens have only the outer tag to show
	// that they are ours. That proves nothing but where the browser has been.
	over []session.ID
}

func (a *API) carried(r *http.Request) (held carried, err error) {
	for _, value := range httpauth.Cookies(r, httpauth.RefreshCookie) {
		t, err := a.Engine.Codec.Open(value)
		if err != nil || len(held.live) >= maxCarried || slices.Contains(held.live, t.Session) {
			continue
		}
		row, err := a.Engine.Identify(r.Context(), value)
		switch {
		case errors.Is(err, session.ErrRefused): // not genuine, or over
			held.addOver(t.Session)
		case err != nil:
			return carried{}, err
		default:
			held.live = append(held.live, row.ID)
		}
	}
	access := httpauth.Cookies(r, httpauth.AccessCookie)
	if len(access) != 1 {
		return held, nil
	}
	p, err := a.Guard.Verifier.VerifyBound(access[0], a.Guard.Now())
	switch {
	case errors.Is(err, verify.ErrStale):
		return carried{}, err // it may well be good, so its session must not be left alive in silence
	case errors.Is(err, verify.ErrRevoked): // all but that is good
		if id, err := token.WitnessOf(access[0]); err == nil {
			held.addOver(id)
		}
	case err == nil && !slices.Contains(held.live, p.Session):
		held.live = append(held.live, p.Session)
	}
	return held, nil
}

func (c *carried) addOver(id session.ID) {
	if len(c.over) < maxCarried && !slices.Contains(c.over, id) {
		c.over = append(c.over, id)
	}
}

func (a *API) endSessions(ctx context.Context, ids []session.ID, why session.Reason, from session.Origin) error {
	for _, id := range ids {
		ended, err := a.Engine.End(ctx, session.Selection{Session: id}, why, "", from)
		if err != nil {
			return err
		}
		for _, s := range ended {
			if why == session.ReasonSignOut {
				a.Engine.Record(session.Event{Type: session.EventSignOut, UserID: s.UserID,
					Session: a.Engine.Pseudonym(s.Session), Origin: from})
			}
		}
	}
	return nil
}
