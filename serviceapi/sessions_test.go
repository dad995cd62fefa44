package serviceapi_test

import (
	"crypto/tls"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
)

// renew is what a client of a bearer session does.
func (w *world) renew(refresh string) error {
	_, err := w.engine.Refresh(w.t.Context(), session.Renewal{Refresh: refresh, Transport: session.Bearer, ClientID: "cli"})
	return err
}

// Rows: 128, 147, A98
func TestTokensForAUserWhomTheServiceAuthenticated(t *testing.T) {
	w := newWorld(t)
	got := w.do("sessions-write", "POST", "/v1/sessions", `{"username":"ADA","transport":"bearer","scope":"read","amr":["pwd","otp"]}`).want(200, "")
	access := got.text("access_token")
	p, err := w.public.Guard.Verifier.Verify(access, w.clock())
	if err != nil || p.UserID != w.ada.ID || p.Scope != "read" || p.ClientID != "cli" || !slices.Equal(p.Methods, []string{"pwd", "otp"}) || got.text("token_type") != "Bearer" {
		t.Errorf("%+v, %v: %s", p, err, got.Body)
	}
	w.must(w.renew(got.text("refresh_token")))
	ok := w.recorded(session.EventSignInOK)
	if len(ok) != 1 || ok[0].Actor != "sessions-write" || ok[0].UserID != w.ada.ID {
		t.Errorf("recorded %+v", ok)
	}
	own := w.do("sessions-write", "POST", "/v1/sessions", `{"user_id":"tenant|4711","transport":"bearer","client_id":"cli","amr":["hwk"]}`).want(200, "")
	if p, err := w.public.Guard.Verifier.Verify(own.text("access_token"), w.clock()); err != nil || p.UserID != "tenant|4711" || p.Scope != "read write" {
		t.Errorf("%+v, %v", p, err)
	}
	for range 4 { // one more than a user may have
		w.advance(time.Second, true)
		w.do("sessions-write", "POST", "/v1/sessions", `{"username":"ada","transport":"bearer","amr":["pwd"]}`).want(200, "")
	}
	if err := w.renew(got.text("refresh_token")); !errors.Is(err, session.ErrRefused) {
		t.Errorf("the oldest of too many: %v", err)
	}
}

// Rows: 182, 250
func TestWhatCannotBecomeASession(t *testing.T) {
	w := newWorld(t)
	ada := `"user_id":"` + w.ada.ID + `"`
	handoff := `"handoff":"` + service.BindingOf(service.NewCookie()).String() + `"`
	bearer := `"transport":"bearer"`
	cookie := `"transport":"cookie"`
	amr := `"amr":["pwd"]`
	for body, code := range map[string]string{
		ada + "," + bearer:                                                    "malformed_body", // nothing was done to authenticate
		ada + "," + bearer + `,"amr":[]`:                                      "malformed_body",
		ada + "," + bearer + `,"amr":[""]`:                                    "malformed_body",
		ada + "," + bearer + `,"amr":["a b"]`:                                 "malformed_body",
		ada + "," + bearer + `,"amr":["` + strings.Repeat("x", 33) + `"]`:     "malformed_body",
		ada + "," + bearer + `,"amr":[` + strings.Repeat(`"x",`, 10) + `""]`:  "malformed_body",
		bearer + "," + amr:                                                    "malformed_body",
		ada + `,"username":"ada",` + bearer + "," + amr:                       "malformed_body",
		ada + "," + amr:                                                       "malformed_body",
		ada + `,"transport":"both",` + amr:                                    "malformed_body",
		ada + "," + bearer + "," + amr + "," + handoff:                        "malformed_body",
		ada + "," + bearer + "," + amr + `,"remember":true`:                   "malformed_body",
		ada + "," + cookie + "," + amr:                                        "malformed_body",
		ada + "," + cookie + "," + amr + `,"handoff":"x"`:                     "malformed_handoff",
		`"user_id":"a\u0000b",` + bearer + "," + amr:                          "malformed_body",
		`"user_id":"` + strings.Repeat("x", 256) + `",` + bearer + "," + amr:  "malformed_body",
		`"user_id":"u_NOBODY",` + bearer + "," + amr:                          "no_such_user",
		`"username":"nobody",` + bearer + "," + amr:                           "no_such_user",
		`"username":"\u0000",` + bearer + "," + amr:                           "invalid_username",
		ada + "," + bearer + "," + amr + `,"client_id":"nobody"`:              "unknown_client",
		ada + "," + cookie + "," + amr + "," + handoff + `,"client_id":"cli"`: "unknown_client",
		ada + "," + bearer + "," + amr + `,"scope":"admin"`:                   "invalid_scope",
		ada + "," + bearer + "," + amr + `,"auth_time":1`:                     "malformed_body",
	} {
		if got := w.do("sessions-write", "POST", "/v1/sessions", "{"+body+"}"); got.code() != code || got.Code < 400 || got.Code >= 500 {
			t.Errorf("%s: %d %s", body, got.Code, got.Body)
		}
	}
	if rows, _, err := w.store.List(t.Context(), session.Query{WithEnded: true, Limit: 10}); err != nil || len(rows) != 0 {
		t.Errorf("%d sessions, %v", len(rows), err)
	}
}

