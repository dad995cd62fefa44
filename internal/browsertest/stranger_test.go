package browsertest

import (
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/httpauth"
)

// No page shows in a frame of another site.
//
// Rows: A26
func TestPagesAreBlankInAFrame(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newSite(t)
		b := s.newTab(t, in)
		b.provoked = true
		b.signIn("ada")
		harmless := s.stranger.page("harmless")
		paths := []string{"/auth/signin", "/auth/signup", "/auth/devices", "/auth/password", "/auth/signout", "/auth/signed-out",
			"/auth/renew", "/auth/signin?confirm=1", "/auth/nothing"}
		for _, path := range paths {
			t.Run(path, func(t *testing.T) {
				defer b.in(t)()
				before, loads := len(b.violated()), s.assetLoads()
				b.visit(s.stranger.page(`<iframe src="` + s.origin + path + `"></iframe><iframe src="` + harmless + `"></iframe>`))
				stopped := b.violated()[before:]
				// Firefox tells neither page that it stopped something.
				if in.kind == chromiumKind && (len(stopped) != 1 || stopped[0].directive != "frame-ancestors") {
					t.Errorf("framing was stopped %d times", len(stopped))
				}
				if n := s.assetLoads() - loads; n != 0 {
					t.Errorf("the page in the frame loaded %d files", n)
				}
				if n := eval[int](b, "frames.length"); n != 2 {
					t.Errorf("%d frames; the test proves nothing", n)
				}
				if eval[string](b, "frames[1].document.body.innerText") != "harmless" {
					t.Error("the other frame is blank too; the test proves nothing")
				}
			})
		}
	})
}

// assetLoads counts the style sheets and scripts that were asked for.
func (s *site) assetLoads() int {
	return len(s.said(func(e exchange) bool { return strings.HasPrefix(e.path, "/auth/assets/") }))
}

// Another site's forms and scripts change nothing, sign nobody in, and read
// nothing, although the browser is signed in; nor does one that is trusted with
// an app's tokens.
//
// Rows: 35, A24
func TestAnotherSiteCanNeitherActNorRead(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newSite(t)
		elsewhere := s.newDevice("ada", edge)
		b := s.newTab(t, in)
		b.signIn("ada")
		before := b.cookies()
		credentials := `<input name="username" value="bob"><input name="password" value="` + password + `">`
		for path, fields := range map[string]string{
			"/auth/signin": credentials, "/auth/signup": strings.Replace(credentials, "bob", "mallory", 1), "/auth/signout": "",
			"/auth/devices":  `<input name="end" value="others">`,
			"/auth/password": `<input name="current" value="` + password + `"><input name="new" value="a password of the stranger">`,
			"/auth/renew":    `<input name="return_to" value="/"><input name="key" value="aaaaaaaaaaaaaaaaaaaaaaaa">`,
			"/auth/logout":   "", "/auth/refresh": "",
		} {
			b.visit(s.stranger.page(`<form method="post" action="` + s.origin + path + `">` + fields + `<button>Win a prize</button></form>`))
			b.follow("button")
			sent := s.said(func(e exchange) bool { return e.method == "POST" && e.path == path })
			if last := sent[len(sent)-1]; last.request.Get("Sec-Fetch-Site") != "cross-site" || last.answer.status < 300 || len(last.answer.header["Set-Cookie"]) > 0 {
				t.Errorf("a form of another site to %s: %d, and cookies %q", path, last.answer.status, last.answer.header["Set-Cookie"])
			}
		}
		for _, origin := range []string{s.stranger.origin, s.trusted.origin} {
			for _, request := range []string{
				`fetch("%s/auth/session", {credentials: "include"})`,
				`fetch("%s/auth/sessions", {credentials: "include"})`,
				`fetch("%s/auth/refresh", {credentials: "include", method: "POST"})`,
				`fetch("%s/auth/logout", {credentials: "include", method: "POST"})`,
				`fetch("%s/auth/sessions/end-others", {credentials: "include", method: "POST"})`,
				`fetch("%s/auth/login", {credentials: "include", method: "POST", headers: {"Content-Type": "application/json"}, body: '{"username":"bob","password":"` + password + `"}'})`,
				`fetch("%s/auth/devices", {credentials: "include"})`,
			} {
				page := s.trusted
				if origin == s.stranger.origin {
					page = s.stranger
				}
				b.visit(page.page("a page"))
				request = fmt.Sprintf(request, s.origin)
				if read := eval[string](b, `(async () => { try { return (await `+request+`).text() } catch (e) { return "" } })()`); strings.Contains(read, "ada") || strings.Contains(read, "csrf_token") {
					t.Errorf("%s from %s read %q", request, origin, read)
				}
				eval[any](b, `(async () => { try { await `+strings.Replace(request, `"include"`, `"include", mode: "no-cors"`, 1)+` } catch (e) {} })()`)
			}
		}
		for name, c := range b.cookies() {
			if c.Value != before[name].Value {
				t.Errorf("%s has changed", name)
			}
		}
		b.open("/auth/devices")
		if text := b.text(); !strings.Contains(text, "ada") || !strings.Contains(text, "Edge") || !elsewhere.signedIn() {
			t.Errorf("somebody was signed out, or in as another: %q", text)
		}
	})
}

