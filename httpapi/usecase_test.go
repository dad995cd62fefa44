package httpapi_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
)

func signup(o *httpapi.Options) { o.AllowSignup = true }

// use runs a use case as the handler of a form would.
func (w *world) use(r *http.Request, do func(http.ResponseWriter, *http.Request) error) (answer, error) {
	got := answer{httptest.NewRecorder(), w.t}
	err := do(got, r)
	return got, err
}

// issued returns the Cookie header of what an answer set.
func (a answer) session() string {
	a.t.Helper()
	access, ok := a.cookie(httpauth.AccessCookie)
	refresh, also := a.cookie(httpauth.RefreshCookie)
	if !ok || !also {
		a.t.Fatalf("%d: no session was set: %v %s", a.Code, a.Header(), a.Body)
	}
	return "Cookie: " + accessPair(access) + "; " + refreshPair(refresh)
}

func credentials(name, pass string) httpapi.Credentials {
	return httpapi.Credentials{Username: name, Password: account.NewPassword(pass)}
}

// useCases are all that change something, by a request with cookies of s.
func (w *world) useCases(other session.ID) map[string]func(http.ResponseWriter, *http.Request) error {
	return map[string]func(http.ResponseWriter, *http.Request) error{
		"SignIn": func(rw http.ResponseWriter, r *http.Request) error {
			_, err := w.SignIn(rw, r, credentials("ada", password))
			return err
		},
		"SignUp": func(rw http.ResponseWriter, r *http.Request) error {
			_, err := w.SignUp(rw, r, credentials("eve", password))
			return err
		},
		"Start": func(rw http.ResponseWriter, r *http.Request) error {
			return w.Start(rw, r, httpapi.Login{UserID: w.ada.ID})
		},
		"SignOut": w.SignOut,
		"Renew":   func(rw http.ResponseWriter, r *http.Request) error { return w.Renew(rw, r, "") },
		"ChangePassword": func(rw http.ResponseWriter, r *http.Request) error {
			return w.ChangePassword(rw, r, account.NewPassword(password), account.NewPassword("another long password"))
		},
		"EndDevice":       func(_ http.ResponseWriter, r *http.Request) error { return w.EndDevice(r, other.String()) },
		"EndOtherDevices": func(_ http.ResponseWriter, r *http.Request) error { return w.EndOtherDevices(r) },
	}
}

// Every use case judges its request itself, since a program may call it from
// anywhere. The cookies are attached by hand, as if there were no SameSite.
//
// Rows: 24, 35, 39, A11, A18.
func TestUseCasesRefuseWhatIsNotOurOwnPages(t *testing.T) {
	plain := func(r *http.Request) { r.TLS = nil }
	for name := range newWorld(t).useCases(session.ID{}) {
		for kind, c := range map[string]struct {
			headers []string
			spoil   func(*http.Request)
			want    error
		}{
			"another site":  {[]string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, nil, httpauth.ErrCrossSite},
			"a sibling":     {[]string{"Sec-Fetch-Site: same-site"}, nil, httpauth.ErrCrossSite},
			"a sandbox":     {[]string{"Origin: null"}, nil, httpauth.ErrCrossSite},
			"nobody knows":  {nil, nil, httpauth.ErrCrossSite},
			"said twice":    {[]string{fromPage, fromPage}, nil, httpauth.ErrRepeatedHeader},
			"plain http":    {[]string{fromPage}, plain, httpauth.ErrInsecure},
			"another host":  {[]string{fromPage}, func(r *http.Request) { r.Host = "evil.example" }, httpauth.ErrMisdirected},
			"with a bearer": {[]string{fromPage, "Authorization: Bearer x"}, nil, httpauth.ErrTwoCredentials},
		} {
			for _, method := range []string{"POST", "GET"} {
				w := newWorld(t, change{api: signup})
				s, other := w.start(), w.start()
				w.wait(80 * time.Second)
				r := request(method, "/form", "", append(c.headers, cookies(s))...)
				if c.spoil != nil {
					c.spoil(r)
				}
				before := w.store.written()
				got, err := w.use(r, w.useCases(other.Row.ID)[name])
				if !errors.Is(err, c.want) || len(got.Header()) != 0 || w.store.written() != before || !w.alive(other.Row.ID) {
					t.Errorf("%s by %s of %s: %v, want %v; headers %v, %d writes", name, method, kind, err, c.want, got.Header(), w.store.written()-before)
				}
			}
		}
	}
}

