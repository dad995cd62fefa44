package lab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/account"
	"github.com/pawlauth/pawl/httpapi"
)

// pawlBearer: what Pawl does for apps, done in a page.
var pawlBearer = Way{
	Name: "pawl-bearer", Title: "Pawl, bearer in memory", Pawl: true,
	About: "Pawl's bearer transport, which is meant for apps, in a page: both tokens in variables, gone when the page is; a refresh token that changes at every use.",
	build: newPawlBearerBank,
}

// pawlCookies: what Pawl does for browsers.
var pawlCookies = Way{
	Name: "pawl-cookies", Title: "Pawl, cookies", Pawl: true,
	About: "Pawl as it comes: both tokens in cookies that no script can read and no sibling can plant, a refresh token that changes at every use, " +
		"pawl.js in the page, and Pawl.Protect around the bank.",
	build: newPawlCookieBank,
}

// A pawlBank is the bank behind Pawl.
type pawlBank struct {
	*bank
	pawl      *pawl.Pawl
	directory string
	names     map[string]string // of customers, by id
	routes    *http.ServeMux
	past      *past
}

// newPawlBank opens a Pawl with the policy "default" on data that has both
// customers in it.
func newPawlBank(s *stage, o pawl.Options) (*pawlBank, error) {
	seed, err := s.net.pawlData()
	if err != nil {
		return nil, err
	}
	directory, err := os.MkdirTemp("", "pawl-lab-")
	if err != nil {
		return nil, fmt.Errorf("data of Pawl: %w", err)
	}
	b := &pawlBank{bank: s.bank, directory: directory, names: seed.names, routes: http.NewServeMux()}
	for name, content := range seed.files {
		if err := os.WriteFile(filepath.Join(directory, name), content, 0o600); err != nil {
			return nil, errors.Join(fmt.Errorf("data of Pawl: %w", err), os.RemoveAll(directory))
		}
	}
	o.Data, o.Origins, o.Log = directory, []string{s.app}, slog.New(slog.DiscardHandler)
	if b.pawl, err = pawl.Open(s.ctx, o); err != nil {
		return nil, errors.Join(err, os.RemoveAll(directory))
	}
	if b.past, err = b.openPast(s.ctx); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	b.subject = func(name string) string {
		for id, known := range b.names {
			if known == name {
				return id
			}
		}
		return name
	}
	b.who = func(r *http.Request) string {
		caller, ok := pawl.PrincipalFrom(r.Context())
		if !ok {
			return ""
		}
		return b.names[caller.UserID]
	}
	b.routes.Handle("/auth/", b.pawl.Handler())
	b.routes.Handle("/.well-known/", b.pawl.Handler())
	return b, nil
}

// A seed is the data of a Pawl with both customers in it, of which each cell
// gets a copy: hashing their passwords takes time on purpose.
type seed struct {
	files map[string][]byte
	names map[string]string // of customers, by id
}

func newSeed() (out seed, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	directory, err := os.MkdirTemp("", "pawl-lab-")
	if err != nil {
		return seed{}, fmt.Errorf("data of Pawl: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()
	p, err := pawl.Open(ctx, pawl.Options{Data: directory, Origins: []string{"https://app.bank.test"}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return seed{}, err
	}
	out = seed{make(map[string][]byte), make(map[string]string)}
	for _, name := range []string{ada, mallory} {
		user, err := p.Accounts().Add(ctx, name, account.NewPassword(password))
		if err != nil {
			return seed{}, errors.Join(err, p.Close())
		}
		out.names[user.ID] = name
	}
	if err := p.Close(); err != nil {
		return seed{}, err
	}
	files, err := os.ReadDir(directory)
	if err != nil {
		return seed{}, fmt.Errorf("data of Pawl: %w", err)
	}
	for _, f := range files {
		if out.files[f.Name()], err = os.ReadFile(filepath.Join(directory, f.Name())); err != nil {
			return seed{}, fmt.Errorf("data of Pawl: %w", err)
		}
	}
	return out, nil
}

// ServeHTTP implements [build].
func (b *pawlBank) ServeHTTP(w http.ResponseWriter, r *http.Request) { b.routes.ServeHTTP(w, r) }

// Close ends the Pawl and removes its data.
func (b *pawlBank) Close() error {
	var err error
	if b.past != nil {
		err = b.past.Close()
	}
	return errors.Join(err, b.pawl.Close(), os.RemoveAll(b.directory))
}

// use implements [build].
func (b *pawlBank) use(d *device) (string, error) { return d.me() }

// A pawlBearerBank gives tokens to the script of its page.
type pawlBearerBank struct{ *pawlBank }

func newPawlBearerBank(s *stage) (build, error) {
	b, err := newPawlBank(s, pawl.Options{Clients: []httpapi.Client{{ID: "app", Scope: "bank", Origins: []string{s.app}}}})
	if err != nil {
		return nil, err
	}
	b.keep = script("pawl-bearer.js")
	protected := b.pawl.Protect(s.bank)
	for _, path := range []string{"/api/", "/transfer", "/pay", "/statement", "/ws"} {
		b.routes.Handle(path, protected)
	}
	b.routes.Handle("/", s.bank) // the page, which knows nobody
	return pawlBearerBank{b}, nil
}

// signIn implements [build].
func (b pawlBearerBank) signIn(d *device, name string) error {
	a, err := d.ask("POST", "/auth/login", fmt.Sprintf(`{"username":%q,"password":%q,"transport":"bearer","client_id":"app"}`, name, password))
	if err != nil {
		return err
	}
	return d.keep(a)
}

// renew implements [renewing].
func (b pawlBearerBank) renew(d *device) (bool, error) {
	a, err := d.ask("POST", "/auth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {d.refresh}, "client_id": {"app"}}.Encode())
	if err != nil || a.status != http.StatusOK {
		return false, err
	}
	return true, d.keep(a)
}

// signOut implements [build].
func (b pawlBearerBank) signOut(d *device) error {
	return expect(http.StatusOK)(d.ask("POST", "/auth/revoke", url.Values{"token": {d.refresh}, "client_id": {"app"}}.Encode()))
}

// A pawlCookieBank keeps its customers signed in by cookies.
type pawlCookieBank struct{ *pawlBank }

func newPawlCookieBank(s *stage) (build, error) {
	b, err := newPawlBank(s, pawl.Options{})
	if err != nil {
		return nil, err
	}
	b.keep = script("pawl-cookies.js")
	b.routes.Handle("/keep.js", s.bank)
	b.routes.Handle("/", b.pawl.Protect(s.bank))
	return pawlCookieBank{b}, nil
}

// signIn implements [build].
func (b pawlCookieBank) signIn(d *device, name string) error {
	return expect(http.StatusOK)(d.ask("POST", "/auth/login", credentials(name)))
}

// renew implements [renewing].
func (b pawlCookieBank) renew(d *device) (bool, error) {
	a, err := d.ask("POST", "/auth/refresh", "")
	return err == nil && a.status == http.StatusOK, err
}

// signOut implements [build].
func (b pawlCookieBank) signOut(d *device) error {
	return expect(http.StatusNoContent)(d.ask("POST", "/auth/logout", ""))
}

// expect makes any other status an error.
func expect(status int) func(answer, error) error {
	return func(a answer, err error) error {
		if err == nil && a.status != status {
			err = fmt.Errorf("the bank answered %d: %.200s", a.status, a.body)
		}
		return err
	}
}
