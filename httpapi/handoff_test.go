package httpapi_test

import (
	"context"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
	svc "github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
)

// handsOver is what a browser has before a sign-in elsewhere: its cookie, and
// the binding that the page passes on.
func (w *world) handsOver() (cookie string, binding svc.Hash) {
	w.t.Helper()
	got := w.do("POST", "/auth/handoff", "{}", jsonType, fromPage)
	got.want(200, "")
	value, ok := got.cookie(httpauth.HandoffCookie)
	text, _ := got.member("handoff").(string)
	binding, err := svc.ParseBinding(text)
	if !ok || err != nil || binding != svc.BindingOf(token.Secret(value)) {
		w.t.Fatalf("handoff: %v %s", got.Header(), got.Body)
	}
	return httpauth.HandoffCookie + "=" + value, binding
}

// vouches asks for a code as the program does.
func (w *world) vouches(binding svc.Hash, change ...func(*httpapi.Vouch)) string {
	w.t.Helper()
	v := httpapi.Vouch{Service: "portal", UserID: w.ada.ID, Methods: []string{"hwk"}}
	for _, c := range change {
		c(&v)
	}
	code, err := w.GiveCode(context.Background(), v, binding)
	w.must(err)
	return code.Reveal()
}

func redemption(code string) string { return `{"code":"` + code + `"}` }

// Rows: 1, 11, 128, 147
func TestACodeBecomesASession(t *testing.T) {
	w := newWorld(t)
	before := w.start()
	cookie, binding := w.handsOver()
	code := w.vouches(binding, func(v *httpapi.Vouch) { v.Remember = true })
	got := w.do("POST", "/auth/redeem", redemption(code), jsonType, fromPage, cookies(before)+"; "+cookie)
	got.want(200, "")
	if got.member("user", "username") != "ada" || got.member("access_token") != nil || got.member("csrf_token") == nil {
		t.Errorf("%s", got.Body)
	}
	access, ok := got.cookie(httpauth.AccessCookie)
	if !ok {
		t.Fatalf("no cookie: %v", got.Header())
	}
	if value, there := got.cookie(httpauth.HandoffCookie); !there || value != "" {
		t.Error("the browser keeps the cookie of the handoff")
	}
	id, err := token.WitnessOf(access)
	w.must(err)
	row := w.row(id)
	if row.UserID != w.ada.ID || row.Transport != session.Cookie || !row.Remembered || !slices.Equal(row.Methods, []string{"hwk"}) || row.ClientID != "web" || row.Scope != "read" {
		t.Errorf("the session is %+v", row)
	}
	if w.alive(before.Row.ID) {
		t.Error("the session that the browser had goes on")
	}
	w.do("GET", "/auth/session", "", "Cookie: "+accessPair(access)).want(200, "")
	ok = slices.ContainsFunc(w.recorded(session.EventSignInOK), func(e session.Event) bool { return e.Actor == "portal" && e.UserID == w.ada.ID })
	if issued := w.recorded(session.EventCodeIssued); !ok || len(issued) != 1 || issued[0].Actor != "portal" {
		t.Errorf("recorded %+v", w.events)
	}
}

