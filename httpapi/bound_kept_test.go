package httpapi_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/pawlauth/pawl/dbsc"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/session"
)

// A change of the master key leaves the identifiers that browsers have: one that
// is answered by another forgets the session.
//
// Rows: 229, 230.
func TestAChangeOfTheMasterKeyKeepsIdentifiers(t *testing.T) {
	oldest := keyring.NewMasterText()
	before, err := keyring.ParseMaster(slices.Clone(oldest))
	if err != nil {
		t.Fatal(err)
	}
	after, err := keyring.ParseMaster(append(keyring.NewMasterText(), oldest...))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, change{api: func(o *httpapi.Options) { o.DBSC, _ = dbsc.NewIssuer(before.DBSCKeys()) }})
	b, c := w.browses()
	name := b.Bound().Identifier
	changed := w.Options
	changed.DBSC = w.devices(after)
	second, err := httpapi.New(changed)
	w.must(err)
	mux := http.NewServeMux()
	mux.Handle("/auth/", second)
	mux.Handle("/app", w.app())
	c.nodes = []http.Handler{mux}
	for _, challenge := range []string{b.Challenge(), ""} {
		w.wait(6 * time.Minute)
		b.SetChallenge(challenge)
		w.asks(b, "GET", "/app", "", 204)
		if b.Bound() == nil || b.Bound().Identifier != name {
			t.Errorf("with challenge %t: the browser forgot the session: %+v", challenge != "", b.Bound())
		}
	}
}

// Whoever copied the refresh cookie before the session was bound can do nothing
// with it, not even end the session.
//
// Rows: 223, 232.
func TestTheRefreshCookieOfBeforeEndsNoBoundSession(t *testing.T) {
	w := newWorld(t)
	held := w.start()
	w.wait(time.Second)
	_, err := w.Engine.Bind(t.Context(), held.Row.ID, "thumbprint", session.Origin{})
	w.must(err)
	w.wait(time.Hour)
	copied := held.Refresh.Reveal()
	w.do("POST", "/auth/logout", "", fromPage, "Cookie: "+refreshPair(copied))
	w.form("/auth/revoke", "token="+copied)
	w.do("POST", "/auth/login", loginBody("bob", password, ""), jsonType, fromPage, "Cookie: "+refreshPair(copied))
	if !w.alive(held.Row.ID) {
		t.Errorf("ended: %s", w.row(held.Row.ID).EndReason)
	}
}
