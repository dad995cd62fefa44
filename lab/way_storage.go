package lab

import (
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
)

// localStorage: the first answer to "React JWT authentication".
var localStorage = Way{
	Name: "localstorage", Title: "localStorage",
	About: "An access token (JWT, HS256, one hour) and a refresh token (30 days, always the same one) come in the answer to the sign-in; " +
		"script keeps both in localStorage and sends Authorization: Bearer, or puts the token into the address where only a link will do. Signing out clears the storage. " +
		"The secret is the one of the example. So do most tutorials on single-page applications.",
	build: func(s *stage) (build, error) { return newTokenBank(s, "localStorage"), nil },
}

// sessionStorage: the second answer, "since it is gone when the tab is closed".
var sessionStorage = Way{
	Name: "sessionstorage", Title: "sessionStorage",
	About: "As localStorage, in the storage that is forgotten with the tab.",
	build: func(s *stage) (build, error) { return newTokenBank(s, "sessionStorage"), nil },
}

// A tokenBank gives tokens to the script of its page. What the script does with
// them is its own affair, so that several ways are one of these.
type tokenBank struct {
	*bank
	routes *http.ServeMux
	secret []byte

	mu      sync.Mutex
	refresh map[string]string // guarded by mu: the table refresh_tokens, token to customer
}

func newTokenBank(s *stage, storage string) *tokenBank {
	b := &tokenBank{bank: s.bank, secret: []byte(tutorialSecret), refresh: make(map[string]string), routes: http.NewServeMux()}
	b.keep, b.form, b.who = "const storage = "+storage+";\n"+script("storage.js"), "/login", b.bearer
	b.routes.HandleFunc("POST /login", b.login)
	b.routes.HandleFunc("POST /refresh", b.renewal)
	b.routes.Handle("/", s.bank)
	return b
}

// ServeHTTP implements [build]. The header is among those that guides to "secure
// headers" have one copy; it was what browsers did until 2020.
func (b *tokenBank) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Referrer-Policy", "no-referrer-when-downgrade")
	b.routes.ServeHTTP(w, r)
}

// bearer verifies as the library's example does: one algorithm, and the time.
// Links bring the token in their query.
func (b *tokenBank) bearer(r *http.Request) string {
	raw, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		raw = r.URL.Query().Get("token")
	}
	return verifyHS256(raw, b.secret)
}

type tokenPair struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token,omitempty"`
}

func (b *tokenBank) login(w http.ResponseWriter, r *http.Request) {
	// Only JSON: the framework's parser leaves anything else alone.
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
	writeJSON(w, tokenPair{signHS256(name, time.Hour, b.secret), refresh})
}

func (b *tokenBank) renewal(w http.ResponseWriter, r *http.Request) {
	var in tokenPair
	if err := json.UnmarshalRead(r.Body, &in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	b.mu.Lock()
	name := b.refresh[in.Refresh]
	b.mu.Unlock()
	if name == "" {
		http.Error(w, "sign in", http.StatusUnauthorized)
		return
	}
	writeJSON(w, tokenPair{Access: signHS256(name, time.Hour, b.secret)})
}

// signIn implements [build].
func (b *tokenBank) signIn(d *device, name string) error {
	a, err := d.ask("POST", "/login", credentials(name))
	if err != nil {
		return err
	}
	return d.keep(a)
}

// keep keeps the tokens of an answer.
func (d *device) keep(a answer) error {
	var got tokenPair
	if err := a.as(&got); err != nil {
		return err
	}
	d.access = got.Access
	if got.Refresh != "" {
		d.refresh = got.Refresh
	}
	return nil
}

// use implements [build].
func (b *tokenBank) use(d *device) (string, error) { return d.me() }

// renew implements [build].
func (b *tokenBank) renew(d *device) (bool, error) {
	a, err := d.ask("POST", "/refresh", `{"refresh_token":"`+d.refresh+`"}`)
	if err != nil || a.status != http.StatusOK {
		return false, err
	}
	return true, d.keep(a)
}

// signOut implements [build].
func (b *tokenBank) signOut(d *device) error {
	d.access, d.refresh = "", ""
	return nil
}

// stows implements [stowing].
func (b *tokenBank) stows() {}

// copied implements [stored].
func (b *tokenBank) copied() ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for token, name := range b.refresh {
		all = append(all, token, name)
	}
	return all, nil
}