// A form does the same for a page without JavaScript, and leads only to a path
// of our own.
func TestACodeIsRedeemedByAForm(t *testing.T) {
	for _, c := range []struct{ returnTo, to string }{
		{"/inbox?page=2", "/inbox?page=2"}, {"", "/"}, {"https://evil.example/", "/"}, {"//evil.example", "/"}, {"/auth/session", "/"},
	} {
		w := newWorld(t)
		cookie, binding := w.handsOver()
		body := url.Values{"code": {w.vouches(binding)}, "return_to": {c.returnTo}}.Encode()
		navigation := []string{formType, fromPage, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Cookie: " + cookie}
		got := w.do("POST", "/auth/redeem", body, navigation...)
		if _, ok := got.cookie(httpauth.AccessCookie); got.Code != 303 || got.Header().Get("Location") != c.to || !ok || got.Body.Len() != 0 {
			t.Errorf("%q: %d %v %s", c.returnTo, got.Code, got.Header(), got.Body)
		}
	}
}

// Whatever is wrong with a code is told alike, sets nothing, and leaves the
// session that the browser has.
//
// Rows: 30, 248, A13, A97
func TestAttacksOnCodes(t *testing.T) {
	type attack struct {
		*world
		cookie, code string
		binding      svc.Hash
	}
	for name, c := range map[string]struct {
		do   func(a *attack) answer
		code string
	}{
		"another browser's": {func(a *attack) answer {
			foreign, _ := a.handsOver()
			return a.do("POST", "/auth/redeem", redemption(a.code), jsonType, fromPage, "Cookie: "+foreign)
		}, "code_refused"},
		"without a cookie": {func(a *attack) answer { return a.do("POST", "/auth/redeem", redemption(a.code), jsonType, fromPage) }, "code_refused"},
		"with the binding for a cookie": {func(a *attack) answer {
			return a.do("POST", "/auth/redeem", redemption(a.code), jsonType, fromPage, "Cookie: "+httpauth.HandoffCookie+"="+a.binding.String())
		}, "code_refused"},
		"with two cookies": {func(a *attack) answer {
			foreign, _ := a.handsOver()
			return a.do("POST", "/auth/redeem", redemption(a.code), jsonType, fromPage, "Cookie: "+foreign+"; "+a.cookie)
		}, "code_refused"},
		"with a planted cookie of another prefix": {func(a *attack) answer {
			return a.do("POST", "/auth/redeem", redemption(a.code), jsonType, fromPage, "Cookie: "+strings.ToLower(a.cookie))
		}, "code_refused"},
		"twice": {func(a *attack) answer {
			a.do("POST", "/auth/redeem", redemption(a.code), jsonType, fromPage, "Cookie: "+a.cookie).want(200, "")
			return a.do("POST", "/auth/redeem", redemption(a.code), jsonType, fromPage, "Cookie: "+a.cookie)
		}, "code_refused"},
		"late": {func(a *attack) answer {
			a.services.Advance(svc.CodeLife)
			return a.do("POST", "/auth/redeem", redemption(a.code), jsonType, fromPage, "Cookie: "+a.cookie)
		}, "code_refused"},
		"guessed": {func(a *attack) answer {
			return a.do("POST", "/auth/redeem", redemption(strings.Repeat("A", 43)), jsonType, fromPage, "Cookie: "+a.cookie)
		}, "code_refused"},
		"of a user who is disabled since": {func(a *attack) answer {
			a.must(a.accounts.Disable(t.Context(), a.ada.ID))
			return a.do("POST", "/auth/redeem", redemption(a.code), jsonType, fromPage, "Cookie: "+a.cookie)
		}, "code_refused"},
		"of a user with another password since": {func(a *attack) answer {
			a.must(a.accounts.SetPassword(t.Context(), a.ada.ID, account.NewPassword("another long phrase")))
			return a.do("POST", "/auth/redeem", redemption(a.code), jsonType, fromPage, "Cookie: "+a.cookie)
		}, "code_refused"},
		"of a user whose other sessions ended since": {func(a *attack) answer {
			mine := a.start()
			a.do("POST", "/auth/sessions/end-others", "", fromPage, cookies(mine)).want(204, "")
			return a.do("POST", "/auth/redeem", redemption(a.code), jsonType, fromPage, "Cookie: "+a.cookie)
		}, "code_refused"},
		"after everybody's end": {func(a *attack) answer {
			a.revoked.AddEpoch(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), a.now)
			return a.do("POST", "/auth/redeem", redemption(a.code), jsonType, fromPage, "Cookie: "+a.cookie)
		}, "code_refused"},
		"from another site": {func(a *attack) answer {
			return a.do("POST", "/auth/redeem", redemption(a.code), jsonType, "Sec-Fetch-Site: cross-site", "Origin: https://evil.example", "Cookie: "+a.cookie)
		}, "cross_site"},
		"from a sibling": {func(a *attack) answer {
			return a.do("POST", "/auth/redeem", "code="+a.code, formType, "Sec-Fetch-Site: same-site", "Cookie: "+a.cookie)
		}, "cross_site"},
		"by who says nothing about it": {func(a *attack) answer {
			return a.do("POST", "/auth/redeem", redemption(a.code), jsonType, "Cookie: "+a.cookie)
		}, "cross_site"},
		"by a program": {func(a *attack) answer {
			return a.do("POST", "/auth/redeem", redemption(a.code), jsonType, "Authorization: Bearer x", "Cookie: "+a.cookie)
		}, "cross_site"},
		"in the query": {func(a *attack) answer {
			return a.do("POST", "/auth/redeem?code="+a.code, "", formType, fromPage, "Cookie: "+a.cookie)
		}, "missing_parameter"},
		"in the query by GET": {func(a *attack) answer {
			return a.do("GET", "/auth/redeem?code="+a.code, "", fromPage, "Cookie: "+a.cookie)
		}, "method_not_allowed"},
		"as text": {func(a *attack) answer {
			return a.do("POST", "/auth/redeem", redemption(a.code), "Content-Type: text/plain", fromPage, "Cookie: "+a.cookie)
		}, "unsupported_media_type"},
		"in a frame": {func(a *attack) answer {
			return a.do("POST", "/auth/redeem", "code="+a.code, formType, fromPage, "Sec-Fetch-Dest: iframe", "Cookie: "+a.cookie)
		}, "wrong_destination"},
		"twice in a body": {func(a *attack) answer {
			return a.do("POST", "/auth/redeem", "code="+a.code+"&code="+a.code, formType, fromPage, "Cookie: "+a.cookie)
		}, "repeated_parameter"},
		"with more in the body": {func(a *attack) answer {
			return a.do("POST", "/auth/redeem", `{"code":"`+a.code+`","user_id":"root"}`, jsonType, fromPage, "Cookie: "+a.cookie)
		}, "malformed_body"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			// The world's clock and that of the codes, so that an epoch fits both.
			w.services.Advance(w.now.Sub(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)))
			a := &attack{world: w}
			a.cookie, a.binding = w.handsOver()
			a.code = w.vouches(a.binding)
			got := c.do(a)
			if got.code() != c.code || got.Header()["Set-Cookie"] != nil || c.code == "code_refused" && got.Code != 401 {
				t.Errorf("%d %v %s", got.Code, got.Header(), got.Body)
			}
			for _, e := range w.events {
				if e.Type == session.EventSignInFailed && e.Reason == "" {
					t.Errorf("recorded %+v", e)
				}
			}
			if strings.Contains(w.log.String(), a.code) {
				t.Error("the code is in the log")
			}
		})
	}
}

