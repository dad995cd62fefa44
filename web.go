package pawl

import (
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
)

// web is the part of a Pawl that speaks HTTP.
type web struct {
	guard *httpauth.Guard
	api   *httpapi.API
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
	return httpapi.Options{Audience: o.Audience, Log: o.Log, Prefix: o.Prefix, SignIn: o.Prefix + "/signin",
		Clients: o.Clients, RenewalRate: o.RenewalRate}
}

// wireHTTP makes the guard and the API over the core.
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
	guard, err := httpauth.NewGuard(httpauth.Options{
		Site: site, Proxies: proxies, CSRF: csrf, Verifier: p.verifier, Note: p.uses.Note, Record: p.record,
		Pseudonym: p.data.Master.Pseudonyms(), Now: time.Now,
	})
	if err != nil {
		return web{}, err
	}
	surface := o.surface()
	surface.Engine, surface.Guard, surface.Accounts, surface.Keys = p.engine, guard, p.accounts, p.ring
	api, err := httpapi.New(surface)
	return web{guard: guard, api: api}, err
}

// Protect lets only requests of signed-in users through to next; see
// [PrincipalFrom]. Others get an answer: a navigation of a browser is sent to
// sign in, anything else gets a problem document.
func (p *Pawl) Protect(next http.Handler) http.Handler {
	return p.web.guard.Protect(next, p.web.api.Refuse)
}