// redeem is what the browser does with a code on a page of our own.
func (w *world) redeem(code, cookie, site string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/auth/redeem", strings.NewReader(`{"code":"`+code+`"}`))
	r.Host, r.TLS = "app.example", &tls.ConnectionState{}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Sec-Fetch-Site", site)
	r.Header.Set("Cookie", httpauth.HandoffCookie+"="+cookie)
	rec := httptest.NewRecorder()
	w.public.ServeHTTP(rec, r)
	return rec
}

// The application gets a code and nothing else; the browser that began gets
// the session, once, in time, unless the user's sessions were ended meanwhile.
//
// Rows: 1, 152, A13, A97
func TestACodeForTheBrowserThatBegan(t *testing.T) {
	for name, c := range map[string]struct {
		between func(w *world)
		site    string
		mine    bool
		status  int
	}{
		"as it should be": {nil, "same-origin", true, 200},
		"another browser": {nil, "same-origin", false, 401},
		"another site":    {nil, "cross-site", true, 403},
		"late":            {func(w *world) { w.services.Advance(time.Minute) }, "same-origin", true, 401},
		"the user revoked": {func(w *world) {
			w.do("all", "POST", "/v1/revoke-user", `{"sub_id":{"format":"opaque","id":"`+w.ada.ID+`"}}`).want(204, "")
		}, "same-origin", true, 401},
		"all sessions ended": {func(w *world) { w.do("all", "DELETE", "/v1/users/"+w.ada.ID+"/sessions", "").want(204, "") }, "same-origin", true, 401},
		"the user disabled":  {func(w *world) { w.do("all", "POST", "/v1/users/"+w.ada.ID+"/disable", "").want(204, "") }, "same-origin", true, 401},
		"everybody ended":    {func(w *world) { w.do("all", "POST", "/v1/end-everyone", "").want(200, "") }, "same-origin", true, 401},
		"another password": {func(w *world) {
			w.must(w.accounts.SetPassword(w.t.Context(), w.ada.ID, account.NewPassword("another long phrase")))
		}, "same-origin", true, 401},
		"one session ended": {func(w *world) { w.do("all", "DELETE", "/v1/sessions/"+token.NewID().String(), "").want(204, "") }, "same-origin", true, 200},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			cookie := service.NewCookie()
			got := w.do("sessions-write", "POST", "/v1/sessions", `{"username":"ada","transport":"cookie","amr":["hwk"],"remember":true,"handoff":"`+service.BindingOf(cookie).String()+`"}`)
			got.want(200, "")
			code := got.text("code")
			if len(code) != 43 || got.member("expires_in") != 60.0 || got.member("access_token") != nil || strings.Contains(got.Body.String(), "pawl_rt_") {
				t.Fatalf("%s", got.Body)
			}
			if rows, _, err := w.engine.List(t.Context(), w.ada.ID); err != nil || len(rows) != 0 {
				t.Errorf("%d sessions before the code was redeemed, %v", len(rows), err)
			}
			if c.between != nil {
				c.between(w)
			}
			if !c.mine {
				cookie = service.NewCookie()
			}
			answered := w.redeem(code, cookie.Reveal(), c.site)
			if answered.Code != c.status || (answered.Header()["Set-Cookie"] != nil) != (c.status == 200) {
				t.Errorf("%d %v %s", answered.Code, answered.Header(), answered.Body)
			}
			if again := w.redeem(code, cookie.Reveal(), "same-origin"); c.status == 200 && again.Code != 401 {
				t.Errorf("redeemed twice: %d", again.Code)
			}
		})
	}
}

