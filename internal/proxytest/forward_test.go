package proxytest

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/keyring"
	"github.com/pawlauth/pawl/token"
)

// identity are the headers by which the application knows who asks.
var identity = []string{"X-Auth-User", "X-Auth-Session", "X-Auth-Client", "X-Auth-Scope"}

// spellings are ways to write "X-Auth-User" that some programs take for it.
func spellings(name string) []string {
	under := strings.ReplaceAll(name, "-", "_")
	return []string{
		name, strings.ToLower(name), strings.ToUpper(name), under, strings.ToLower(under), strings.ToUpper(under),
		strings.Replace(name, "-", "_", 1), "X-Auth_" + strings.TrimPrefix(name, "X-Auth-"), strings.ReplaceAll(name, "-", "."),
		"HTTP_" + strings.ToUpper(under),
	}
}

func spoofed() (headers []string) {
	for _, name := range identity {
		for _, spelling := range spellings(name) {
			headers = append(headers, spelling+": evil", spelling+": evil-again")
		}
	}
	return headers
}

// meansIdentity reports whether some framework would read a header of that
// name as one of ours: case and separators folded.
func meansIdentity(name string) bool {
	fold := func(s string) string {
		return strings.Map(func(r rune) rune {
			if strings.ContainsRune("-_. ", r) {
				return -1
			}
			return r
		}, strings.ToLower(s))
	}
	return slices.ContainsFunc(identity, func(ours string) bool { return fold(ours) == fold(name) })
}

// What the application is told about who asks comes from Pawl, on every
// outcome, whatever a client writes.
//
// Rows: 64, 65, A86
func TestIdentityComesFromPawlOnly(t *testing.T) {
	w := newWorld(t)
	access, _ := w.signIn()
	for name, c := range map[string]struct {
		target  string
		headers []string
		status  int
		user    string
	}{
		"signed in":                    {"/", []string{access}, 200, w.userID},
		"the application fails":        {"/status/500", []string{access}, 500, w.userID},
		"the application forbids":      {"/status/403", []string{access}, 403, w.userID},
		"the application wants more":   {"/status/401", []string{access}, 401, w.userID},
		"the application is away":      {"/status/503", []string{access}, 503, w.userID},
		"a skipped route":              {"/public/x", nil, 200, ""},
		"a skipped route, signed in":   {"/public/x", []string{access}, 200, ""},
		"no skipped route after all":   {"/public/../x", []string{access}, 200, w.userID},
		"nobody":                       {"/", nil, 401, "-"},
		"a forged token":               {"/", []string{access + "x"}, 401, "-"},
		"both credentials":             {"/", []string{access, "Authorization: Bearer x"}, 400, "-"},
		"sign-in is not the app":       {"/auth/session", nil, 401, "-"},
		"the question is not for all":  {"/auth/verify", []string{access}, 404, "-"},
		"nor is the refusal":           {"/auth/refusal", []string{access}, 404, "-"},
		"an identity of their own app": {"/public/", []string{"X-Auth-Userx: fine"}, 200, ""},
	} {
		w.app.take()
		a := w.do("GET", c.target, "", append(spoofed(), c.headers...)...)
		if a.StatusCode != c.status {
			t.Errorf("%s: %s, want %d: %s", name, a.Status, c.status, a.text)
		}
		for _, header := range identity {
			if a.Header.Get(header) != "" {
				t.Errorf("%s: the client is told %s", name, header)
			}
		}
		seen, raw := w.app.take()
		if (len(seen) == 1) != (c.user != "-") {
			t.Errorf("%s: %d requests reached the application", name, len(seen))
			continue
		}
		if strings.Contains(raw, "evil") {
			t.Errorf("%s: the application was told:\n%s", name, raw)
		}
		for _, r := range seen {
			if r.Header.Get("X-Auth-User") != c.user || (c.user != "") != (len(r.Header.Get("X-Auth-Session")) == 22) ||
				r.Host != host || r.Header.Get("X-Forwarded-Proto") != "https" || r.Header.Get("X-Forwarded-For") != "127.0.0.1" {
				t.Errorf("%s: the application was told:\n%s", name, raw)
			}
			for header, lines := range r.Header {
				if meansIdentity(header) && (len(lines) != 1 || !slices.Contains(identity, header)) {
					t.Errorf("%s: %s %q", name, header, lines)
				}
			}
		}
	}
}

