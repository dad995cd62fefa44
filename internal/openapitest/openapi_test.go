package openapitest

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"

	"github.com/pawlauth/pawl/browser"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/pages"
	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/session"
)

// document is one of docs/ and what checks answers against it.
type document struct {
	model     *v3.Document
	validator validator.Validator
}

func read(t *testing.T, file string) document {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + file)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := libopenapi.NewDocument(text)
	if err != nil {
		t.Fatal(err)
	}
	model, err := doc.BuildV3Model()
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(doc, config.WithFormatAssertions(), config.WithURLEncodedBodyValidation(), config.WithoutSecurityValidation())
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if ok, faults := v.ValidateDocument(); !ok {
		for _, f := range faults {
			t.Errorf("the document is no OpenAPI 3.1: %v", f)
			for _, reason := range f.SchemaValidationErrors {
				t.Errorf("  %s: %s", reason.FieldPath, reason.Reason)
			}
		}
		t.FailNow()
	}
	return document{&model.Model, v}
}

// operations calls f for every operation but those of pages.
func (d document) operations(f func(method, path string, op *v3.Operation)) {
	for path, item := range d.model.Paths.PathItems.FromOldest() {
		for method, op := range item.GetOperations().FromOldest() {
			if !slices.Contains(op.Tags, "pages") {
				f(strings.ToUpper(method), path, op)
			}
		}
	}
}

// Every route is described, and nothing else is.
//
// Rows: 179
func TestDocumentHasEveryRoute(t *testing.T) {
	var described []string
	read(t, public).operations(func(method, path string, _ *v3.Operation) { described = append(described, method+" "+path) })
	slices.Sort(described)
	routes := newWorld(t).Routes()
	if len(routes) < 10 || !slices.Equal(described, routes) {
		t.Errorf("described:\n%s\nthere are:\n%s", strings.Join(described, "\n"), strings.Join(routes, "\n"))
	}
}

// An exchange is a request and the status of its answer.
type exchange struct {
	method, path, body string
	headers            []string
	status             int
	wrong              bool // the request itself is not as described
}

const (
	public   = "openapi.yaml"
	page     = "Sec-Fetch-Site: same-origin"
	foreign  = "Sec-Fetch-Site: cross-site"
	jsonBody = "Content-Type: application/json"
	form     = "Content-Type: application/x-www-form-urlencoded"
	gateway  = "Authorization: Basic Z2F0ZXdheTpzM2NyZXQ=" // gateway:s3cret
	wrong    = "Authorization: Basic Z2F0ZXdheTp3cm9uZw==" // gateway:wrong
	poor     = "Authorization: Basic cG9vcjpzM2NyZXQ="     // poor:s3cret
)

