package browsertest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// What a hostile script left behind in the browser does not outlive the
// sign-out: its service worker, its cache, and what it stored.
//
// Rows: A7
func TestSignOutRemovesWhatAScriptLeft(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newSite(t)
		s.around(func(next http.HandlerFunc) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/worker.js" {
					next(w, r)
					return
				}
				w.Header().Set("Content-Type", "text/javascript")
				io.WriteString(w, `addEventListener("activate", (e) => e.waitUntil(clients.claim()))
addEventListener("fetch", (e) => { if (e.request.url.endsWith("/trap")) e.respondWith(new Response("trapped")) })`)
			}
		})
		b := s.newTab(t, in)
		b.signIn("ada")
		eval[any](b, `(async () => {
			await navigator.serviceWorker.register("/worker.js")
			await navigator.serviceWorker.ready
			await (await caches.open("left")).put("/left", new Response("left"))
			localStorage.setItem("left", "left")
		})()`)
		b.await(`!!navigator.serviceWorker.controller`)
		if got := eval[string](b, `fetch("/trap").then((r) => r.text())`); got != "trapped" {
			t.Fatalf("the worker does nothing, and the test proves nothing: %q", got)
		}
		b.open("/auth/signout")
		b.follow("main button[type=submit]")
		b.arrive("/auth/signed-out")
		b.until("something is left", func(context.Context) bool {
			return eval[string](b, `(async () => [
				(await navigator.serviceWorker.getRegistrations()).length, (await caches.keys()).length, localStorage.length].join())()`) == "0,0,0"
		})
	})
}

// A script in the application's own page finds no token in anything that it
// can read: not in the cookies, in no storage, and in no answer of ours, body
// or header.
//
// Rows: 70, A1
func TestHostileScriptFindsNoToken(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newSite(t)
		b := s.newTab(t, in)
		b.signIn("ada")
		found := eval[string](b, `(async () => {
			const all = [document.cookie, JSON.stringify(localStorage), JSON.stringify(sessionStorage)]
			if (indexedDB.databases) all.push(JSON.stringify(await indexedDB.databases()))
			if (window.cookieStore) all.push(JSON.stringify(await cookieStore.getAll()))
			const take = async (path, init) => {
				try {
					const r = await fetch(path, init)
					all.push(path, String(r.status), JSON.stringify([...r.headers]), await r.text())
				} catch (e) { all.push(path, String(e)) }
			}
			for (const path of ["session", "sessions", "devices", "password", "signin", "signout", "renew", "signed-out"]) await take("/auth/" + path)
			const csrf = JSON.parse(all[all.indexOf("/auth/session") + 3]).csrf_token
			for (const headers of [{}, {"X-CSRF-Token": csrf}])
				for (const path of ["refresh", "token", "revoke", "dbsc/register", "dbsc/refresh"]) {
					await take("/auth/" + path, {method: "POST", headers})
					await take("/auth/" + path, {method: "POST", headers: {...headers, "Content-Type": "application/x-www-form-urlencoded"},
						body: "grant_type=refresh_token&client_id=app&refresh_token="})
				}
			await take("/auth/login", {method: "POST", headers: {"X-CSRF-Token": csrf, "Content-Type": "application/json"},
				body: JSON.stringify({username: "ada", password: "`+password+`"})})
			all.push(document.cookie, JSON.stringify(performance.getEntries().map((e) => e.name)))
			return all.join("\n")
		})()`)
		if !strings.Contains(found, "csrf_token") || !strings.Contains(found, "/auth/login\n200") || !strings.Contains(found, "/auth/refresh\n200") {
			t.Fatalf("the script read nothing, and the test proves nothing: %s", found)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.tokens) < 4 {
			t.Fatalf("only %d tokens were made", len(s.tokens))
		}
		for value := range s.tokens {
			for part := range strings.SplitSeq(value, ".") {
				if len(part) > 32 && !strings.HasPrefix(value, part+".") && strings.Contains(found, part) {
					t.Error("a script reads a token")
				}
			}
		}
	})
}

