package pages_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
)

// Rows: 62, 142
func TestSigningInAndOut(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	page := b.get("/auth/signin?return_to=/app%3Fx%3D1").want(200, "Sign in", "Keep me signed in")
	a := b.post("/auth/signin", "username", "ada", "password", password, "remember", "1", "return_to", page.value("return_to"))
	a.leads("/auth/signin?check=1&return_to=%2Fapp%3Fx%3D1")
	b.follow(a).leadsOn("/app?x=1")
	b.get("/auth/signin").want(200, "You are signed in", "ada", "Continue")

	out := b.get("/auth/signout").want(200, "Sign out?", "ada")
	a = b.post("/auth/signout", "csrf_token", out.value("csrf_token"))
	a.leads("/auth/signed-out")
	b.follow(a).want(200, "You are signed out")
	if len(b.cookies) != 0 {
		t.Errorf("cookies stay: %v", b.cookies)
	}
	// The back button asks anew, since nothing was stored; sending the form once more is no error.
	b.get("/auth/devices").leads("/auth/signin?return_to=%2Fauth%2Fdevices")
	b.get("/auth/signout").want(200, "You are signed out")
	b.post("/auth/signout", "csrf_token", out.value("csrf_token")).leads("/auth/signed-out")
}

// Rows: 35, A77
func TestAFailedSignInTellsNothingAndKeepsTheName(t *testing.T) {
	w := newWorld(t)
	var seen []string
	for _, name := range []string{"ada", "eve"} {
		b := w.browser()
		a := b.post("/auth/signin", "username", name, "password", "<b>wrong", "remember", "1", "return_to", "/app")
		a.want(403, "The user name or password is wrong.", "!<b>", "!wrong\"")
		if a.value("username") != name || a.value("return_to") != "/app" || !strings.Contains(a.Body.String(), " checked") {
			t.Errorf("what was typed is lost: %s", a.Body)
		}
		if strings.Contains(a.Body.String(), "b&gt;wrong") || len(b.cookies) > 0 {
			t.Error("the password comes back, or a cookie is set")
		}
		body := strings.ReplaceAll(a.Body.String(), name, "NAME")
		seen = append(seen, nonceIn.ReplaceAllString(a.Header().Get("Content-Security-Policy"), "")+withoutNonce(body))
	}
	if seen[0] != seen[1] {
		t.Errorf("the pages differ:\n%s\n%s", seen[0], seen[1])
	}
}

func withoutNonce(body string) string {
	before, after, _ := strings.Cut(body, ` nonce="`)
	_, after, _ = strings.Cut(after, `"`)
	return before + after
}

// Rows: 162, 164, A84
func TestBadInputGetsAClearPageAndLosesNothing(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		path, username, password string
		status                   int
		says                     string
	}{
		"long name":           {"/auth/signup", strings.Repeat("n", 300), password, 400, "This name is too long."},
		"invisible character": {"/auth/signup", "a\u200bb", password, 400, "This name cannot be used."},
		"look-alike letters":  {"/auth/signup", "p\u0430ypal", password, 400, "mixes alphabets"},
		"direction override":  {"/auth/signup", "ada\u202egpj", password, 400, "This name cannot be used."},
		"script as name":      {"/auth/signup", "<script>alert(1)</script>", "short", 400, "<script>"},
		"name in use":         {"/auth/signup", "ADA", password, 409, "This name is in use."},
		"no name":             {"/auth/signup", "", password, 422, "Enter a user name."},
		"short password":      {"/auth/signup", "eve", "seven77", 400, "Use at least 8 characters."},
		"common password":     {"/auth/signup", "eve", "password123", 400, "most common"},
		"long password":       {"/auth/signup", "eve", strings.Repeat("p", 1025), 400, "at most 1024 English letters"},
		"no password":         {"/auth/signup", "eve", "", 422, "Enter a new password."},
		"sign in, long name":  {"/auth/signin", strings.Repeat("n", 300), password, 403, "is wrong."},
		"sign in, override":   {"/auth/signin", "ada\u202e", password, 403, "is wrong."},
		"sign in, long":       {"/auth/signin", "ada", strings.Repeat("p", 1025), 403, "is wrong."},
		"sign in, NUL":        {"/auth/signin", "ada", "a\x00b", 403, "is wrong."},
		"sign in, case":       {"/auth/signin", "ada", strings.ToUpper(password), 403, "is wrong."},
		"sign in, 1 MB":       {"/auth/signin", "ada", strings.Repeat("p", 1<<20), 413, "That is too long"},
	} {
		t.Run(name, func(t *testing.T) {
			b := w.browser()
			a := b.post(c.path, "username", c.username, "password", c.password)
			if a.Code != c.status || !strings.Contains(a.Body.String(), c.says) && !strings.Contains(a.text(), c.says) && c.says != "<script>" {
				t.Errorf("%d, want %d and %q: %s", a.Code, c.status, c.says, a.text())
			}
			if strings.Contains(a.Body.String(), "<script>") {
				t.Error("not escaped")
			}
			if c.status != 413 && !strings.Contains(a.Body.String(), `name="username"`) {
				t.Error("the name is lost")
			}
			if len(b.cookies) > 0 {
				t.Error("signed in")
			}
		})
	}
	for _, secret := range []string{"päss wörd 🔑🔑", "with\x00nul inside", strings.Repeat("long and dull ", 14)} {
		b := w.browser()
		name := "u" + string(rune('a'+len(secret)%26))
		b.follow(b.post("/auth/signup", "username", name, "password", secret)).leadsOn("/")
		w.browser().post("/auth/signin", "username", name, "password", secret).leads("/auth/signin?check=1")
	}
}