// Rows: 4, 94.
func TestUseCasesWriteNothingUnlessTheySucceed(t *testing.T) {
	for name := range newWorld(t).useCases(session.ID{}) {
		for _, fails := range []string{"", "Create", "Load", "Replace", "End", "List"} {
			w := newWorld(t, change{api: signup})
			s, other := w.start(), w.start()
			w.wait(80 * time.Second)
			w.store.fail(fails)
			got, err := w.use(request("POST", "/form", "", fromPage, cookies(s)), w.useCases(other.Row.ID)[name])
			switch {
			case err != nil && fails == "":
				t.Errorf("%s: %v", name, err)
			case err != nil && (len(got.Header()) != 0 || got.Body.Len() != 0):
				t.Errorf("%s with a failing %s: %v, but %v", name, fails, err, got.Header())
			case name == "ChangePassword" && (fails == "Create" || fails == "End"): // too late to try again
				if httpapi.Describe(err) != (httpapi.Description{Status: 500, Code: "password_changed"}) {
					t.Errorf("%s with a failing %s: %+v", name, fails, httpapi.Describe(err))
				}
			case err != nil && httpapi.Describe(err) != (httpapi.Description{Status: 503, Code: "unavailable", RetryAfter: time.Second}):
				t.Errorf("%s with a failing %s: %+v", name, fails, httpapi.Describe(err))
			}
			for _, line := range got.Header()["Set-Cookie"] {
				if !strings.Contains(line, "; SameSite=Lax") && !strings.Contains(line, "; SameSite=Strict") {
					t.Errorf("%s: %s", name, line)
				}
			}
		}
	}
}

// Rows: 15, 145, A31.
func TestConfirmingMakesANewSessionThatIsRememberedAsTheOldOne(t *testing.T) {
	for _, remembered := range []bool{false, true} {
		w := newWorld(t)
		old := w.start(func(l *session.Login) { l.Remembered = remembered })
		bobs := w.start(func(l *session.Login) { l.UserID, l.Remembered = w.bob.ID, true })
		w.wait(time.Hour)
		c := credentials("ada", password)
		c.Confirm, c.Remember = true, !remembered
		got, err := w.use(request("POST", "/auth/signin", "", fromPage, cookies(old)), func(rw http.ResponseWriter, r *http.Request) error {
			user, err := w.SignIn(rw, r, c)
			if user.ID != w.ada.ID {
				t.Errorf("signed in %+v", user)
			}
			return err
		})
		w.must(err)
		if strings.Contains(got.Header()["Set-Cookie"][0], "Max-Age") != remembered {
			t.Errorf("remembered %v: %q", remembered, got.Header()["Set-Cookie"])
		}
		if row := w.row(old.Row.ID); row.EndReason != session.ReasonSignIn {
			t.Errorf("the old session ended by %q", row.EndReason)
		}
		w.do("POST", "/auth/refresh", "", fromPage, cookies(old)).want(401, "login_required")
		w.do("POST", "/auth/sessions/end-others", "", fromPage, got.session()).want(204, "")
		// What another user had is no reason to remember this one.
		got, err = w.use(request("POST", "/auth/signin", "", fromPage, cookies(bobs)), func(rw http.ResponseWriter, r *http.Request) error {
			_, err := w.SignIn(rw, r, c)
			return err
		})
		w.must(err)
		if strings.Contains(got.Header()["Set-Cookie"][0], "Max-Age") {
			t.Error("remembered as another user's session was")
		}
	}
}