// A form of another site that is led on by a redirect of our own, which keeps
// the method, is still a form of another site.
//
// Rows: A22
func TestRedirectOfOursDoesNotMakeAFormOurs(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newSite(t)
		s.around(func(next http.HandlerFunc) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if to, ok := strings.CutPrefix(r.URL.Path, "/careless"); ok {
					http.Redirect(w, r, to, http.StatusTemporaryRedirect)
					return
				}
				next(w, r)
			}
		})
		b := s.newTab(t, in)
		b.signIn("ada")
		before := b.cookies()
		for _, path := range []string{"/auth/signout", "/auth/logout", "/auth/refresh", "/auth/signin", "/auth/password"} {
			earlier := s.posts(path)
			b.visit(s.stranger.page(fmt.Sprintf(`<form method="post" action="%s/careless%s"><input name="username" value="bob">`+
				`<input name="password" value="%s"><button>Win a prize</button></form>`, s.origin, path, password)))
			b.follow("button")
			sent := s.said(func(e exchange) bool { return e.method == "POST" && e.path == path })
			if len(sent) != earlier+1 {
				t.Fatalf("%s was asked for %d times, and the test proves nothing", path, len(sent)-earlier)
			}
			if e := sent[earlier]; e.request.Get("Sec-Fetch-Site") != "cross-site" || e.answer.status < 400 || len(e.answer.header["Set-Cookie"]) > 0 {
				t.Errorf("%s from %q: %d, and cookies %q", path, e.request.Get("Sec-Fetch-Site"), e.answer.status, e.answer.header["Set-Cookie"])
			}
		}
		for name, c := range b.cookies() {
			if c.Value != before[name].Value {
				t.Errorf("%s has changed", name)
			}
		}
	})
}

// What another site learns by loading ours as a script, a picture, a frame and
// so on is the same whether its visitor is signed in or not.
//
// Rows: A25
func TestAnotherSiteCannotTellWhoIsSignedIn(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newSite(t)
		paths := []string{"/", "/auth/session", "/auth/sessions", "/auth/devices", "/auth/password", "/auth/signin", "/auth/signout", "/auth/renew",
			"/auth/signin?confirm=1", "/auth/refresh", "/auth/login", "/auth/forward", "/auth/pawl.js", "/auth/nothing"}
		page := s.stranger.page("a page")
		probe := fmt.Sprintf(`(async () => {
			const out = []
			const load = (tag, set) => new Promise((done) => {
				const e = document.createElement(tag)
				e.onload = () => done(tag + " loads " + (e.naturalWidth ?? e.sheet?.cssRules?.length ?? ""))
				e.onerror = () => done(tag + " fails")
				set(e)
				document.body.append(e)
			})
			for (const path of %q.split(" ")) {
				const at = %q + path
				out.push(path)
				out.push(await load("script", (e) => e.src = at))
				out.push(await load("img", (e) => e.src = at))
				load("iframe", (e) => e.src = at) // no browser says when it refuses one
				out.push(String(window.length))
				out.push(await load("link", (e) => { e.rel = "stylesheet"; e.href = at }).catch(String))
				for (const init of [{mode: "no-cors", credentials: "include"}, {credentials: "include"}, {mode: "no-cors", credentials: "include", method: "POST"}])
					out.push(await fetch(at, init).then((r) => [r.type, r.status, r.redirected].join(), String))
			}
			return out.join("\n")
		})()`, strings.Join(paths, " "), s.origin)
		var told [2]string
		for i := range told {
			b := s.newTab(t, in)
			b.provoked = true // by frames that are refused
			if i == 1 {
				b.signIn("ada")
			}
			b.visit(page)
			told[i] = eval[string](b, probe)
		}
		if told[0] != told[1] {
			out, inside := strings.Split(told[0], "\n"), strings.Split(told[1], "\n")
			for i := range min(len(out), len(inside)) {
				if out[i] != inside[i] {
					t.Errorf("signed out: %q, signed in: %q, after %q", out[i], inside[i], out[max(0, i-8):i])
				}
			}
		}
		asked := s.said(func(e exchange) bool { return e.request.Get("Sec-Fetch-Site") == "cross-site" })
		if want := 2 * 5 * len(paths); len(asked) < want {
			t.Errorf("%d requests came, want %d at least; the test proves nothing", len(asked), want)
		}
	})
}
