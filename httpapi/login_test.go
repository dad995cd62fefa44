package httpapi_test

import (
	"bytes"
	"context"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
)

// Rows: 156, 248, 250, A77.
func TestAllFailedSignInsLookAlike(t *testing.T) {
	w := newWorld(t)
	w.must(w.accounts.Disable(context.Background(), w.bob.ID))
	var first answer
	for i, body := range []string{
		loginBody("ada", "wrong", ""), loginBody("nobody", password, ""), loginBody("bob", password, ""), loginBody("bob", "wrong", ""),
		loginBody("", password, ""), loginBody("ada", "", ""), loginBody("\\u0000", password, ""), loginBody("ada\\r\\n", password, ""),
	} {
		got := w.do("POST", "/auth/login", body, jsonType, fromPage)
		got.want(401, "login_failed")
		if i == 0 {
			first = got
			continue
		}
		if !bytes.Equal(got.Body.Bytes(), first.Body.Bytes()) ||
			!maps.EqualFunc(got.Header(), first.Header(), slices.Equal) {
			t.Errorf("%s differs: %v %s", body, got.Header(), got.Body)
		}
	}
	if w.store.written() != 0 || len(w.recorded(session.EventSignInFailed)) != 8 {
		t.Errorf("%d writes, %d failures recorded", w.store.written(), len(w.recorded(session.EventSignInFailed)))
	}
}

// Rows: 26, 108, 148.
func TestProgramsGetTokensAndNeverACookie(t *testing.T) {
	w := newWorld(t)
	w.do("POST", "/auth/login", loginBody("ada", password, ""), jsonType).want(403, "cross_site")
	w.do("POST", "/auth/login", loginBody("ada", password, `,"transport":"bearer"`), jsonType).want(400, "unknown_client")
	w.do("POST", "/auth/login", loginBody("ada", password, `,"transport":"bearer","client_id":"web"`), jsonType).want(400, "unknown_client")
	w.do("POST", "/auth/login", loginBody("ada", password, `,"client_id":"cli"`), jsonType, fromPage).want(400, "unknown_client")
	got := w.do("POST", "/auth/login", loginBody("ada", password, `,"transport":"bearer","client_id":"cli","remember":true`), jsonType)
	got.want(200, "")
	if got.Header()["Set-Cookie"] != nil || got.member("csrf_token") != nil {
		t.Error("a program is sent what is for browsers")
	}
	if rows, _, err := w.Engine.List(t.Context(), w.ada.ID); err != nil || len(rows) != 1 || rows[0].Remembered {
		t.Errorf("%+v, %v", rows, err)
	}
	none := newWorld(t, change{api: func(o *httpapi.Options) { o.Clients = nil }})
	none.do("POST", "/auth/login", loginBody("ada", password, `,"transport":"bearer","client_id":"cli"`), jsonType).want(400, "unknown_client")
	none.do("OPTIONS", "/auth/login", "", "Origin: "+spa, "Access-Control-Request-Method: POST").want(405, "method_not_allowed")
	if none.store.written() != 0 {
		t.Error("a session without a client")
	}
}

// Rows: 109, 121.
func TestScopesAreTheClients(t *testing.T) {
	w := newWorld(t)
	bearer := `,"transport":"bearer","client_id":"cli","scope":"`
	w.do("POST", "/auth/login", loginBody("ada", password, bearer+`admin"`), jsonType).want(400, "invalid_scope")
	w.do("POST", "/auth/login", loginBody("ada", password, `,"scope":"write"`), jsonType, fromPage).want(400, "invalid_scope")
	got := w.do("POST", "/auth/login", loginBody("ada", password, bearer+`  write "`), jsonType)
	if got.want(200, ""); got.member("scope") != "write" {
		t.Errorf("scope %v", got.member("scope"))
	}
}

// Rows: 14, 15, 35, A31, A36.
func TestASignInTakesOverNothingAndEndsTheOldSession(t *testing.T) {
	w := newWorld(t)
	old := w.start()
	for name, carried := range map[string]string{
		"good":                 cookies(old),
		"expired access token": "Cookie: " + refreshPair(w.start().Refresh.Reveal()),
		"access token only":    "Cookie: " + accessPair(w.start().Access.Reveal()),
		"chosen by a stranger": "Cookie: " + accessPair("chosen") + "; " + refreshPair("chosen"),
	} {
		got := w.do("POST", "/auth/login", loginBody("ada", password, ""), jsonType, fromPage, carried)
		got.want(200, "")
		access, _ := got.cookie(httpauth.AccessCookie)
		refresh, _ := got.cookie(httpauth.RefreshCookie)
		if access == "chosen" || refresh == "chosen" || access == old.Access.Reveal() {
			t.Errorf("%s: a token was taken over", name)
		}
		w.do("GET", "/auth/session", "", carried).want(401, "login_required")
	}
	if row := w.row(old.Row.ID); !row.Ended() || row.EndReason != session.ReasonSignIn {
		t.Errorf("the old session: %q", row.EndReason)
	}
	if got := w.recorded(session.EventEnded); len(got) != 3 {
		t.Errorf("%d sessions ended, want 3", len(got))
	}
	failed := w.start()
	w.do("POST", "/auth/login", loginBody("ada", "wrong", ""), jsonType, fromPage, cookies(failed)).want(401, "login_failed")
	if !w.alive(failed.Row.ID) {
		t.Error("a failed sign-in ended a session")
	}
}