// An app with a token is let through as well, and is told apart by its client.
//
// Rows: 64, 65
func TestAppsPassWithTheirToken(t *testing.T) {
	w := newWorld(t)
	a := w.do("POST", "/auth/login", `{"username":"ada","password":"`+password+`","transport":"bearer"}`, "Content-Type: application/json")
	var tokens struct {
		Access string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(a.text), &tokens); err != nil || tokens.Access == "" {
		t.Fatalf("sign-in: %s %s", a.Status, a.text)
	}
	w.app.take()
	for _, method := range []string{"GET", "POST", "DELETE"} {
		a = w.do(method, "/data", "", "Authorization: Bearer "+tokens.Access)
		seen, _ := w.app.take()
		if a.StatusCode != 200 || len(seen) != 1 || seen[0].Method != method || seen[0].Header.Get("X-Auth-Client") != "cli" ||
			seen[0].Header.Get("X-Auth-Scope") != "read" {
			t.Errorf("%s: %s, reached %v", method, a.Status, seen)
		}
	}
}

// The method that is judged is the one that reaches the application; what the
// client says in a header about it does not count.
//
// Rows: 24, 64, A86
func TestMethodIsJudgedAsForwarded(t *testing.T) {
	w := newWorld(t)
	access, _ := w.signIn()
	lies := []string{"X-Forwarded-Method: GET", "X-Original-Method: GET", "X-HTTP-Method-Override: DELETE", "X-Forwarded-Method: HEAD"}
	for _, c := range []struct {
		method string
		header string
		status int
	}{
		{"GET", "Sec-Fetch-Site: cross-site", 200},
		{"POST", "Sec-Fetch-Site: same-origin", 200},
		{"PUT", "Origin: " + origin, 200},
		{"POST", "Sec-Fetch-Site: cross-site", 403},
		{"POST", "Sec-Fetch-Site: same-site", 403},
		{"DELETE", "Origin: https://evil.example", 403},
		{"PATCH", "Origin: null", 403},
		{"PROPFIND", "Sec-Fetch-Site: cross-site", 403},
		{"POST", "Accept: */*", 403},
		{"GET", "Sec-Websocket-Key: dGhlIHNhbXBsZSBub25jZQ==", 403},
	} {
		w.app.take()
		a := w.do(c.method, "/change", "", append(lies, access, c.header)...)
		seen, raw := w.app.take()
		if a.StatusCode != c.status || len(seen) != c.status/200%2*1 && c.status == 200 || c.status != 200 && len(seen) != 0 {
			t.Errorf("%s with %q: %s, %d requests reached the application", c.method, c.header, a.Status, len(seen))
		}
		if c.status == 403 && (a.problem() != "cross_site" || a.Header.Get("Content-Type") != "application/problem+json") {
			t.Errorf("%s with %q: %s", c.method, c.header, a.text)
		}
		if c.status == 200 && (seen[0].Header.Get("X-Forwarded-Method") != c.method || (strings.Contains(raw, "Override") || strings.Contains(raw, "X-Original"))) {
			t.Errorf("%s with %q: the application was told:\n%s", c.method, c.header, raw)
		}
	}
}

func (a answer) problem() string {
	var p struct {
		Code string `json:"code"`
	}
	json.Unmarshal([]byte(a.text), &p)
	return p.Code
}

var navigation = []string{"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-Site: cross-site", "Accept: text/html"}

// Who has to sign in is led there if it is a person who opens a page, and gets
// a problem document otherwise.
//
// Rows: 253, A86
func TestRefusalsArePawlsOwn(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/", "/report?from=1&to=2", "//evil.example/x", "/\\evil.example", "/x?return_to=https://evil.example"} {
		a := w.do("GET", path, "", append([]string{"X-Forwarded-Uri: https://evil.example/", "X-Original-Uri: //evil.example"}, navigation...)...)
		at := a.Header.Get("Location")
		if a.StatusCode != 303 || !strings.HasPrefix(at, "/auth/signin") || strings.Contains(at, "return_to=%2F%2F") || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %s to %q", path, a.Status, at)
		}
		a = w.do("GET", path, "", "Sec-Fetch-Mode: cors", "Sec-Fetch-Site: same-origin", "Accept: application/json")
		if a.StatusCode != 401 || a.problem() != "login_required" || a.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s as a call: %s %v", path, a.Status, a.Header)
		}
	}
	a := w.do("POST", "/", strings.Repeat("x", 100_000), navigation...)
	if a.StatusCode != 403 || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
		t.Errorf("a form: %s %s", a.Status, a.text)
	}
	a = w.do("HEAD", "/", "", "Accept: */*")
	if a.StatusCode != 401 || a.text != "" {
		t.Errorf("HEAD: %s %q", a.Status, a.text)
	}
	if seen, _ := w.app.take(); len(seen) != 0 {
		t.Errorf("%d requests reached the application", len(seen))
	}
}