// Rows: 15, 35, 136, 140.
func TestAProgramSignsInItsOwnUsers(t *testing.T) {
	w := newWorld(t)
	start := func(l httpapi.Login, headers ...string) (answer, error) {
		return w.use(request("POST", "/login", "", headers...), func(rw http.ResponseWriter, r *http.Request) error { return w.Start(rw, r, l) })
	}
	old := w.start()
	got, err := start(httpapi.Login{UserID: "42", Username: "Grace", Methods: []string{"pwd", "otp"}, Remember: true}, fromPage, cookies(old))
	w.must(err)
	if w.alive(old.Row.ID) {
		t.Error("the old session lives")
	}
	v, err := w.Viewer(request("GET", "/", "", got.session()))
	if err != nil || v.UserID != "42" || v.Username != "Grace" || !v.AuthTime.Equal(w.now) || !w.Guard.CSRF.Check(v.Session, v.CSRFToken) {
		t.Errorf("viewer %+v, %v", v, err)
	}
	if row := w.row(v.Session); strings.Join(row.Methods, " ") != "pwd otp" || !row.Remembered || row.Transport != session.Cookie || row.ClientID != "web" {
		t.Errorf("row %+v", row)
	}
	if ok := w.recorded(session.EventSignInOK); len(ok) != 1 || ok[0].UserID != "42" {
		t.Errorf("recorded %+v", ok)
	}
	// The password is not ours to change.
	w.do("POST", "/auth/password", `{"current":"x","new":"another long password"}`, jsonType, fromPage, got.session()).want(404, "not_found")

	w.must(w.accounts.Disable(t.Context(), w.bob.ID))
	for name, c := range map[string]struct {
		login httpapi.Login
		from  string
		want  error
	}{
		"disabled":       {httpapi.Login{UserID: w.bob.ID}, fromPage, account.ErrCredentials},
		"sent back":      {httpapi.Login{UserID: "42"}, "Sec-Fetch-Site: cross-site", httpauth.ErrCrossSite},
		"sent back, yes": {httpapi.Login{UserID: "42", DangerouslyFromAnotherSite: true}, "Sec-Fetch-Site: cross-site", nil},
	} {
		if _, err := start(c.login, c.from); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if got, err := start(httpapi.Login{}, fromPage); httpapi.Describe(err).Status != 500 || len(got.Header()) != 0 {
		t.Errorf("nobody: %v", err)
	}
}

// A user who is disabled while the program signs in gets nothing.
//
// Rows: 140.
func TestAProgramsLoginIsCheckedAgain(t *testing.T) {
	calls := 0
	w := newWorld(t, change{users: func(w *world) httpapi.Accounts {
		return meddler{w.accounts, func() {
			if calls++; calls == 2 {
				w.must(w.accounts.Disable(context.Background(), w.ada.ID))
			}
		}}
	}})
	got, err := w.use(request("POST", "/login", "", fromPage), func(rw http.ResponseWriter, r *http.Request) error {
		return w.Start(rw, r, httpapi.Login{UserID: w.ada.ID})
	})
	if !errors.Is(err, account.ErrCredentials) || len(got.Header()) != 0 || calls != 2 {
		t.Errorf("%v, %v after %d checks", err, got.Header(), calls)
	}
	if rows, _, err := w.Engine.List(t.Context(), w.ada.ID); err != nil || len(rows) != 0 {
		t.Errorf("%d sessions live, %v", len(rows), err)
	}
}

// Rows: 147.
func TestTheOldestSessionMakesRoom(t *testing.T) {
	w := newWorld(t, change{api: func(o *httpapi.Options) { o.MaxSessions = 3 }})
	bobs := w.start(func(l *session.Login) { l.UserID = w.bob.ID })
	var mine []session.ID
	for range 5 {
		w.wait(time.Minute)
		body := loginBody("ada", password, "")
		headers := []string{jsonType, fromPage}
		if len(mine)%2 == 1 { // an app's sessions count too
			body, headers = loginBody("ada", password, `,"transport":"bearer","client_id":"cli"`), []string{jsonType}
		}
		got := w.do("POST", "/auth/login", body, headers...)
		got.want(200, "")
		var id session.ID
		w.must(id.UnmarshalText([]byte(got.member("session", "id").(string))))
		mine = append(mine, id)
	}
	for i, id := range mine {
		if row := w.row(id); row.Ended() != (i < 2) || i < 2 && row.EndReason != session.ReasonExcess {
			t.Errorf("login %d: ended %v by %q", i, row.Ended(), row.EndReason)
		}
	}
	if !w.alive(bobs.Row.ID) {
		t.Error("somebody else's session ended")
	}
	if got := w.recorded(session.EventExcess); len(got) != 2 || got[0].UserID != w.ada.ID || got[0].Session != w.Engine.Pseudonym(mine[0]) {
		t.Errorf("recorded %+v", got)
	}
	// One more at the same instant still leaves three.
	w.do("POST", "/auth/login", loginBody("ada", password, ""), jsonType, fromPage).want(200, "")
	if rows, _, err := w.Engine.List(t.Context(), w.ada.ID); err != nil || len(rows) != 3 {
		t.Errorf("%d sessions, %v", len(rows), err)
	}
}

// Rows: 149, A4.
func TestAnotherBrowserInMidSessionIsRecordedAndNotRefused(t *testing.T) {
	const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/"
	const chrome = "User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36"
	for name, c := range map[string]struct {
		began, headers []string
		want           []string
	}{
		"same":             {[]string{firefox + "140.0"}, []string{"User-Agent: " + firefox + "140.0"}, nil},
		"updated":          {[]string{firefox + "140.0"}, []string{"User-Agent: " + firefox + "141.0"}, nil},
		"another":          {[]string{firefox + "140.0"}, []string{chrome}, []string{"user_agent"}},
		"another, moved":   {[]string{firefox + "140.0", "203.0.113.0/24"}, []string{chrome}, []string{"user_agent_and_network"}},
		"only moved":       {[]string{firefox + "140.0", "203.0.113.0/24"}, []string{"User-Agent: " + firefox + "140.0"}, nil},
		"none any more":    {[]string{firefox + "140.0"}, nil, []string{"user_agent"}},
		"never said":       {[]string{""}, []string{chrome}, nil},
		"said without end": {[]string{firefox + "140.0"}, []string{"User-Agent: " + strings.Repeat("(", 4000)}, []string{"user_agent"}},
	} {
		w := newWorld(t)
		began := func(l *session.Login) {
			l.Origin = session.Origin{UserAgent: c.began[0], Address: "192.0.2.0/24"}
			if len(c.began) > 1 {
				l.Origin.Address = c.began[1]
			}
		}
		s, app := w.start(began), w.start(bearerSession, began)
		w.wait(80 * time.Second)
		w.do("POST", "/auth/refresh", "", append(c.headers, fromPage, cookies(s))...).want(200, "")
		w.do("POST", "/auth/token", "grant_type=refresh_token&refresh_token="+app.Refresh.Reveal(), append(c.headers, formType)...).want(200, "")
		got := w.recorded(session.EventContextChanged)
		if len(got) != 2*len(c.want) || len(got) > 0 && (got[0].Reason != c.want[0] || got[0].UserID != w.ada.ID || got[0].Session != w.Engine.Pseudonym(s.Row.ID)) {
			t.Errorf("%s: recorded %+v", name, got)
		}
	}
}

// Rows: 127, 144, 149.
func TestDevicesAreToldInOurOwnWords(t *testing.T) {
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                                         "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36":                                "Chrome on Windows",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0":                  "Edge on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15":                          "Safari on macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1":        "Safari on iPhone",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/138.0.7204.53 Mobile/15E148 Safari/604.1": "Chrome on iPhone",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile Safari/537.36":                                "Chrome on Android",
		"Mozilla/5.0 (Linux; Android 14; SM-S928B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36":     "Samsung Browser on Android",
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36":                                 "Chrome on ChromeOS",
		"curl/8.14.1":                       "curl",
		"":                                  "Unknown device",
		"Go-http-client/2.0":                "Unknown device",
		"Mozilla/5.0 (Windows NT 10.0)":     "Windows",
		"<script>alert(1)</script>":         "Unknown device",
		"Call-me-on-555-0100/1.0":           "Unknown device",
		"Mozilla/5.0 (Linux; YourBank) x/1": "Linux",
	} {
		w := newWorld(t)
		s := w.start(func(l *session.Login) { l.Origin.UserAgent = agent })
		devices, err := w.Devices(request("GET", "/", "", cookies(s)))
		if err != nil || len(devices) != 1 || devices[0].Label != want || !devices[0].Current {
			t.Errorf("%q: %+v, %v; want %s", agent, devices, err, want)
		}
	}
}

// testAddr is where the tests' requests come from.
var testAddr = netip.MustParseAddr("192.0.2.1")