// A stranger's attempt does not spoil the code for its owner.
func TestAForeignAttemptSpoilsNothing(t *testing.T) {
	w := newWorld(t)
	cookie, binding := w.handsOver()
	code := w.vouches(binding)
	foreign, _ := w.handsOver()
	w.do("POST", "/auth/redeem", redemption(code), jsonType, fromPage, "Cookie: "+foreign).want(401, "code_refused")
	failed := w.recorded(session.EventCodeRefused)
	if len(failed) != 1 || failed[0].Reason != "another_browser" || failed[0].UserID != w.ada.ID || failed[0].Actor != "portal" {
		t.Errorf("recorded %+v", failed)
	}
	w.do("POST", "/auth/redeem", redemption(code), jsonType, fromPage, "Cookie: "+cookie).want(200, "")
}

// Of many redemptions at once one gets a session, and no other is left.
//
// Rows: 114
func TestOneOfManyRedemptionsGetsTheSession(t *testing.T) {
	w := newWorld(t)
	cookie, binding := w.handsOver()
	body := redemption(w.vouches(binding))
	var group sync.WaitGroup
	codes := make([]int, 16)
	for i := range codes {
		group.Go(func() {
			codes[i] = w.do("POST", "/auth/redeem", body, jsonType, fromPage, "Cookie: "+cookie).Code
		})
	}
	group.Wait()
	slices.Sort(codes)
	if codes[0] != 200 || codes[1] != 401 {
		t.Errorf("answered %d", codes)
	}
	if rows, _, err := w.Engine.List(t.Context(), w.ada.ID); err != nil || len(rows) != 1 {
		t.Errorf("%d sessions, %v", len(rows), err)
	}
}

// outrun are services where a code that was there is gone a moment later.
type outrun struct{ httpapi.Services }

func (outrun) Take(context.Context, svc.Code) error { return svc.ErrCode }