// exchanges are at least one for each status of each operation, and all the
// ways in which a good answer may look.
func (w *world) exchanges() []exchange {
	web := cookies(w.start(session.Cookie, "web"))
	app := w.start(session.Bearer, "cli")
	bearer := "Authorization: Bearer " + app.Access.Reveal()
	other, gone := w.start(session.Cookie, "web").Row.ID.String(), strings.Repeat("A", 22)
	refresh := app.Refresh.Reveal()
	login := func(more string) string { return `{"username":"ada","password":"` + password + `"` + more + `}` }
	first := func(more string) string { return `{"username":"eve","password":"` + w.initial + `"` + more + `}` }
	asked := []string{"Peer: " + proxy, "X-Forwarded-Proto: https", "X-Forwarded-Method: GET", "X-Forwarded-Uri: /report",
		"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}
	return []exchange{
		{"POST", "/auth/login", login(""), []string{jsonBody, page}, 200, false},
		{"POST", "/auth/login", login(`,"remember":true,"transport":"cookie"`), []string{jsonBody, page}, 200, false},
		{"POST", "/auth/login", login(`,"transport":"bearer","client_id":"cli"`), []string{jsonBody}, 200, false},
		{"POST", "/auth/login", login(`,"transport":"bearer","client_id":"cli","scope":"read"`), []string{jsonBody}, 200, false},
		{"POST", "/auth/login", login(`,"role":"admin"`), []string{jsonBody, page}, 400, true},
		{"POST", "/auth/login", login(`,"transport":"bearer","client_id":"nobody"`), []string{jsonBody}, 400, false},
		{"POST", "/auth/login", `{"username":"ada","password":"wrong"}`, []string{jsonBody, page}, 401, false},
		{"POST", "/auth/login", login(""), []string{jsonBody, foreign}, 403, false},
		{"POST", "/auth/login", first(""), []string{jsonBody, page}, 403, false},
		{"POST", "/auth/login", first(`,"new_password":"short"`), []string{jsonBody, page}, 400, false},
		{"POST", "/auth/login", first(`,"new_password":"a long enough phrase"`), []string{jsonBody, page}, 200, false},
		{"POST", "/auth/login", login(`,"new_password":"a long enough phrase"`), []string{jsonBody, page}, 400, false},
		{"POST", "/auth/login", login(`,"scope":"` + strings.Repeat("x", 9000) + `"`), []string{jsonBody, page}, 413, false},
		{"POST", "/auth/login", login(""), []string{form, page}, 415, true},

		{"POST", "/auth/signup", `{"username":"grace","password":"a long enough phrase"}`, []string{jsonBody, page}, 200, false},
		{"POST", "/auth/signup", `{"username":"x","password":"short"}`, []string{jsonBody, page}, 400, false},
		{"POST", "/auth/signup", `{"username":"x","password":"a long enough phrase"}`, []string{jsonBody, foreign}, 403, false},
		{"POST", "/auth/signup", `{"username":"ada","password":"a long enough phrase"}`, []string{jsonBody, page}, 409, false},
		{"POST", "/auth/signup", `{}`, []string{form, page}, 415, true},

		{"POST", "/auth/refresh", "", []string{web, page, "Idempotency-Key: 7f3a"}, 200, false},
		{"POST", "/auth/refresh", "", []string{web, page, "Idempotency-Key: a b"}, 400, true},
		{"POST", "/auth/refresh", "", []string{page}, 401, false},
		{"POST", "/auth/refresh", "", []string{web, foreign}, 403, false},

		{"GET", "/auth/session", "", []string{web}, 200, false},
		{"GET", "/auth/session", "", []string{bearer}, 200, false},
		{"GET", "/auth/session", "", []string{web, bearer}, 400, false},
		{"GET", "/auth/session", "", nil, 401, false},
		{"GET", "/auth/session", "", []string{"Authorization: Bearer x"}, 401, false},
		{"GET", "/auth/session", "", []string{web, "Sec-Fetch-Dest: script"}, 403, false},
		{"GET", "/auth/sessions", "", []string{web}, 200, false},
		{"GET", "/auth/sessions", "", []string{bearer, "Authorization: Bearer x"}, 400, false},
		{"GET", "/auth/sessions", "", nil, 401, false},
		{"GET", "/auth/sessions", "", []string{web, "Sec-Fetch-Dest: iframe"}, 403, false},

		{"DELETE", "/auth/sessions/" + other, "", []string{web, page}, 204, false},
		{"DELETE", "/auth/sessions/" + other, "", nil, 401, false},
		{"DELETE", "/auth/sessions/" + other, "", []string{web, foreign}, 403, false},
		{"DELETE", "/auth/sessions/" + gone, "", []string{web, page}, 404, false},

		{"POST", "/auth/password", `{"current":"` + password + `","new":"short"}`, []string{jsonBody, web, page}, 400, false},
		{"POST", "/auth/password", `{"current":"` + password + `","new":"a long enough phrase"}`, []string{jsonBody}, 401, false},
		{"POST", "/auth/password", `{"current":"wrong","new":"a long enough phrase"}`, []string{jsonBody, web, page}, 403, false},
		{"POST", "/auth/password", `{}`, []string{form, web, page}, 415, true},

		{"POST", "/auth/token", "grant_type=refresh_token&refresh_token=" + refresh, []string{form, "Idempotency-Key: 1"}, 200, false},
		{"POST", "/auth/token", "grant_type=password", []string{form}, 400, true},
		{"POST", "/auth/token", "grant_type=refresh_token&refresh_token=pawl_rt_x", []string{form}, 400, false},
		{"POST", "/auth/token", "grant_type=refresh_token&refresh_token=" + refresh, []string{form, gateway}, 401, false},
		{"POST", "/auth/token", "grant_type=refresh_token&client_id=spa&refresh_token=" + refresh, []string{form, "Origin: https://evil.example"}, 403, false},
		{"POST", "/auth/token", "{}", []string{jsonBody}, 415, true},
		{"POST", "/auth/introspect", "token=" + app.Access.Reveal(), []string{form, gateway}, 200, false},
		{"POST", "/auth/introspect", "token=x", []string{form, gateway}, 200, false},
		{"POST", "/auth/introspect", "", []string{form, gateway}, 400, true},
		{"POST", "/auth/introspect", "token=x", []string{form}, 401, false},
		{"POST", "/auth/introspect", "token=x", []string{form, poor}, 403, false},
		{"POST", "/auth/introspect", "{}", []string{jsonBody, gateway}, 415, true},

		{"POST", "/auth/handoff", "{}", []string{jsonBody, page}, 200, false},
		{"POST", "/auth/handoff", `{"a":1}`, []string{jsonBody, page}, 400, true},
		{"POST", "/auth/handoff", "{}", []string{jsonBody, foreign}, 403, false},
		{"POST", "/auth/handoff", "", []string{form, page}, 415, true},
		{"POST", "/auth/redeem", `{"code":"` + w.code() + `"}`, []string{jsonBody, page, handoff}, 200, false},
		{"POST", "/auth/redeem", "return_to=%2Finbox&code=" + w.code(), []string{form, page, handoff}, 303, false},
		{"POST", "/auth/redeem", "return_to=%2Finbox", []string{form, page, handoff}, 400, true},
		{"POST", "/auth/redeem", `{"code":"` + w.code() + `"}`, []string{jsonBody, page}, 401, false},
		{"POST", "/auth/redeem", "code=x", []string{form, page, handoff}, 401, false},
		{"POST", "/auth/redeem", "code=x", []string{form, foreign, handoff}, 403, false},
		{"POST", "/auth/redeem", "code=x", []string{"Content-Type: text/plain", page, handoff}, 415, true},

		{"GET", "/auth/verify", "", []string{web, "Peer: " + proxy, "X-Forwarded-Proto: https", "X-Forwarded-Method: GET"}, 204, false},
		{"GET", "/auth/verify", "", []string{bearer}, 204, false},
		{"GET", "/auth/verify", "", asked, 303, false},
		{"GET", "/auth/verify", "", []string{web, bearer}, 400, false},
		{"GET", "/auth/verify", "", asked[:3], 401, false},
		{"GET", "/auth/verify", "", []string{web}, 403, false},
		{"GET", "/auth/refusal", "", asked, 303, false},
		{"GET", "/auth/refusal", "", []string{web, bearer}, 400, false},
		{"GET", "/auth/refusal", "", asked[:3], 401, false},
		{"GET", "/auth/refusal", "", []string{web}, 403, false},
		{"GET", "/auth/refusal", "", []string{bearer}, 503, false},

		{"GET", "/auth/pawl.js", "", []string{page, "Sec-Fetch-Dest: script"}, 200, false},
		{"GET", "/auth/pawl.js", "", []string{page, "If-None-Match: \"" + browser.Hash + "\""}, 304, false},
		{"GET", "/auth/pawl-" + browser.Hash + ".js", "", []string{page}, 200, false},
		{"GET", "/auth/pawl-" + browser.Hash + ".js", "", []string{page, "If-None-Match: \"" + browser.Hash + "\""}, 304, false},
		{"GET", "/auth/pawl-" + strings.Repeat("A", len(browser.Hash)) + ".js", "", []string{page}, 404, false},

		{"GET", "/.well-known/jwks.json", "", nil, 200, false},
		{"GET", "/.well-known/oauth-authorization-server", "", nil, 200, false},

		{"POST", "/auth/revoke", "token=x", []string{form}, 200, false},
		{"POST", "/auth/revoke", "", []string{form}, 400, true},
		{"POST", "/auth/revoke", "token=x", []string{form, gateway}, 401, false},
		{"POST", "/auth/revoke", "token=x&client_id=spa", []string{form, "Origin: https://evil.example"}, 403, false},
		{"POST", "/auth/revoke", "{}", []string{jsonBody}, 415, true},
		{"POST", "/auth/revoke", "token=" + refresh, []string{form}, 200, false},

		{"POST", "/auth/sessions/end-others", "", []string{web, page}, 204, false},
		{"POST", "/auth/sessions/end-others", "", nil, 401, false},
		{"POST", "/auth/sessions/end-others", "", []string{web, foreign}, 403, false},
		{"POST", "/auth/logout", "", []string{web, bearer, page}, 400, false},
		{"POST", "/auth/logout", "", []string{"Authorization: Bearer x"}, 401, false},
		{"POST", "/auth/logout", "", []string{web, foreign}, 403, false},
		{"POST", "/auth/logout", "", []string{web, page}, 204, false},
	}
}

// The answers of every route, good and bad, are as described; a request that
// is served was described too, and one that is not, was not.
//
// Rows: 179
func TestAnswersAreAsDescribed(t *testing.T) {
	d, w := read(t, public), newWorld(t)
	missing := map[string]bool{} // "GET /path 200"
	d.operations(func(method, path string, op *v3.Operation) {
		for status := range op.Responses.Codes.FromOldest() {
			missing[fmt.Sprintf("%s %s %s", method, path, status)] = true
		}
		missing[fmt.Sprintf("%s %s default", method, path)] = true
		if op.Responses.Default == nil {
			t.Errorf("%s %s does not say how it fails", method, path)
		}
	})
	for _, x := range w.exchanges() {
		got := d.check(w, x)
		delete(missing, fmt.Sprintf("%s %s %d", x.method, template(x.path), got))
	}
	for _, x := range w.passwords() {
		delete(missing, fmt.Sprintf("%s %s %d", x.method, x.path, d.check(w, x)))
	}
	for _, shown := range d.devices(t) {
		delete(missing, shown)
	}
	w.tooMany(d, missing)
	d.operations(func(method, path string, _ *v3.Operation) {
		target := strings.Replace(path, "{id}", strings.Repeat("A", 22), 1)
		d.check(w, exchange{method, target, "", []string{"Host: evil.example"}, 421, true})
		delete(missing, fmt.Sprintf("%s %s default", method, path))
	})
	bearer := "Authorization: Bearer " + w.start(session.Bearer, "cli").Access.Reveal()
	w.store.fails = true
	for _, path := range []string{"/auth/session", "/auth/sessions"} {
		d.check(w, exchange{"GET", path, "", []string{bearer}, 503, false})
	}
	for _, what := range slices.Sorted(maps.Keys(missing)) {
		t.Errorf("nothing shows %s", what)
	}
}

// handoff is the cookie of a browser that signs in elsewhere.
const handoff = "Cookie: " + httpauth.HandoffCookie + "=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// code is a code for that browser.
func (w *world) code() string {
	w.t.Helper()
	code, err := w.GiveCode(w.t.Context(), httpapi.Vouch{Service: "gateway", UserID: w.ada.ID, Methods: []string{"hwk"}}, binding)
	w.must(err)
	return code.Reveal()
}

var binding = service.BindingOf("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")

// cookies is what a browser sends of a session.
func cookies(s session.Issued) string {
	return "Cookie: " + httpauth.AccessCookie + "=" + s.Access.Reveal() + "; " + httpauth.RefreshCookie + "=" + s.Refresh.Reveal()
}

// passwords are exchanges after which the user's other sessions are over.
func (w *world) passwords() []exchange {
	change := func(from, to string) string { return `{"current":"` + from + `","new":"` + to + `"}` }
	const next = "a long enough phrase"
	return []exchange{
		{"POST", "/auth/password", change(password, next), []string{jsonBody, cookies(w.start(session.Cookie, "web")), page}, 204, false},
	}
}

// tooMany tries each thing that is limited until it is too much.
func (w *world) tooMany(d document, missing map[string]bool) {
	web, app := w.start(session.Cookie, "web"), w.start(session.Bearer, "cli")
	for _, x := range []exchange{
		{"POST", "/auth/refresh", "", []string{cookies(web), page}, 429, false},
		{"POST", "/auth/token", "grant_type=refresh_token&refresh_token=" + app.Refresh.Reveal(), []string{form}, 429, false},
		{"POST", "/auth/login", `{"username":"ada","password":"wrong"}`, []string{jsonBody, page}, 429, false},
		{"POST", "/auth/signup", `{"username":"ada","password":"a long enough phrase"}`, []string{jsonBody, page}, 429, false},
		{"POST", "/auth/password", `{"current":"wrong","new":"another long phrase"}`, []string{jsonBody, cookies(web), page}, 429, false},
		{"POST", "/auth/introspect", "token=x", []string{form, wrong}, 429, false},
		{"POST", "/auth/redeem", `{"code":"x"}`, []string{jsonBody, page, handoff}, 429, false},
	} {
		for range 100 {
			if _, resp := w.send(x.method, x.path, x.body, x.headers); resp.StatusCode == 429 {
				d.check(w, x)
				delete(missing, fmt.Sprintf("%s %s 429", x.method, x.path))
				break
			}
		}
	}
}

var idPath = regexp.MustCompile(`^(/auth/sessions/|/v1/sessions/|/v1/users/)[^/]+`)

func template(path string) string {
	path, _, _ = strings.Cut(path, "?")
	if strings.HasSuffix(path, "/end-others") {
		return path
	}
	if strings.HasPrefix(path, "/auth/pawl-") {
		return "/auth/pawl-{hash}.js"
	}
	return idPath.ReplaceAllString(path, "$1{id}")
}

// check plays an exchange and holds it against the document. It returns the
// status.
func (d document) check(w *world, x exchange) int {
	w.t.Helper()
	r, resp := w.send(x.method, x.path, x.body, x.headers)
	d.hold(w, x, r, resp)
	return resp.StatusCode
}

// hold holds an exchange that was played against the document. The body of the
// answer can be read again.
func (d document) hold(w *world, x exchange, r *http.Request, resp *http.Response) {
	w.t.Helper()
	body, err := io.ReadAll(resp.Body)
	w.must(err)
	what := fmt.Sprintf("%s %s: %d %s", x.method, x.path, resp.StatusCode, body)
	if resp.StatusCode != x.status {
		w.t.Errorf("%s, want %d", what, x.status)
	}
	described, err := http.NewRequest(x.method, origin+x.path, strings.NewReader(x.body)) // as the validator wants it
	w.must(err)
	described.Header = r.Header
	if ok, faults := d.validator.ValidateHttpRequest(described); ok == x.wrong && x.status != http.StatusMisdirectedRequest {
		w.t.Errorf("%s, but the request is described as %v: %v", what, ok, faults)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	described.Body = io.NopCloser(strings.NewReader(x.body))
	if ok, faults := d.validator.ValidateHttpResponse(described, resp); !ok {
		for _, f := range faults {
			w.t.Errorf("%s is not as described: %s: %s", what, f.Message, f.Reason)
			for _, reason := range f.SchemaValidationErrors {
				w.t.Errorf("  %s: %s", reason.FieldPath, reason.Reason)
			}
		}
	}
	d.checkHeaders(w, x, resp, what)
	resp.Body = io.NopCloser(bytes.NewReader(body))
}

// checkHeaders looks at the headers that must be there, and at bodies that
// must not.
func (d document) checkHeaders(w *world, x exchange, resp *http.Response, what string) {
	w.t.Helper()
	item, _ := d.model.Paths.PathItems.Get(template(x.path))
	op, _ := item.GetOperations().Get(strings.ToLower(x.method))
	described, ok := op.Responses.Codes.Get(strconv.Itoa(resp.StatusCode))
	if !ok {
		described = op.Responses.Default
	}
	if described.Headers != nil {
		for name, h := range described.Headers.FromOldest() {
			if h.Required && len(resp.Header[http.CanonicalHeaderKey(name)]) != 1 {
				w.t.Errorf("%s: %s is %q", what, name, resp.Header[http.CanonicalHeaderKey(name)])
			}
		}
	}
	if described.Content == nil && resp.Header.Get("Content-Type") != "" {
		w.t.Errorf("%s: a body that is not described, of type %s", what, resp.Header.Get("Content-Type"))
	}
}

// Every page is described, and nothing else is; each answers with a page or
// sends the browser on.
//
// Rows: 179
func TestDocumentHasEveryPage(t *testing.T) {
	d, w := read(t, public), newWorld(t)
	site, err := pages.New(pages.Options{API: w.API})
	w.must(err)
	var described []string
	for path, item := range d.model.Paths.PathItems.FromOldest() {
		if item.Get != nil && slices.Contains(item.Get.Tags, "pages") {
			described = append(described, path)
		}
	}
	slices.Sort(described)
	if paths := site.Paths(); len(paths) < 5 || !slices.Equal(described, paths) {
		t.Errorf("described: %q, there are: %q", described, paths)
	}
	for _, path := range site.Paths() {
		w.handler = site
		r, resp := w.send("GET", path, "", []string{"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Accept: text/html"})
		if resp.StatusCode != 200 && resp.StatusCode != 303 {
			t.Errorf("%s: %s", path, resp.Status)
		}
		r.URL.Scheme, r.URL.Host = "https", host
		if ok, faults := d.validator.ValidateHttpResponse(r, resp); resp.StatusCode == 200 && !ok {
			t.Errorf("%s: %v", path, faults)
		}
	}
}
