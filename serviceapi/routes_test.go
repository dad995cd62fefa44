package serviceapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/serviceapi"
	"github.com/pawlauth/pawl/session"
)

// A call is a good request of a route, and the scope that it wants.
type call struct {
	scope, method, path, body string
	status                    int
}

func (w *world) calls() []call {
	other := w.start("4711")
	return []call{
		{"users:write", "POST", "/v1/users", `{"username":"grace"}`, 201},
		{"users:read", "GET", "/v1/users/" + w.ada.ID, "", 200},
		{"users:write", "POST", "/v1/users/" + w.ada.ID + "/enable", "", 204},
		{"sessions:write", "POST", "/v1/sessions", `{"username":"ada","transport":"bearer","amr":["pwd"]}`, 200},
		{"sessions:read", "GET", "/v1/sessions?user_id=" + w.ada.ID, "", 200},
		{"sessions:end", "DELETE", "/v1/sessions/" + other.Row.ID.String(), "", 204},
		{"sessions:end", "DELETE", "/v1/users/4711/sessions", "", 204},
		{"sessions:end", "POST", "/v1/revoke-user", `{"sub_id":{"format":"opaque","id":"` + w.ada.ID + `"}}`, 204},
		{"everyone:end", "POST", "/v1/end-everyone", "", 200},
		{"events:read", "GET", "/v1/events", "", 200},
		{"uses:write", "POST", "/v1/uses", `{"uses":[{"session":"` + other.Row.ID.String() + `","generation":1,"issued_at":1}]}`, 204},
		{"users:write", "POST", "/v1/users/" + w.ada.ID + "/disable", "", 204},
		{"revocations:read", "GET", "/v1/revocations", "", 200},
		{"", "GET", "/v1/openapi.yaml", "", 200},
	}
}

// Every route wants a service that proves who it is and was given the scope of
// the route; no other scope does.
//
// Rows: 123, 143, 152, 197, A97, A98
func TestEveryRouteWantsItsScope(t *testing.T) {
	w := newWorld(t)
	calls := w.calls()
	if len(calls) != len(w.Routes()) {
		t.Fatalf("%d calls for %d routes", len(calls), len(w.Routes()))
	}
	before, alive := len(w.events), w.start(w.ada.ID)
	for _, c := range calls {
		basic := func(text string) string { return "Authorization: " + text }
		for name, headers := range map[string][]string{
			"no credential": nil, "a bearer": {basic("Bearer x")}, "a wrong secret": {basic("Basic YWxsOng=")}, "nobody": {basic("Basic bm9ib2R5Om5vYm9keSE=")},
			"junk": {basic("Basic !")}, "two credentials": {basic("Basic YWxsOmFsbCE="), basic("Basic YWxsOmFsbCE=")}, "a token of a user's": {basic("Bearer " + alive.Access.Reveal())},
		} {
			// From a network of its own: too many failures hold up who was not here before.
			got := w.do("", c.method, c.path, c.body, append(headers, "Peer: 127.0.1.1:4711")...)
			limited := got.Code == 429 && got.Header().Get("Retry-After") != ""
			if !limited && (got.Code != 401 || got.code() != "service_required" || !strings.HasPrefix(got.Header().Get("WWW-Authenticate"), "Basic ")) {
				t.Errorf("%s %s with %s: %d %s", c.method, c.path, name, got.Code, got.Body)
			}
		}
		if c.scope == "" {
			continue
		}
		for _, other := range calls {
			if other.scope != c.scope && other.scope != "" {
				w.do(strings.ReplaceAll(other.scope, ":", "-"), c.method, c.path, c.body).want(403, "service_scope_required")
			}
		}
		w.do("introspect", c.method, c.path, c.body).want(403, "service_scope_required")
	}
	for _, e := range w.events[before:] {
		if e.Type != session.EventServiceRefused && e.Type != session.EventAccessDenied && e.Type != session.EventRateLimited && e.Type != session.EventStarted {
			t.Errorf("a refused request did something: %+v", e)
		}
		if e.Type == session.EventAccessDenied && e.Actor == "" {
			t.Error("who was denied is not recorded")
		}
	}
	if !w.alive(alive.Row.ID) {
		t.Error("a refused request ended a session")
	}
	for _, c := range calls {
		if c.path == "/v1/revocations" {
			continue // see the tests of streams
		}
		got := w.do(strings.ReplaceAll(c.scope+strings.Repeat("introspect", max(0, 1-len(c.scope))), ":", "-"), c.method, c.path, c.body)
		if got.Code != c.status {
			t.Errorf("%s %s: %d %s", c.method, c.path, got.Code, got.Body)
		}
		h := got.Header()
		if h.Get("Cache-Control") != "no-store" || h["Set-Cookie"] != nil || h["Access-Control-Allow-Origin"] != nil || got.Code/100 == 3 {
			t.Errorf("%s %s: %v", c.method, c.path, h)
		}
	}
}

