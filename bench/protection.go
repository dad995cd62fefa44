package bench

import (
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/verify"
)

// protection is of a handler that asks who calls, without a socket.
func (i *issuer) protection() (Group, error) {
	const known = 1 << 10
	guard, err := i.guard()
	if err != nil {
		return Group{}, err
	}
	refuse := func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusUnauthorized) }
	protected := guard.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, ok := verify.FromContext(r.Context()); !ok || p.ClientID != client {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}), refuse)
	var cookies, bearers []*http.Request
	for _, raw := range i.tokens[:known] {
		cookies = append(cookies, request("Cookie", httpauth.AccessCookie+"="+raw))
		bearers = append(bearers, request("Authorization", "Bearer "+raw))
	}
	other, err := scsSide(known)
	if err != nil {
		return Group{}, err
	}
	bare := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	return Group{Name: Protected, Sides: []Side{
		{Name: "bare handler", Prepare: always(serve(bare, cookies))},
		{Name: "pawl Protect, cookie", Prepare: warmed(serve(protected, cookies), known)},
		{Name: "pawl Protect, bearer", Prepare: warmed(serve(protected, bearers), known)},
		{Name: "scs LoadAndSave, in memory", Prepare: warmed(other, known)},
	}}, nil
}

// guard is wired as package pawl does it.
func (i *issuer) guard() (*httpauth.Guard, error) {
	v, err := i.verifier(cacheSize)
	if err != nil {
		return nil, err
	}
	site, err := httpauth.NewSite([]string{issuerName})
	if err != nil {
		return nil, err
	}
	csrf, err := httpauth.NewCSRF(i.master.CSRFKeys())
	if err != nil {
		return nil, err
	}
	// The peer of the requests below ends the encryption.
	proxies, err := httpauth.NewProxies("192.0.2.0/24")
	if err != nil {
		return nil, err
	}
	return httpauth.NewGuard(httpauth.Options{Site: site, Proxies: proxies, CSRF: csrf, Verifier: v,
		Note: session.NewConfirmations(i.engine).Note, Record: func(session.Event) {},
		Pseudonym: i.master.Pseudonyms(), Now: time.Now})
}

// request is one as a proxy hands it on from a browser.
func request(header, value string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/orders", nil)
	r.Host = host
	r.Header.Set("X-Forwarded-Proto", "https")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	r.Header.Set(header, value)
	return r
}

// warmed does the operation a number of times before it is timed.
func warmed(op func() error, times int) func() (func() error, error) {
	return func() (func() error, error) {
		for range times {
			if err := op(); err != nil {
				return nil, err
			}
		}
		return op, nil
	}
}

// serve hands the requests to the handler in turns.
func serve(h http.Handler, requests []*http.Request) func() error {
	w := &response{header: make(http.Header)}
	n := 0
	return func() error {
		r := requests[n]
		if n++; n == len(requests) {
			n = 0
		}
		clear(w.header)
		w.status = 0
		h.ServeHTTP(w, r)
		if w.status != 0 {
			return errOutcome
		}
		return nil
	}
}

// A response is thrown away except for a status that was set.
type response struct {
	header http.Header
	status int
}

func (w *response) Header() http.Header         { return w.header }
func (w *response) WriteHeader(status int)      { w.status = status }
func (w *response) Write(b []byte) (int, error) { return len(b), nil }

// scsSide is a session in a map, read by every request.
func scsSide(sessions int) (func() error, error) {
	manager := scs.New()
	var requests []*http.Request
	login := manager.LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		manager.Put(r.Context(), "user", client)
	}))
	for range sessions {
		w := httptest.NewRecorder()
		login.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/login", nil))
		cookies := w.Result().Cookies()
		if len(cookies) != 1 {
			return nil, errOutcome
		}
		requests = append(requests, request("Cookie", cookies[0].Name+"="+cookies[0].Value))
	}
	return serve(manager.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if manager.GetString(r.Context(), "user") != client {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})), requests), nil
}
