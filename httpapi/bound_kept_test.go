package httpapi_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/pawlauth/pawl/dbsc"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/keyring"
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
