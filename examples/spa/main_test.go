package main

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/examples/internal/visitor"
)

func visit(t *testing.T) *visitor.Visitor {
	t.Helper()
	return visitor.New(t, options, func(p *pawl.Pawl) http.Handler { return site(p) })
}

// ask is what the page's script sends. Pairs are further headers.
func ask(v *visitor.Visitor, method, path, body string, pairs ...string) visitor.Answer {
	return v.Do(method, path, body, append([]string{"Origin", v.Origin, "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors",
		"Sec-Fetch-Dest", "empty", "Content-Type", "application/json"}, pairs...)...)
}

// The page is everybody's, and the notes are of whoever is signed in.
//
// Rows: 253
func TestNotesAreOfTheUser(t *testing.T) {
	v := visit(t)
	v.Want("the page, to a stranger", v.Open("/"), 200, `<script type="module" src="/app.js">`)
	v.Want("notes, to a stranger", ask(v, "GET", "/api/notes", ""), 401, "login_required")
	v.Want("a note of a stranger", ask(v, "POST", "/api/notes", `{"text":"x"}`), 401, "login_required")
	v.Want("signing in", v.Submit("/auth/signin", "username", "ada", "password", visitor.Password, "return_to", "/"), 303, "/")
	v.Want("no notes", ask(v, "GET", "/api/notes", ""), 200, "[]")
	v.Want("a note", ask(v, "POST", "/api/notes", `{"text":"<b>turn</b>"}`), 200, "turn")
	v.Want("her notes", ask(v, "GET", "/api/notes", ""), 200, "turn")
	for what, body := range map[string]string{"no note": `{}`, "blank": `{"text":" "}`, "too long": `{"text":"` + strings.Repeat("x", maxNote+1) + `"}`, "no JSON": `text=x`} {
		v.Want(what, ask(v, "POST", "/api/notes", body), 400, "1 to 1000 bytes")
	}
	v.Want("another site's note", ask(v, "POST", "/api/notes", `{"text":"x"}`, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"), 403, "cross_site")
	v.Want("a sign-out", ask(v, "POST", "/auth/logout", ""), 204, "")
	v.Want("notes afterwards", ask(v, "GET", "/api/notes", ""), 401, "login_required")
	v.Want("somebody else", v.Submit("/auth/signup", "username", "grace", "password", "nanoseconds of wire"), 303, "/")
	v.Want("the notes of somebody else", ask(v, "GET", "/api/notes", ""), 200, "[]")
}

// Nothing is loaded from elsewhere, nothing runs that is no file of ours, and
// the script makes no markup, keeps nothing, and takes nothing from the address.
//
// Rows: 41, 68, 69
func TestPageKeepsToItself(t *testing.T) {
	v := visit(t)
	for path, kind := range map[string]string{"/": "text/html", "/app.js": "text/javascript", "/style.css": "text/css", "/auth/pawl.js": "text/javascript"} {
		a := v.Open(path)
		v.Want(path, a, 200, "")
		if !strings.HasPrefix(a.Header.Get("Content-Type"), kind) {
			t.Errorf("%s is %q", path, a.Header.Get("Content-Type"))
		}
		if path != "/auth/pawl.js" && a.Header.Get("Content-Security-Policy") != policy {
			t.Errorf("%s has another policy", path)
		}
		if strings.Contains(a.Body, "//") && path == "/" {
			t.Errorf("%s names another site", path)
		}
	}
	for _, weak := range []string{"unsafe", "*", "http:", "https:"} {
		if strings.Contains(policy, weak) {
			t.Errorf("the policy says %s", weak)
		}
	}
	script, err := os.ReadFile("page/app.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval", "localStorage", "sessionStorage",
		"document.cookie", "location.hash", "location.search", "postMessage", "window."} {
		if strings.Contains(string(script), bad) {
			t.Errorf("app.js uses %s", bad)
		}
	}
}
