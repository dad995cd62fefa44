package devapp

import (
	"bytes"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

//go:embed assets
var assetFiles embed.FS

// Where the application is, besides "/".
const (
	root       = "/dev"
	statePath  = root + "/state"
	replayPath = root + "/replay"
)

// User is the name of the user that a development server has.
const User = "demo"

// Options are what an application is made of; all are required.
type Options struct {
	_ struct{} // only fields by name

	Pawl   *pawl.Pawl
	Prefix string // of Pawl's routes
	Tape   *Tape  // that observes Pawl
}

// An App serves Pawl and the application around it. It is safe for concurrent
// use.
type App struct {
	Options
	page   *template.Template
	assets map[string]asset
	home   http.Handler // for whoever is signed in
	state  http.Handler
	replay http.Handler
}

type asset struct {
	media string
	body  []byte
}

// Takes reports whether routes with that prefix would be in the way of the
// application's own.
func Takes(prefix string) bool { return prefix == root || strings.HasPrefix(prefix, root+"/") }

var errPrefix = errors.New("devapp: the application of --dev is at " + root + "; give another --prefix")

// New returns the application.
func New(o Options) (*App, error) {
	if Takes(o.Prefix) {
		return nil, errPrefix
	}
	a := &App{Options: o, assets: make(map[string]asset)}
	var err error
	if a.page, err = template.ParseFS(assetFiles, "assets/page.html"); err != nil {
		return nil, fmt.Errorf("devapp: %w", err)
	}
	for name, media := range map[string]string{
		"style.css": "text/css; charset=utf-8", "app.js": "text/javascript; charset=utf-8",
		"tries.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml",
	} {
		body, err := assetFiles.ReadFile("assets/" + name)
		if err != nil {
			return nil, fmt.Errorf("devapp: %w", err)
		}
		a.assets[root+"/"+name] = asset{media, body}
	}
	a.home = o.Pawl.Protect(http.HandlerFunc(a.showSession))
	a.state = o.Pawl.Protect(http.HandlerFunc(a.tell))
	a.replay = o.Pawl.Protect(http.HandlerFunc(a.replayPrevious))
	return a, nil
}

// ServeHTTP serves the application's own paths, and leaves everything else to
// Pawl.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	asset, isAsset := a.assets[r.URL.Path]
	switch {
	case r.URL.RawPath != "": // another spelling is another path
		a.Pawl.Handler().ServeHTTP(w, r)
	case reads && isAsset:
		serve(w, http.StatusOK, asset.media, asset.body)
	case reads && r.URL.Path == "/" && !httpauth.CarriesCookie(r):
		a.show(w, view{})
	case reads && r.URL.Path == "/":
		a.home.ServeHTTP(w, r)
	case reads && r.URL.Path == statePath:
		a.state.ServeHTTP(w, r)
	case r.Method == http.MethodPost && r.URL.Path == replayPath:
		a.replay.ServeHTTP(w, r)
	case r.Method == http.MethodPost && (r.URL.Path == a.Prefix+"/refresh" || r.URL.Path == a.Prefix+"/renew"):
		a.renew(w, r)
	default:
		a.Pawl.Handler().ServeHTTP(w, r)
	}
}

// A view is what the page shows.
type view struct {
	wheel
	Nonce    string
	Prefix   string
	Demo     string // name of the user to sign in as
	Username string // empty: nobody is signed in
	CSRF     string
}

// showSession shows the page to whoever is signed in.
func (a *App) showSession(w http.ResponseWriter, r *http.Request) {
	caller, _ := pawl.PrincipalFrom(r.Context())
	user, err := a.Pawl.Accounts().ByID(r.Context(), caller.UserID)
	if err != nil {
		a.Pawl.Refuse(w, r, err)
		return
	}
	a.show(w, view{wheel: wheel{caller.Generation}, Username: user.Name, CSRF: a.Pawl.CSRFToken(r.Context())})
}

func (a *App) show(w http.ResponseWriter, v view) {
	v.Nonce, v.Prefix, v.Demo = rand.Text(), a.Prefix, User
	var body bytes.Buffer
	if err := a.page.Execute(&body, &v); err != nil {
		http.Error(w, "the page cannot be shown: "+err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	nonce := "'nonce-" + v.Nonce + "'"
	h.Set("Content-Security-Policy", "default-src 'none'; script-src "+nonce+"; style-src "+nonce+"; connect-src 'self'; img-src 'self'; "+
		"form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY") // for browsers that do not know frame-ancestors
	serve(w, http.StatusOK, "text/html; charset=utf-8", body.Bytes())
}

// serve answers with what is not to be stored: the program may be another one
// when it is asked again.
func serve(w http.ResponseWriter, status int, media string, body []byte) {
	h := w.Header()
	h.Add("Vary", httpauth.Vary)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", media)
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(body) // who has gone away needs no answer
}

// An event is one as the page shows it.
type event struct {
	Type       session.EventType `json:"type"`
	Reason     string            `json:"reason,omitzero"`
	Generation uint32            `json:"generation,omitzero"` // as presented
}

func shownEvents(events []session.Event) []event {
	out := make([]event, len(events))
	for i, e := range events {
		out[i] = event{e.Type, e.Reason, e.Generation}
	}
	return out
}

// tell answers with what the page cannot know from Pawl's own answers: the
// generation of the token that it presents, which no script can read, whether
// an earlier one is there to be replayed, and what was recorded.
func (a *App) tell(w http.ResponseWriter, r *http.Request) {
	caller, _ := pawl.PrincipalFrom(r.Context())
	name := a.Pawl.Pseudonym(caller.Session)
	_, previous := a.Tape.previous(name)
	answer(w, http.StatusOK, struct {
		Generation uint32  `json:"generation"`
		Previous   uint32  `json:"previous"` // 0: none
		Events     []event `json:"events"`
	}{caller.Generation, previous, shownEvents(a.Tape.since(name, 0))})
}

func answer(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	serve(w, status, "application/json", body)
}

// carried returns the session that the request's cookies name, and its refresh
// token, if there is just one of each.
func carried(r *http.Request) (id token.ID, refresh string, ok bool) {
	access, refreshes := httpauth.Cookies(r, httpauth.AccessCookie), httpauth.Cookies(r, httpauth.RefreshCookie)
	if len(access) != 1 || len(refreshes) != 1 {
		return token.ID{}, "", false
	}
	id, err := token.WitnessOf(access[0])
	return id, refreshes[0], err == nil
}