// A page whose access token has expired is led to its renewal, with the way
// back; a call is told that it needs a login.
//
// Rows: 253
func TestExpiredPageIsRenewed(t *testing.T) {
	w := newWorld(t)
	access, _ := w.signIn()
	if a := w.do("GET", "/", "", access); a.StatusCode != 200 {
		t.Fatalf("fresh: %s", a.Status)
	}
	expired := w.expire(access)
	a := w.do("GET", "/report?from=1&to=2", "", append(navigation, expired)...)
	if at := a.Header.Get("Location"); a.StatusCode != 303 || !strings.HasPrefix(at, "/auth/renew?") || !strings.Contains(at, "return_to=%2Freport%3Ffrom%3D1%26to%3D2") {
		t.Errorf("expired: %s to %q", a.Status, at)
	}
	for _, path := range []string{a.Header.Get("Location"), "/auth/signin"} {
		led := w.do("GET", path, "", navigation...)
		if led.StatusCode != 200 || !strings.HasPrefix(led.Header.Get("Content-Type"), "text/html") || !strings.Contains(led.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: %s %v", path, led.Status, led.Header)
		}
	}
	a = w.do("GET", "/report", "", expired, "Accept: application/json")
	if a.StatusCode != 401 || a.problem() != "login_required" || a.Header.Get("WWW-Authenticate") != `Bearer error="invalid_token"` {
		t.Errorf("expired, as a call: %s %v", a.Status, a.Header)
	}
	if seen, _ := w.app.take(); len(seen) != 1 {
		t.Errorf("%d requests reached the application", len(seen))
	}
}

// expire returns the access cookie as it would be an hour from now: the same
// claims, an hour older, signed by the same key.
func (w *world) expire(cookie string) string {
	w.t.Helper()
	name, raw, _ := strings.Cut(cookie, "=")
	segments, err := token.SplitAccess(raw)
	w.must(err)
	claims, err := token.DecodeClaims(segments.Payload)
	w.must(err)
	claims.IssuedAt, claims.Expires, claims.AuthTime = claims.IssuedAt-3600, claims.Expires-3600, claims.AuthTime-3600
	data, err := pawl.OpenData(w.t.Context(), pawl.Place{Directory: w.data}, false)
	w.must(err)
	defer data.Close()
	ring, err := keyring.Open(w.t.Context(), data.Store, data.Master, keyring.Options{
		Algorithm: keyring.EdDSA, Rotation: 720 * time.Hour, Publication: time.Hour, TokenLife: time.Hour})
	w.must(err)
	old, err := token.EncodeAccess(claims, ring.Signer())
	w.must(err)
	return name + "=" + old.Reveal()
}

// When Pawl cannot say yes, nobody gets through, and the client is told what
// Pawl says.
//
// Rows: 64, 65, 93
func TestPawlInTrouble(t *testing.T) {
	w := newWorld(t)
	access, _ := w.signIn()
	problem := func(status int, code string) http.HandlerFunc {
		return func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "application/problem+json")
			rw.Header().Set("Retry-After", "7")
			rw.Header().Set("X-Auth-User", "u_wrong") // counts with a 2xx only
			rw.WriteHeader(status)
			rw.Write([]byte(`{"code":"` + code + `"}`))
		}
	}
	for name, c := range map[string]struct {
		broken http.HandlerFunc
		status int
		code   string
	}{
		"overloaded":   {problem(503, "busy"), 503, "busy"},
		"too many":     {problem(429, "too_many_requests"), 429, "too_many_requests"},
		"failing":      {problem(500, "internal"), 500, "internal"},
		"another host": {problem(421, "misdirected"), 421, "misdirected"},
		"a redirect": {func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "/auth/signin", http.StatusSeeOther)
		}, 303, ""},
		"dies":           {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 502, ""},
		"recovers":       {func(rw http.ResponseWriter, r *http.Request) { w.broken.Store(nil); rw.WriteHeader(503) }, 503, "unavailable"},
		"answers a page": {func(rw http.ResponseWriter, r *http.Request) { rw.WriteHeader(404) }, 404, ""},
	} {
		w.app.take()
		w.broken.Store(&c.broken)
		a := w.do("POST", "/change", "x", access, "Sec-Fetch-Site: same-origin")
		w.broken.Store(nil)
		if a.StatusCode != c.status || a.problem() != c.code {
			t.Errorf("%s: %s %s, want %d %q", name, a.Status, a.text, c.status, c.code)
		}
		if name == "overloaded" && a.Header.Get("Retry-After") != "7" {
			t.Errorf("%s: Retry-After %q", name, a.Header.Get("Retry-After"))
		}
		if seen, _ := w.app.take(); len(seen) != 0 {
			t.Errorf("%s: the application was reached", name)
		}
	}
	if a := w.do("GET", "/", "", access); a.StatusCode != 200 {
		t.Errorf("afterwards: %s", a.Status)
	}
}