// A code that is taken or dropped between the look at it and the session leaves
// no session, and the browser keeps the one that it has.
func TestACodeThatIsOutrunLeavesNothing(t *testing.T) {
	w := newWorld(t, change{api: func(o *httpapi.Options) { o.Services = outrun{o.Services} }})
	before := w.start()
	cookie, binding := w.handsOver()
	got := w.do("POST", "/auth/redeem", redemption(w.vouches(binding)), jsonType, fromPage, cookies(before)+"; "+cookie)
	got.want(401, "code_refused")
	rows, _, err := w.Engine.List(t.Context(), w.ada.ID)
	if err != nil || len(rows) != 1 || rows[0].ID != before.Row.ID || got.Header()["Set-Cookie"] != nil {
		t.Errorf("%d sessions, %v, %v", len(rows), err, got.Header())
	}
	if len(w.recorded(session.EventSignInOK)) != 0 {
		t.Error("recorded as a sign-in")
	}
}

// Rows: 94, 252
func TestARedemptionThatFailsBeginsNothing(t *testing.T) {
	for _, method := range []string{"Create", "Load", "List"} {
		w := newWorld(t)
		cookie, binding := w.handsOver()
		code := w.vouches(binding)
		w.store.fail(method)
		got := w.do("POST", "/auth/redeem", redemption(code), jsonType, fromPage, "Cookie: "+cookie)
		got.want(503, "unavailable")
		if got.Header()["Set-Cookie"] != nil {
			t.Errorf("%s: %v", method, got.Header())
		}
		w.store.fail()
		if rows, _, err := w.Engine.List(t.Context(), w.ada.ID); err != nil || len(rows) != 0 {
			t.Errorf("%s: %d sessions, %v", method, len(rows), err)
		}
	}
	w := newWorld(t)
	cookie, binding := w.handsOver()
	code := w.vouches(binding)
	w.services.Fail(errDisk)
	w.do("POST", "/auth/redeem", redemption(code), jsonType, fromPage, "Cookie: "+cookie).want(503, "unavailable")
	w.form("/auth/introspect", "token=x", service).want(503, "temporarily_unavailable")
}

// The cookie says what it must, and a browser that has one keeps it.
//
// Rows: 18, 19
func TestTheCookieOfAHandoff(t *testing.T) {
	w := newWorld(t)
	got := w.do("POST", "/auth/handoff", "{}", jsonType, fromPage)
	line := got.Header().Get("Set-Cookie")
	if !strings.HasPrefix(line, "__Host-Http-pawl-handoff=") || !strings.HasSuffix(line, "; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Strict") {
		t.Errorf("%q", line)
	}
	value, _ := got.cookie(httpauth.HandoffCookie)
	if strings.Contains(got.Body.String(), value) {
		t.Error("the page learns the cookie")
	}
	again := w.do("POST", "/auth/handoff", "{}", jsonType, fromPage, "Cookie: "+httpauth.HandoffCookie+"="+value)
	if kept, _ := again.cookie(httpauth.HandoffCookie); kept != value || again.Body.String() != got.Body.String() {
		t.Error("another tab takes the cookie away")
	}
	for _, planted := range []string{"", "x", value + "x", value + "; " + httpauth.HandoffCookie + "=" + value} {
		fresh := w.do("POST", "/auth/handoff", "{}", jsonType, fromPage, "Cookie: "+httpauth.HandoffCookie+"="+planted)
		if kept, ok := fresh.cookie(httpauth.HandoffCookie); !ok || kept == value || kept == planted {
			t.Errorf("planted %q: %q", planted, kept)
		}
	}
	w.do("POST", "/auth/handoff", "{}", jsonType, "Sec-Fetch-Site: cross-site").want(403, "cross_site")
	w.do("POST", "/auth/handoff", `{"a":1}`, jsonType, fromPage).want(400, "malformed_body")
}

