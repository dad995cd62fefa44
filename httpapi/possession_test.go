package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/dpop"
	"github.com/pawlauth/pawl/dpop/client"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
)

func judge(keys [][32]byte, used dpop.Replays) *dpop.Verifier {
	nonces, err := dpop.NewNonces(keys, time.Unix(1, 0))
	if err != nil {
		panic(err)
	}
	v, err := dpop.New(dpop.Options{Nonces: nonces, Replays: used})
	if err != nil {
		panic(err)
	}
	return v
}

func newMemory() *dpop.Memory {
	m, err := dpop.NewMemory(dpop.MinMemory)
	if err != nil {
		panic(err)
	}
	return m
}

// withDPoP makes an API that judges proofs. Nodes that share keys share nonces.
func withDPoP(changes ...change) []change {
	return append([]change{{
		api:   func(o *httpapi.Options) { o.DPoP = judge([][32]byte{{1}}, newMemory()) },
		guard: func(o *httpauth.Options) { o.DPoP = judge([][32]byte{{2}}, newMemory()) },
	}}, changes...)
}

// A prover is an app with a key.
type prover struct {
	w   *world
	key *client.Key
}

func newProver(w *world) prover {
	key, err := client.NewKey()
	w.must(err)
	return prover{w, key}
}

// proof is a header with a proof that is right in everything but what is given.
func (p prover) proof(method, path, access, nonce string) string {
	text, err := p.key.Proof(method, origin+path, access, nonce, p.w.now)
	p.w.must(err)
	return "DPoP: " + text
}

func (p prover) atIssuer(path string) string {
	return p.proof("POST", path, "", p.w.DPoP.Nonces.Newest(p.w.now))
}

func (p prover) atResource(method, path, access string) string {
	return p.proof(method, path, access, p.w.Guard.DPoP.Nonces.Newest(p.w.now))
}

const bearerLogin = `{"username":"ada","password":"` + password + `","transport":"bearer","client_id":"cli"}`

func (p prover) signIn() (access, refresh string) {
	p.w.t.Helper()
	got := p.w.do("POST", "/auth/login", bearerLogin, jsonType, p.atIssuer("/auth/login"))
	got.want(200, "")
	if got.member("token_type") != "DPoP" || got.member("session", "binding") != "dpop" {
		p.w.t.Fatalf("not bound: %s", got.Body)
	}
	return got.member("access_token").(string), got.member("refresh_token").(string)
}

// Rows: 212, 213, 214, 216, 219, A71
func TestSignInBindsTheSession(t *testing.T) {
	w := newWorld(t, withDPoP()...)
	p := newProver(w)
	for name, c := range map[string]struct{ proof, code string }{
		"without a nonce":         {p.proof("POST", "/auth/login", "", ""), "use_dpop_nonce"},
		"a nonce of the resource": {p.atResource("POST", "/auth/login", ""), "use_dpop_nonce"},
		"for another route":       {p.atIssuer("/auth/token"), "invalid_dpop_proof"},
		"for another method":      {p.proof("GET", "/auth/login", "", w.DPoP.Nonces.Newest(w.now)), "invalid_dpop_proof"},
		"junk":                    {"DPoP: junk", "invalid_dpop_proof"},
	} {
		got := w.do("POST", "/auth/login", bearerLogin, jsonType, c.proof)
		if got.want(400, c.code); len(got.Header()["Dpop-Nonce"]) != 1 || got.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %v", name, got.Header())
		}
		if got.Header().Get("DPoP-Nonce") != w.DPoP.Nonces.Newest(w.now) {
			t.Errorf("%s: the nonce is not the issuer's", name)
		}
	}
	access, _ := p.signIn()
	principal, err := w.Guard.Verifier.VerifyBound(access, w.now)
	if err != nil || principal.Thumbprint != p.key.Thumbprint() {
		t.Errorf("cnf is %+v, %v", principal, err)
	}
	once := p.atIssuer("/auth/login")
	w.do("POST", "/auth/login", bearerLogin, jsonType, once).want(200, "")
	w.do("POST", "/auth/login", bearerLogin, jsonType, once).want(400, "invalid_dpop_proof")
	got := w.do("GET", "/.well-known/oauth-authorization-server", "")
	if algs, _ := got.member("dpop_signing_alg_values_supported").([]any); len(algs) != 2 || algs[0] != "ES256" || algs[1] != "EdDSA" {
		t.Errorf("metadata: %v", algs)
	}
}