func TestCookiesThatAreOffAreNoticedOnce(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.refuses = true
	a := b.follow(b.post("/auth/signin", "username", "ada", "password", password, "return_to", "/app"))
	a.want(200, "Your browser sent no cookie", "Sign in again")
	if !strings.Contains(a.Body.String(), `href="/auth/signin?return_to=%2Fapp"`) {
		t.Errorf("the target is lost: %s", a.Body)
	}
}

func TestAFormSentTwiceIsClear(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.post("/auth/signup", "username", "eve", "password", password).leads("/auth/signin?check=1")
	w.browser().post("/auth/signup", "username", "eve", "password", password).want(409, "If it is yours, sign in instead.", "Have an account?")
	b.follow(b.post("/auth/signin", "username", "eve", "password", password)).leadsOn("/")
	b.follow(b.post("/auth/signin", "username", "eve", "password", password)).leadsOn("/")
	b.get("/auth/devices").want(200, "You are signed in on no other device.")
}

// Rows: 42
func TestAStaleCSRFFieldIsMendedOnThePage(t *testing.T) {
	w := newWorld(t, change{guard: func(o *httpauth.Options) { o.RequireCSRFToken = true }})
	b := w.holding(w.start())
	page := b.get("/auth/password").want(200)
	stale := b.post("/auth/password", "csrf_token", "stale", "current", password, "new", "correct horse battery staple")
	stale.want(403, "This page was out of date.", "Nothing was done.")
	if fresh := stale.value("csrf_token"); fresh == "" || fresh == "stale" {
		t.Errorf("no fresh field: %q", fresh)
	}
	b.post("/auth/password", "csrf_token", page.value("csrf_token"), "username", "ada", "current", password,
		"new", "correct horse battery staple").done("password")
	stale = b.post("/auth/devices", "csrf_token", "stale", "end", "others")
	stale.want(403, "This page was out of date.", "Your devices")
	b.post("/auth/devices", "csrf_token", stale.value("csrf_token"), "end", "others").done("others")
}

// An old browser sends neither Sec-Fetch-Site nor, from these pages, an
// Origin: then the field alone is the proof.
func TestTheCSRFFieldIsEnoughForOldBrowsers(t *testing.T) {
	w := newWorld(t)
	b := w.holding(w.start())
	b.headers["Sec-Fetch-Site"], b.headers["Origin"] = "", ""
	page := b.get("/auth/devices")
	b.post("/auth/devices", "end", "others").want(403, "This page was out of date.")
	b.post("/auth/devices", "csrf_token", page.value("csrf_token"), "end", "others").done("others")
	b.post("/auth/signout", "csrf_token", page.value("csrf_token")).leads("/auth/signed-out")
}

