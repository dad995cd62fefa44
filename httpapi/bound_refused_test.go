package httpapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl/dbsc"
	"github.com/pawlauth/pawl/dbsc/dbsctest"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

// Two devices race to bind one login: one key wins, and stays.
//
// Rows: 223, A73.
func TestOneKeyIsBoundAndStays(t *testing.T) {
	w := newWorld(t)
	login := w.do("POST", "/auth/login", loginBody("ada", password, ""), jsonType, fromPage, "Sec-Fetch-Mode: navigate")
	login.want(200, "")
	challenge := offered(t, login)
	access, _ := login.cookie(httpauth.AccessCookie)
	mine := "Cookie: " + accessPair(access)
	codes := make([]int, 8)
	devices := make([]*dbsctest.Device, len(codes))
	var wait sync.WaitGroup
	for i := range codes {
		devices[i] = dbsctest.NewDevice()
		wait.Go(func() { codes[i] = w.send(registration(devices[i].Register(challenge), mine)).Code })
	}
	wait.Wait()
	won := slices.Index(codes, 200)
	if won < 0 || slices.Contains(codes[won+1:], 200) {
		t.Fatalf("answered %v", codes)
	}
	// The winner may ask again, for the answer may be lost; it brings no tokens.
	again := w.send(registration(devices[won].Register(challenge), mine))
	again.want(200, "")
	if _, given := again.cookie(httpauth.AccessCookie); given {
		t.Error("a registration that is repeated brings tokens")
	}
	w.send(registration(dbsctest.NewDevice().Register(challenge), mine)).want(401, "login_required")
}

func registration(proof string, more ...string) *http.Request {
	return request("POST", "/auth/dbsc/register", "", append([]string{fromPage, "Sec-Fetch-Mode: no-cors", dbsc.ResponseHeader + ": " + proof}, more...)...)
}

// offered is the challenge of an answer's offer.
func offered(t *testing.T, a answer) string {
	t.Helper()
	_, challenge, ok := strings.Cut(a.Header().Get(dbsc.RegistrationHeader), `;challenge="`)
	if !ok || !strings.HasPrefix(a.Header().Get(dbsc.RegistrationHeader), `(ES256);path="/auth/dbsc/register"`) {
		t.Fatalf("offered %q", a.Header().Get(dbsc.RegistrationHeader))
	}
	return strings.TrimSuffix(challenge, `"`)
}

// Rows: 223, 224, A73, A75.
func TestRegistrationsThatAreRefused(t *testing.T) {
	for _, mode := range []string{"cors", "navigate"} {
		t.Run(mode, func(t *testing.T) { registrationsThatAreRefused(t, mode) })
	}
}

func registrationsThatAreRefused(t *testing.T, mode string) {
	w := newWorld(t)
	d := dbsctest.NewDevice()
	login := w.do("POST", "/auth/login", loginBody("ada", password, ""), jsonType, fromPage, "Sec-Fetch-Mode: "+mode)
	challenge := offered(t, login)
	access, _ := login.cookie(httpauth.AccessCookie)
	other := w.start()
	id, err := token.WitnessOf(access)
	w.must(err)
	mine := "Cookie: " + accessPair(access)
	for name, r := range map[string]*http.Request{
		// A script or a service worker may have read this challenge; it cannot have
		// read the cookie.
		"without the cookie":            registration(d.Register(challenge)),
		"with another session's cookie": registration(d.Register(challenge), cookies(other)),
		"without a proof":               registration("", mine),
		"a proof of another challenge":  registration(d.Register("x"), mine),
		"a challenge of a renewal":      registration(d.Register(w.challengeOf(id, 1)), mine),
		"a challenge of long ago":       registration(d.Register(w.challenge(dbsc.Registration, id, w.now.Add(-dbsc.RegistrationLife))), mine),
		"no key shown":                  registration(d.Prove(challenge), mine),
		"signed by another": registration(dbsctest.NewDevice().Sign(
			map[string]any{"alg": "ES256", "typ": "dbsc+jwt", "jwk": d.JWK()}, map[string]any{"jti": challenge}), mine),
		"a session that is not there": registration(d.Register(w.challenge(dbsc.RegistrationAlone, token.NewID(), w.now))),
	} {
		if got := w.send(r); got.Code != 401 || len(got.Header()["Set-Cookie"]) > 0 {
			t.Errorf("%s: %d %v", name, got.Code, got.Header()["Set-Cookie"])
		}
	}
	byScript := registration(d.Register(challenge), mine)
	byScript.Header.Set("Sec-Fetch-Mode", "cors")
	w.send(byScript).want(403, "wrong_destination")
	foreign := registration(d.Register(challenge), mine)
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	w.send(foreign).want(403, "cross_site")
	if b := w.row(id).Binding; b.Kind != session.Unbound {
		t.Errorf("bound to %+v", b)
	}
	// The login is as good as it was, and can still be bound.
	w.do("GET", "/auth/session", "", mine).want(200, "")
	w.send(registration(d.Register(challenge), mine)).want(200, "")
	if refused := w.recorded(session.EventProofRefused); len(refused) < 5 {
		t.Errorf("recorded %+v", refused)
	}
}

