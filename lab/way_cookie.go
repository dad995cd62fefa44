package lab

import (
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
	"time"
)

// readableCookie: js-cookie and a server that reads what it wrote.
var readableCookie = Way{
	Name: "readable-cookie", Title: "readable cookie",
	About: "A JWT (RS256, seven days) comes in the answer to the sign-in; script writes it into a cookie with Secure and no other attribute, and the server reads the cookie. " +
		"The token is verified by the algorithm that it names, as whole generations of libraries did (CVE-2015-9235, CVE-2016-10555). Signing out takes the cookie away.",
	build: func(s *stage) (build, error) { return newReadableBank(s), nil },
}

// sessionID: what came in the box for twenty years.
var sessionID = Way{
	Name: "session-id", Title: "session id, HttpOnly",
	About: "Every visitor gets a random id in a cookie, HttpOnly and Secure and no more (SameSite=None where the bank's pages are on several sites); the server notes who has signed in under it, and forgets it when he signs out. " +
		"The id stays the same when somebody signs in, as with express-session unless one calls regenerate.",
	build: func(s *stage) (build, error) { return newSessionBank(s), nil },
}

// jwtCookie: what frameworks for server-side rendering show.
var jwtCookie = Way{
	Name: "jwt-cookie", Title: "JWT, HttpOnly, SameSite",
	About: "A JWT (HS256, seven days) is in a cookie with HttpOnly, Secure and SameSite=Lax, and the server keeps nothing. " +
		"The token is verified by the key that it names, by its name, its address, or itself, as RFC 7515 seems to ask for and libraries did (CVE-2018-0114). Signing out takes the cookie away.",
	build: func(s *stage) (build, error) { return newJWTBank(s), nil },
}

// A cookieBank signs its customers in by a form, or whatever else its routes
// have.
type cookieBank struct {
	*bank
	routes *http.ServeMux
}

func newCookieBank(s *stage, keep string, login http.HandlerFunc) cookieBank {
	b := cookieBank{s.bank, http.NewServeMux()}
	b.keep, b.form = script(keep), "/login"
	b.routes.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) { login(w, r) })
	b.routes.Handle("/", s.bank)
	return b
}

// ServeHTTP implements [build].
func (b cookieBank) ServeHTTP(w http.ResponseWriter, r *http.Request) { b.routes.ServeHTTP(w, r) }

// signIn implements [build].
func (b cookieBank) signIn(d *device, name string) error {
	return expect(http.StatusSeeOther)(d.ask("POST", "/login", credentialsForm(name)))
}

// use implements [build].
func (b cookieBank) use(d *device) (string, error) { return d.me() }

// signOut implements [build].
func (b cookieBank) signOut(d *device) error {
	return expect(http.StatusOK)(d.ask("POST", "/logout", ""))
}

// cookieValue is the first cookie of that name, as everybody reads it.
func cookieValue(r *http.Request, name string) string {
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

type readableBank struct{ cookieBank }

func newReadableBank(s *stage) readableBank {
	b := readableBank{newCookieBank(s, "readable-cookie.js", func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
			http.Error(w, "no name", http.StatusBadRequest)
			return
		}
		name, err := customer(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		writeJSON(w, tokenPair{Access: signRS256(name, 7*24*time.Hour, bankKey())})
	})}
	b.who = func(r *http.Request) string { return verifyAsTold(cookieValue(r, "token"), &bankKey().PublicKey) }
	b.routes.HandleFunc("GET /public.pem", func(w http.ResponseWriter, r *http.Request) { w.Write(publicPEM(&bankKey().PublicKey)) })
	return b
}

// signIn implements [build].
func (b readableBank) signIn(d *device, name string) error {
	a, err := d.ask("POST", "/login", credentials(name))
	if err != nil {
		return err
	}
	var got tokenPair
	d.jar["token"] = biscuit{"", "/"}
	if err := a.as(&got); err != nil {
		return err
	}
	d.jar["token"] = biscuit{got.Access, "/"}
	return nil
}

// signOut implements [build].
func (b readableBank) signOut(d *device) error {
	delete(d.jar, "token")
	return nil
}

type sessionBank struct {
	cookieBank

	mu       *sync.Mutex
	sessions map[string]string // guarded by mu: the table sessions, id to customer; empty: a visitor
}

func newSessionBank(s *stage) *sessionBank {
	b := &sessionBank{mu: new(sync.Mutex), sessions: make(map[string]string)}
	b.cookieBank = newCookieBank(s, "cookie.js", func(w http.ResponseWriter, r *http.Request) {
		name, err := customer(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		b.mu.Lock()
		b.sessions[b.id(w, r)] = name
		b.mu.Unlock()
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	b.who = func(r *http.Request) string {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.sessions[cookieValue(r, "sid")]
	}
	b.routes.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.sessions, cookieValue(r, "sid"))
	})
	return b
}

// id is the visitor's, who gets one if he has none that the bank knows. It needs
// mu.
func (b *sessionBank) id(w http.ResponseWriter, r *http.Request) string {
	id := cookieValue(r, "sid")
	if _, known := b.sessions[id]; !known {
		id = rand.Text()
		b.sessions[id] = ""
		c := &http.Cookie{Name: "sid", Value: id, Path: "/", HttpOnly: true, Secure: true}
		if b.crossSite {
			c.SameSite = http.SameSiteNoneMode
		}
		http.SetCookie(w, c)
	}
	return id
}

// ServeHTTP implements [build].
func (b *sessionBank) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && r.URL.Path == "/" {
		b.mu.Lock()
		b.id(w, r)
		b.mu.Unlock()
	}
	b.cookieBank.ServeHTTP(w, r)
}

// copied implements [stored].
func (b *sessionBank) copied() ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for id, name := range b.sessions {
		all = append(all, id, name)
	}
	return all, nil
}

type jwtBank struct{ cookieBank }

func newJWTBank(s *stage) jwtBank {
	keys := &namedKeys{http: s.http, disk: map[string][]byte{"/srv/bank/keys/2026": []byte(rand.Text()), "/dev/null": nil}}
	b := jwtBank{newCookieBank(s, "cookie.js", func(w http.ResponseWriter, r *http.Request) {
		name, err := customer(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		life := 7 * 24 * time.Hour
		http.SetCookie(w, &http.Cookie{Name: "token", Value: keys.sign(name, life), Path: "/", MaxAge: int(life.Seconds()), HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode})
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})}
	b.who = func(r *http.Request) string { return keys.verify(cookieValue(r, "token")) }
	b.routes.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "token", Path: "/", MaxAge: -1, HttpOnly: true, Secure: true})
	})
	return b
}
