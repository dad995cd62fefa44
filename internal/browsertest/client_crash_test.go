package browsertest

import (
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/pawlauth/pawl/httpauth"
)

// A browser is killed six seconds after a renewal, before it has written its
// cookies to disk, and opened again: it comes with the tokens from before, and
// nobody is signed out, then or later. A browser that writes at once comes with
// the newest ones.
func TestKilledBrowserComesBack(t *testing.T) {
	inBoth(t, func(t *testing.T, in *browser) {
		s := newClientSite(t)
		dir := t.TempDir()
		own := in.apart(t, dir)
		b := s.newKeptTab(t, own).client()
		b.login("ada", true)
		first := b.cookies()[httpauth.RefreshCookie].Value
		own.quit(t) // which writes all

		own = in.apart(t, dir)
		b = s.newKeptTab(t, own).client()
		if got := eval[string](b, whoami); got != "ada" {
			t.Fatalf("after the first start %s is signed in", got)
		}
		s.pass(6*time.Minute, b)
		if got := b.ask(""); got.Status != http.StatusOK {
			t.Fatalf("at the renewal: %d", got.Status)
		}
		second := b.cookies()[httpauth.RefreshCookie].Value
		eval[any](b, "void (window.renewed = monotonic())")
		b.await("monotonic() - window.renewed > 6000")
		own.kill()

		b = s.newKeptTab(t, in.apart(t, dir))
		switch got := b.cookies()[httpauth.RefreshCookie]; {
		case got == nil:
			t.Fatal("the browser has forgotten the session altogether")
		case got.Value == first:
			t.Log("the browser has the tokens from before")
		case got.Value != second:
			t.Error("the browser has tokens of its own")
		}
		b.client()
		s.pass(2*time.Minute, b)
		for range 4 {
			if got := b.ask(`{ method: "POST" }`); got.Status != http.StatusOK {
				t.Fatalf("after the crash: %d", got.Status)
			}
			s.pass(2*time.Minute, b)
			b.ask("")
			s.pass(4*time.Minute, b)
		}
		if sessions, _ := s.live(); sessions != 1 {
			t.Errorf("%d sessions", sessions)
		}
	})
}

// quit closes the browser as its user does, so that it writes what it has, and
// waits until it has gone.
func (b *browser) quit(t *testing.T) {
	t.Helper()
	if c, ok := b.engine.(*chromium); ok {
		if err := chromedp.Cancel(c.ctx); err != nil {
			t.Fatal(err)
		}
	}
	b.engine.close()
}
