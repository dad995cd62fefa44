package browsertest

import (
	"net/http"
	"testing"
	"time"

	"github.com/pawlauth/pawl/httpauth"
)

// What a page sends by auth.fetch has the CSRF token, goes out after a renewal
// if the access token is about to expire, and once more after a 401. Here the
// server wants the token with every change.
func TestClientFetches(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newClientSite(t)
		b := s.newClient(t, in)
		b.provoked = true // by a 401, which browsers complain of
		sent := func(renewals int, statuses ...int) {
			t.Helper()
			var got []int
			for _, e := range s.requests("POST", "/api/echo") {
				if e.request.Get(httpauth.CSRFHeader) != "" {
					got = append(got, e.answer.status)
				}
			}
			if n := len(s.requests("POST", "/auth/refresh")); n != renewals || len(got) != len(statuses) {
				t.Fatalf("%d renewals, want %d; answers %v, want %v", n, renewals, got, statuses)
			}
			for i := range got {
				if got[i] != statuses[i] {
					t.Fatalf("answers %v, want %v", got, statuses)
				}
			}
		}
		if got := eval[int](b, `fetch("/api/echo", { method: "POST" }).then((answer) => answer.status)`); got != http.StatusForbidden {
			t.Errorf("without the token: %d; the test proves nothing", got)
		}
		b.ask(`{ method: "POST", body: "x" }`)
		sent(0, 200)
		// The page knows that it is time.
		s.pass(6*time.Minute, b)
		b.ask(`{ method: "POST", body: "x" }`)
		sent(1, 200, 200)
		// It does not, and the body is sent again.
		s.later(6 * time.Minute)
		if got := b.ask(`{ method: "POST", body: "four" }`); got.Status != http.StatusOK || got.Body == "" {
			t.Errorf("after a 401: %+v", got)
		}
		sent(2, 200, 200, 401, 200)
		// Nobody is renewed by looking.
		s.pass(20*time.Minute, b)
		if got := s.requests("POST", "/auth/refresh"); len(got) != 2 {
			t.Errorf("%d renewals without a reason", len(got))
		}
	})
}

// Nothing in the address, in the name of the window, in the markup or in a
// message of another window leads the client anywhere.
//
// Rows: 41, 68, A8, A9, A21
func TestClientTakesNothingFromThePage(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newClientSite(t)
		b := s.newClient(t, in)
		evil := s.stranger.origin
		b.open("/page/?prefix=" + evil + "&return_to=" + evil + "#" + evil + "/auth/session")
		b.await(`typeof auth === "object"`)
		eval[any](b, `{
			window.name = "`+evil+`";
			document.body.insertAdjacentHTML("beforeend", '<form id="auth" name="fetch" action="`+evil+`"><input name="prefix" value="`+evil+`"></form><a id="crypto" name="localStorage" href="`+evil+`">x</a>');
			for (const data of [{ doc: { user: {}, session: { id: "x" } } }, { out: "x" }, { ended: true }, { hush: true }, "`+evil+`", null]) postMessage(data, "*");
		}`)
		b.visit(s.stranger.page(`<iframe id="victim" src="` + s.origin + `/page/"></iframe>`))
		eval[any](b, `{ for (const data of [{ out: "" }, { ended: "x" }]) document.getElementById("victim").contentWindow.postMessage(data, "*"); }`)
		b.client()
		if got := eval[string](b, whoami); got != "ada" {
			t.Errorf("%s is signed in", got)
		}
		s.pass(6*time.Minute, b)
		if got := b.ask(`{ method: "POST" }`); got.Status != http.StatusOK {
			t.Errorf("status %d", got.Status)
		}
		if n := s.stranger.visits(); n != 0 {
			t.Errorf("the stranger was asked %d times", n)
		}
		if got := b.heard(); got != "signed-in renewed" {
			t.Errorf("the page heard %q", got)
		}
	})
}

