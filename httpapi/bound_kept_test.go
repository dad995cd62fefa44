package httpapi_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/pawlauth/pawl/dbsc"
	"github.com/pawlauth/pawl/dbsc/dbsctest"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
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

// A proof has no time of its own. One that was captured, however old, uses up
// nothing of the owner's.
//
// Rows: 230, A72, A74.
func TestACapturedProofUsesUpNothing(t *testing.T) {
	w := newWorld(t, change{api: func(o *httpapi.Options) { o.RenewalRate = 5 }})
	b, _ := w.browses(`,"remember":true`)
	w.wait(6 * time.Minute)
	captured := b.Device.Prove(b.Challenge())
	w.asks(b, "GET", "/app", "", 204)
	for _, later := range []time.Duration{6 * time.Minute, 3 * time.Hour} { // used, and too old
		w.wait(later)
		thief := renewal(b, captured)
		thief.RemoteAddr = "198.51.100.9:1"
		for range 20 {
			w.send(thief)
		}
		w.asks(b, "GET", "/app", "", 204)
		w.wait(6 * time.Minute)
		w.asks(b, "GET", "/app", "", 204)
	}
}

// A proof that answers a challenge of a while ago takes no old jar: somebody may
// have captured it where the session did not turn. The device itself is asked
// for another proof, and comes back.
//
// Rows: 122, 228, A72.
func TestAnOldProofTakesNoOldJar(t *testing.T) {
	w := newWorld(t)
	b, _ := w.browses(`,"remember":true`)
	old := b.Value(httpauth.AccessCookie)
	for range 3 {
		w.wait(6 * time.Minute)
		w.asks(b, "GET", "/app", "", 204)
		w.wait(2 * time.Minute)
		w.asks(b, "GET", "/app", "", 204) // settled
	}
	id, captured := w.current(b), b.Device.Prove(b.Challenge())
	b.Set(httpauth.AccessCookie, old, "/")
	w.send(renewal(b, captured)).want(403, "challenge")
	if row := w.row(id); row.Ended() || !row.Binding.RolledBackAt.IsZero() {
		t.Errorf("ended %t, rolled back at %v", row.Ended(), row.Binding.RolledBackAt)
	}
	w.wait(6 * time.Minute)
	w.asks(b, "GET", "/app", "", 204)
	if w.row(id).Binding.RolledBackAt.IsZero() {
		t.Error("the return of the device is not recorded")
	}
}

// Whoever has an identifier of his own causes no event for each request.
//
// Rows: 242.
func TestRefusedProofsAreRecordedByNetwork(t *testing.T) {
	w := newWorld(t)
	b, _ := w.browses()
	for range 50 {
		w.send(renewal(b, dbsctest.NewDevice().Prove("x"))).want(401, "login_required")
	}
	if n := len(w.recorded(session.EventProofRefused)); n != 10 {
		t.Errorf("recorded %d, want 10", n)
	}
}

// While it cannot be told whether a cookie is good, nothing is refused that a
// browser would forget its session for.
//
// Rows: 230, A74.
func TestStaleRevocationsForgetNoSession(t *testing.T) {
	w := newWorld(t)
	b, _ := w.browses()
	older := b.Challenge()
	w.wait(6 * time.Minute)
	w.asks(b, "GET", "/app", "", 204)
	w.now = w.now.Add(2 * time.Minute) // and the feed is not read
	w.send(renewal(b, b.Device.Prove(w.challengeOf(w.current(b), 1)))).want(503, "unavailable")
	w.poll()
	w.send(renewal(b, b.Device.Prove(older))).want(403, "challenge")
}

// The access token of a device is good in its cookie and nowhere else.
//
// Rows: 225.
func TestIntrospectionTakesNoTokenOfADevice(t *testing.T) {
	w := newWorld(t)
	b, _ := w.browses()
	got := w.form("/auth/introspect", "token="+b.Value(httpauth.AccessCookie), service)
	if got.Code != 200 || got.member("active") != false || got.member("sub") != nil {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}

// A browser that could not renew is told to come again, not that it is signed
// out.
//
// Rows: 232, 234.
func TestSignOutThatABrowserCouldNotRenewFor(t *testing.T) {
	w := newWorld(t)
	b, _ := w.browses(`,"remember":true`)
	id := w.current(b)
	w.wait(6 * time.Minute)
	w.store.fail("Load")
	w.asks(b, "POST", "/auth/logout", "", 503)
	w.store.fail()
	w.asks(b, "POST", "/auth/logout", "", 204)
	if w.alive(id) {
		t.Error("the session lives on")
	}
}