// meddler lets something happen between Authenticate and Recheck.
type meddler struct {
	httpapi.Accounts
	between func()
}

func (m meddler) Recheck(ctx context.Context, user account.User) error {
	m.between()
	return m.Accounts.Recheck(ctx, user)
}

// Rows: 118, 140, 143.
func TestAUserWhoIsDisabledDuringTheSignInGetsNothing(t *testing.T) {
	for name, c := range map[string]struct {
		meddle func(*world)
		status int
		code   string
		why    session.Reason
	}{
		"disabled":         {func(w *world) { w.must(w.accounts.Disable(context.Background(), w.ada.ID)) }, 401, "login_failed", session.ReasonDisabled},
		"password changed": {func(w *world) { w.setPassword("another long password") }, 401, "login_failed", session.ReasonPassword},
		"store gone":       {func(w *world) { w.must(w.accounts.Disable(context.Background(), w.ada.ID)); w.store.fail("End") }, 503, "unavailable", ""},
	} {
		w := newWorld(t, change{users: func(w *world) httpapi.Accounts { return meddler{w.accounts, func() { c.meddle(w) }} }})
		got := w.do("POST", "/auth/login", loginBody("ada", password, ""), jsonType, fromPage)
		got.want(c.status, c.code)
		if got.Header()["Set-Cookie"] != nil {
			t.Errorf("%s: cookies were set", name)
		}
		if ended := w.recorded(session.EventEnded); c.why != "" && (len(ended) != 1 || ended[0].Reason != string(c.why)) {
			t.Errorf("%s: ended %+v", name, ended)
		}
		if len(w.recorded(session.EventSignInOK)) != 0 {
			t.Errorf("%s: recorded as a sign-in", name)
		}
	}
}

func (w *world) setPassword(text string) {
	w.must(w.accounts.SetPassword(context.Background(), w.ada.ID, account.NewPassword(text)))
}

// A client that hangs up at the worst moment leaves no session behind.
//
// Rows: 140.
func TestNoSessionIsLeftToAClientThatHasGone(t *testing.T) {
	hangUp := func() {}
	w := newWorld(t, change{users: func(w *world) httpapi.Accounts {
		return meddler{w.accounts, func() {
			w.must(w.accounts.Disable(context.Background(), w.ada.ID))
			hangUp()
		}}
	}})
	w.store.heedsContext = true
	ctx, cancel := context.WithCancel(t.Context())
	hangUp = cancel
	w.send(request("POST", "/auth/login", loginBody("ada", password, ""), jsonType, fromPage).WithContext(ctx))
	rows, _, err := w.Engine.List(t.Context(), w.ada.ID)
	if err != nil || len(rows) != 0 {
		t.Errorf("%d sessions live, %v", len(rows), err)
	}
}

// busy is a machine that is full.
type busy struct{ httpapi.Accounts }

func (busy) Authenticate(context.Context, string, account.Password, netip.Addr) (account.User, error) {
	return account.User{}, &account.BusyError{RetryAfter: 2500 * time.Millisecond}
}

// Rows: 129, 161, 254.
func TestAFullMachineSaysWhenToComeBack(t *testing.T) {
	w := newWorld(t, change{users: func(w *world) httpapi.Accounts { return busy{w.accounts} }})
	got := w.do("POST", "/auth/login", loginBody("ada", password, ""), jsonType, fromPage)
	got.want(503, "busy")
	if after := got.Header().Get("Retry-After"); after != "3" {
		t.Errorf("Retry-After %q", after)
	}
	if len(w.recorded(session.EventOverload)) != 1 || len(w.recorded(session.EventSignInFailed)) != 0 {
		t.Error("not recorded as overload")
	}
}

// Rows: 136.
func TestTheSessionClaimsNoMoreThanTheLogin(t *testing.T) {
	w := newWorld(t)
	w.do("POST", "/auth/login", loginBody("ada", password, ""), jsonType, fromPage).want(200, "")
	if ok := w.recorded(session.EventSignInOK); len(ok) != 1 || ok[0].UserID != w.ada.ID || ok[0].ClientID != "web" {
		t.Errorf("recorded %+v", ok)
	}
	rows, _, err := w.Engine.List(context.Background(), w.ada.ID)
	if err != nil || len(rows) != 1 || len(rows[0].Methods) != 1 || rows[0].Methods[0] != "pwd" || rows[0].Remembered {
		t.Errorf("rows %+v, %v", rows, err)
	}
}

// Rows: 110.
func TestAPolicyThatWantsBindingGivesNoTokensWithout(t *testing.T) {
	w := newWorld(t, change{rules: func(p *session.Policy) { p.RequireBinding = true }})
	w.do("POST", "/auth/login", loginBody("ada", password, `,"transport":"bearer","client_id":"cli"`), jsonType).want(403, "binding_required")
	if w.store.written() != 0 {
		t.Error("a session was made")
	}
}