// A renewal of a bound session proves the key, and a refusal changes nothing.
//
// Rows: 205, 207, 213, 216, A68, A69, A71
func TestRenewalProvesTheKey(t *testing.T) {
	w := newWorld(t, withDPoP()...)
	p, thief := newProver(w), newProver(w)
	_, refresh := p.signIn()
	grant := "grant_type=refresh_token&refresh_token=" + refresh
	w.now = w.now.Add(2 * w.Engine.Policy.TurnInterval)
	before := w.store.written()
	used := p.atIssuer("/auth/login")
	for name, c := range map[string]struct{ proof, code string }{
		"no proof":          {"", "invalid_grant"},
		"a thief's key":     {thief.atIssuer("/auth/token"), "invalid_grant"},
		"no nonce":          {p.proof("POST", "/auth/token", "", ""), "use_dpop_nonce"},
		"of the resource":   {p.atResource("POST", "/auth/token", ""), "use_dpop_nonce"},
		"for another route": {used, "invalid_dpop_proof"},
	} {
		headers := []string{}
		if c.proof != "" {
			headers = append(headers, c.proof)
		}
		if got := w.form("/auth/token", grant, headers...); got.Code != 400 || got.code() != c.code {
			t.Errorf("%s: %d %s", name, got.Code, got.Body)
		}
	}
	w.form("/auth/token", grant, p.atIssuer("/auth/token"), p.atIssuer("/auth/token")).want(400, "invalid_dpop_proof")
	if after := w.store.written(); after != before {
		t.Errorf("refusals wrote to the store")
	}
	proof := p.atIssuer("/auth/token")
	got := w.form("/auth/token", grant, proof)
	if got.want(200, ""); got.member("token_type") != "DPoP" || len(got.Header()["Dpop-Nonce"]) != 1 {
		t.Errorf("renewed: %s, %v", got.Body, got.Header())
	}
	w.form("/auth/token", grant, proof).want(400, "invalid_dpop_proof")
	// Junk costs one MAC: it does not even have its proof looked at.
	w.form("/auth/token", "grant_type=refresh_token&refresh_token=junk", "DPoP: junk").want(400, "invalid_grant")
}

