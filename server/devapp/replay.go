package devapp

import (
	"net/http"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
)

// renew lets Pawl renew, and keeps the token that was presented if the session
// turned: from then on it is the previous one.
func (a *App) renew(w http.ResponseWriter, r *http.Request) {
	id, refresh, ok := carried(r)
	mark := a.Tape.mark()
	a.Pawl.Handler().ServeHTTP(w, r)
	if !ok {
		return
	}
	name := a.Pawl.Pseudonym(id)
	for _, e := range a.Tape.since(name, mark) {
		if e.Type == session.EventRenewed {
			a.Tape.keep(name, refresh, e.Generation)
		}
	}
}

// replayPrevious does what a thief does who copied the cookies before the last
// turn: it renews with the token that was replaced. What Pawl answers goes to
// the thief, so its cookies are dropped; the page is told what happened.
func (a *App) replayPrevious(w http.ResponseWriter, r *http.Request) {
	caller, _ := pawl.PrincipalFrom(r.Context())
	access := httpauth.Cookies(r, httpauth.AccessCookie)
	name := a.Pawl.Pseudonym(caller.Session)
	refresh, generation := a.Tape.previous(name)
	if generation == 0 || len(access) != 1 {
		answer(w, http.StatusConflict, struct {
			Code string `json:"code"`
		}{"no_previous_token"})
		return
	}
	theft := r.Clone(r.Context())
	theft.URL.Path, theft.URL.RawQuery = a.Prefix+"/refresh", ""
	theft.RequestURI = theft.URL.Path
	theft.Body, theft.ContentLength = http.NoBody, 0
	for _, header := range []string{"Content-Type", "Content-Length", "Idempotency-Key"} {
		theft.Header.Del(header)
	}
	theft.Header.Set("Cookie", httpauth.AccessCookie+"="+access[0]+"; "+httpauth.RefreshCookie+"="+refresh)
	loot := &loot{header: make(http.Header), status: http.StatusOK}
	mark := a.Tape.mark()
	a.Pawl.Handler().ServeHTTP(loot, theft)
	var problem struct {
		Code string `json:"code"`
	}
	_ = json.Unmarshal(loot.body, &problem) // a session document has no code
	answer(w, http.StatusOK, struct {
		Status    int     `json:"status"`
		Code      string  `json:"code,omitzero"`
		Presented uint32  `json:"presented"` // the generation of the token
		Newest    uint32  `json:"newest"`    // as the page's own access token says
		Events    []event `json:"events"`
	}{loot.status, problem.Code, generation, caller.Generation, shownEvents(a.Tape.since(name, mark))})
}

// loot is what a thief gets.
type loot struct {
	header http.Header
	status int
	body   []byte
}

// Header implements [http.ResponseWriter].
func (l *loot) Header() http.Header { return l.header }

// WriteHeader implements [http.ResponseWriter].
func (l *loot) WriteHeader(status int) { l.status = status }

// Write implements [http.ResponseWriter].
func (l *loot) Write(b []byte) (int, error) {
	l.body = append(l.body, b...)
	return len(b), nil
}