// Whatever "return_to" says, the browser stays on the site.
//
// Rows: 61, A89
func TestReturnToNeverLeavesTheSite(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newSite(t)
		host := strings.TrimPrefix(s.stranger.origin, "https://")
		vectors := []string{
			s.stranger.origin + "/x", "//" + host + "/x", "///" + host + "/x", "////" + host + "/x", "/\\" + host + "/x", "\\\\" + host + "/x",
			"/\\/" + host + "/x", "\\/" + host + "/x", "https:" + host + "/x", "https:/" + host + "/x", "https:\\\\" + host + "/x",
			"/%2f" + host + "/x", "/%2F%2F" + host + "/x", "/%5c" + host + "/x", "/%252f" + host + "/x", "/%09/" + host + "/x", "/\t/" + host + "/x", "\t//" + host + "/x",
			"/\n/" + host + "/x", " //" + host + "/x", "/ /" + host + "/x", "/.//" + host + "/x", "/..//" + host + "/x", "/x/../..//" + host + "/x",
			"//" + appHost + "@" + host + "/x", s.origin + "@" + host + "/x", s.origin + "." + host + "/x", "//" + host + "%2f@" + appHost + "/x",
			"javascript:location='" + s.stranger.origin + "/x'", "java\nscript:alert(1)", "data:text/html,x", "x.html", "?x", "#x", "",
			"/x\r\nLocation: " + s.stranger.origin + "/x", "/auth/signin", "/auth/renew", "/auth/signout", "/auth/refresh",
		}
		b := s.newTab(t, in)
		b.signIn("ada")
		for _, raw := range vectors {
			// By the script of the renewal page, as if it were the first time.
			eval[any](b, "sessionStorage.clear()")
			b.open("/auth/renew?return_to=" + url.QueryEscape(raw))
			b.await(`location.pathname !== "/auth/renew" && document.readyState === "complete"`)
			b.stays(s, "renewal", raw)
			// Where the sign-in leads that is not needed.
			b.open("/auth/signin?return_to=" + url.QueryEscape(raw))
			b.follow("main a.primary")
			b.stays(s, "sign-in", raw)
			// The button of the renewal page, in a form that was tampered with.
			b.open("/auth/signin?switch=1")
			b.withoutScript()
			tampered := fmt.Sprintf(`{ const f = document.querySelector("main form"); f.action = "/auth/renew"; f.innerHTML = %q; }`,
				`<input type="hidden" name="key" value="aaaaaaaaaaaaaaaaaaaaaaaa"><textarea name="return_to">`+html.EscapeString(raw)+`</textarea><button type="submit">x</button>`)
			eval[any](b, tampered)
			b.follow("main form button[type=submit]")
			b.stays(s, "tampered form", raw)
			b.withScript()
		}
		// And the real sign-in, for what browsers read as another host.
		for _, raw := range []string{"//" + host + "/x", "/\\" + host + "/x", s.stranger.origin + "/x"} {
			b := s.newTab(t, in)
			b.open("/auth/signin?return_to=" + url.QueryEscape(raw))
			b.fill("username", "bob")
			b.fill("password", password)
			b.follow("main button[type=submit]")
			b.arrive("/")
		}
	})
}

// stays fails if the tab is not on our site and on a page that shows
// something, once no page leads on by itself.
func (b *tab) stays(s *site, where, raw string) {
	b.t.Helper()
	b.await(`document.readyState === "complete" && location.href !== "about:blank" && !document.querySelector("meta[http-equiv=refresh]")`)
	if at := read[string](b, "location.href"); !strings.HasPrefix(at, s.origin+"/") {
		b.t.Errorf("%s with %q leads to %s", where, raw, at)
	}
	if text := b.text(); strings.TrimSpace(text) == "" {
		b.t.Errorf("%s with %q shows nothing", where, raw)
	}
	if n := s.stranger.visits(); n != 0 {
		b.t.Fatalf("%s with %q asked the other site", where, raw)
	}
	if b.cookies()[httpauth.RefreshCookie] == nil {
		b.t.Fatalf("%s with %q signed out", where, raw)
	}
}