// Rows: 56, 197, 248, 254
func TestWhatNoServiceSendsIsRefused(t *testing.T) {
	w := newWorld(t)
	for _, c := range w.calls() {
		for _, header := range []string{"Sec-Fetch-Site: same-origin", "Origin: https://app.example", "Origin: null"} {
			w.do("all", c.method, c.path, c.body, header).want(403, "browser_refused")
		}
		w.do("all", c.method, c.path, c.body, "Peer: 192.0.2.1:80").want(403, "https_required")
		w.do("all", c.method, c.path, c.body, "Peer: [2001:db8::1]:80").want(403, "https_required")
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get"} {
			path, _, _ := strings.Cut(c.path, "?")
			if slices.ContainsFunc(w.Routes(), func(rt string) bool { return matches(rt, method, path) }) {
				continue
			}
			if got := w.do("all", method, path, ""); got.Code != 405 || got.Header().Get("Allow") == "" {
				t.Errorf("%s %s: %d, Allow %q", method, path, got.Code, got.Header().Get("Allow"))
			}
		}
		if c.body == "" {
			continue
		}
		for _, body := range []string{"{", "[]", "null", `"x"`, c.body + "{}", strings.Replace(c.body, "{", `{"x":1,`, 1), strings.Replace(c.body, "{", `{"`+firstMember(c.body)+`":1,`, 1),
			strings.ToUpper(c.body), strings.Replace(c.body, `":`, `":[`, 1), "\xff" + c.body, "username=grace"} {
			if got := w.do("all", c.method, c.path, body); got.Code != 400 || got.code() != "malformed_body" {
				t.Errorf("%s %s with %q: %d %s", c.method, c.path, body, got.Code, got.Body)
			}
		}
		w.do("all", c.method, c.path, c.body, "Content-Type: text/plain").want(415, "unsupported_media_type")
		w.do("all", c.method, c.path, c.body, "Content-Type: application/x-www-form-urlencoded").want(415, "unsupported_media_type")
		w.do("all", c.method, c.path, c.body, "Content-Encoding: gzip").want(415, "unsupported_media_type")
		w.do("all", c.method, c.path, c.body+strings.Repeat(" ", 65<<10)).want(413, "too_large")
	}
	for _, path := range []string{"/", "/v1", "/v1/", "/v1/users/", "/v1/users//", "/v1//users", "/v1/users/a/b", "/v1/users/a/", "/v1/users/a%2Fb", "/v1/users/../users", "/v2/users",
		"/v1/sessions/x/y", "/v1/users/" + strings.Repeat("x", 300), "/v1/users/a%00", "/v1/events/", "/V1/events", "/v1/events;x"} {
		if got := w.do("all", "GET", path, ""); got.Code != 404 || got.code() != "not_found" {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
	}
	for _, path := range []string{"/v1/events?after=-1", "/v1/events?after=x", "/v1/events?after=01", "/v1/events?limit=0", "/v1/events?limit=1001", "/v1/events?after=1&after=2", "/v1/events?x=1",
		"/v1/events?after=9223372036854775808", "/v1/events?after=%zz", "/v1/sessions", "/v1/sessions?user_id=", "/v1/sessions?user_id=a&cursor=x", "/v1/sessions?user_id=a&limit=501", "/v1/users/a?x=1", "/v1/openapi.yaml?x"} {
		w.do("all", "GET", path, "").want(400, "malformed_query")
	}
}