// In a frame of another site nobody is signed in, and the page of its own
// window does not notice that there was one.
func TestThirdPartyFrame(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newClientSite(t)
		b := s.newClient(t, in)
		framing := b.another()
		framing.provoked = true
		s.later(6 * time.Minute)
		before := len(s.said(func(exchange) bool { return true }))
		framing.visit(s.stranger.page(`<iframe src="` + s.origin + `/page/framed"></iframe>
			<script>addEventListener("message", (event) => (window.told = event.data))</script>`))
		framing.await(`window.told === "nobody"`)
		asked := s.said(func(exchange) bool { return true })[before:]
		for _, e := range asked {
			if e.request.Get("Cookie") != "" {
				t.Errorf("%s %s in the frame had cookies", e.method, e.path)
			}
		}
		if len(asked) < 2 {
			t.Errorf("the frame asked for %d things; the test proves nothing", len(asked))
		}
		if got := b.heard(); got != "signed-in" {
			t.Errorf("the page heard %q", got)
		}
		if _, generation := s.live(); generation != 1 {
			t.Errorf("the frame turned the session to generation %d", generation)
		}
		if got := b.ask(`{ method: "POST" }`); got.Status != http.StatusOK {
			t.Errorf("in the window of its own: %d", got.Status)
		}
	})
}

// Two profiles, as a window and a private one are, know nothing of each other,
// also when one of them signs out.
func TestPrivateWindow(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newClientSite(t)
		b := s.newClient(t, in)
		private := s.newTab(t, in).client()
		if got := eval[string](private, whoami); got != "nobody" {
			t.Errorf("%s is signed in", got)
		}
		private.login("ada", true)
		s.pass(6*time.Minute, b, private)
		for _, each := range []*tab{b, private} {
			if got := each.ask(`{ method: "POST" }`); got.Status != http.StatusOK {
				t.Errorf("status %d", got.Status)
			}
		}
		if !eval[bool](private, "auth.signOut()") {
			t.Error("the private window is not signed out")
		}
		if got := b.ask(`{ method: "POST" }`); got.Status != http.StatusOK || b.heard() != "signed-in renewed" {
			t.Errorf("the other window: status %d, heard %q", got.Status, b.heard())
		}
	})
}

// withoutStorage is a browser that refuses storage, channels and locks to
// scripts, while it keeps cookies.
const withoutStorage = `
	for (const name of ["localStorage", "sessionStorage", "indexedDB"])
		Object.defineProperty(window, name, { get() { throw new DOMException("refused", "SecurityError"); } });
	Object.defineProperty(navigator, "locks", { get() { throw new DOMException("refused", "SecurityError"); } });
	window.BroadcastChannel = class { constructor() { throw new DOMException("refused", "SecurityError"); } };
`

// Where scripts may store nothing, sessions are renewed and ended all the same;
// where cookies are off as well, nobody is signed in, and that is all.
//
// Rows: 70
func TestStorageIsBlocked(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		t.Run("storage alone", func(t *testing.T) {
			s := newClientSite(t)
			b := s.newTab(t, in)
			b.set(preload(withoutStorage))
			b.client()
			b.login("ada", true)
			other := b.another()
			other.set(preload(withoutStorage))
			other.client()
			b.provoked, other.provoked = true, true
			for range 3 {
				s.pass(6*time.Minute, b, other)
				if wrong := together([]*tab{b, other}, `ask({ method: "POST" }).then((answer) => String(answer.status))`, "200"); len(wrong) > 0 {
					t.Fatal(wrong)
				}
				s.pass(2*time.Minute, b, other)
				b.ask("")
			}
			if sessions, _ := s.live(); sessions != 1 {
				t.Errorf("%d sessions", sessions)
			}
			if !eval[bool](b, "auth.signOut()") {
				t.Error("the sign-out was not answered")
			}
			if got := other.ask(""); got.Status != http.StatusUnauthorized {
				t.Errorf("after the sign-out: %d", got.Status)
			}
		})
		t.Run("cookies as well", func(t *testing.T) {
			s := newClientSite(t)
			b := s.newKeptTab(t, in.withoutCookies(t)).client()
			b.provoked = true
			if got := eval[string](b, whoami); got != "nobody" {
				t.Errorf("%s is signed in", got)
			}
			if got := b.ask(`{ method: "POST", body: "x" }`); got.Status != http.StatusUnauthorized {
				t.Errorf("status %d", got.Status)
			}
			if n := len(s.said(func(exchange) bool { return true })); n > 12 {
				t.Errorf("%d requests for nothing", n)
			}
		})
	})
}
