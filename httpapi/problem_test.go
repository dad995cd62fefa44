package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/verify"
)

// neverAnswered are sentinels that reach no route, and why.
var neverAnswered = map[string]string{
	"session.ErrConflict":  "between engine and store",
	"session.ErrExists":    "between engine and store",
	"verify.ErrBound":      "for verifiers that prove no keys",
	"account.ErrHash":      "at sign-in it is ErrCredentials",
	"service.ErrNotFound":  "between services and store, or a command's",
	"service.ErrNameTaken": "a command's",
	"service.ErrName":      "a command's",
	"service.ErrScope":     "a command's",
	"service.ErrForeign":   "it is ErrCode",
	"account.ErrParams":    "of the configuration",
}

// Every outcome that a package decides has a line in the table, or a reason.
//
// Rows: 248, 250.
func TestTheTableOfOutcomesIsExhaustive(t *testing.T) {
	source, err := os.ReadFile("problem.go")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\t\{((?:session|verify|account|service|httpauth)\.Err\w+), `).FindAllStringSubmatch(string(source), -1) {
		if listed[m[1]] {
			t.Errorf("%s is there twice", m[1])
		}
		listed[m[1]] = true
	}
	var declared []string
	for _, pkg := range []string{"session", "verify", "account", "service", "httpauth"} {
		declared = append(declared, sentinels(t, pkg)...)
	}
	if len(declared) < 20 {
		t.Fatalf("only %q found", declared)
	}
	for _, name := range declared {
		_, excused := neverAnswered[name]
		if listed[name] == excused {
			t.Errorf("%s: in the table %v, excused %v", name, listed[name], excused)
		}
		delete(listed, name)
	}
	for name := range listed {
		t.Errorf("%s is in the table but declared nowhere", name)
	}
	// The module's own errors are a matter of one file.
	own := regexp.MustCompile(`(?m)^\t(err\w+) += errors\.New`).FindAllStringSubmatch(string(source), -1)
	for _, m := range own {
		if !strings.Contains(string(source), "\t{"+m[1]+", ") {
			t.Errorf("%s has no line", m[1])
		}
	}
	if len(own) < 10 {
		t.Error("own errors not found")
	}
}

// sentinels returns the exported error variables of a package.
func sentinels(t *testing.T, pkg string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", pkg, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v", pkg, err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, spec := range g.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					if strings.HasPrefix(name.Name, "Err") {
						names = append(names, pkg+"."+name.Name)
					}
				}
			}
		}
	}
	return names
}

// Rows: 249, 250, 251, 254.
func TestHowFailuresAreTold(t *testing.T) {
	w := newWorld(t)
	body := ""
	for _, c := range []struct {
		err       error
		status    int
		code      string
		challenge string
	}{
		{httpauth.ErrNoCredential, 401, "login_required", "Bearer"},
		{httpauth.ErrDuplicateCookie, 401, "login_required", `Bearer error="invalid_token"`},
		{verify.ErrExpired, 401, "login_required", `Bearer error="invalid_token"`},
		{verify.ErrSignature, 401, "login_required", `Bearer error="invalid_token"`},
		{verify.ErrAudience, 401, "login_required", `Bearer error="invalid_token"`},
		{verify.ErrRevoked, 401, "login_required", `Bearer error="invalid_token"`},
		{fmt.Errorf("wrapped: %w", &session.Refusal{Reason: session.ReasonReuse, Ended: true}), 401, "login_required", `Bearer error="invalid_token"`},
		{httpauth.ErrTwoCredentials, 400, "two_credentials", `Bearer error="invalid_request"`},
		{verify.ErrStale, 503, "unavailable", ""},
		{fmt.Errorf("%w: %w", session.ErrUnavailable, errDisk), 503, "unavailable", ""},
		{account.ErrUnavailable, 503, "unavailable", ""},
		{context.DeadlineExceeded, 503, "unavailable", ""},
		{errDisk, 500, "internal", ""},
		{fs.ErrNotExist, 500, "internal", ""},
	} {
		got := answer{httptest.NewRecorder(), t}
		got.Header().Set("Set-Cookie", httpauth.AccessCookie+"=half-done")
		w.Refuse(got, request("GET", "/private?<script>", ""), c.err)
		got.want(c.status, c.code)
		h := got.Header()
		if h.Get("WWW-Authenticate") != c.challenge || h["Set-Cookie"] != nil || h.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%v: %v", c.err, h)
		}
		if (c.status == 503) != (h.Get("Retry-After") != "") {
			t.Errorf("%v: Retry-After %q", c.err, h.Get("Retry-After"))
		}
		if got.member("status") != float64(c.status) || got.member("type") != "about:blank" || got.member("title") == "" {
			t.Errorf("%v: %s", c.err, got.Body)
		}
		if c.code == "login_required" {
			if body == "" {
				body = got.Body.String()
			}
			if got.Body.String() != body {
				t.Errorf("%v is told apart: %s", c.err, got.Body)
			}
		}
		for _, leak := range []string{"disk", "script", "wrapped", "reuse", "httpauth", "session:"} {
			if strings.Contains(got.Body.String(), leak) {
				t.Errorf("%v: %s", c.err, got.Body)
			}
		}
	}
	if !strings.Contains(w.log.String(), "disk on fire") {
		t.Error("the cause is not in the log")
	}
}

// panics is a store of users with a bug, whose panic holds what a client sent.
type panics struct{ httpapi.Accounts }

const canary = "canary-7c1e" // stands for a secret

func (panics) ByID(context.Context, string) (account.User, error) {
	panic(errors.New("bug with " + canary))
}

// Rows: 245, 252.
func TestAPanicIsOneFailedRequest(t *testing.T) {
	w := newWorld(t, change{users: func(w *world) httpapi.Accounts { return panics{w.accounts} }})
	s := w.start()
	got := w.do("GET", "/auth/session", "", cookies(s))
	got.want(500, "internal")
	if log := w.log.String(); !strings.Contains(log, "handler panicked") || !strings.Contains(log, "problem_test.go") || strings.Contains(log, canary) {
		t.Errorf("logged: %s", log)
	}
	w.do("GET", "/auth/sessions", "", cookies(s)).want(200, "")
}

// aborts is a handler that gives up its connection, as net/http has it.
type aborts struct{ httpapi.Accounts }

func (aborts) ByID(context.Context, string) (account.User, error) { panic(http.ErrAbortHandler) }

func TestAnAbortedAnswerIsNoFault(t *testing.T) {
	w := newWorld(t, change{users: func(w *world) httpapi.Accounts { return aborts{w.accounts} }})
	defer func() {
		if recover() != http.ErrAbortHandler || w.log.String() != "" {
			t.Errorf("not passed on, or logged: %s", w.log)
		}
	}()
	w.do("GET", "/auth/session", "", cookies(w.start()))
}

// Rows: 94, 245, 252, A96.
func TestAFailingStoreNeverMeansYes(t *testing.T) {
	for _, method := range []string{"Create", "Load", "Replace", "End", "List"} {
		w := newWorld(t)
		s, app, other, replaced := w.start(), w.start(bearerSession), w.start(), w.start()
		w.wait(80 * 1e9)
		w.poll()
		w.store.fail(method)
		for name, c := range map[string]struct {
			needs []string
			call  func() answer
		}{
			"login": {[]string{"Create", "Load", "List"}, func() answer { return w.do("POST", "/auth/login", loginBody("ada", password, ""), jsonType, fromPage) }},
			"password": {[]string{"Load"}, func() answer { // after that see TestAChangedPasswordIsToldWhateverFailsAfterIt
				return w.do("POST", "/auth/password", passwordBody(password, password), jsonType, fromPage, cookies(replaced))
			}},
			"replace": {[]string{"Create", "Load", "End", "List"}, func() answer {
				return w.do("POST", "/auth/login", loginBody("ada", password, ""), jsonType, fromPage, cookies(replaced))
			}},
			"refresh": {[]string{"Load", "Replace"}, func() answer { return w.do("POST", "/auth/refresh", "", fromPage, cookies(s)) }},
			"token": {[]string{"Load", "Replace"}, func() answer {
				return w.form("/auth/token", "grant_type=refresh_token&refresh_token="+app.Refresh.Reveal())
			}},
			"session":  {[]string{"Load"}, func() answer { return w.do("GET", "/auth/session", "", cookies(s)) }},
			"sessions": {[]string{"List"}, func() answer { return w.do("GET", "/auth/sessions", "", cookies(s)) }},
			"delete": {[]string{"Load", "End"}, func() answer {
				return w.do("DELETE", "/auth/sessions/"+other.Row.ID.String(), "", fromPage, cookies(s))
			}},
			"others": {[]string{"End"}, func() answer { return w.do("POST", "/auth/sessions/end-others", "", fromPage, cookies(s)) }},
			"revoke": {[]string{"Load", "End"}, func() answer { return w.form("/auth/revoke", "token="+app.Refresh.Reveal()) }},
			"logout": {[]string{"Load", "End"}, func() answer { return w.do("POST", "/auth/logout", "", fromPage, cookies(s)) }},
		} {
			if !slices.Contains(c.needs, method) {
				continue
			}
			got := c.call()
			if got.Code != 503 || got.Header()["Set-Cookie"] != nil || got.Header().Get("Retry-After") == "" || strings.Contains(got.Body.String(), "fire") {
				t.Errorf("%s fails, %s: %d %v %s", method, name, got.Code, got.Header(), got.Body)
			}
		}
		if !strings.Contains(w.log.String(), "disk on fire") {
			t.Errorf("%s: the cause is not in the log", method)
		}
	}
}

// Rows: 3, 128, 238, 241, A92, A93.
func TestNoSecretIsLoggedOrAnswered(t *testing.T) {
	w := newWorld(t, change{api: signup})
	s, app := w.start(), w.start(bearerSession)
	var answers strings.Builder
	add := func(a answer) {
		answers.WriteString(a.Body.String())
		fmt.Fprint(&answers, a.Header())
	}
	for _, store := range [][]string{nil, {"Load", "End", "Create"}} {
		w.store.fail(store...)
		add(w.do("POST", "/auth/login", loginBody(canary, canary, ""), jsonType, fromPage, "User-Agent: a\r\n{\"level\":\"ERROR\"}"))
		add(w.do("POST", "/auth/login", loginBody("ada", canary, `,"client_id":"`+canary+`"`), jsonType, fromPage))
		add(w.do("POST", "/auth/signup", loginBody(canary, canary, ""), jsonType, fromPage))
		add(w.do("POST", "/auth/password", passwordBody(canary, canary), jsonType, fromPage, cookies(s)))
		add(w.do("POST", "/auth/login", `{"`+canary+`":1}`, jsonType, fromPage))
		add(w.do("GET", "/auth/"+canary+"?token="+canary, "", "Authorization: Bearer "+canary))
		add(w.do("GET", "/auth/session", "", "Cookie: "+accessPair(canary)))
		add(w.do("POST", "/auth/refresh", "", fromPage, "Cookie: "+accessPair(s.Access.Reveal())+"; "+refreshPair(canary), "Idempotency-Key: "+canary))
		add(w.form("/auth/token", "grant_type="+canary+"&refresh_token="+canary+"&scope="+canary))
		add(w.form("/auth/introspect", "token="+canary, "Authorization: Basic "+canary))
		add(w.do("GET", "/auth/session", "", cookies(s)))
		add(w.do("GET", "/auth/verify", "", "Authorization: Bearer "+app.Access.Reveal()))
		add(w.do("POST", "/auth/logout", "", fromPage, cookies(s), httpauth.CSRFHeader+": "+canary))
	}
	log := w.log.String()
	events := fmt.Sprintf("%+v", w.events)
	for _, secret := range []string{canary, password, s.Access.Reveal(), s.Refresh.Reveal(), app.Access.Reveal(), app.Refresh.Reveal(), strings.Split(s.Access.Reveal(), ".")[2]} {
		if strings.Contains(log, secret) || strings.Contains(events, secret) || strings.Contains(answers.String(), secret) {
			t.Errorf("%.30s… was logged, recorded or answered", secret)
		}
	}
	if strings.Contains(events, s.Row.ID.String()) || strings.Contains(log, s.Row.ID.String()) {
		t.Error("a session id was logged or recorded")
	}
	if log == "" || events == "[]" {
		t.Error("nothing was logged at all")
	}
}