// Rows: 49, 231.
func TestTheOfferFollowsThePolicyAndHTTPS(t *testing.T) {
	body := loginBody("ada", password, "")
	for _, how := range []httpapi.DeviceBinding{"", httpapi.BindingOff, httpapi.BindingOffer, httpapi.BindingRequire, httpapi.BindingRequireAll} {
		w := newWorld(t, change{api: func(o *httpapi.Options) { o.DeviceBinding = how }})
		got := w.do("POST", "/auth/login", body, jsonType, fromPage)
		if offers := got.Header().Get(dbsc.RegistrationHeader) != ""; offers != (how != httpapi.BindingOff) {
			t.Errorf("%q: offered %t", how, offers)
		}
	}
	w := newWorld(t)
	plain := request("POST", "/auth/login", body, jsonType, fromPage)
	plain.TLS, plain.Host = nil, "localhost:8080"
	if got := w.send(plain); got.Code != 200 || got.Header().Get(dbsc.RegistrationHeader) != "" {
		t.Errorf("plain http: %d, %q", got.Code, got.Header().Get(dbsc.RegistrationHeader))
	}
	for name, got := range map[string]answer{
		"wrong password": w.do("POST", "/auth/login", loginBody("ada", "wrong", ""), jsonType, fromPage),
		"bearer":         w.do("POST", "/auth/login", loginBody("ada", password, `,"transport":"bearer","client_id":"cli"`), jsonType),
		"renewal":        w.do("POST", "/auth/refresh", "", fromPage, cookies(w.start())),
	} {
		if got.Header().Get(dbsc.RegistrationHeader) != "" {
			t.Errorf("%s: offered", name)
		}
	}
	off := newWorld(t, change{api: func(o *httpapi.Options) { o.DBSC = nil }})
	off.send(registration("x")).want(404, "not_found")
	if _, err := httpapi.New(httpapi.Options{DeviceBinding: "maybe"}); err == nil {
		t.Error("a way that does not exist is taken")
	}
}

// Rows: 229, 232.
func TestASessionThatEndedEndsInTheBrowser(t *testing.T) {
	for name, end := range map[string]func(*world, session.ID){
		"from elsewhere": func(w *world, id session.ID) {
			_, err := w.Engine.End(context.Background(), session.Selection{Session: id}, session.ReasonEndedByUser, "", session.Origin{})
			w.must(err)
		},
		"by time": func(w *world, _ session.ID) { w.wait(15 * 24 * time.Hour) },
	} {
		for _, challenge := range []bool{true, false} {
			w := newWorld(t)
			b, _ := w.browses(`,"remember":true`)
			b.Trace()
			id := w.current(b)
			kept := b.Value(httpauth.AccessCookie)
			end(w, id)
			w.wait(6 * time.Minute)
			b.Set(httpauth.AccessCookie, kept, "/")
			if !challenge {
				b.SetChallenge("")
			}
			w.asks(b, "GET", "/app", "", 401)
			if wantTrace(t, b, renewed, "GET /app 401"); b.Bound() != nil {
				t.Errorf("%s: the browser goes on with the session", name)
			}
		}
	}
}

