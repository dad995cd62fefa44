package pawl

import (
	"cmp"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/dbsc"
	"github.com/pawlauth/pawl/dpop"
	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/pages"
)

// A Brand is how the pages look like yours.
type Brand = pages.Brand

// web is the part of a Pawl that speaks HTTP.
type web struct {
	guard   *httpauth.Guard
	api     *httpapi.API
	handler http.Handler // of the API and the pages
}

// site says where Pawl lives and whose forwarded headers it believes.
func (o Options) site() (*httpauth.Site, httpauth.Proxies, error) {
	site, err := httpauth.NewSite(o.Origins)
	proxies, more := httpauth.NewProxies(networks(o.TrustedProxies)...)
	return site, proxies, errors.Join(err, more)
}

func networks(prefixes []netip.Prefix) []string {
	out := make([]string, len(prefixes))
	for i, p := range prefixes {
		out[i] = p.String()
	}
	return out
}

// surface is the part of the API's options that an operator chooses.
func (o Options) surface() httpapi.Options {
	out := httpapi.Options{Audience: o.Audience, Log: o.Log, Prefix: o.Prefix, SignIn: o.SignInPage, SignInMethods: o.SignInPage != "", SignInHandoff: o.SignInHandoff, Clients: o.Clients,
		DeviceBinding: o.DeviceBinding, RenewalRate: o.RenewalRate, AllowSignup: o.AllowSignup, MaxSessions: o.MaxSessions, Place: o.Place}
	if o.RequireDPoP {
		out.Clients = slices.Clone(o.Clients)
		for i := range out.Clients {
			out.Clients[i].RequireDPoP = true
		}
	}
	if !o.WithoutPages {
		out.SignIn, out.Renewal = cmp.Or(o.SignInPage, o.Prefix+"/signin"), o.Prefix+"/renew"
		out.Pages = pages.Below(o.Prefix)
	}
	return out
}

// rules are what new passwords must satisfy. Whoever guesses tries the names
// of the site first.
func (o Options) rules() account.Rules {
	rules := account.Rules{MinLength: o.MinPassword, Words: []string{o.Brand.Name}}
	for _, origin := range o.Origins {
		if u, err := url.Parse(origin); err == nil {
			labels := strings.Split(u.Hostname(), ".")
			rules.Words = append(rules.Words, labels[:max(1, len(labels)-1)]...) // half the world ends in com
		}
	}
	return rules
}

// wireHTTP makes the guard, the API and the pages over the core.
func (p *Pawl) wireHTTP() (web, error) {
	o := p.options
	site, proxies, err := o.site()
	if err != nil {
		return web{}, err
	}
	csrf, err := httpauth.NewCSRF(p.data.Master.CSRFKeys())
	if err != nil {
		return web{}, err
	}
	devices, err := dbsc.NewIssuer(p.data.Master.DBSCKeys())
	if err != nil {
		return web{}, err
	}
	atIssuer, err := newDPoP(p.data.Master.IssuerNonceKeys(), p.clock.now())
	if err != nil {
		return web{}, err
	}
	atResource, err := newDPoP(p.data.Master.ResourceNonceKeys(), p.clock.now())
	if err != nil {
		return web{}, err
	}
	guard, err := httpauth.NewGuard(httpauth.Options{
		Site: site, Proxies: proxies, CSRF: csrf, Verifier: p.verifier, Note: p.uses.Note, Record: p.record,
		Pseudonym: p.data.Master.Pseudonyms(), Now: p.clock.now, RequireCSRFToken: o.RequireCSRFToken,
		DPoP: atResource, RequireDPoP: o.RequireDPoP, RequireBound: o.DeviceBinding == httpapi.BindingRequireAll,
	})
	if err != nil {
		return web{}, err
	}
	var shown *pages.Pages
	surface := o.surface()
	surface.Engine, surface.Guard, surface.Accounts, surface.Keys, surface.Services = p.engine, guard, p.accounts, p.ring, p.services
	surface.DPoP, surface.DBSC = atIssuer, devices
	if !o.WithoutPages {
		surface.Page = func(w http.ResponseWriter, r *http.Request, d httpapi.Description) { shown.Error(w, r, d) }
	}
	api, err := httpapi.New(surface)
	if err != nil || o.WithoutPages {
		return web{guard, api, api}, err
	}
	shown, err = pages.New(pages.Options{API: api, Home: o.Home, SignInPage: o.SignInPage, MinPassword: o.MinPassword, Brand: o.Brand, CSPReports: o.CSPReports})
	return web{guard, api, shown}, err
}

// newDPoP returns what judges proofs that need a nonce under one of the keys,
// and remembers from now on which were used.
func newDPoP(keys [][32]byte, now time.Time) (*dpop.Verifier, error) {
	nonces, err := dpop.NewNonces(keys, now)
	if err != nil {
		return nil, err
	}
	used, err := dpop.NewMemory(dpop.DefaultMemory)
	if err != nil {
		return nil, err
	}
	return dpop.New(dpop.Options{Nonces: nonces, Replays: used})
}

// Protect lets only requests of signed-in users through to next; see
// [PrincipalFrom]. Others get an answer. A browser that opens a page is sent
// through the renewal page if its access token has expired, and to sign in if
// nobody is signed in; anything else gets a problem document.
func (p *Pawl) Protect(next http.Handler) http.Handler {
	return p.web.guard.Protect(next, p.web.api.Refuse)
}
