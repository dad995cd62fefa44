package httpapi

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/verify"
)

// Refuse answers a request that fails with err. It is for
// [httpauth.Guard.Protect]: the handlers of an application give the same
// answers as the API's own routes, except to a browser that opens a page:
//
//   - with an expired access cookie, it is sent to the renewal page;
//   - without a login that counts, to the sign-in page;
//   - with one that is too long ago, to the sign-in page to confirm who it is;
//   - with one by too few methods, there as well if Options.SignInMethods;
//   - with anything else, it gets the page of Options.Page.
//
// It is sent by 303 (RFC 9110 §15.4.4), never from the page that it would be
// sent to, and with a "return_to" of its own path.
func (a *API) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	if !isNavigation(r) {
		a.refuseProblem(w, r, err)
		return
	}
	if to, ok := a.detour(r, err); ok {
		a.fail(w, r, err)
		w.Header().Set("Location", a.HandOver(w, r, to))
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	if a.Page == nil {
		a.refuseProblem(w, r, err)
		return
	}
	a.fail(w, r, err)
	if unbound, ok := errors.AsType[*httpauth.UnboundError](err); ok && unbound.Soon && r.Method == http.MethodGet {
		w.Header().Set("Refresh", "2") // the browser may be about it
	}
	a.Page(w, r, Describe(err))
}

// detour returns where a navigation that fails is sent to, if that helps. A
// form that was posted is not: what it holds would be lost.
func (a *API) detour(r *http.Request, err error) (string, bool) {
	if a.Options.SignIn == "" || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return "", false
	}
	if r.URL.Path == a.Options.SignIn || r.URL.Path == a.Renewal {
		return "", false
	}
	page, query := a.Options.SignIn, url.Values{}
	switch {
	case errors.Is(err, httpauth.ErrRecentLogin), errors.Is(err, httpauth.ErrLoginMethods) && a.SignInMethods:
		query.Set("confirm", "1")
	case outcomeOf(err).code != "login_required":
		return "", false
	case a.Renewal != "" && errors.Is(err, verify.ErrExpired) && httpauth.CarriesCookie(r):
		page = a.Renewal
	}
	if back, ok := a.ReturnTo(target(r)); ok {
		query.Set("return_to", back)
	}
	if len(query) == 0 {
		return page, true
	}
	return page + "?" + query.Encode(), true
}

// target is what the browser asked for, whatever prefix a handler has cut off
// since.
func target(r *http.Request) string {
	if r.RequestURI != "" {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

// ReturnTo returns raw if a browser may be sent there after a sign-in or a
// renewal: a path of our own (see [httpauth.LocalPath]) that is not one of the
// routes, unless a page has its path too, and neither one of the pages that
// would send it on again nor below one. Otherwise it returns "/" and false.
func (a *API) ReturnTo(raw string) (string, bool) {
	local, ok := httpauth.LocalPath(raw)
	if !ok {
		return local, false
	}
	u, err := url.Parse(local)
	if err != nil {
		return "/", false
	}
	path := strings.TrimSuffix(u.Path, "/")
	for _, page := range []string{a.Options.SignIn, a.Renewal} {
		if page != "" && within(path, page) {
			return "/", false
		}
	}
	for page, lasts := range a.Pages {
		if !lasts && within(path, page) {
			return "/", false
		}
	}
	if _, isRoute := a.routes[path]; isRoute && !a.Pages[path] {
		return "/", false
	}
	return local, true
}

// within reports whether a path is that of a page or below it.
func within(path, page string) bool { return path == page || strings.HasPrefix(path, page+"/") }

// isNavigation tells a browser that opens a page from a program that calls an
// API, by what the browser itself says, and by Accept where it says nothing.
func isNavigation(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}