// Rows: 201, 207, 208, 209, 210, 211, 212, 214, 215, 217, 219, A68, A69, A70
func TestUseOfABoundToken(t *testing.T) {
	w := newWorld(t, withDPoP()...)
	p, thief := newProver(w), newProver(w)
	access, _ := p.signIn()
	plain := w.start(bearerSession).Access.Reveal()
	get := func(headers ...string) answer { return w.do("GET", "/auth/session", "", headers...) }
	scheme := "Authorization: DPoP " + access
	for name, c := range map[string]struct {
		headers []string
		status  int
		code    string
		told    string // in WWW-Authenticate
	}{
		"as Bearer":                {[]string{"Authorization: Bearer " + access}, 401, "login_required", `DPoP error="invalid_token"`},
		"as Bearer, proved":        {[]string{"Authorization: Bearer " + access, p.atResource("GET", "/auth/session", access)}, 401, "login_required", `DPoP error="invalid_token"`},
		"in the cookie":            {[]string{"Cookie: " + accessPair(access)}, 401, "login_required", `DPoP error="invalid_token"`},
		"without proof":            {[]string{scheme}, 401, "invalid_dpop_proof", `DPoP error="invalid_dpop_proof"`},
		"two proofs":               {[]string{scheme, p.atResource("GET", "/auth/session", access), p.atResource("GET", "/auth/session", access)}, 401, "invalid_dpop_proof", `DPoP error="invalid_dpop_proof"`},
		"a thief's key":            {[]string{scheme, thief.atResource("GET", "/auth/session", access)}, 401, "invalid_dpop_proof", `DPoP error="invalid_dpop_proof"`},
		"another token's proof":    {[]string{scheme, p.atResource("GET", "/auth/session", plain)}, 401, "invalid_dpop_proof", `DPoP error="invalid_dpop_proof"`},
		"no nonce":                 {[]string{scheme, p.proof("GET", "/auth/session", access, "")}, 401, "use_dpop_nonce", `DPoP error="use_dpop_nonce"`},
		"the issuer's nonce":       {[]string{scheme, p.proof("GET", "/auth/session", access, w.DPoP.Nonces.Newest(w.now))}, 401, "use_dpop_nonce", `DPoP error="use_dpop_nonce"`},
		"another route":            {[]string{scheme, p.atResource("GET", "/auth/sessions", access)}, 401, "invalid_dpop_proof", `DPoP error="invalid_dpop_proof"`},
		"not bound, scheme DPoP":   {[]string{"Authorization: DPoP " + plain, p.atResource("GET", "/auth/session", plain)}, 401, "login_required", `DPoP error="invalid_token"`},
		"both schemes":             {[]string{scheme, "Authorization: Bearer " + plain}, 400, "two_credentials", ""},
		"both schemes in one line": {[]string{"Authorization: Bearer " + plain + ", DPoP " + access}, 400, "malformed_authorization", ""},
	} {
		got := get(c.headers...)
		if got.Code != c.status || got.code() != c.code || !strings.HasPrefix(got.Header().Get("WWW-Authenticate"), c.told) ||
			strings.HasPrefix(c.told, "DPoP") && !strings.Contains(got.Header().Get("WWW-Authenticate"), `algs="ES256 EdDSA"`) {
			t.Errorf("%s: %d %s, %q", name, got.Code, got.Body, got.Header().Get("WWW-Authenticate"))
		}
		if got.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: may be stored", name)
		}
	}
	if lines := get().Header()["Www-Authenticate"]; len(lines) != 2 || lines[0] != "Bearer" || lines[1] != `DPoP algs="ES256 EdDSA"` {
		t.Errorf("who sends nothing is told %q", lines)
	}
	proof := p.atResource("GET", "/auth/session", access)
	good := get("Authorization: dpop "+access, proof)
	if good.want(200, ""); len(good.Header()["Dpop-Nonce"]) != 1 {
		t.Errorf("no nonce with a good answer: %v", good.Header())
	}
	get(scheme, proof).want(401, "invalid_dpop_proof") // again
	get("Authorization: Bearer "+plain).want(200, "")
	about := w.form("/auth/introspect", "token="+access, service)
	if about.want(200, ""); about.member("token_type") != "DPoP" || about.member("cnf", "jkt") != p.key.Thumbprint() {
		t.Errorf("introspection: %s", about.Body)
	}
}

// Signing out is a use of the token as any other.
//
// Rows: 209, A70
func TestSignOutByABoundTokenProvesTheKey(t *testing.T) {
	w := newWorld(t, withDPoP()...)
	p, thief := newProver(w), newProver(w)
	access, _ := p.signIn()
	out := func(headers ...string) answer { return w.do("POST", "/auth/logout", "", headers...) }
	scheme, proof := "Authorization: DPoP "+access, p.atResource("POST", "/auth/logout", access)
	out("Authorization: Bearer "+access).want(401, "login_required")
	out(scheme).want(401, "invalid_dpop_proof")
	out(scheme, thief.atResource("POST", "/auth/logout", access)).want(401, "invalid_dpop_proof")
	out(scheme, p.atResource("GET", "/auth/session", access)).want(401, "invalid_dpop_proof")
	if got := out(scheme, p.proof("POST", "/auth/logout", access, "")); got.code() != "use_dpop_nonce" || got.Header().Get("DPoP-Nonce") == "" {
		t.Errorf("without a nonce: %s %v", got.Body, got.Header())
	}
	w.do("GET", "/auth/session", "", scheme, p.atResource("GET", "/auth/session", access)).want(200, "")
	out(scheme, proof).want(204, "")
	w.do("GET", "/auth/session", "", scheme, p.atResource("GET", "/auth/session", access)).want(401, "login_required")
	out(scheme, p.atResource("POST", "/auth/logout", access)).want(204, "") // signed out already
	cookie := w.start()
	out("Authorization: Bearer "+cookie.Access.Reveal()).want(204, "")
}