// Rows: 229.
func TestASecondLoginOnOneBrowser(t *testing.T) {
	w := newWorld(t)
	b, _ := w.browses()
	first, old := w.current(b), b.Bound().Identifier
	second := w.signsIn(b)
	if w.alive(first) || w.current(b) != second || b.Bound().Identifier == old {
		t.Fatalf("first alive %t, cookies of %v, want %v", w.alive(first), w.current(b), second)
	}
	b.Trace()
	// The browser may still have the first, and craves its cookie too.
	other, _ := w.browses()
	for name, identifier := range map[string]string{"ended": old, "alive": other.Bound().Identifier} {
		r := renewal(b, "")
		r.Header.Set(dbsc.IdentifierHeader, identifier)
		got := w.send(r) // the cookies are of the second
		if got.want(401, "login_required"); len(got.Header()["Set-Cookie"]) > 0 {
			t.Errorf("%s: %v", name, got.Header()["Set-Cookie"])
		}
	}
	w.wait(6 * time.Minute)
	w.asks(b, "GET", "/app", "", 204)
	wantTrace(t, b, renewed, used)
	if w.current(b) != second {
		t.Error("the cookies are of another session")
	}
}

// Rows: 232.
func TestSigningOutOfABoundSession(t *testing.T) {
	w := newWorld(t)
	b, _ := w.browses()
	id := w.current(b)
	w.wait(6 * time.Minute)
	got := w.asks(b, "POST", "/auth/logout", "", 204)
	if w.alive(id) || !strings.Contains(got.Header().Get("Clear-Site-Data"), `"storage"`) ||
		b.Value(httpauth.AccessCookie) != "" || b.Value(httpauth.BoundCookie) != "" {
		t.Errorf("alive %t, %v", w.alive(id), got.Header())
	}
}

// Rows: 230, A74.
func TestTheServerIsAwayForAWhile(t *testing.T) {
	w := newWorld(t)
	b, c := w.browses()
	w.wait(6 * time.Minute)
	b.Trace()
	c.down = true
	if _, err := b.Do("GET", "/app", ""); err == nil || b.Bound() == nil {
		t.Fatalf("%v; the session is kept: %t", err, b.Bound() != nil)
	}
	c.down = false
	w.store.fail("Load")
	if got := w.asks(b, "GET", "/app", "", 401); b.Bound() == nil {
		t.Errorf("%d, and the session is gone", got.Code)
	}
	// Whoever renews by script is told to come again, not to sign in.
	w.asks(b, "POST", "/auth/refresh", "", 503)
	w.store.fail()
	b.Trace()
	w.asks(b, "POST", "/auth/refresh", "", 200)
	w.asks(b, "GET", "/app", "", 204)
	if trace := b.Trace(); !slices.Equal(trace, []string{challenged, renewed, "POST /auth/refresh 200", used}) {
		t.Errorf("sent %q", trace)
	}
	if skipped := w.recorded(session.EventProofSkipped); len(skipped) != 1 || skipped[0].Reason != "server_error" {
		t.Errorf("recorded %+v", skipped)
	}
}

// Who says that his browser skipped a renewal gains nothing by it.
//
// Rows: 235.
func TestAForgedSkippedChangesNothing(t *testing.T) {
	w := newWorld(t)
	b, _ := w.browses()
	skipped := dbsc.SkippedHeader + ": quota_exceeded"
	old := "Cookie: " + accessPair(b.Value(httpauth.AccessCookie))
	w.do("GET", "/auth/session", "", old, skipped).want(200, "")
	w.do("GET", "/auth/session", "", skipped).want(401, "login_required")
	w.do("POST", "/auth/refresh", "", fromPage, skipped).want(401, "login_required")
	w.wait(6 * time.Minute)
	w.do("GET", "/auth/session", "", old, skipped).want(401, "login_required")
	w.do("POST", "/auth/refresh", "", fromPage, old, skipped).want(503, "unavailable")
	w.do("POST", "/auth/refresh", "", fromPage, old).want(401, "login_required")
	forged := old[:len(old)-4] + "AAAA"
	w.do("POST", "/auth/refresh", "", fromPage, forged, skipped).want(401, "login_required")
	if events := w.recorded(session.EventProofSkipped); len(events) != 1 || events[0].Reason != "quota_exceeded" {
		t.Errorf("recorded %+v", events)
	}
}

