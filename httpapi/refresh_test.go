package httpapi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
)

// turn renews the session once, directly.
func (w *world) turn(s session.Issued) session.Issued {
	w.t.Helper()
	w.wait(80 * time.Second)
	next, err := w.Engine.Refresh(w.t.Context(), session.Renewal{Refresh: s.Refresh.Reveal(), Transport: s.Row.Transport, Witness: s.Row.ID})
	w.must(err)
	return next
}

// Rows: 8, 9, 14, 16, 21, 28, 44, 120, A5, A27, A28, A29, A31, A41, A44.
func TestWhichCookiesRenew(t *testing.T) {
	const a, r = httpauth.AccessCookie, httpauth.RefreshCookie
	w := newWorld(t)
	other := w.turn(w.turn(w.start())) // of a higher generation
	first := w.start()
	mine := w.turn(first)
	bearer := w.start(bearerSession)
	access, refresh, old := mine.Access.Reveal(), mine.Refresh.Reveal(), first.Refresh.Reveal()
	bent := refresh[:len(refresh)-1] + map[bool]string{true: "B", false: "A"}[strings.HasSuffix(refresh, "A")]
	for name, c := range map[string]struct {
		cookies  string
		renews   bool
		recorded int // duplicates
	}{
		"both":                              {a + "=" + access + "; " + r + "=" + refresh, true, 0},
		"in the other order":                {r + "=" + refresh + "; " + a + "=" + access, true, 0},
		"an older witness":                  {a + "=" + first.Access.Reveal() + "; " + r + "=" + refresh, true, 0},
		"a planted one first":               {r + "=" + other.Refresh.Reveal() + "; " + a + "=" + access + "; " + r + "=" + refresh, true, 1},
		"a planted one last":                {a + "=" + access + "; " + r + "=" + refresh + "; " + r + "=" + other.Refresh.Reveal(), true, 1},
		"junk planted":                      {a + "=" + access + "; " + r + "=junk; " + r + "=" + refresh + "; " + r + "=", true, 1},
		"an older one planted":              {a + "=" + access + "; " + r + "=" + old + "; " + r + "=" + refresh, true, 1},
		"the case twin of the refresh":      {a + "=" + access + "; __SECURE-pawl-refresh=x; " + r + "=" + refresh, true, 0},
		"no cookie":                         {"x=y", false, 0},
		"no refresh":                        {a + "=" + access, false, 0},
		"no witness":                        {r + "=" + refresh, false, 0},
		"another's witness":                 {a + "=" + other.Access.Reveal() + "; " + r + "=" + refresh, false, 0},
		"witness twice":                     {a + "=" + access + "; " + a + "=" + access + "; " + r + "=" + refresh, false, 1},
		"junk as witness":                   {a + "=junk; " + r + "=" + refresh, false, 0},
		"witness under a case twin":         {"__HOST-HTTP-pawl-access=" + access + "; " + r + "=" + refresh, false, 0},
		"swapped":                           {a + "=" + refresh + "; " + r + "=" + access, false, 0},
		"only planted":                      {a + "=" + access + "; " + r + "=" + other.Refresh.Reveal(), false, 0},
		"bent":                              {a + "=" + access + "; " + r + "=" + bent, false, 0},
		"cut":                               {a + "=" + access + "; " + r + "=" + refresh[:30], false, 0},
		"oversized":                         {a + "=" + access + "; " + r + "=" + strings.Repeat("A", 1<<20), false, 0},
		"of an app":                         {a + "=" + bearer.Access.Reveal() + "; " + r + "=" + bearer.Refresh.Reveal(), false, 0},
		"quoted":                            {a + "=" + access + "; " + r + "=\"" + refresh + "\"", false, 0},
		"nameless":                          {a + "=" + access + "; =" + r + "=" + refresh, false, 0},
		"behind a comma":                    {a + "=" + access + "; x=y," + r + "=" + refresh, false, 0},
		"in the second place of one value":  {a + "=" + access + "; " + r + "=x" + refresh, false, 0},
		"of nobody, but with the right tag": {a + "=" + access + "; " + r + "=pawl_rt_", false, 0},
	} {
		before, duplicates := w.store.written(), len(w.recorded(session.EventDuplicateCookie))
		got := w.do("POST", "/auth/refresh", "", fromPage, "Cookie: "+c.cookies)
		if c.renews {
			got.want(200, "")
			// The session turned seconds ago: the same token once more.
			if again, _ := got.cookie(r); again != refresh {
				t.Errorf("%s: another refresh token", name)
			}
		} else {
			got.want(401, "login_required")
			if got.Header()["Set-Cookie"] != nil {
				t.Errorf("%s: cookies are touched", name)
			}
		}
		if w.store.written() != before {
			t.Errorf("%s: something was written", name)
		}
		if n := len(w.recorded(session.EventDuplicateCookie)) - duplicates; n != c.recorded {
			t.Errorf("%s: %d duplicates recorded, want %d", name, n, c.recorded)
		}
	}
	for _, s := range []session.Issued{mine, other, bearer} {
		if !w.alive(s.Row.ID) {
			t.Error("a session ended")
		}
	}
}