// Sign-in, renewal and sign-out work through the proxy, by https alone, and
// an ended session reaches the application no more.
//
// Rows: 17, 22, 118, 140
func TestSessionThroughTheProxy(t *testing.T) {
	w := newWorld(t)
	access, all := w.signIn()
	if a := w.do("GET", "/", "", all); a.StatusCode != 200 {
		t.Fatalf("signed in: %s", a.Status)
	}
	if a := w.do("POST", "/auth/refresh", "", all, "Origin: "+origin); a.StatusCode != 200 {
		t.Errorf("renewal: %s %s", a.Status, a.text)
	}
	if a := w.do("GET", "/.well-known/jwks.json", ""); a.StatusCode != 200 || !strings.Contains(a.text, `"keys"`) {
		t.Errorf("key set: %s", a.Status)
	}
	if a := w.do("POST", "/auth/logout", "", all, "Origin: "+origin); a.StatusCode != 204 || a.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("sign-out: %s %v", a.Status, a.Header)
	}
	if a := w.do("GET", "/", "", access); a.StatusCode != 401 {
		t.Errorf("after sign-out: %s", a.Status)
	}
	resp, err := w.client.Get("http://" + host + "/auth/session?a=b")
	w.must(err)
	resp.Body.Close()
	if resp.StatusCode != 308 || resp.Header.Get("Location") != origin+"/auth/session?a=b" || len(resp.Cookies()) != 0 {
		t.Errorf("plain http: %s to %q", resp.Status, resp.Header.Get("Location"))
	}
}

// Only a WebSocket may switch protocols, and only one that our own page opens.
//
// Rows: 31, 67, A86
func TestOnlyWebSocketsSwitchProtocols(t *testing.T) {
	w := newWorld(t)
	access, _ := w.signIn()
	for name, c := range map[string]struct {
		target   string
		headers  []string
		status   int
		upgraded bool
	}{
		"our own page":           {"/", []string{access, "Upgrade: websocket", "Connection: Upgrade", "Sec-Websocket-Key: x", "Origin: " + origin}, 200, true},
		"another site":           {"/", []string{access, "Upgrade: websocket", "Connection: Upgrade", "Sec-Websocket-Key: x", "Origin: https://evil.example"}, 403, false},
		"another site, no key":   {"/", []string{access, "Upgrade: WebSocket", "Connection: Upgrade", "Origin: https://evil.example"}, 403, false},
		"HTTP/2":                 {"/", []string{access, "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABk"}, 200, false},
		"HTTP/2, skipped route":  {"/public/", []string{"Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABk"}, 200, false},
		"one among others":       {"/public/", []string{"Upgrade: websocket, h2c", "Connection: Upgrade"}, 200, false},
		"a skipped route's sock": {"/public/", []string{"Upgrade: websocket", "Connection: Upgrade", "Sec-Websocket-Key: x"}, 200, true},
	} {
		w.app.take()
		a := w.do("GET", c.target, "", c.headers...)
		seen, raw := w.app.take()
		if a.StatusCode != c.status || (len(seen) == 1) != (c.status == 200) {
			t.Errorf("%s: %s, %d requests reached the application", name, a.Status, len(seen))
		}
		if strings.Contains(raw, "\r\nUpgrade:") != c.upgraded || strings.Contains(raw, "\r\nConnection: upgrade") != c.upgraded {
			t.Errorf("%s: the application got\n%s", name, raw)
		}
	}
}