// Who is sent to the application's sign-in page has the cookie, and the page
// the binding.
func TestTheSignInPageOfAServiceIsToldTheBinding(t *testing.T) {
	w := newWorld(t, change{api: func(o *httpapi.Options) { o.SignIn, o.SignInMethods, o.SignInHandoff = "/login", true, true }})
	r := request("GET", "/private", "", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")
	rec := answer{httptest.NewRecorder(), t}
	w.Refuse(rec, r, httpauth.ErrNoCredential)
	to, err := url.Parse(rec.Header().Get("Location"))
	value, ok := rec.cookie(httpauth.HandoffCookie)
	if err != nil || rec.Code != 303 || to.Path != "/login" || !ok || to.Query().Get("return_to") != "/private" ||
		to.Query().Get("handoff") != svc.BindingOf(token.Secret(value)).String() {
		t.Errorf("%d %v", rec.Code, rec.Header())
	}
	plain := newWorld(t, change{api: func(o *httpapi.Options) { o.SignIn, o.SignInMethods = "/login", true }})
	rec = answer{httptest.NewRecorder(), t}
	plain.Refuse(rec, r, httpauth.ErrNoCredential)
	if rec.Header().Get("Location") != "/login?return_to=%2Fprivate" || rec.Header()["Set-Cookie"] != nil {
		t.Errorf("without a service: %v", rec.Header())
	}
}

// Tokens are for clients that may hold them, and for users who may sign in.
func TestWhoIsVouchedFor(t *testing.T) {
	w := newWorld(t)
	w.must(w.accounts.Disable(t.Context(), w.bob.ID))
	_, binding := w.handsOver()
	for name, c := range map[string]struct {
		vouch httpapi.Vouch
		code  string
	}{
		"ada":                 {httpapi.Vouch{UserID: w.ada.ID, ClientID: "cli"}, ""},
		"less":                {httpapi.Vouch{UserID: w.ada.ID, ClientID: "cli", Scope: "read"}, ""},
		"of the program's":    {httpapi.Vouch{UserID: "4711", ClientID: "cli"}, ""},
		"disabled":            {httpapi.Vouch{UserID: w.bob.ID, ClientID: "cli"}, "login_failed"},
		"unknown of Pawl's":   {httpapi.Vouch{UserID: "u_NOBODY", ClientID: "cli"}, "login_required"},
		"nobody":              {httpapi.Vouch{ClientID: "cli"}, "internal"},
		"no client":           {httpapi.Vouch{UserID: w.ada.ID}, "unknown_client"},
		"another client":      {httpapi.Vouch{UserID: w.ada.ID, ClientID: "web"}, "unknown_client"},
		"more than it may":    {httpapi.Vouch{UserID: w.ada.ID, ClientID: "cli", Scope: "admin"}, "invalid_scope"},
		"more than web's may": {httpapi.Vouch{UserID: w.ada.ID, ClientID: "cli", Scope: "read admin"}, "invalid_scope"},
	} {
		tokens, err := w.GiveTokens(t.Context(), c.vouch)
		if c.code == "" {
			if err != nil || tokens.AccessToken == "" || tokens.RefreshToken == "" {
				t.Errorf("%s: %v", name, err)
			}
			w.do("GET", "/auth/session", "", "Authorization: Bearer "+tokens.AccessToken).want(200, "")
			continue
		}
		if code := httpapi.ProblemOf(err).Code; err == nil || code != c.code || tokens.AccessToken != "" {
			t.Errorf("%s: %q, %v", name, code, err)
		}
		c.vouch.ClientID = ""
		if _, err := w.GiveCode(t.Context(), c.vouch, binding); err == nil && !strings.Contains(name, "client") {
			t.Errorf("%s: a code was given", name)
		}
	}
	// A browser binds what it gets for a code; a program would have to before.
	bound := newWorld(t, change{rules: func(p *session.Policy) { p.RequireBinding = true }})
	if _, err := bound.GiveCode(t.Context(), httpapi.Vouch{UserID: bound.ada.ID}, binding); err != nil {
		t.Errorf("with a policy that binds: %v", err)
	}
	if _, err := bound.GiveTokens(t.Context(), httpapi.Vouch{UserID: bound.ada.ID, ClientID: "cli"}); httpapi.ProblemOf(err).Code != "binding_required" {
		t.Errorf("tokens with a policy that binds: %v", err)
	}
}

func FuzzRedemption(f *testing.F) {
	w := newWorld(f)
	cookie, binding := w.handsOver()
	good := w.vouches(binding)
	for _, seed := range []string{redemption("x"), `{}`, `{"code":null}`, `{"code":["x"]}`, "code=x", "code=x&code=y", "code=%zz", "", `{"code":"x","code":"y"}`, "\x00"} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, body string, form bool) {
		media := jsonType
		if form {
			media = formType
		}
		w.now = w.now.Add(time.Second) // or it would soon be one failure too many
		got := answer{httptest.NewRecorder(), t}
		w.ServeHTTP(got, request("POST", "/auth/redeem", body, media, fromPage, "Cookie: "+cookie))
		if strings.Contains(body, good) {
			return
		}
		if got.Code < 400 || got.Code >= 500 || got.Header()["Set-Cookie"] != nil {
			t.Errorf("%d %v %s", got.Code, got.Header(), got.Body)
		}
	})
}
