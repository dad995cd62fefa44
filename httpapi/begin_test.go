package httpapi_test

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/dbsc"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
)

// confirm is a sign-in by which a user shows once more who it is.
func (w *world) confirm(name, cookie string) (answer, error) {
	c := credentials(name, password)
	c.Confirm = true
	return w.use(request("POST", "/auth/signin", "", fromPage, cookie), func(rw http.ResponseWriter, r *http.Request) error {
		_, err := w.SignIn(rw, r, c)
		return err
	})
}

func (w *world) live(userID string) (ids []session.ID) {
	w.t.Helper()
	rows, _, err := w.Engine.List(context.Background(), userID)
	w.must(err)
	for _, row := range rows {
		ids = append(ids, row.ID)
	}
	return ids
}

// The request by which another site sends a user back carries the access
// cookie, since that is Lax, and whoever begins a login there may well be
// signed in here, or have been.
//
// Rows: 15, 35.
func TestALoginElsewhereEndsTheSessionThatTheBrowserHad(t *testing.T) {
	for name, age := range map[string]time.Duration{"live": time.Minute, "expired": time.Hour} {
		w := newWorld(t)
		old := w.start()
		w.wait(age)
		r := request("GET", "/oauth/callback?state=ok", "", append(navigation, "Sec-Fetch-Site: cross-site", "Cookie: "+accessPair(old.Access.Reveal()))...)
		for _, asked := range []bool{false, true} {
			got, err := w.use(r, func(rw http.ResponseWriter, r *http.Request) error {
				return w.Start(rw, r, httpapi.Login{UserID: "42", DangerouslyFromAnotherSite: asked})
			})
			if (err == nil) != asked || !asked && httpapi.Describe(err).Code != "cross_site" {
				t.Fatalf("%s, asked for %v: %v", name, asked, err)
			}
			if asked {
				w.do("GET", "/auth/session", "", got.session()).want(200, "")
			}
		}
		for want, spoil := range map[error]func(*http.Request){
			httpauth.ErrMisdirected:    func(r *http.Request) { r.Host = "evil.example" },
			httpauth.ErrInsecure:       func(r *http.Request) { r.TLS = nil },
			httpauth.ErrTwoCredentials: func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") },
		} {
			spoilt := r.Clone(t.Context())
			spoil(spoilt)
			got, err := w.use(spoilt, func(rw http.ResponseWriter, r *http.Request) error {
				return w.Start(rw, r, httpapi.Login{UserID: "42", DangerouslyFromAnotherSite: true})
			})
			if !errors.Is(err, want) || len(got.Header()) != 0 {
				t.Errorf("%s: %v, want %v; %v", name, err, want, got.Header())
			}
		}
		// An expired access token alone proves nothing.
		if w.alive(old.Row.ID) != (name == "expired") {
			t.Errorf("%s: the old session lives: %v", name, w.alive(old.Row.ID))
		}
	}
}

// Rows: 94, 147.
func TestASignInThatFailsLeavesTheSessionThatWasThere(t *testing.T) {
	for _, fails := range []string{"Create", "List", "End"} {
		w := newWorld(t)
		old := w.start()
		w.store.fail(fails)
		got, err := w.confirm("ada", cookies(old))
		w.store.fail()
		if httpapi.Describe(err).Code != "unavailable" || len(got.Header()) != 0 {
			t.Errorf("%s: %v, %v", fails, err, got.Header())
		}
		if !w.alive(old.Row.ID) {
			t.Errorf("%s: the old session has ended", fails)
		}
		// What no store lets end has no token that was sent.
		if live := w.live(w.ada.ID); fails != "End" && len(live) != 1 {
			t.Errorf("%s: %d sessions live", fails, len(live))
		}
		if len(w.recorded(session.EventSignInOK)) != 0 {
			t.Errorf("%s: recorded as a sign-in", fails)
		}
	}
}

// Rows: 140.
func TestASignInThatFailsLeavesNothingToAClientThatHasGone(t *testing.T) {
	for name, users := range map[string]func(*world, func()) httpapi.Accounts{
		"before the user is checked again": func(w *world, cancel func()) httpapi.Accounts { return meddler{w.accounts, cancel} },
		"after":                            func(w *world, cancel func()) httpapi.Accounts { return hangUp{w.accounts, cancel} },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		w := newWorld(t, change{users: func(w *world) httpapi.Accounts { return users(w, cancel) }})
		w.store.heedsContext = true
		w.store.fail("List")
		w.send(request("POST", "/auth/login", loginBody("ada", password, ""), jsonType, fromPage).WithContext(ctx))
		w.store.fail()
		if live := w.live(w.ada.ID); len(live) != 0 {
			t.Errorf("%s: %d sessions live", name, len(live))
		}
		if ended := w.recorded(session.EventEnded); len(ended) != 1 || ended[0].Reason != string(session.ReasonAbandoned) {
			t.Errorf("%s: ended %+v", name, ended)
		}
	}
}

