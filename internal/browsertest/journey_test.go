package browsertest

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
	"github.com/pawlauth/pawl/httpauth"
)

const newPassword = "fourteen violet umbrellas"

// Somebody comes for a page, makes an account on the way, sees and ends a
// session elsewhere, changes the password and goes: with script and without.
//
// Rows: 61, 62
func TestWholeJourney(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		for name, script := range map[string]bool{"with script": true, "without script": false} {
			t.Run(name, func(t *testing.T) {
				s := newSite(t)
				b := s.newTab(t, in)
				if !script {
					b.withoutScript()
				}
				b.open("/report?id=7")
				b.arrive("/auth/signin?return_to=%2Freport%3Fid%3D7")
				b.follow("main .aside a")
				b.arrive("/auth/signup?return_to=%2Freport%3Fid%3D7")
				b.fill("username", "grace")
				b.fill("password", password)
				b.follow("main button[type=submit]")
				b.arrive("/report?id=7")

				there, other := s.newDevice("grace", edge), s.newDevice("grace", phone)
				b.open("/auth/devices")
				if list := b.text(); !strings.Contains(list, "Edge") || !strings.Contains(list, "iPhone") || !strings.Contains(list, "This device") {
					t.Fatalf("devices:\n%s", list)
				}
				b.follow(`ul.devices li form button[aria-label*=Edge]`)
				b.arrive("/auth/devices?done=one")
				if there.signedIn() || !other.signedIn() || strings.Contains(b.text(), "Edge") {
					t.Error("the wrong device was ended, or none")
				}

				before := b.cookies()
				b.follow("nav a[href$=password]")
				b.fill("current", password)
				b.fill("new", newPassword)
				b.follow("main button[type=submit]")
				b.arrive("/auth/devices?done=password")
				if other.signedIn() {
					t.Error("another device is still signed in after the password was changed")
				}
				for _, name := range []string{httpauth.AccessCookie, httpauth.RefreshCookie} {
					if b.cookies()[name].Value == before[name].Value {
						t.Errorf("%s is what it was before", name)
					}
				}

				b.follow("nav form button")
				b.arrive("/auth/signed-out")
				if left := b.cookies(); len(left) != 0 {
					t.Errorf("%d cookies are left", len(left))
				}
				b.open("/report")
				b.arrive("/auth/signin?return_to=%2Freport")
				b.fill("username", "grace")
				b.fill("password", newPassword)
				b.follow("main button[type=submit]")
				b.arrive("/report")
				s.noFailures()
			})
		}
	})
}

// noFailures: nothing that was asked for failed on our side.
func (s *site) noFailures() {
	s.t.Helper()
	for _, e := range s.said(func(e exchange) bool { return e.answer.status >= 500 }) {
		s.t.Errorf("%s %s: %d", e.method, e.path, e.answer.status)
	}
}

// The same without ever touching a mouse, and it is always seen where one is.
func TestKeyboardIsEnough(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newSite(t)
		s.newDevice("ada", firefox)
		b := s.newTab(t, in)
		b.look("light", 1280)
		b.open("/auth/signin?return_to=%2Fauth%2Fdevices")
		b.press("ada") // the cursor is there already
		b.tabTo(`#password`)
		b.press(password)
		b.tabTo(`#remember`)
		b.press(" ")
		if !eval[bool](b, `document.querySelector("#remember").checked`) {
			t.Error("the space bar does not tick the box")
		}
		b.tabTo(`main button[type=submit]`)
		b.enter(kb.Enter)
		b.arrive("/auth/devices")

		b.press(kb.Tab)
		if !b.focused(".skip") {
			t.Error("the first stop is not the link past the menu")
		}
		b.press(kb.Enter)
		b.tabTo(`ul.devices li form button`)
		b.enter(kb.Enter)
		b.arrive("/auth/devices?done=one")

		b.tabTo(`nav a[href$=password]`)
		b.enter(kb.Enter)
		b.arrive("/auth/password")
		b.press(password)
		b.tabTo(`#new`)
		b.press(newPassword)
		b.enter(kb.Enter) // from within a field
		b.arrive("/auth/devices?done=password")

		b.tabTo(`nav form button`)
		b.enter(kb.Enter)
		b.arrive("/auth/signed-out")
	})
}

// tabTo presses Tab until the focus is on what a CSS selector finds.
func (b *tab) tabTo(selector string) {
	b.t.Helper()
	var seen []string
	for range 30 {
		if b.focused(selector) {
			return
		}
		b.press(kb.Tab)
		seen = append(seen, eval[string](b, `document.activeElement.outerHTML.slice(0, 60)`))
		if ring := eval[string](b, focusRing); ring != "" {
			b.t.Errorf("it is not seen that the focus is on %s: %s", seen[len(seen)-1], ring)
		}
	}
	b.t.Fatalf("%s is not reached by Tab, only %q", selector, seen)
}

func (b *tab) focused(selector string) bool {
	b.t.Helper()
	return eval[bool](b, fmt.Sprintf(`document.activeElement.matches(%q)`, selector))
}

// focusRing is why the focus is not seen; empty: it is (WCAG 2.2 §2.4.7,
// §2.4.11).
const focusRing = `(() => {
	const at = document.activeElement;
	if (at === document.body) return "";
	const style = getComputedStyle(at), box = at.getBoundingClientRect();
	if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) return "no outline";
	if (box.width < 1 || box.bottom < 0 || box.top > innerHeight) return "out of sight";
	return "";
})()`

// After the sign-out, the back button shows nothing that was private.
func TestBackAfterSignOutShowsNothing(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newSite(t)
		b := s.newTab(t, in)
		b.signIn("ada")
		b.open("/report")
		b.open("/auth/devices")
		b.follow("nav form button")
		b.arrive("/auth/signed-out")
		for _, from := range []string{"/auth/devices", "/report"} {
			b.back()
			b.arrive("/auth/signin?return_to=" + url.QueryEscape(from))
			if text := b.text(); strings.Contains(text, private) || strings.Contains(text, "This device") || strings.Contains(text, "ada") {
				t.Errorf("back to %s shows %q", from, text)
			}
		}
	})
}