// Rows: 143, 152, A97
func TestRevokingAUserEndsEveryTokenAtOnce(t *testing.T) {
	w := newWorld(t)
	one, two, other := w.start(w.ada.ID), w.start(w.ada.ID), w.start("4711")
	revoke := func(subject string) answer {
		return w.do("sessions-end", "POST", "/v1/revoke-user", `{"sub_id":`+subject+`}`)
	}
	for subject, want := range map[string]struct {
		status int
		code   string
	}{
		`{"format":"opaque"}`:                          {400, "malformed_body"},
		`{"format":"opaque","id":""}`:                  {400, "malformed_body"},
		`{"format":"opaque","id":"x","sub":"y"}`:       {400, "malformed_body"},
		`{"format":"email","email":"ada@example.com"}`: {400, "malformed_body"},
		`{"format":"aliases","id":"x"}`:                {400, "malformed_body"},
		`{"id":"x"}`:                                   {400, "malformed_body"},
		`null`:                                         {400, "malformed_body"},
		`"ada"`:                                        {400, "malformed_body"},
		`{"format":"iss_sub","sub":"x"}`:               {400, "malformed_body"},
		`{"format":"iss_sub","iss":"` + origin + `","sub":""}`:                       {400, "malformed_body"},
		`{"format":"iss_sub","iss":"https://evil.example","sub":"` + w.ada.ID + `"}`: {422, "foreign_subject"},
		`{"format":"opaque","id":"nobody"}`:                                          {404, "no_such_user"},
		`{"format":"opaque","id":"u_NOBODY"}`:                                        {404, "no_such_user"},
	} {
		revoke(subject).want(want.status, want.code)
	}
	if !w.alive(one.Row.ID) {
		t.Fatal("a refused request ended a session")
	}
	revoke(`{"format":"opaque","id":"`+w.ada.ID+`"}`).want(204, "")
	for _, s := range []session.Issued{one, two} {
		if _, err := w.public.Guard.Verifier.Verify(s.Access.Reveal(), w.clock()); !errors.Is(err, verify.ErrRevoked) {
			t.Errorf("access token: %v", err)
		}
		if err := w.renew(s.Refresh.Reveal()); !errors.Is(err, session.ErrRefused) {
			t.Errorf("refresh token: %v", err)
		}
	}
	if !w.alive(other.Row.ID) {
		t.Error("another user's session ended")
	}
	revoke(`{"format":"opaque","id":"`+w.ada.ID+`"}`).want(204, "") // none is left, but the user is known
	revoke(`{"format":"iss_sub","iss":"`+origin+`","sub":"4711"}`).want(204, "")
	revoke(`{"format":"opaque","id":"4711"}`).want(204, "") // as is one who had a session
	if w.alive(other.Row.ID) {
		t.Error("by issuer and subject: it goes on")
	}
	ended := w.recorded(session.EventEnded)
	if len(ended) != 3 || slices.ContainsFunc(ended, func(e session.Event) bool { return e.Actor != "sessions-end" || e.Reason != "operator" }) {
		t.Errorf("recorded %+v", ended)
	}
}

