package httpapi

import (
	"net/http"
	"strings"

	"github.com/rs/cors"

	"github.com/pawlauth/pawl/browser"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/token"
)

// A route is one line of the table: everything that is decided before its
// handler runs, and the handler.
type route struct {
	method string // a GET route answers HEAD too
	path   string // in full; the last segment may be {id}
	body   string // media types that the body may have; empty: it takes none
	origin originRule
	shared sharing
	fails  func(*API, http.ResponseWriter, *http.Request, error)
	serve  func(*API, http.ResponseWriter, *http.Request) error
}

// An originRule says when a request must prove that our own site made it. The
// zero value is the strictest.
type originRule int

const (
	// always, whatever the request carries.
	always originRule = iota
	// withCookies: only if it carries a cookie of ours, since nothing else is
	// sent without its owner's will.
	withCookies
	// bySignIn: [API.admitSignIn] decides, once the body says what is wanted.
	bySignIn
	// forwarded: as withCookies, for the method that the proxy names.
	forwarded
	// reads: the route changes nothing, whoever asks.
	reads
)

// sharing says which pages of other origins may read the answer (CORS).
type sharing int

const (
	private sharing = iota
	clients         // the origins listed for bearer clients
	public          // every origin
	script          // none; our own pages run it
)

const (
	jsonBody = "application/json"
	formBody = "application/x-www-form-urlencoded"
	anyBody  = jsonBody + " " + formBody // of a page's script, or of its form
)

// table is every way into the API.
func (a *API) table() map[string]*route {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	p := a.Prefix
	problem, oauth := (*API).refuseProblem, (*API).refuseOAuth
	routes := map[string]*route{}
	for _, rt := range []route{
		{post, p + "/login", jsonBody, bySignIn, clients, problem, (*API).login},
		{post, p + "/refresh", "", always, private, problem, (*API).refresh},
		{post, a.registerPath(), "", always, private, problem, (*API).register},
		{post, a.devicePath(), "", always, private, problem, (*API).renewDevice},
		{post, p + "/logout", "", always, private, problem, (*API).logout},
		{get, p + "/session", "", reads, private, problem, (*API).session},
		{get, p + "/sessions", "", reads, private, problem, (*API).sessions},
		{del, p + "/sessions/{id}", "", withCookies, private, problem, (*API).endSession},
		{post, p + "/sessions/end-others", "", withCookies, private, problem, (*API).endOthers},
		{post, p + "/password", jsonBody, withCookies, private, problem, (*API).password},
		{post, p + "/signup", jsonBody, always, private, problem, (*API).signup},
		{post, p + "/handoff", jsonBody, always, private, problem, (*API).handoff},
		{post, p + "/redeem", anyBody, always, private, (*API).Refuse, (*API).redeem},
		{post, p + "/token", formBody, withCookies, clients, oauth, (*API).token},
		{post, p + "/revoke", formBody, withCookies, clients, oauth, (*API).revoke},
		{post, p + "/introspect", formBody, withCookies, private, oauth, (*API).introspect},
		{get, p + "/verify", "", forwarded, private, (*API).refuseForwarded, (*API).verify},
		{get, p + "/refusal", "", forwarded, private, (*API).refuseForwarded, (*API).refusal},
		{get, p + "/pawl.js", "", reads, script, problem, (*API).browserClient},
		{get, p + "/pawl-" + browser.Hash + ".js", "", reads, script, problem, (*API).hashedBrowserClient},
		{get, "/.well-known/jwks.json", "", reads, public, problem, (*API).keySet},
		{get, "/.well-known/oauth-authorization-server", "", reads, public, problem, (*API).serverMetadata},
	} {
		routes[rt.path] = &rt
	}
	return routes
}

