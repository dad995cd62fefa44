package browsertest

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A sign-out in one tab shows in the others, with the network and without.
// What is left in storage without it is that a sign-out is owed, and nothing of
// the session; it is paid once the network is back.
//
// Rows: 151
func TestSignOutShowsInEveryTab(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		for name, online := range map[string]bool{"online": true, "offline": false} {
			t.Run(name, func(t *testing.T) {
				s := newClientSite(t)
				first := s.newClient(t, in)
				tabs := []*tab{first, first.another().client(), first.another().client()}
				if wrong := together(tabs, whoami, "ada"); len(wrong) > 0 {
					t.Fatal(wrong)
				}
				var down atomic.Bool
				down.Store(!online)
				s.around(func(next http.HandlerFunc) http.HandlerFunc {
					return func(w http.ResponseWriter, r *http.Request) {
						if down.Load() {
							panic(http.ErrAbortHandler)
						}
						next(w, r)
					}
				})
				if told := eval[bool](first, `auth.signOut()`); told != online {
					t.Errorf("the server was told: %v", told)
				}
				for _, b := range tabs {
					b.await(`heard.join(" ") === "signed-in signed-out"`)
				}
				if kept := eval[string](tabs[1], `JSON.stringify([{ ...localStorage }, { ...sessionStorage }])`); strings.Contains(kept, "ada") || strings.Contains(kept, "csrf") || online && strings.Contains(kept, "out:") {
					t.Errorf("storage has %s", kept)
				}
				if !online {
					if n, _ := s.live(); n != 1 {
						t.Fatalf("%d sessions; the test proves nothing", n)
					}
					down.Store(false)
					// A page that is opened now pays, whoever asks first.
					tabs[2].client()
				}
				if wrong := together(tabs, whoami, "nobody"); len(wrong) > 0 {
					t.Errorf("after the sign-out: %v", wrong)
				}
				if n, _ := s.live(); n != 0 || len(first.cookies()) != 0 {
					t.Errorf("%d sessions and %d cookies are left", n, len(first.cookies()))
				}
				for _, b := range tabs {
					b.provoked = !online
				}
			})
		}
	})
}

// A renewal is decided, and its answer under way, when another tab signs out:
// nothing comes back, in the browser or on the server.
func TestRenewalInFlightDoesNotUndoASignOut(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newClientSite(t)
		one := s.newClient(t, in)
		other := one.another().client()
		other.provoked, one.provoked = true, true
		if got := eval[string](other, whoami); got != "ada" {
			t.Fatal(got)
		}
		decided, pass := make(chan struct{}, 4), make(chan struct{})
		s.around(func(next http.HandlerFunc) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				next(w, r)
				if isRenewal(r) {
					decided <- struct{}{}
					wait(t, pass, "nobody lets the answer through")
				}
			}
		})
		s.pass(6*time.Minute, one, other)
		eval[any](one, `void (window.waits = ask())`)
		wait(t, decided, "nothing was renewed")
		if _, generation := s.live(); generation != 2 {
			t.Fatalf("generation %d; the test proves nothing", generation)
		}
		if !eval[bool](other, `auth.signOut()`) {
			t.Error("the sign-out was not answered")
		}
		close(pass)
		if got := eval[clientAnswer](one, `window.waits`); got.Status != http.StatusUnauthorized {
			t.Errorf("the request that waited: %d", got.Status)
		}
		for _, b := range []*tab{one, other} {
			if got := eval[string](b, whoami); got != "nobody" || !strings.HasSuffix(b.heard(), "signed-out") {
				t.Errorf("%q is signed in; the page heard %q", got, b.heard())
			}
		}
		if n, _ := s.live(); n != 0 || len(one.cookies()) != 0 {
			t.Errorf("%d sessions and %d cookies are left", n, len(one.cookies()))
		}
	})
}

// Back to a page that the browser kept as it was, after a sign-out elsewhere:
// what was private on it is gone, and no cache has an answer that was.
//
// Rows: A7
func TestBackToAKeptPageShowsNothing(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newClientSite(t)
		b := s.newClient(t, in)
		eval[any](b, `ask().then(({ body }) => (document.getElementById("shown").textContent = body))`)
		b.await(`shown.textContent.includes("u_")`)
		b.open("/auth/signout")
		b.follow("main button[type=submit]")
		b.arrive("/auth/signed-out")
		eval[any](b, "void setTimeout(() => history.go(-2))") // past the page that asks
		b.await(`location.pathname === "/page/" && typeof auth === "object"`)
		b.await(`document.getElementById("shown").textContent === ""`)
		t.Logf("the page was kept as it was: %v", eval[bool](b, "cached"))
		if got := eval[string](b, whoami); got != "nobody" {
			t.Errorf("%s is signed in", got)
		}
		for _, path := range []string{"/api/echo", "/auth/session", "/auth/sessions"} {
			if got := eval[int](b, `fetch("`+path+`", { cache: "force-cache" }).then((answer) => answer.status)`); got != http.StatusUnauthorized {
				t.Errorf("%s from the cache: %d", path, got)
			}
		}
	})
}