// Rows: 143, 155
func TestEndingEverybody(t *testing.T) {
	w := newWorld(t)
	one, other := w.start(w.ada.ID), w.start("4711")
	got := w.do("everyone-end", "POST", "/v1/end-everyone", "").want(200, "")
	epoch, _ := got.member("epoch").(float64)
	if at := time.UnixMicro(int64(epoch)); at.Before(w.clock()) || at.After(w.clock().Add(session.EpochMargin)) {
		t.Errorf("epoch %v", at)
	}
	for _, s := range []session.Issued{one, other} {
		if _, err := w.public.Guard.Verifier.Verify(s.Access.Reveal(), w.clock()); !errors.Is(err, verify.ErrRevoked) {
			t.Errorf("access token: %v", err)
		}
		if err := w.renew(s.Refresh.Reveal()); !errors.Is(err, session.ErrRefused) {
			t.Errorf("refresh token: %v", err)
		}
	}
	if e := w.recorded(session.EventEpoch); len(e) != 1 || e[0].Actor != "everyone-end" {
		t.Errorf("recorded %+v", e)
	}
}

func TestSessionsAreListedInPages(t *testing.T) {
	w := newWorld(t)
	var ids []string
	for range 5 {
		ids = append(ids, w.start(w.ada.ID).Row.ID.String())
	}
	other, over := w.start("4711"), w.start(w.ada.ID)
	w.do("sessions-end", "DELETE", "/v1/sessions/"+over.Row.ID.String(), "").want(204, "")
	w.do("sessions-end", "DELETE", "/v1/sessions/"+over.Row.ID.String(), "").want(204, "")
	w.do("sessions-end", "DELETE", "/v1/sessions/"+token.NewID().String(), "").want(204, "")
	w.do("sessions-end", "DELETE", "/v1/sessions/x", "").want(404, "not_found")
	var listed []string
	cursor := ""
	for range 10 {
		page := w.do("sessions-read", "GET", "/v1/sessions?limit=2&user_id="+w.ada.ID+cursor, "").want(200, "")
		for i := range 2 {
			if id := page.text("sessions", i, "id"); id != "" {
				listed = append(listed, id)
				if page.text("sessions", i, "user_id") != w.ada.ID || page.text("sessions", i, "client_id") != "cli" || page.text("sessions", i, "address") != "192.0.2.0/24" {
					t.Errorf("%s", page.Body)
				}
			}
		}
		if strings.Contains(page.Body.String(), "generation") || strings.Contains(page.Body.String(), other.Row.ID.String()) {
			t.Errorf("%s", page.Body)
		}
		if page.text("next") == "" {
			break
		}
		cursor = "&cursor=" + page.text("next")
	}
	slices.Sort(ids)
	slices.Sort(listed)
	if !slices.Equal(ids, listed) {
		t.Errorf("listed %q, want %q", listed, ids)
	}
	if none := w.do("sessions-read", "GET", "/v1/sessions?user_id=nobody", "").want(200, ""); none.Body.String() != `{"sessions":[]}` {
		t.Errorf("%s", none.Body)
	}
}

