package pages

import (
	"cmp"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
)

// Options are what the pages are made of. API is required; its prefix is that
// of the pages.
type Options struct {
	_ struct{} // only fields by name

	API *httpapi.API
	// Home is the path to go to after a sign-in that was not on the way
	// anywhere; empty: "/".
	Home string
	// SignedOut is the path on this site to go to after a sign-out; empty: the
	// page that says so.
	SignedOut string
	// SignInPage is the path of the program's own sign-in page, for users of its
	// own: the one here leads there, and there is none to sign up or to change a
	// password. Empty: the users are those of the accounts.
	SignInPage string
	// MinPassword is how many characters a new password must have, to tell it
	// beforehand; zero: [account.MinPasswordRunes]. What counts is the rules of
	// the accounts.
	MinPassword int
	// CSPReports is where browsers report violations of the pages' policy (CSP
	// §6.5): a path of this site, or an https URL; empty: nowhere.
	CSPReports string
	Brand      Brand
}

// Pages serves the pages. It is safe for concurrent use.
type Pages struct {
	Options
	api       *httpapi.API
	reports   string // part of the policy
	site      site
	tongues   *tongues
	templates map[string]*template.Template
	assets    map[string]asset
	table     map[string]page
}

// A page is one line of the table.
type page struct {
	get    func(*Pages, visit)
	post   func(*Pages, visit) // nil: there is nothing to send
	shared bool                // the API has a route of this path, to send JSON to
}

// New checks the options and returns the pages, or every fault at once.
func New(o Options) (*Pages, error) {
	o.Home = cmp.Or(o.Home, "/")
	o.MinPassword = cmp.Or(o.MinPassword, account.MinPasswordRunes)
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	p := &Pages{Options: o, api: o.API}
	var err error
	if p.site, p.assets, err = loadSite(o.API.Prefix, o.Home, o.Brand); err != nil {
		return nil, fmt.Errorf("pages: assets: %w", err)
	}
	p.site.Passwords = o.SignInPage == ""
	if p.tongues, err = loadTongues(); err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	if p.templates, err = loadTemplates(); err != nil {
		return nil, fmt.Errorf("pages: templates: %w", err)
	}
	if o.CSPReports != "" {
		// report-uri is for browsers that do not know report-to (CSP §6.5.1).
		p.reports = "; report-uri " + o.CSPReports + "; report-to csp"
	}
	p.table = p.makeTable()
	return p, nil
}

func (o Options) check() error {
	var faults []error
	if o.API == nil {
		faults = append(faults, errors.New("API is missing"))
	}
	for name, path := range map[string]string{"home": o.Home, "signed-out": o.SignedOut, "sign-in": o.SignInPage} {
		if _, ok := httpauth.LocalPath(path); path != "" && !ok {
			faults = append(faults, fmt.Errorf("%s path %q is not a plain path on this site", name, path))
		}
	}
	return errors.Join(append(faults, o.Brand.Validate(), CheckReports(o.CSPReports))...)
}

// CheckReports returns what is wrong with a place for browsers to report to.
func CheckReports(place string) error {
	if place == "" {
		return nil
	}
	_, local := httpauth.LocalPath(place)
	u, err := url.Parse(place)
	foreign := err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil && u.Fragment == "" &&
		!strings.ContainsFunc(place, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`"\;,`, c) })
	if !local && !foreign || local && strings.ContainsAny(place, ";,") {
		return fmt.Errorf("CSP reports cannot go to %q; give a path of this site or an https URL", place)
	}
	return nil
}

func (p *Pages) makeTable() map[string]page {
	table := make(map[string]page)
	for below, page := range map[string]page{
		"/signin":     {(*Pages).showSignIn, (*Pages).signIn, false},
		"/signup":     {(*Pages).showSignUp, (*Pages).signUp, true},
		"/signout":    {(*Pages).showSignOut, (*Pages).signOut, false},
		"/signed-out": {(*Pages).showSignedOut, nil, false},
		"/devices":    {(*Pages).showDevices, (*Pages).endDevice, false},
		"/password":   {(*Pages).showPassword, (*Pages).changePassword, true},
		"/renew":      {(*Pages).showRenewal, (*Pages).renew, false},
	} {
		table[p.site.Path(below)] = page
	}
	if p.SignInPage != "" {
		table[p.site.Path("/signin")] = page{(*Pages).leadToSignIn, nil, false}
		delete(table, p.site.Path("/signup"))
		delete(table, p.site.Path("/password"))
	}
	return table
}

// Has reports whether a path is one of the pages or of their assets.
func (p *Pages) Has(path string) bool {
	_, isPage := p.table[path]
	_, isAsset := p.assets[path]
	return isPage || isAsset
}

// Paths returns the paths of the pages, without the assets, sorted.
func (p *Pages) Paths() []string { return slices.Sorted(maps.Keys(p.table)) }

// ServeHTTP serves a page or an asset. A request that is for neither is for the
// API, which has routes of the same paths for whoever sends JSON.
func (p *Pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	asset, isAsset := p.assets[r.URL.Path]
	page, isPage := p.table[r.URL.Path]
	// Another spelling of a path is another path, to us as to every proxy.
	if r.URL.RawPath != "" || !isPage && !(isAsset && reads) || page.shared && r.Method == http.MethodPost && !isForm(mediaOf(r)) {
		p.api.ServeHTTP(w, r)
		return
	}
	v := visit{w, r, p.tongues.of(r)}
	defer p.survive(v)
	if isAsset {
		p.serveAsset(v, asset)
		return
	}
	w.Header().Add("Vary", vary)
	if err := p.api.Guard.Admit(r); err != nil {
		p.fail(v, err)
		return
	}
	switch media := mediaOf(r); {
	case reads:
		page.get(p, v)
	case r.Method != http.MethodPost || page.post == nil:
		w.Header().Set("Allow", page.allow())
		p.api.Refuse(w, r, httpapi.ErrMethod)
	case media != formMedia || len(r.Header["Content-Encoding"]) > 0:
		p.api.Refuse(w, r, httpapi.ErrMediaType)
	default:
		page.post(p, v)
	}
}

// allow names the methods of a page (RFC 9110 §10.2.1).
func (g page) allow() string {
	if g.post == nil {
		return "GET, HEAD"
	}
	return "GET, HEAD, POST"
}

// mediaOf is the media type of what was sent; empty: it says none.
func mediaOf(r *http.Request) string {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return media
}

// isForm tells what the form of some page sends from what a program does (HTML
// §4.10.18.6: the values of enctype).
func isForm(media string) bool {
	return media == formMedia || media == "multipart/form-data" || media == "text/plain"
}

// survive answers a panic with the page for what nobody foresaw. Its value may
// hold what a browser sent, so only its type is logged.
func (p *Pages) survive(v visit) {
	value := recover()
	if value == nil {
		return
	}
	if value == http.ErrAbortHandler {
		panic(value)
	}
	p.api.Log.LogAttrs(v.r.Context(), slog.LevelError, "page panicked",
		slog.String("panic", fmt.Sprintf("%T", value)), slog.String("stack", string(debug.Stack())))
	p.fail(v, errPanic)
}

// errPanic is described by no table on purpose.
var errPanic = errors.New("pages: a page panicked")
