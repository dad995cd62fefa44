package lab

import (
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
	"time"
)

// variable: what those recommend who have read about localStorage.
var variable = Way{
	Name: "variable", Title: "variable",
	About: "The access token (JWT, HS256, one hour) is in a variable that no other script can name. The refresh token (30 days, always the same one) is in a cookie: HttpOnly, Secure, SameSite=Lax. " +
		"POST /refresh answers with an access token, and the server writes one into each page, so that a page that is loaded anew need not ask. Signing out takes the cookie away.",
	build: func(s *stage) (build, error) { return newVariableBank(s), nil },
}

// A variableBank gives access tokens to script, and keeps refresh tokens from
// it.
type variableBank struct {
	*bank
	routes *http.ServeMux
	secret []byte // a good one

	mu      sync.Mutex
	refresh map[string]string // guarded by mu: the table refresh_tokens, token to customer
}

func newVariableBank(s *stage) *variableBank {
	b := &variableBank{bank: s.bank, secret: []byte(rand.Text()), refresh: make(map[string]string), routes: http.NewServeMux()}
	b.keep, b.form, b.who = script("variable.js"), "/login", b.bearer
	b.embedded = func(r *http.Request) (any, bool) {
		name := b.refresher(r)
		return b.access(name), name != ""
	}
	b.routes.HandleFunc("POST /login", b.login)
	b.routes.HandleFunc("POST /refresh", b.renewal)
	b.routes.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, refreshCookie("", -1))
	})
	b.routes.Handle("/", s.bank)
	return b
}

// ServeHTTP implements [build].
func (b *variableBank) ServeHTTP(w http.ResponseWriter, r *http.Request) { b.routes.ServeHTTP(w, r) }

func (b *variableBank) access(name string) tokenPair {
	return tokenPair{Access: signHS256(name, time.Hour, b.secret)}
}

func (b *variableBank) bearer(r *http.Request) string {
	return verifyHS256(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), b.secret)
}

// refresher is the customer of the refresh token's cookie.
func (b *variableBank) refresher(r *http.Request) string {
	c, err := r.Cookie("refresh_token")
	if err != nil {
		return ""
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refresh[c.Value]
}

func refreshCookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{Name: "refresh_token", Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode}
}

func (b *variableBank) login(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		http.Error(w, "no name", http.StatusBadRequest)
		return
	}
	name, err := customer(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	refresh := rand.Text()
	b.mu.Lock()
	b.refresh[refresh] = name
	b.mu.Unlock()
	http.SetCookie(w, refreshCookie(refresh, int((30*24*time.Hour).Seconds())))
	writeJSON(w, b.access(name))
}

func (b *variableBank) renewal(w http.ResponseWriter, r *http.Request) {
	name := b.refresher(r)
	if name == "" {
		http.Error(w, "sign in", http.StatusUnauthorized)
		return
	}
	writeJSON(w, b.access(name))
}

// signIn implements [build].
func (b *variableBank) signIn(d *device, name string) error {
	a, err := d.ask("POST", "/login", credentials(name))
	if err != nil {
		return err
	}
	return d.keep(a)
}

// use implements [build].
func (b *variableBank) use(d *device) (string, error) { return d.me() }

// renew implements [renewing].
func (b *variableBank) renew(d *device) (bool, error) {
	a, err := d.ask("POST", "/refresh", "")
	if err != nil || a.status != http.StatusOK {
		return false, err
	}
	return true, d.keep(a)
}

// signOut implements [build].
func (b *variableBank) signOut(d *device) error {
	d.access = ""
	return expect(http.StatusOK)(d.ask("POST", "/logout", ""))
}

// copied implements [stored].
func (b *variableBank) copied() ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for token, name := range b.refresh {
		all = append(all, token, name)
	}
	return all, nil
}
