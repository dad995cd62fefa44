package browsertest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// What a browser fetches in advance, because a page of ours or of a stranger
// says so, changes nothing: no renewal, no sign-out, although the access token
// has expired. When the user then goes there, all is as it should be.
func TestPrefetchAndPrerenderChangeNothing(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newClientSite(t)
		b := s.newClient(t, in)
		b.provoked = true
		s.later(6 * time.Minute)
		paths := []string{"/report", "/auth/devices", "/auth/signout", "/auth/renew?return_to=%2Freport", "/auth/logout", "/auth/refresh"}
		early := map[string]string{
			"link":  `for (const href of paths) document.head.append(Object.assign(document.createElement("link"), { rel: "prefetch", href }));`,
			"rules": `rule({ prefetch: [{ urls: paths, eagerness: "immediate" }] });`,
			"pages": `for (const url of paths) rule({ prerender: [{ urls: [url], eagerness: "immediate" }] });`,
		}
		for name, how := range early {
			for _, from := range []string{s.origin + "/page/", s.stranger.page("a page")} {
				before := len(s.said(func(exchange) bool { return true }))
				b.visit(from)
				eval[any](b, fmt.Sprintf(`{
					const paths = %q.split(" ").map((path) => %q + path);
					const rule = (rules) => document.head.append(Object.assign(document.createElement("script"), { type: "speculationrules", textContent: JSON.stringify(rules) }));
					%s
				}`, strings.Join(paths, " "), s.origin, how))
				b.await(`new Promise((done) => setTimeout(() => done(true), 700))`)
				seen := make(map[string]int)
				for _, e := range s.said(func(exchange) bool { return true })[before:] {
					seen[e.request.Get("Sec-Purpose")]++
					if e.method != "GET" {
						t.Errorf("%s: %s %s, purpose %q, was sent in advance and answered %d", name, e.method, e.path, e.request.Get("Sec-Purpose"), e.answer.status)
					}
					if len(e.answer.header["Set-Cookie"]) > 0 {
						t.Errorf("%s: %s in advance set a cookie", name, e.path)
					}
				}
				t.Logf("%s from %s: %v", name, from, seen)
			}
		}
		if sessions, generation := s.live(); sessions != 1 || generation != 1 {
			t.Errorf("%d sessions, generation %d", sessions, generation)
		}
		b.open("/report")
		b.arrive("/report")
		if !strings.Contains(b.text(), private) {
			t.Errorf("the user sees %q", b.text())
		}
	})
}