// One press of a button can send a form twice, with the same cookies.
//
// Rows: 15, 144.
func TestConfirmingTwiceIsConfirmingOnce(t *testing.T) {
	for name, age := range map[string]time.Duration{"live": time.Minute, "expired": 10 * time.Minute, "outside the prefix": time.Minute} {
		w := newWorld(t)
		old := w.start(func(l *session.Login) { l.Remembered = true })
		other := w.start()
		w.wait(age)
		jar := cookies(old)
		if name == "outside the prefix" {
			jar = "Cookie: " + accessPair(old.Access.Reveal())
		}
		var got answer
		for i := range 3 {
			var err error
			if got, err = w.confirm("ada", jar); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(got.Header()["Set-Cookie"][0], "Max-Age=") {
				t.Errorf("%s, time %d: not remembered", name, i)
			}
			if live := w.live(w.ada.ID); len(live) != 2 || !slices.Contains(live, other.Row.ID) {
				t.Errorf("%s, time %d: %d sessions live", name, i, len(live))
			}
		}
		w.do("GET", "/auth/session", "", got.session()).want(200, "")
	}
}

// The cookies of a session that is over prove nothing to anybody else, and not
// for long.
//
// Rows: 15, 144.
func TestCookiesOfAReplacedSessionAreWorthNothingElse(t *testing.T) {
	w := newWorld(t)
	old := w.start(func(l *session.Login) { l.Remembered = true })
	mine, err := w.confirm("ada", cookies(old))
	w.must(err)
	his, err := w.confirm("bob", cookies(old))
	w.must(err)
	w.do("GET", "/auth/session", "", mine.session()).want(200, "")
	if strings.Contains(his.Header()["Set-Cookie"][0], "Max-Age=") {
		t.Error("remembered as another user's session was")
	}
	w.wait(2 * time.Minute)
	late, err := w.confirm("ada", cookies(old))
	w.must(err)
	if strings.Contains(late.Header()["Set-Cookie"][0], "Max-Age=") {
		t.Error("remembered as a session that ended long ago")
	}

	signedOut := w.start(func(l *session.Login) { l.Remembered = true })
	w.do("POST", "/auth/logout", "", fromPage, cookies(signedOut)).want(204, "")
	after, err := w.confirm("ada", cookies(signedOut))
	w.must(err)
	if strings.Contains(after.Header()["Set-Cookie"][0], "Max-Age=") {
		t.Error("remembered as a session that was signed out")
	}
}

// Rows: 147.
func TestOfTwoLoginsAtOnceOneStays(t *testing.T) {
	for range 30 {
		w := newWorld(t, change{api: func(o *httpapi.Options) { o.MaxSessions = 1 }})
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() { w.do("POST", "/auth/login", loginBody("ada", password, ""), jsonType, fromPage).want(200, "") })
		}
		both.Wait()
		if len(w.live(w.ada.ID)) == 0 {
			t.Fatal("both logins succeeded, and neither session lives")
		}
	}
}

// Rows: 147.
func TestALoginEndsOnlyWhatIsOlder(t *testing.T) {
	w := newWorld(t, change{
		api: func(o *httpapi.Options) { o.MaxSessions = 1 },
		users: func(w *world) httpapi.Accounts {
			// Another login of the same instant is stored meanwhile.
			return meddler{w.accounts, func() {
				w.must(w.store.Store.Create(context.Background(), session.Row{
					ID: session.ID{0xff, 1}, Generation: 1, UserID: w.ada.ID, RotatedAt: w.now, CreatedAt: w.now, AuthTime: w.now,
					AbsoluteEnd: w.now.Add(time.Hour), IdleLimit: time.Hour, Transport: session.Cookie,
				}))
				w.must(w.store.Store.Create(context.Background(), session.Row{
					ID: session.ID{0, 1}, Generation: 1, UserID: w.ada.ID, RotatedAt: w.now, CreatedAt: w.now, AuthTime: w.now,
					AbsoluteEnd: w.now.Add(time.Hour), IdleLimit: time.Hour, Transport: session.Cookie,
				}))
			}}
		},
	})
	w.do("POST", "/auth/login", loginBody("ada", password, ""), jsonType, fromPage).want(200, "")
	if !w.alive(session.ID{0xff, 1}) {
		t.Error("the newer session ended")
	}
	if w.alive(session.ID{0, 1}) {
		t.Error("the older session lives")
	}
}

// What a login replaces is not counted beside it.
//
// Rows: 147.
func TestConfirmingMakesNoRoom(t *testing.T) {
	w := newWorld(t, change{api: func(o *httpapi.Options) { o.MaxSessions = 2 }})
	other := w.start()
	w.wait(time.Minute)
	mine := w.start()
	w.wait(time.Minute)
	_, err := w.confirm("ada", cookies(mine))
	w.must(err)
	if live := w.live(w.ada.ID); len(live) != 2 || !w.alive(other.Row.ID) || w.alive(mine.Row.ID) {
		t.Errorf("%d sessions live; the other one: %v, the old one: %v", len(live), w.alive(other.Row.ID), w.alive(mine.Row.ID))
	}
}

func (s *watchedStore) failOnce(method string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails = map[string]int{method: 1}
}