// An older token beside the newest is not presented: it would be counted as a
// late repeat, and later as theft.
//
// Rows: 9, A27.
func TestTheNewestOfSeveralRefreshCookiesIsTaken(t *testing.T) {
	w := newWorld(t)
	first := w.start()
	third := w.turn(w.turn(first))
	w.wait(20 * time.Second) // no race any more
	for _, planted := range []string{
		refreshPair(first.Refresh.Reveal()) + "; " + refreshPair(third.Refresh.Reveal()),
		refreshPair(third.Refresh.Reveal()) + "; " + refreshPair(first.Refresh.Reveal()),
	} {
		w.do("POST", "/auth/refresh", "", fromPage, "Cookie: "+accessPair(third.Access.Reveal())+"; "+planted).want(200, "")
		if !w.alive(first.Row.ID) {
			t.Fatal("the planted one was taken")
		}
	}
}

// Rows: 111, 112, 113, 126, A37.
func TestReuseEndsTheSessionAndTouchesNoCookie(t *testing.T) {
	w := newWorld(t)
	first := w.start()
	second := w.turn(first)
	third := w.turn(second)
	w.wait(20 * time.Second) // no race any more
	got := w.do("POST", "/auth/refresh", "", fromPage, cookies(first))
	got.want(401, "login_required")
	if got.Header()["Set-Cookie"] != nil {
		t.Error("cookies are touched")
	}
	if row := w.row(first.Row.ID); row.EndReason != session.ReasonReuse {
		t.Errorf("ended for %q", row.EndReason)
	}
	w.do("GET", "/auth/session", "", cookies(third)).want(401, "login_required")
	w.do("POST", "/auth/refresh", "", fromPage, cookies(third)).want(401, "login_required")
	if len(w.recorded(session.EventUsedAfterEnd)) != 1 {
		t.Error("the use after the end is not recorded")
	}
}

// Rows: 115.
func TestRetriesOfOneAttemptAreTold(t *testing.T) {
	w := newWorld(t)
	s := w.start()
	w.wait(80 * time.Second)
	first := w.do("POST", "/auth/refresh", "", fromPage, cookies(s), "Idempotency-Key: a")
	first.want(200, "")
	w.wait(time.Minute)
	again := w.do("POST", "/auth/refresh", "", fromPage, cookies(s), "Idempotency-Key: a")
	again.want(200, "")
	if a, _ := first.cookie(httpauth.RefreshCookie); a != func() string { v, _ := again.cookie(httpauth.RefreshCookie); return v }() {
		t.Error("a retry got another refresh token")
	}
	if row := w.row(s.Row.ID); row.LateRepeats != 0 {
		t.Error("a retry with the same key was counted")
	}
	w.do("POST", "/auth/refresh", "", fromPage, cookies(s)).want(200, "")
	if row := w.row(s.Row.ID); row.LateRepeats != 1 {
		t.Error("another attempt was not counted")
	}
	for _, headers := range [][]string{
		{"Idempotency-Key: "}, {"Idempotency-Key: a", "Idempotency-Key: a"}, {"Idempotency-Key: a b"}, {"Idempotency-Key: é"},
		{"Idempotency-Key: " + strings.Repeat("a", 256)},
	} {
		w.do("POST", "/auth/refresh", "", append(headers, fromPage, cookies(s))...).want(400, "malformed_idempotency_key")
	}
	w.do("POST", "/auth/refresh", "", fromPage, cookies(s), "Idempotency-Key: "+strings.Repeat("~", 255)).want(200, "")
}

