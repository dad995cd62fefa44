package browsertest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A gate holds back the forms sent to a path, and lets them through one by one.
type gate struct {
	came, pass, done chan struct{} // one value for each form
}

// hold puts a gate in front of a path.
func (s *site) hold(path string) *gate {
	g := &gate{make(chan struct{}, 16), make(chan struct{}, 16), make(chan struct{}, 16)}
	s.around(func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method != "POST" || r.URL.Path != path {
				next(w, r)
				return
			}
			g.came <- struct{}{}
			wait(s.t, g.pass, "nobody lets the form through")
			// A browser that gave up on the answer has sent the form all the same.
			next(w, r.WithContext(context.WithoutCancel(r.Context())))
			g.done <- struct{}{}
		}
	})
	return g
}

func wait(t *testing.T, on chan struct{}, otherwise string) {
	t.Helper()
	select {
	case <-on:
	case <-time.After(patience):
		t.Error(otherwise)
	}
}

// A form that is sent twice by an impatient hand does once what it says. With
// script, the second click sends nothing; without, the second answer is a page
// that makes sense.
func TestFormsAreSentTwice(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		forms := []struct {
			path, button string
			signedIn     bool
			fields       []string
			once, twice  string // where it ends, if the form came once or twice
		}{
			{"/auth/signin", "", false, []string{"username", "ada", "password", password}, "/", "/"},
			{"/auth/signup", "", false, []string{"username", "grace", "password", password}, "/", "/auth/signup"},
			{"/auth/devices", "ul.devices form button", true, nil, "/auth/devices?done=one", "/auth/devices?done=one"},
			{"/auth/password", "", true, []string{"current", password, "new", newPassword}, "/auth/devices?done=password", "/auth/signin?return_to=%2Fauth%2Fpassword%3Fended%3D1"},
			{"/auth/signout", "", true, nil, "/auth/signed-out", "/auth/signed-out"},
		}
		for _, f := range forms {
			for _, script := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s script %v", f.path, script), func(t *testing.T) {
					s := newSite(t)
					s.newDevice("ada", firefox)
					b := s.newTab(t, in)
					if f.signedIn {
						b.signIn("ada")
					}
					if !script {
						b.withoutScript()
					}
					b.open(f.path)
					for i := 0; i < len(f.fields); i += 2 {
						b.fill(f.fields[i], f.fields[i+1])
					}
					button := f.button
					if button == "" {
						button = "main button[type=submit]"
					}
					g := s.hold(f.path)
					x, y := b.middle(button)
					want := 1
					b.clickAt(x, y)
					wait(t, g.came, "the form was not sent")
					b.clickAt(x, y)
					if !script {
						want = 2
						wait(t, g.came, "the form was not sent again")
					}
					for range want {
						g.pass <- struct{}{}
						wait(t, g.done, "the form was not answered")
					}
					b.await(fmt.Sprintf(`location.pathname !== %q || document.body.querySelector(".alert, .fault, [role=status]") !== null`, f.path))
					if got := s.posts(f.path); got != want {
						t.Errorf("the form came %d times, want %d", got, want)
					}
					at := f.once
					if !script {
						at = f.twice
					}
					b.arrive(at)
					s.noFailures()
					if !b.has("h1") {
						t.Errorf("ends with %q", b.text())
					}
					if f.path == "/auth/password" { // whatever the pages said
						s.newTab(t, in).signInWith("ada", newPassword)
					}
				})
			}
		}
	})
}