// A limit is told as 503: at 429 the browser would forget the session. Who has
// no key uses up nothing of who has.
//
// Rows: 230, A74.
func TestTooManyRenewalsOfADevice(t *testing.T) {
	w := newWorld(t, change{api: func(o *httpapi.Options) { o.RenewalRate = 5 }})
	b, _ := w.browses()
	thief := renewal(b, "")
	thief.RemoteAddr = "198.51.100.9:1"
	limited := 0
	for range 20 {
		if got := w.send(thief); got.Code == 503 && got.Header().Get("Retry-After") != "" {
			limited++
		}
	}
	if limited != 15 {
		t.Errorf("limited %d times, want 15", limited)
	}
	b.SetChallenge("")
	w.now = w.now.Add(6 * time.Minute)
	w.poll()
	w.asks(b, "GET", "/app", "", 204)
}

// Rows: 110, 231.
func TestWhereABindingIsRequired(t *testing.T) {
	require := func(how httpapi.DeviceBinding) change {
		return change{api: func(o *httpapi.Options) { o.DeviceBinding = how },
			guard: func(o *httpauth.Options) { o.RequireBound = how == httpapi.BindingRequireAll }}
	}
	w := newWorld(t, require(httpapi.BindingRequire))
	unbound := w.start()
	w.do("POST", "/auth/sessions/end-others", "", fromPage, cookies(unbound)).want(403, "binding_required")
	w.do("GET", "/auth/session", "", cookies(unbound)).want(200, "")
	b, _ := w.browses()
	w.asks(b, "POST", "/auth/sessions/end-others", "", 204)

	w = newWorld(t, require(httpapi.BindingRequireAll))
	unbound = w.start()
	app := func(s session.Issued) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		w.app().ServeHTTP(rec, request("GET", "/app", "", cookies(s)))
		return rec
	}
	if got := app(unbound); got.Code != 403 || !strings.Contains(got.Body.String(), "binding_required") {
		t.Errorf("unbound: %d %s", got.Code, got.Body)
	}
	w.do("GET", "/auth/verify", "", fromPage, cookies(unbound)).want(403, "binding_required")
	if n := len(w.recorded(session.EventAccessDenied)); n != 0 {
		t.Errorf("recorded %d refusals of a browser that may still be about it", n)
	}
	w.now = w.now.Add(time.Minute)
	app(unbound)
	if n := len(w.recorded(session.EventAccessDenied)); n != 1 {
		t.Errorf("recorded %d refusals, want 1", n)
	}
	b, _ = w.browses()
	w.asks(b, "GET", "/app", "", 204)
	w.asks(b, "GET", "/auth/verify", "", 204)
}

// Two nodes share nothing but keys and the store.
//
// Rows: 228, 230.
func TestNodesShareChallenges(t *testing.T) {
	w := newWorld(t)
	b, c := w.browses()
	second, err := httpapi.New(w.Options)
	w.must(err)
	mux := http.NewServeMux()
	mux.Handle("/auth/", second)
	mux.Handle("/app", w.app())
	c.nodes = append(c.nodes, mux)
	b.Trace()
	for i := range 4 {
		if i%2 == 1 {
			b.SetChallenge("")
		}
		w.wait(6 * time.Minute)
		old := b.Challenge()
		w.asks(b, "GET", "/app", "", 204)
		if trace := b.Trace(); slices.Contains(trace, "GET /app 401") || i%2 == 0 && !slices.Equal(trace, []string{renewed, used}) {
			t.Errorf("sent %q", trace)
		}
		if old != "" { // used on the one node, it is used on the other
			r := renewal(b, b.Device.Prove(old))
			rec := httptest.NewRecorder()
			second.ServeHTTP(rec, r)
			w.send(renewal(b, b.Device.Prove(old))).want(403, "challenge")
			if rec.Code != 403 {
				t.Errorf("a used challenge at the other node: %d", rec.Code)
			}
		}
	}
}

// Only a genuine access token can say that the store has lost a write.
func TestAGenerationToComeMustBeGenuine(t *testing.T) {
	w := newWorld(t)
	b, _ := w.browses()
	id, held := w.current(b), b.Value(httpauth.AccessCookie)
	parts, err := token.SplitAccess(held)
	w.must(err)
	claims, err := token.DecodeClaims(parts.Payload)
	w.must(err)
	claims.Generation = 9
	payload, err := json.Marshal(&claims)
	w.must(err)
	b.Set(httpauth.AccessCookie, parts.Header+"."+string(token.AppendBase64URL(nil, payload))+"."+parts.Signature, "/")
	w.send(renewal(b, b.Device.Prove(b.Challenge()))).want(401, "login_required")
	if !w.alive(id) {
		t.Error("a forged cookie ends the session")
	}
}