// No answer to an access token may tell when somebody else renews.
//
// Rows: 121.
func TestAccessTokensAreNoOracle(t *testing.T) {
	w := newWorld(t)
	s := w.start()
	look := func() string {
		w.t.Helper()
		got := w.do("GET", "/auth/session", "", cookies(s))
		got.want(200, "")
		text, _, _ := strings.Cut(got.Body.String(), `"csrf_token"`)
		list := w.do("GET", "/auth/sessions", "", cookies(s))
		list.want(200, "")
		return text + list.Body.String()
	}
	w.wait(100 * time.Second)
	before := look()
	if _, err := w.Engine.Refresh(t.Context(), session.Renewal{Refresh: s.Refresh.Reveal(), Transport: session.Cookie, Witness: s.Row.ID}); err != nil {
		t.Fatal(err)
	}
	if row := w.row(s.Row.ID); row.Generation != 2 {
		t.Fatal("the session did not turn")
	}
	if after := look(); after != before {
		t.Errorf("the renewal shows:\n%s\n%s", before, after)
	}
}

// Rows: 12, 21, A29, A33.
func TestTheServerEndsSessionsWhateverTheCookiesSay(t *testing.T) {
	w := newWorld(t)
	s := w.start(func(l *session.Login) { l.Remembered = true })
	w.wait(15 * 24 * time.Hour)
	got := w.do("POST", "/auth/refresh", "", fromPage, cookies(s))
	got.want(401, "login_required")
	w.do("GET", "/auth/session", "", cookies(s)).want(401, "login_required")
	if got.Header()["Set-Cookie"] != nil {
		t.Error("cookies are touched")
	}
}

// Rows: 12, 137.
func TestRememberedCookiesLastAsLongAsTheSessionCan(t *testing.T) {
	w := newWorld(t)
	s := w.start(func(l *session.Login) { l.Remembered = true })
	for range 7 { // to within two weeks of the absolute end
		w.wait(12 * 24 * time.Hour)
		var err error
		s, err = w.Engine.Refresh(t.Context(), session.Renewal{Refresh: s.Refresh.Reveal(), Transport: session.Cookie, Witness: s.Row.ID})
		w.must(err)
	}
	w.wait(24 * time.Hour)
	got := w.do("POST", "/auth/refresh", "", fromPage, cookies(s))
	got.want(200, "")
	for _, c := range got.Result().Cookies() {
		if want := 5 * 24 * 60 * 60; c.MaxAge != want {
			t.Errorf("%s: Max-Age %d, want %d", c.Name, c.MaxAge, want)
		}
	}
	access, _ := got.cookie(httpauth.AccessCookie)
	doc := w.do("GET", "/auth/session", "", "Cookie: "+accessPair(access))
	if end := doc.member("session", "expires_at"); end != doc.member("session", "idle_expires_at") || end != got.member("session", "idle_expires_at") {
		t.Errorf("near the absolute end: %s", doc.Body)
	}
}

// A session that renews without end is told to wait, whatever the transport;
// others are not, nor is it signed out.
//
// Rows: 129, 254
func TestARenewalStormOfOneSessionIsLimited(t *testing.T) {
	w := newWorld(t, change{api: func(o *httpapi.Options) { o.RenewalRate = 3 }})
	mine, other := w.start(), w.start()
	renew := func(s session.Issued) answer {
		return w.do("POST", "/auth/refresh", "", cookies(s), "Sec-Fetch-Site: same-origin")
	}
	for range 3 {
		renew(mine).want(200, "")
	}
	a := renew(mine)
	a.want(429, "too_many_renewals")
	if a.Header().Get("Retry-After") == "" || a.Header()["Set-Cookie"] != nil {
		t.Errorf("headers: %v", a.Header())
	}
	renew(other).want(200, "")
	if len(w.recorded(session.EventRateLimited)) != 1 {
		t.Error("it was not recorded, or more than once")
	}
	w.wait(20 * time.Second)
	renew(mine).want(200, "")

	app := w.start(bearerSession)
	form := "grant_type=refresh_token&refresh_token=" + app.Refresh.Reveal()
	for range 3 {
		w.do("POST", "/auth/token", form, "Content-Type: application/x-www-form-urlencoded").want(200, "")
	}
	w.do("POST", "/auth/token", form, "Content-Type: application/x-www-form-urlencoded").want(429, "temporarily_unavailable")
}