// From the moment that the password is stored on, nothing says that nothing
// was done.
//
// Rows: 94, 166.
func TestAChangedPasswordIsToldWhateverFailsAfterIt(t *testing.T) {
	const next = "another long password"
	for _, fails := range []string{"End", "Create"} {
		for _, kind := range []string{"browser", "app"} {
			if kind == "app" && fails == "Create" {
				continue // an app gets no session
			}
			w := newWorld(t)
			s, credential := w.start(), ""
			if credential = cookies(s); kind == "app" {
				s = w.start(bearerSession)
				credential = "Authorization: Bearer " + s.Access.Reveal()
			}
			w.store.fail(fails)
			got := w.do("POST", "/auth/password", passwordBody(password, next), jsonType, fromPage, credential)
			w.store.fail()
			got.want(500, "password_changed")
			if got.Header()["Set-Cookie"] != nil || got.Header().Get("Retry-After") != "" {
				t.Errorf("%s, %s: %v", fails, kind, got.Header())
			}
			if !w.alive(s.Row.ID) {
				t.Errorf("%s, %s: the session that asked has ended, with nothing in its place", fails, kind)
			}
			if _, err := w.accounts.Authenticate(t.Context(), "ada", account.NewPassword(next), testAddr); err != nil {
				t.Errorf("%s, %s: %v", fails, kind, err)
			}
			if !strings.Contains(w.log.String(), errDisk.Error()) {
				t.Errorf("%s, %s: the cause is not in the log", fails, kind)
			}
		}
	}
	w := newWorld(t)
	s := w.start()
	w.store.fail("Load")
	w.do("POST", "/auth/password", passwordBody(password, next), jsonType, fromPage, cookies(s)).want(503, "unavailable")

	// The last step fails: of the new session nobody gets a token.
	w = newWorld(t, change{users: func(w *world) httpapi.Accounts { return meddler{w.accounts, func() { w.store.failOnce("End") }} }})
	s = w.start()
	w.do("POST", "/auth/password", passwordBody(password, next), jsonType, fromPage, cookies(s)).want(500, "password_changed")
	if live := w.live(w.ada.ID); !slices.Equal(live, []session.ID{s.Row.ID}) {
		t.Errorf("%d sessions live", len(live))
	}
}

// hangUp lets the client go when its password has been stored, or its session.
type hangUp struct {
	httpapi.Accounts
	after func()
}

func (h hangUp) Recheck(ctx context.Context, user account.User) error {
	defer h.after()
	return h.Accounts.Recheck(ctx, user)
}

func (h hangUp) ChangePassword(ctx context.Context, id string, current, next account.Password, from netip.Addr) (account.User, error) {
	defer h.after()
	return h.Accounts.ChangePassword(ctx, id, current, next, from)
}

// Rows: 15, 141.
func TestAClientThatGoesDoesNotKeepTheSessionsOfItsOldPassword(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := newWorld(t, change{users: func(w *world) httpapi.Accounts { return hangUp{w.accounts, cancel} }})
	w.store.heedsContext = true
	mine, other := w.start(), w.start()
	w.send(request("POST", "/auth/password", passwordBody(password, "another long password"), jsonType, fromPage, cookies(mine)).WithContext(ctx))
	if !errors.Is(ctx.Err(), context.Canceled) || w.alive(other.Row.ID) || w.alive(mine.Row.ID) {
		t.Errorf("gone: %v; other alive %v, own alive %v", ctx.Err(), w.alive(other.Row.ID), w.alive(mine.Row.ID))
	}
}

// Rows: 15, 166.
func TestAChangeOfThePasswordAsksTheDeviceAnew(t *testing.T) {
	w := newWorld(t)
	s := w.start(func(l *session.Login) { l.Binding = session.Binding{Kind: session.DBSC, Thumbprint: "thumb"} })
	got := w.do("POST", "/auth/password", passwordBody(password, "another long password"), jsonType, fromPage, cookies(s))
	got.want(204, "")
	v, err := w.Viewer(request("GET", "/", "", got.session()))
	w.must(err)
	if b := w.row(v.Session).Binding; v.Session == s.Row.ID || b.Kind != session.Unbound || got.Header().Get(dbsc.RegistrationHeader) == "" {
		t.Errorf("bound to %+v, offered %q", b, got.Header().Get(dbsc.RegistrationHeader))
	}
}

// A guess at the current password is told of whose session it came.
//
// Rows: 166, 169.
func TestGuessesAtTheCurrentPasswordNameTheSession(t *testing.T) {
	w := newWorld(t)
	s := w.start()
	for range 30 {
		if w.do("POST", "/auth/password", passwordBody("wrong", "another long password"), jsonType, fromPage, cookies(s)).Code == 429 {
			break
		}
	}
	for _, kind := range []session.EventType{session.EventSignInFailed, session.EventRateLimited} {
		events := w.recorded(kind)
		if len(events) == 0 || events[0].UserID != w.ada.ID || events[0].Session != w.Engine.Pseudonym(s.Row.ID) || events[0].ClientID != "web" {
			t.Errorf("%s: %+v", kind, events)
		}
	}
}