// The proxy says what is asked for; who else says so does not count.
//
// Rows: 205, A73
func TestForwardAuthJudgesWhatTheProxyAsksAbout(t *testing.T) {
	w := newWorld(t, withDPoP(change{guard: func(o *httpauth.Options) {
		var err error
		if o.Proxies, err = httpauth.NewProxies("10.0.0.0/8"); err != nil {
			t.Fatal(err)
		}
	}})...)
	p := newProver(w)
	access, _ := p.signIn()
	ask := func(peer string, headers ...string) answer {
		r := request("GET", "/auth/verify", "", append(headers, "X-Forwarded-Proto: https", "Authorization: DPoP "+access)...)
		r.RemoteAddr = peer
		return w.send(r)
	}
	about := []string{"X-Forwarded-Method: PUT", "X-Forwarded-Uri: /things?q=1"}
	right := func() string { return p.atResource("PUT", "/things", access) }
	ask(proxyPeer, append(about, right())...).want(204, "")
	ask(proxyPeer, append(about, p.atResource("GET", "/auth/verify", access))...).want(401, "invalid_dpop_proof")
	ask(proxyPeer, append(about, p.atResource("PUT", "/others", access))...).want(401, "invalid_dpop_proof")
	ask(proxyPeer, right()).want(401, "invalid_dpop_proof")
	ask("192.0.2.1:99", append(about, right())...).want(401, "invalid_dpop_proof")
	elsewhere, err := p.key.Proof("PUT", "https://evil.example/things", access, w.Guard.DPoP.Nonces.Newest(w.now), w.now)
	w.must(err)
	ask(proxyPeer, append(about, "X-Forwarded-Host: evil.example", "DPoP: "+elsewhere)...).want(401, "invalid_dpop_proof")
}

// Rows: 218, 222
func TestClientsThatMustBindTheirTokens(t *testing.T) {
	w := newWorld(t, withDPoP(change{
		api:   func(o *httpapi.Options) { o.Clients[0].RequireDPoP = true },
		guard: func(o *httpauth.Options) { o.RequireDPoP = true },
	})...)
	w.do("POST", "/auth/login", bearerLogin, jsonType).want(400, "invalid_dpop_proof")
	p := newProver(w)
	access, refresh := p.signIn()
	w.do("GET", "/auth/session", "", "Authorization: DPoP "+access, p.atResource("GET", "/auth/session", access)).want(200, "")
	old := w.start(bearerSession) // from the time before
	w.do("GET", "/auth/session", "", "Authorization: Bearer "+old.Access.Reveal()).want(401, "login_required")
	if lines := w.do("GET", "/auth/session", "").Header()["Www-Authenticate"]; len(lines) != 1 || !strings.HasPrefix(lines[0], "DPoP ") {
		t.Errorf("who sends nothing is told %q", lines)
	}
	w.form("/auth/token", "grant_type=refresh_token&client_id=cli&refresh_token="+refresh).want(400, "invalid_dpop_proof")
	w.form("/auth/token", "grant_type=refresh_token&refresh_token="+old.Refresh.Reveal()).want(400, "invalid_grant")
	w.form("/auth/token", "grant_type=refresh_token&refresh_token="+old.Refresh.Reveal(), p.atIssuer("/auth/token")).want(400, "invalid_grant")
	vouch := httpapi.Vouch{Service: "gateway", UserID: w.ada.ID, ClientID: "cli", Methods: []string{"otp"}}
	if _, err := w.GiveTokens(t.Context(), vouch); httpapi.ProblemOf(err).Code != "binding_required" {
		t.Errorf("tokens without a key: %v", err)
	}
	vouch.Thumbprint = p.key.Thumbprint()
	tokens, err := w.GiveTokens(t.Context(), vouch)
	if err != nil || tokens.TokenType != "DPoP" {
		t.Errorf("tokens for a key: %+v, %v", tokens, err)
	}
}

// A full memory refuses, and a browser's cookies have nothing to do with it.
//
// Rows: 207, A72
func TestNoProofIsTakenThatCannotBeRemembered(t *testing.T) {
	w := newWorld(t, withDPoP()...)
	p := newProver(w)
	access, _ := p.signIn()
	var last answer
	for range dpop.MinMemory {
		if last = w.do("GET", "/auth/session", "", "Authorization: DPoP "+access, p.atResource("GET", "/auth/session", access)); last.Code != http.StatusOK {
			break
		}
	}
	last.want(503, "busy")
	w.do("GET", "/auth/session", "", cookies(w.start())).want(200, "")
}
