package lab

import (
	"fmt"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
)

// crossSiteAttacks are those of other sites, which the owner's browser shows
// while he is signed in at the bank.
var crossSiteAttacks = []Attack{
	{Name: "form-post", Title: "Stranger's form post", Browser: true, run: strangerPosts,
		About: "The owner, signed in at the bank, opens a page of a stranger, which posts a form to the bank."},
	{Name: "fetch", Title: "Stranger's fetch", Browser: true, run: strangerFetches,
		About: "Script on a stranger's page asks the bank, with credentials: it wants to read, and to pay. The bank says nothing about CORS; cookies that may say SameSite=None do, or Chromium would send none."},
	{Name: "fetch-permissive", Title: "Stranger's fetch, permissive CORS", Browser: true, run: strangerFetchesPermitted,
		About: "The same, at a bank whose CORS reflects every origin, with credentials."},
	{Name: "get-pays", Title: "GET that changes state", Browser: true, run: getPays,
		About: "The bank has a route that pays on GET. A stranger's page has a link to it, and the owner follows it."},
	{Name: "login-csrf", Title: "Login CSRF", Browser: true, run: loginCSRF,
		About: "A stranger's page signs the owner's browser in with the thief's name and password, so that the owner goes on in the thief's account."},
	{Name: "framing", Title: "Stranger frames the bank, which sends no frame-ancestors", Browser: true, run: strangerFrames,
		About: "A stranger's page shows the bank in a frame that nobody can see, above a button that the owner presses. Cookies that may say SameSite=None do, as of a bank that is meant to be embedded."},
	{Name: "framing-sibling", Title: "Sibling frames the bank, which sends no frame-ancestors", Browser: true, run: siblingFrames,
		About: "The same on a sibling's page: it is the same site, so that the frame has the bank's cookies and storage. No build says frame-ancestors for the bank's pages, and Pawl.Protect adds none to an application's: the application must."},
	{Name: "websocket", Title: "Stranger's WebSocket", Browser: true, run: strangerSpeaks,
		About: "Script on a stranger's page opens a WebSocket to the bank. CORS does not hold for WebSockets; cookies that may say SameSite=None do, and go along."},
	{Name: "websocket-sibling", Title: "Sibling's WebSocket", Browser: true, run: siblingSpeaks,
		About: "The same from a sibling's page, so that every cookie goes along."},
}

func strangerPosts(s *stage) Outcome { return s.postsFrom(s.stranger) }

// signsIn opens a tab in which the owner is signed in.
func (s *stage) signsIn() *tab {
	s.did("The owner signs in.")
	tab := s.tab()
	tab.signIn(ada)
	return tab
}

// postsFrom has a page of an origin post the form by which the bank is told to
// pay.
func (s *stage) postsFrom(origin string) Outcome {
	tab := s.signsIn()
	s.did("The owner opens a page of %s, which posts a form.", origin)
	tab.visit(s.page(origin, `<form method="post" action="`+s.app+`/transfer"><input name="to" value="mallory"><button>Take your prize</button></form>`))
	tab.click("button")
	tab.await(scriptf(`location.origin === "%s" && document.readyState === "complete"`, s.app))
	tab.see()
	if s.bank.paid(ada, mallory) {
		return inPlace("The browser sent the cookie along, and the bank asked no more.")
	}
	return refused("The bank was not convinced that its own page had asked.")
}

// calls is script that asks the bank as other sites can: simple requests first,
// then what wants to be asked beforehand. It returns what it could read.
const calls = `(async () => {
	let read = "";
	for (const [path, init] of [
		["/api/me", {}],
		["/transfer", {method: "POST", body: new URLSearchParams({to: "mallory"})}],
		["/transfer", {method: "POST", body: new URLSearchParams({to: "mallory"}), mode: "no-cors"}],
		["/transfer", {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({to: "mallory"})}],
	]) {
		try { read += await (await fetch("%s" + path, {credentials: "include", ...init})).text(); } catch { /* the browser keeps the answer back */ }
	}
	document.body.append("The thief could read: " + (read || "nothing"));
	return read;
})()`

func strangerFetches(s *stage) Outcome {
	s.bank.crossSite = true
	return s.fetchesFrom(s.stranger)
}

func strangerFetchesPermitted(s *stage) Outcome {
	s.bank.permissive, s.bank.crossSite = true, true
	return s.fetchesFrom(s.stranger)
}

func (s *stage) fetchesFrom(origin string) Outcome {
	tab := s.signsIn()
	s.did("The owner opens a page of %s, whose script asks the bank.", origin)
	tab.visit(s.page(origin, "<p>Look at these kittens.</p>"))
	read := eval[string](tab, scriptf(calls, s.app))
	tab.see()
	paid, told := s.bank.paid(ada, mallory), strings.Contains(read, ada)
	switch {
	case paid && told:
		return inPlace("The browser sent the owner's cookie along: the page could pay, and read the answers.")
	case paid:
		return inPlace("The browser sent the owner's cookie along: the page could pay, if not read the answer.")
	case told:
		return inPlace("The browser sent the owner's cookie along: the page could read the answers, if not pay.")
	}
	return refused("Nothing that proves who the owner is went along, or it was not enough.")
}