// ServeHTTP finds the route, admits the request, and runs the handler. Every
// failure is answered here, in the form of the route.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer a.survive(w, r)
	a.harden(w, r)
	w.Header().Add("Vary", httpauth.Vary+", Sec-Fetch-Dest")
	rt := &route{fails: (*API).Refuse}
	err := a.Guard.Admit(r)
	if err == nil {
		if found, ok := a.find(r); ok {
			rt = found
			a.offerNonce(rt, w, r)
			err = a.run(rt, w, r)
		} else {
			err = errNotFound
		}
	}
	if err != nil {
		rt.fails(a, w, r, err)
	}
}

// find matches the path exactly. A path with an encoded character that needs
// no encoding, a doubled slash, dots or a parameter is another path, to us as
// to every proxy before us.
func (a *API) find(r *http.Request) (*route, bool) {
	if r.URL.RawPath != "" {
		return nil, false
	}
	if rt, ok := a.routes[r.URL.Path]; ok {
		return rt, true
	}
	id, ok := strings.CutPrefix(r.URL.Path, a.Prefix+"/sessions/")
	if !ok {
		return nil, false
	}
	if _, err := token.ParseID(id); err != nil {
		return nil, false
	}
	r.SetPathValue("id", id)
	return a.routes[a.Prefix+"/sessions/{id}"], true
}

// run applies the route's line of the table.
func (a *API) run(rt *route, w http.ResponseWriter, r *http.Request) error {
	if rt.share(a, w, r) {
		return nil
	}
	if r.Method != rt.method && (r.Method != http.MethodHead || rt.method != http.MethodGet) {
		w.Header().Set("Allow", rt.allow())
		return ErrMethod
	}
	if err := a.admit(rt, r); err != nil {
		return err
	}
	r, cancel := bounded(r)
	defer cancel()
	if err := bound(w, r, maxBody); err != nil {
		return err
	}
	return rt.serve(a, w, r)
}

// share writes the CORS headers and reports whether the request was a
// preflight, which is then answered.
func (rt *route) share(a *API, w http.ResponseWriter, r *http.Request) (done bool) {
	var c *cors.Cors
	switch rt.shared {
	case clients:
		c = a.clientCORS
	case public:
		c = a.publicCORS
	}
	if c == nil {
		return false
	}
	c.HandlerFunc(w, r) // answers a preflight itself
	return r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
}

func (rt *route) allow() string {
	if rt.method == http.MethodGet {
		return "GET, HEAD"
	}
	return rt.method
}

// admit asks everything about a request that does not need its body read.
func (a *API) admit(rt *route, r *http.Request) error {
	if err := httpauth.CheckFetchHeaders(r.Header); err != nil {
		return err
	}
	if !rt.mayBe(r.Header.Get("Sec-Fetch-Dest"), r.Header.Get("Content-Type")) {
		return errDestination
	}
	if rt.shared != public {
		if err := httpauth.CheckOneCredential(r); err != nil {
			return err
		}
	}
	if err := a.checkOrigin(rt.origin, r); err != nil {
		return err
	}
	if rt.body != "" {
		return checkMediaType(r, strings.Fields(rt.body)...)
	}
	return nil
}

// mayBe refuses a browser that would use the answer as something else than
// data: a page, a frame, a script. The public documents may be looked at, the
// form of a page leads to another page, and forward auth is told the
// destination of the request that the proxy got.
func (rt *route) mayBe(destination, media string) bool {
	return destination == "" || destination == "empty" || rt.origin == forwarded ||
		destination == "script" && rt.shared == script ||
		destination == "document" && (rt.shared == public || rt.shared == script || rt.body == anyBody && strings.HasPrefix(media, formBody))
}

func (a *API) checkOrigin(rule originRule, r *http.Request) error {
	switch rule {
	case bySignIn, reads:
		return nil
	case forwarded:
		return a.Guard.CheckForwarded(r)
	case withCookies:
		return a.Guard.CheckUse(r, r.Method)
	case always:
		// An app that signs out with its token was not made to by a page: no
		// page can send Authorization here, since no CORS allows it.
		if !httpauth.FromBrowser(r) && len(r.Header["Authorization"]) > 0 {
			return nil
		}
	}
	return a.Guard.CrossSite(r)
}