func matches(route, method, path string) bool {
	m, p, _ := strings.Cut(route, " ")
	if m != method {
		return false
	}
	want, got := strings.Split(p, "/"), strings.Split(path, "/")
	return len(want) == len(got) && slices.EqualFunc(want, got, func(a, b string) bool { return a == b || a == "{id}" })
}

func firstMember(body string) string {
	_, rest, _ := strings.Cut(body, `"`)
	name, _, _ := strings.Cut(rest, `"`)
	return name
}

// Over TLS other machines are served, and so is plain http if that is asked
// for by its name.
//
// Rows: 197
func TestPlainHTTPDoesNotLeaveTheMachine(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewTLSServer(w)
	t.Cleanup(server.Close)
	r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/v1/events", nil)
	w.must(err)
	r.SetBasicAuth("all", "all!")
	resp, err := server.Client().Do(r)
	w.must(err)
	resp.Body.Close()
	if resp.StatusCode != 200 || resp.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("over TLS: %s", resp.Status)
	}
	plain := newWorld(t, func(o *serviceapi.Options) { o.DangerouslyPlainHTTP = true })
	plain.do("all", "GET", "/v1/events", "", "Peer: 192.0.2.1:80").want(200, "")
}

// A proxy on this machine does not make what crossed the network in the clear
// a request of this machine.
//
// Rows: 197
func TestPlainHTTPDoesNotComeInByAProxyOfThisMachine(t *testing.T) {
	w := newWorld(t)
	proxies, err := httpauth.NewProxies("127.0.0.1/32")
	w.must(err)
	w.public.Guard.Proxies = proxies
	for _, c := range []struct {
		headers []string
		status  int
	}{
		{[]string{"X-Forwarded-Proto: https", "X-Forwarded-For: 203.0.113.9"}, 200},
		{[]string{"X-Forwarded-Proto: HTTPS"}, 200},
		{[]string{"X-Forwarded-For: 127.0.0.1"}, 200},
		{[]string{"X-Forwarded-Proto: http", "X-Forwarded-For: 203.0.113.9"}, 403},
		{[]string{"X-Forwarded-Proto: http"}, 403},
		{[]string{"X-Forwarded-Proto: "}, 403},
		{[]string{"X-Forwarded-Proto: https", "X-Forwarded-Proto: https"}, 403},
		{[]string{"X-Forwarded-For: 203.0.113.9"}, 403},
		{[]string{"Peer: 127.0.0.2:80", "X-Forwarded-Proto: http", "X-Forwarded-For: 203.0.113.9"}, 403}, // a proxy that nobody named
	} {
		if got := w.do("all", "GET", "/v1/events", "", c.headers...); got.Code != c.status || c.status == 403 && got.code() != "https_required" {
			t.Errorf("%q: %d %s", c.headers, got.Code, got.Body)
		}
	}
}