func getPays(s *stage) Outcome {
	tab := s.signsIn()
	s.did("The owner opens a stranger's page and follows its link.")
	tab.visit(s.page(s.stranger, `<a href="`+s.app+`/pay?to=mallory">Read more</a>`))
	tab.click("a")
	tab.await(scriptf(`location.origin === "%s" && document.readyState === "complete"`, s.app))
	tab.see()
	if s.bank.paid(ada, mallory) {
		return inPlace("Links must work, so their requests carry the cookie. No storage makes up for a GET that pays: let only other methods change anything.")
	}
	return refused("A link carries nothing that proves who the owner is.")
}

// loginForms are the forms by which a bank might let itself be signed in to: a
// form proper, and one whose text reads like JSON.
func (s *stage) loginForms() []string {
	var forms []string
	for _, path := range []string{"/login", "/auth/signin", "/auth/login"} {
		head := `<form method="post" action="` + s.app + path + `"`
		forms = append(forms,
			head+`><input name="username" value="mallory"><input name="password" value="`+password+`"><button>Take your prize</button></form>`,
			head+` enctype="text/plain"><input name='{"username":"mallory","password":"`+password+`","x":"' value='"}'><button>Take your prize</button></form>`)
	}
	return forms
}

func loginCSRF(s *stage) Outcome {
	s.did("The owner, who is not signed in, opens a stranger's page, which posts the thief's name and password in every form that might do.")
	tab := s.tab()
	for _, form := range s.loginForms() {
		tab.visit(s.page(s.stranger, form))
		tab.click("button")
		tab.await(scriptf(`location.origin === "%s" && document.readyState === "complete"`, s.app))
	}
	s.did("The owner goes to the bank.")
	tab.visit("/")
	name := tab.greeted()
	tab.see()
	if name == mallory {
		return inPlace("The bank let another site sign the browser in: what the owner does now, he does in the thief's account.")
	}
	return refused("No form of another site signs anybody in.")
}

// The size of the owner's window, and so of a frame that fills it.
const windowWidth, windowHeight = 800, 600

func strangerFrames(s *stage) Outcome {
	s.bank.crossSite = true
	return s.framesAt(s.stranger)
}

func siblingFrames(s *stage) Outcome { return s.framesAt(s.sibling) }

// framesAt has a page of an origin frame the bank, whose form a link can fill
// in, and the owner press what he sees below.
func (s *stage) framesAt(origin string) Outcome {
	const filled = "/?to=mallory"
	tab := s.signsIn()
	tab.do(chromedp.EmulateViewport(windowWidth, windowHeight))
	tab.visit(filled)
	tab.await(`document.readyState === "complete" && document.querySelector("#pay button") !== null`)
	at := eval[[]float64](tab, `(() => { const r = document.querySelector("#pay button").getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()`)
	s.did("The owner opens a page of %s, and presses its button.", origin)
	tab.visit(s.page(origin, fmt.Sprintf(`<style>iframe { position: absolute; inset: 0; border: 0; opacity: .3 } button { position: absolute; left: %.0fpx; top: %.0fpx; translate: -50%% -50%% }</style>`+
		`<button>Take your prize</button><iframe width="%d" height="%d" src="%s" onload="document.title = 'loaded'"></iframe>`, at[0], at[1], windowWidth, windowHeight, s.app+filled)))
	tab.await(`document.title === "loaded"`)
	tab.await(painted)
	// The owner is patient; what a frame shows may come a little later.
	paid := false
	for range 10 {
		tab.do(chromedp.MouseClickXY(at[0], at[1]))
		if paid = s.awaitsFor(200*time.Millisecond, func() bool { return s.bank.paid(ada, mallory) }); paid {
			break
		}
	}
	tab.see()
	if paid {
		return inPlace("The frame was the owner's bank, he was signed in there, and it was the bank's own button that he pressed.")
	}
	return refused("The frame stayed empty, or nobody was signed in there.")
}

func strangerSpeaks(s *stage) Outcome {
	s.bank.crossSite = true
	return s.speaksFrom(s.stranger)
}

func siblingSpeaks(s *stage) Outcome { return s.speaksFrom(s.sibling) }

// speaksFrom has a page of an origin open a WebSocket, and tell the bank to pay.
func (s *stage) speaksFrom(origin string) Outcome {
	tab := s.signsIn()
	s.did("The owner opens a page of %s, whose script opens a WebSocket to the bank.", origin)
	tab.visit(s.page(origin, "<p>Look at these kittens.</p>"))
	eval[string](tab, scriptf(`new Promise((done) => {
		const socket = new WebSocket("wss://%s/ws"), tell = (what) => { socket.onclose = socket.onerror = null; document.body.append(what); done(what); };
		socket.onopen = () => socket.send("mallory");
		socket.onmessage = (event) => tell("The bank said: " + event.data);
		socket.onclose = socket.onerror = () => tell("The bank has hung up.");
	})`, host(s.app)))
	tab.see()
	if s.bank.paid(ada, mallory) {
		return inPlace("The handshake carried the cookie, and the bank did not look where it came from.")
	}
	return refused("The handshake carried nothing that proves who the owner is, or it came from a page that is not the bank's.")
}

// awaits reports whether something comes true in a moment.
func (s *stage) awaits(f func() bool) bool { return s.awaitsFor(longest/4, f) }

func (s *stage) awaitsFor(patience time.Duration, f func() bool) bool {
	deadline := time.After(patience)
	for !f() {
		select {
		case <-s.ctx.Done():
			s.fail(s.ctx.Err())
		case <-deadline:
			return f()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return true
}