func TestUsesAreHandedOn(t *testing.T) {
	w := newWorld(t)
	id := w.start(w.ada.ID).Row.ID
	use := func(more string) string { return `{"session":"` + id.String() + `","generation":1` + more + `}` }
	w.do("uses-write", "POST", "/v1/uses", `{"uses":[`+use(`,"issued_at":1795435200`)+`]}`).want(204, "")
	if len(w.used) != 1 || w.used[0] != (session.Use{Session: id, Generation: 1, IssuedAt: time.Unix(1795435200, 0)}) {
		t.Errorf("%+v", w.used)
	}
	good := use(`,"issued_at":1`)
	for _, body := range []string{`{}`, `{"uses":[]}`, `{"uses":null}`, `{"uses":[` + good + `,` + use("") + `]}`, `{"uses":[` + use(`,"issued_at":-1`) + `]}`, `{"uses":[` + use(`,"issued_at":1.5`) + `]}`,
		`{"uses":[{"session":"AAAAAAAAAAAAAAAAAAAAAA","generation":1,"issued_at":1}]}`, `{"uses":[{"session":"x","generation":1,"issued_at":1}]}`,
		`{"uses":[{"session":"` + id.String() + `","generation":0,"issued_at":1}]}`, `{"uses":[{"session":"` + id.String() + `","generation":4294967296,"issued_at":1}]}`,
		`{"uses":[` + good + strings.Repeat(","+good, 256) + `]}`} {
		w.do("uses-write", "POST", "/v1/uses", body).want(400, "malformed_body")
	}
	if len(w.used) != 1 {
		t.Error("a part of a bad report was taken in")
	}
	w.do("uses-write", "POST", "/v1/uses", `{"uses":[`+good+strings.Repeat(","+good, 255)+`]}`).want(204, "")
	if len(w.used) != 257 {
		t.Errorf("%d uses", len(w.used))
	}
}

func FuzzStartSession(f *testing.F) {
	for _, seed := range []string{`{"username":"ada","transport":"bearer","amr":["pwd"]}`, `{"user_id":"4711","transport":"cookie","amr":["hwk"],"remember":true,"handoff":"` + strings.Repeat("A", 43) + `"}`,
		`{}`, `[]`, `{"amr":{}}`, `{"user_id":"\ud800"}`, "\x00", `{"username":"ada","Username":"bob"}`} {
		f.Add(seed)
	}
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, body string) {
		w.t = t
		got := w.do("sessions-write", "POST", "/v1/sessions", body, jsonType)
		if got.Code != 200 && (got.Code < 400 || got.Code >= 500 || got.code() == "") {
			t.Errorf("%d %s", got.Code, got.Body)
		}
		if got.Code == 200 && !strings.Contains(body, "amr") && !strings.Contains(body, `\u`) {
			t.Errorf("%q began a session", body)
		}
	})
}

func FuzzRevokeUser(f *testing.F) {
	for _, seed := range []string{`{"sub_id":{"format":"opaque","id":"x"}}`, `{"sub_id":{"format":"iss_sub","iss":"` + origin + `","sub":"x"}}`, `{"sub_id":[]}`, `{}`, "", `{"sub_id":{"format":"opaque","id":"x"},"sub_id":{}}`} {
		f.Add(seed)
	}
	w := newWorld(f)
	s := w.start(w.ada.ID)
	f.Fuzz(func(t *testing.T, body string) {
		w.t = t
		got := w.do("sessions-end", "POST", "/v1/revoke-user", body, jsonType)
		if got.Code != 204 && (got.Code < 400 || got.Code >= 500 || got.code() == "") {
			t.Errorf("%d %s", got.Code, got.Body)
		}
		if !strings.Contains(body, w.ada.ID) && !strings.Contains(body, `\u`) && !w.alive(s.Row.ID) {
			t.Errorf("%q ended a session", body)
		}
	})
}

func FuzzUses(f *testing.F) {
	for _, seed := range []string{`{"uses":[{"session":"abcdefghijklmnopqrstuA","generation":1,"issued_at":1}]}`, `{"uses":[{}]}`, `{"uses":{}}`, `{"uses":[{"session":"x"}]}`, "[", `{"uses":[{"issued_at":1e99}]}`, ""} {
		f.Add(seed)
	}
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, body string) {
		w.t, w.used = t, nil
		got := w.do("uses-write", "POST", "/v1/uses", body, jsonType)
		if got.Code != 204 && got.Code != 400 && got.Code != 413 || (got.Code == 204) != (len(w.used) > 0) {
			t.Errorf("%d, %d uses: %s", got.Code, len(w.used), got.Body)
		}
		for _, u := range w.used {
			if u.Session.IsZero() || u.Generation == 0 || u.IssuedAt.Unix() <= 0 {
				t.Errorf("took in %+v", u)
			}
		}
	})
}