// A page that was open when somebody signed in anew in another tab has the
// wrong field against forged requests. Where the browser itself does not say
// who asks, the page says that it was out of date, and works the second time.
func TestStaleFormIsMended(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newSite(t)
		there := s.newDevice("ada", firefox)
		b := s.newTab(t, in)
		b.signIn("ada")
		b.open("/auth/devices")
		stale := eval[string](b, `document.querySelector("[name=csrf_token]").value`)
		b.open("/auth/signin?switch=1")
		b.fill("username", "ada")
		b.fill("password", password)
		b.follow("main button[type=submit]")
		b.arrive("/")
		s.around(func(next http.HandlerFunc) http.HandlerFunc { // a browser of long ago
			return func(w http.ResponseWriter, r *http.Request) {
				for name := range r.Header {
					if strings.HasPrefix(name, "Sec-") || name == "Origin" {
						r.Header.Del(name)
					}
				}
				next(w, r)
			}
		})
		b.open("/auth/devices")
		eval[any](b, fmt.Sprintf(`for (const f of document.querySelectorAll("[name=csrf_token]")) f.value = %q`, stale))
		if status := b.follow("ul.devices form button"); status != http.StatusForbidden || !b.has("[role=alert]") || !there.signedIn() {
			t.Fatalf("a stale form: %d, %q", status, b.text())
		}
		b.follow("ul.devices form button")
		b.arrive("/auth/devices?done=one")
		if there.signedIn() {
			t.Error("the second time it does nothing either")
		}
	})
}

// A browser whose clock is wrong by a day works as any other.
func TestWrongClockDoesNotMatter(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		for name, by := range map[string]time.Duration{"a day ahead": 24 * time.Hour, "a day behind": -24 * time.Hour} {
			t.Run(name, func(t *testing.T) {
				s := newSite(t)
				b := s.newTab(t, in)
				b.set(preload(fmt.Sprintf(`{
				const right = Date, shift = %d;
				Date = class extends right {
					constructor(...parts) { parts.length ? super(...parts) : super(right.now() + shift); }
					static now() { return right.now() + shift; }
				};
			}`, by.Milliseconds())))
				b.signIn("ada")
				if off := eval[float64](b, "Date.now()") - float64(time.Now().UnixMilli()); off/float64(by.Milliseconds()) < 0.9 {
					t.Fatalf("the clock is wrong by %v ms only", off)
				}
				s.expire(b)
				b.open("/report")
				b.arrive("/report")
				b.open("/auth/devices")
				b.follow("nav form button")
				b.arrive("/auth/signed-out")
			})
		}
	})
}

// Password managers know what the fields are, and passwords can be pasted.
func TestPasswordManagersWork(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newSite(t)
		b := s.newTab(t, in)
		b.signIn("ada")
		for path, want := range map[string]string{
			"/auth/signin?switch=1":  "username:text:username password:password:current-password",
			"/auth/signup":           "username:text:username password:password:new-password",
			"/auth/signin?confirm=1": "username:text:username password:password:current-password",
			"/auth/password":         "username:text:username current:password:current-password new:password:new-password",
		} {
			b.open(path)
			got := eval[string](b, `[...document.querySelectorAll("main form input:not([type=hidden]):not([type=checkbox])")].map((i) => i.name + ":" + i.type + ":" + i.autocomplete).join(" ")`)
			if got != want {
				t.Errorf("%s: %q, want %q", path, got, want)
			}
			if n := eval[int](b, `document.querySelectorAll("main input[maxlength], main input[onpaste], main input[readonly]:not([name=username])").length`); n > 0 {
				t.Errorf("%s: %d fields cut or keep off what is entered", path, n)
			}
		}
		b.open("/auth/signin?switch=1")
		long := strings.Repeat("pasted by a manager ", 8)
		b.fill("username", long)
		b.edit("a", "selectAll")
		b.edit("c", "copy")
		eval[any](b, `document.querySelector("#password").focus()`)
		b.edit("v", "paste")
		if got := eval[string](b, `document.querySelector("#password").value`); got != long {
			t.Errorf("pasted %q, want %q", got, long)
		}
		// What is shown on request is hidden again when it is sent.
		if eval[string](b, `document.querySelector("#password").type`) != "password" {
			t.Error("the password is shown unasked")
		}
		b.click("[data-secret] button")
		if eval[string](b, `document.querySelector("#password").type`) != "text" {
			t.Error("the password is not shown")
		}
		eval[any](b, `document.querySelector("main form").addEventListener("submit", (e) => { e.preventDefault(); window.sentAs = document.querySelector("#password").type })`)
		b.click("main form button[type=submit]")
		b.await(`window.sentAs === "password"`)
	})
}