// Programs give their users ids of their own, and encode more or less of them.
//
// Rows: 56
func TestIDsInPathsAreDecodedOnce(t *testing.T) {
	w := newWorld(t)
	for path, id := range map[string]string{
		"alice@example.com": "alice@example.com", "alice%40example.com": "alice@example.com", "tenant%3A7": "tenant:7", "tenant:7": "tenant:7", "a%2Bb": "a+b", "a+b": "a+b",
		"%61lice": "alice", "a%20b": "a b", "a%7Cb": "a|b", "J%C3%BCrgen": "J\u00fcrgen", "a%252Fb": "a%2Fb", "a%25": "a%", "...": "...", "%2Ehidden": ".hidden", "a%5Cb": "a\\b", "a%3Fb": "a?b",
	} {
		one, other := w.start(id), w.start("somebody else")
		w.do("sessions-end", "DELETE", "/v1/users/"+path+"/sessions", "").want(204, "")
		if w.alive(one.Row.ID) || !w.alive(other.Row.ID) {
			t.Errorf("%s: the sessions of %q go on, or another's do not", path, id)
		}
	}
	at := url.PathEscape(w.ada.ID[:2]) + "%" + fmt.Sprintf("%X", w.ada.ID[2]) + w.ada.ID[3:]
	if got := w.do("users-read", "GET", "/v1/users/"+at, "").want(200, ""); got.text("id") != w.ada.ID {
		t.Errorf("%s", got.Body)
	}
	for _, path := range []string{"/v1/users/a%2Fb/sessions", "/v1/users/a%2fb/sessions", "/v1/users/%2F/sessions", "/v1/users/./sessions", "/v1/users/../sessions", "/v1/users/%2E%2E/sessions", "/v1/users/.%2e/sessions", "/v1/users/%2e/sessions",
		"/v1/users/%00/sessions", "/v1/users/a%0Ab/sessions", "/v1/users/%FF/sessions", "/v1/users//sessions", "/v1/users/a/session%73", "/v1/users%2Fa/sessions", "/v1/%75sers/a/sessions", "/v1/users/a/sessions/", "/v1/users/a//sessions",
		"/v1/users/" + strings.Repeat("%61", 256) + "/sessions"} {
		w.do("all", "DELETE", path, "").want(404, "not_found")
	}
	w.do("sessions-end", "DELETE", "/v1/users/"+strings.Repeat("%61", 255)+"/sessions", "").want(204, "")
}

// What services sent, their secrets above all, is in no answer, log or event.
//
// Rows: 238, 241, 245, 252
func TestNothingLeaks(t *testing.T) {
	w := newWorld(t)
	const canary = "canary-7c1e"
	var answers strings.Builder
	for _, failing := range []bool{false, true} {
		if failing {
			w.fails = fmt.Errorf("disk on fire with %s", "details")
		}
		for _, c := range w.calls() {
			if c.path == "/v1/revocations" {
				continue
			}
			for _, got := range []answer{
				w.do("all", c.method, c.path, strings.Replace(c.body, "{", `{"`+canary+`":1,`, 1)), w.do("", c.method, c.path+"?"+canary+"="+canary, canary),
				w.do("", c.method, c.path, c.body, "Authorization: Basic "+canary), w.do(canary, c.method, c.path, c.body),
			} {
				fmt.Fprint(&answers, got.Body, got.Header())
			}
		}
		w.do("all", "POST", "/v1/users", `{"username":"x","password":"`+canary+`\u0000"}`)
		w.do("all", "POST", "/v1/users/"+canary+"/disable", "")
		got := w.do("all", "GET", "/v1/events", "")
		if failing {
			got.want(503, "unavailable")
		}
		if strings.Contains(got.Body.String(), "details") {
			t.Errorf("the cause leaks: %s", got.Body)
		}
	}
	events := fmt.Sprintf("%+v", w.events)
	if strings.Contains(answers.String(), canary) || strings.Contains(w.log.String(), canary) || strings.Contains(events, canary) {
		t.Error("what was sent comes back")
	}
	if !strings.Contains(w.log.String(), "disk on fire") {
		t.Error("the cause is not in the log")
	}
}

func TestNewReportsEveryFaultAtOnce(t *testing.T) {
	_, err := serviceapi.New(serviceapi.Options{})
	if err == nil || strings.Count(err.Error(), "missing") != 7 {
		t.Errorf("%v", err)
	}
}