// The place is somebody else's text.
func TestThePlaceOfADeviceIsShown(t *testing.T) {
	w := newWorld(t, change{api: func(o *httpapi.Options) {
		o.Place = func(netip.Prefix) string { return "<b>Vienna" }
	}})
	s := w.start(func(l *session.Login) { l.Origin.Address = "192.0.2.0/24" })
	body := w.holding(s).get("/auth/devices").Body.String()
	if !strings.Contains(body, "<bdi>&lt;b&gt;Vienna</bdi>") || strings.Contains(body, "<b>Vienna") {
		t.Error(body)
	}
}

// Rows: 127, 141, 143, 144
func TestDevicesAreListedAndEnded(t *testing.T) {
	w := newWorld(t)
	phone := w.start(func(l *session.Login) {
		l.Origin = session.Origin{Address: "198.51.100.0/24", UserAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"}
	})
	w.wait(26 * time.Hour)
	app := w.start(func(l *session.Login) {
		l.Transport, l.ClientID, l.Origin = session.Bearer, "cli", session.Origin{UserAgent: "<img src=x onerror=1>"}
	})
	mine := w.start()
	b := w.holding(mine)
	page := b.get("/auth/devices").want(200, "This device", "Firefox on Linux", "iPhone", "Network 198.51.100.0/24", "Active a day ago",
		"Signed in on 23 November 2026", "App", "Unknown device")
	if strings.Contains(page.Body.String(), "<img src=x") {
		t.Error("a user agent is on the page as it came")
	}
	for id, want := range map[session.ID]int{phone.Row.ID: 1, app.Row.ID: 1, mine.Row.ID: 0} {
		if got := strings.Count(page.Body.String(), `value="`+id.String()+`"`); got != want {
			t.Errorf("%d forms for a session, want %d", got, want)
		}
	}
	b.follow(b.post("/auth/devices", "end", phone.Row.ID.String())).want(200, "The device was signed out.", "!iPhone")
	if w.alive(phone.Row.ID) || !w.alive(app.Row.ID) {
		t.Error("not that session ended")
	}
	b.post("/auth/devices", "end", phone.Row.ID.String()).done("one")
	b.post("/auth/devices", "end", "nonsense").done("one")
	eve := w.add("eve")
	hers := w.start(func(l *session.Login) { l.UserID = eve.ID })
	b.post("/auth/devices", "end", hers.Row.ID.String())
	b.follow(b.post("/auth/devices", "end", "others")).want(200, "All other devices were signed out.", "no other device")
	if w.alive(app.Row.ID) || !w.alive(mine.Row.ID) || !w.alive(hers.Row.ID) {
		t.Error("not those sessions ended")
	}
}

// Rows: 144, 145, 146
func TestEndingADeviceLongAfterTheLoginAsksWhoItIs(t *testing.T) {
	w := newWorld(t)
	other := w.start()
	b := w.holding(w.start())
	for range 4 {
		w.wait(4*time.Minute + 50*time.Second)
		b.follow(b.post("/auth/renew", "return_to", "/", "key", "k"+w.now.String()[:19][11:])).leadsOn("/")
	}
	a := b.post("/auth/devices", "end", other.Row.ID.String())
	a.leads("/auth/signin?confirm=1&return_to=%2Fauth%2Fdevices%3Fagain%3D1")
	if !w.alive(other.Row.ID) {
		t.Fatal("it ended")
	}
	page := b.follow(a).want(200, "Confirm it’s you", "ada", "!Keep me signed in")
	if page.value("username") != "ada" || page.value("confirm") != "1" {
		t.Errorf("the name is not fixed: %s", page.Body)
	}
	fields := []string{"username", "ada", "confirm", "1", "return_to", page.value("return_to"), "password"}
	b.post("/auth/signin", append(fields, "wrong")...).want(403, "The password is wrong.", "Confirm it’s you")
	w.wait(time.Minute)
	b.follow(b.post("/auth/signin", append(fields, password)...)).want(200, "Your devices", "Nothing was changed yet.")
	b.post("/auth/devices", "end", other.Row.ID.String()).done("one")
	if w.alive(other.Row.ID) {
		t.Error("it goes on")
	}
}

// Rows: 141, 166
func TestChangingThePasswordNeedsTheCurrentOneAndEndsTheOthers(t *testing.T) {
	w := newWorld(t)
	other := w.start()
	b := w.holding(w.start())
	const next = "a new and longer one"
	b.get("/auth/password").want(200, "Current password", "New password", "At least 8 characters")
	b.post("/auth/password", "current", "wrong", "new", next).want(403, "Your current password is not right.")
	w.wait(time.Minute)
	b.post("/auth/password", "current", password, "new", "short").want(400, "Use at least 8 characters.")
	b.post("/auth/password", "current", password, "new", "").want(422, "Enter a new password.")
	b.post("/auth/password", "new", next).want(400, "This form is not complete")
	if !w.alive(other.Row.ID) {
		t.Fatal("ended by a failure")
	}
	b.follow(b.post("/auth/password", "current", password, "new", next)).want(200, "Your password was changed.", "no other device")
	if w.alive(other.Row.ID) {
		t.Error("the other session goes on")
	}
	w.browser().post("/auth/signin", "username", "ada", "password", next).leads("/auth/signin?check=1")
}

func TestAFormWithAnExpiredTokenIsLedThroughTheRenewal(t *testing.T) {
	w := newWorld(t)
	b := w.holding(w.start())
	w.wait(6 * time.Minute)
	for path, fields := range map[string][]string{"/auth/devices": {"end", "others"}, "/auth/password": {"current", password, "new", "a new and longer one"}} {
		b.post(path, fields...).leads("/auth/renew?return_to=" + escape(path+"?again=1"))
	}
	page := b.get("/auth/renew?return_to="+escape("/auth/devices?again=1")).want(200, "Continue")
	a := b.post("/auth/renew", "return_to", page.value("return_to"), "key", page.value("key"))
	a.leads("/auth/signin?check=1&return_to=" + escape("/auth/devices?again=1"))
	b.follow(a).want(200, "Nothing was changed yet.", "Please do it once more.")
	w.wait(6 * time.Minute)
	b.post("/auth/signout").leads("/auth/signed-out")
}

func TestTheRenewalPageSaysWhatIsWrong(t *testing.T) {
	w := newWorld(t, change{api: func(o *httpapi.Options) { o.RenewalRate = 1 }})
	b := w.holding(w.start())
	w.wait(2 * time.Minute)
	b.follow(b.post("/auth/renew", "return_to", "/app", "key", "one")).leadsOn("/app")
	a := b.post("/auth/renew", "return_to", "/app", "key", "two").want(http.StatusTooManyRequests, "Too many attempts.")
	if a.value("key") != "two" || a.value("return_to") != "/app" || a.Header().Get("Retry-After") == "" || strings.Contains(a.Body.String(), "<script") {
		t.Errorf("the attempt is lost, or goes on by itself: %v %s", a.Header(), a.Body)
	}
	b.post("/auth/renew", "return_to", "/app", "key", "bad key").want(400)
	w.browser().post("/auth/renew", "return_to", "/app", "key", "k").leads("/auth/signin?return_to=%2Fapp&switch=1")
}

func TestManyAttemptsAreSlowedDownAndSaySo(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	for range 30 {
		a := b.post("/auth/signin", "username", "ada", "password", "wrong")
		if a.Code == http.StatusTooManyRequests {
			a.want(429, "Too many attempts.", "To protect your account, wait")
			if a.Header().Get("Retry-After") == "" || a.value("username") != "ada" {
				t.Errorf("%v %s", a.Header(), a.Body)
			}
			return
		}
	}
	t.Error("thirty attempts are all answered")
}

func TestWithoutSignUpThereIsNone(t *testing.T) {
	w := newWorld(t, change{api: func(o *httpapi.Options) { o.AllowSignup = false }})
	b := w.browser()
	b.get("/auth/signin").want(200, "!Create an account")
	b.get("/auth/signup").want(403, "Accounts are not made here")
	b.post("/auth/signup", "username", "eve", "password", password).want(403, "Accounts are not made here")
}
