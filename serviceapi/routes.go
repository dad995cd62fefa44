package serviceapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/service"
	"github.com/pawlauth/pawl/session"
)

// A route is one method of a path.
type route struct {
	method string
	path   string // in full; one segment may be {id}
	scopes []service.Scope
	query  []string // the parameters that it takes
	serve  func(*API, http.ResponseWriter, *call) error
}

// A call is an admitted request.
type call struct {
	*http.Request
	service string         // its name
	from    session.Origin // of the request
	id      string         // what stands for {id} in the path
	query   query          // its parameters
}

// table is every way into the API, by method and path.
func table() map[string]*route {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	only := func(scope service.Scope) []service.Scope { return []service.Scope{scope} }
	routes := map[string]*route{}
	for _, rt := range []route{
		{post, "/v1/users", only(service.UsersWrite), nil, (*API).addUser},
		{get, "/v1/users/{id}", only(service.UsersRead), nil, (*API).user},
		{post, "/v1/users/{id}/disable", only(service.UsersWrite), nil, (*API).disableUser},
		{post, "/v1/users/{id}/enable", only(service.UsersWrite), nil, (*API).enableUser},
		{del, "/v1/users/{id}/sessions", only(service.SessionsEnd), nil, (*API).endSessionsOf},
		{post, "/v1/sessions", only(service.SessionsWrite), nil, (*API).startSession},
		{get, "/v1/sessions", only(service.SessionsRead), []string{"user_id", "cursor", "limit"}, (*API).sessions},
		{del, "/v1/sessions/{id}", only(service.SessionsEnd), nil, (*API).endSession},
		{post, "/v1/revoke-user", only(service.SessionsEnd), nil, (*API).revokeUser},
		{post, "/v1/end-everyone", only(service.EveryoneEnd), nil, (*API).endEveryone},
		{get, "/v1/events", only(service.EventsRead), []string{"after", "limit"}, (*API).events},
		{get, "/v1/revocations", only(service.RevocationsRead), nil, (*API).revocations},
		{post, "/v1/uses", only(service.UsesWrite), nil, (*API).uses},
		{get, "/v1/openapi.yaml", service.Scopes, nil, (*API).document},
	} {
		routes[rt.method+" "+rt.path] = &rt
	}
	return routes
}

// Routes lists every way into the API as "METHOD /path", sorted; {id} stands
// for the id of a user or of a session. Documents are checked against this
// list.
func (a *API) Routes() []string {
	list := make([]string, 0, len(a.routes))
	for name := range a.routes {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// ServeHTTP finds the route, admits the request, and runs the handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer a.survive(w, r)
	a.API.Guard.Harden(w, r, "default-src 'none'; frame-ancestors 'none'")
	if err := a.run(w, r); err != nil {
		a.refuse(w, r, err)
	}
}

func (a *API) run(w http.ResponseWriter, r *http.Request) error {
	if err := a.admit(r); err != nil {
		return err
	}
	path, id, err := pattern(r)
	if err != nil {
		return err
	}
	rt, ok := a.routes[r.Method+" "+path]
	if !ok {
		if allow := a.methods(path); allow != "" {
			w.Header().Set("Allow", allow)
			return httpapi.ErrMethod
		}
		return errNotFound
	}
	asked, err := readQuery(r, rt.query...)
	if err != nil {
		return err
	}
	found, err := a.API.AuthenticateService(r, rt.scopes...)
	if err != nil {
		return err
	}
	return rt.serve(a, w, &call{Request: r, service: found.Name, from: a.API.Guard.Proxies.Origin(r), id: id, query: asked})
}

// admit refuses what no service sends: the request of a browser, which some
// page may have made, and one that somebody on the way could read.
func (a *API) admit(r *http.Request) error {
	if httpauth.FromBrowser(r) {
		return errBrowser
	}
	if a.DangerouslyPlainHTTP || a.API.Guard.Proxies.HTTPS(r) {
		return nil
	}
	// A proxy on this machine is not its client: one that does not say https, be
	// it trusted or not, may pass on what came over the network in the clear.
	_, forwarded := r.Header["X-Forwarded-Proto"]
	if !forwarded && a.API.Guard.Proxies.ClientAddr(r).IsLoopback() {
		return nil
	}
	return httpauth.ErrInsecure
}

// methods names the methods of a path (RFC 9110 §10.2.1).
func (a *API) methods(path string) string {
	var methods []string
	for _, rt := range a.routes {
		if rt.path == path {
			methods = append(methods, rt.method)
		}
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

// collections are the paths below which things have an id.
var collections = []string{"/v1/users/", "/v1/sessions/"}

// pattern returns the path with {id} in place of the id in it. The path is split
// as it was sent, and the id alone is decoded, once (RFC 3986 §2.4): clients
// differ in what they encode of it. All else has one spelling. An id that is
// dots or has a slash in it is refused, since others on the way may have taken
// it for a step in the path; bodies can name such a user.
func pattern(r *http.Request) (path, id string, err error) {
	sent := r.URL.EscapedPath()
	for _, collection := range collections {
		rest, ok := strings.CutPrefix(sent, collection)
		if !ok {
			continue
		}
		segment, below, deeper := strings.Cut(rest, "/")
		id, err := url.PathUnescape(segment)
		if err != nil || !validUserID(id) || id == "." || id == ".." || strings.Contains(id, "/") || deeper && below == "" {
			return "", "", errNotFound
		}
		if path = collection + "{id}"; deeper {
			path += "/" + below
		}
		return path, id, nil
	}
	return sent, "", nil
}

// maxUserID bounds the id of a user, in bytes.
const maxUserID = 255

// validUserID: programs give their users ids of their own.
func validUserID(id string) bool {
	return id != "" && len(id) <= maxUserID && utf8.ValidString(id) && !strings.ContainsFunc(id, func(c rune) bool { return !unicode.IsPrint(c) })
}
