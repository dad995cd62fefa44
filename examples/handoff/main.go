// Command handoff is an application that is not linked with Pawl and has users
// and a sign-in page of its own: any language could do the same. It speaks
// HTTP with a Pawl beside it, which is started by
//
//	pawl service add portal --scope sessions:write
//	pawl serve --origin http://localhost:3000 --trusted-proxy 127.0.0.1/32 --sign-in-page /login
//
// and is itself started with the secret that the first prints in
// PAWL_SERVICE_SECRET. No token of anybody's ever passes through its own code.
package main

import (
	"bytes"
	"context"
	"crypto/subtle"
	"fmt"
	"html/template"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"time"

	"github.com/go-json-experiment/json"
)

func main() {
	s := &site{public: "http://127.0.0.1:8080", service: "http://127.0.0.1:8081", name: "portal", secret: os.Getenv("PAWL_SERVICE_SECRET")}
	log.Fatal(http.ListenAndServe("127.0.0.1:3000", s.routes()))
}

// A site knows where Pawl is, and who it is to Pawl.
type site struct {
	public, service string // Pawl's two listeners
	name, secret    string
}

// client passes Pawl's answers on, redirects among them.
var client = &http.Client{Timeout: 15 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func (s *site) routes() http.Handler {
	mux := http.NewServeMux()
	// What nginx does in production: Pawl's paths are Pawl's.
	mux.Handle("/auth/", s.proxy())
	mux.Handle("/.well-known/", s.proxy())
	mux.HandleFunc("GET /login", s.showLogin)
	mux.HandleFunc("POST /login", s.login)
	mux.HandleFunc("GET /{$}", s.protect(s.home))
	return mux
}

func (s *site) proxy() http.Handler {
	to, err := url.Parse(s.public)
	if err != nil {
		log.Fatal(err)
	}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.SetXForwarded()
		r.Out.Host = r.In.Host
	}}
}

// protect asks Pawl before it lets a request through, and lets Pawl answer the
// others: it leads a browser to the renewal or to our sign-in page.
func (s *site) protect(next func(w http.ResponseWriter, r *http.Request, userID string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ask, err := http.NewRequestWithContext(r.Context(), "GET", s.public+"/auth/verify", nil)
		if err != nil {
			http.Error(w, "Try again later.", http.StatusServiceUnavailable)
			return
		}
		ask.Host = r.Host
		for _, name := range []string{"Cookie", "Authorization", "Origin", "Accept", "User-Agent", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest"} {
			ask.Header[name] = r.Header[name]
		}
		ask.Header.Set("X-Forwarded-Method", r.Method)
		ask.Header.Set("X-Forwarded-Uri", r.URL.RequestURI())
		ask.Header.Set("X-Forwarded-Proto", "http")
		answer, err := client.Do(ask)
		if err != nil {
			http.Error(w, "Try again later.", http.StatusServiceUnavailable)
			return
		}
		defer answer.Body.Close()
		if answer.StatusCode == http.StatusNoContent {
			next(w, r, answer.Header.Get("X-Auth-User"))
			return
		}
		for name, values := range answer.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.StatusCode)
		io.Copy(w, answer.Body)
	}
}

// showLogin is where Pawl sends whoever must sign in, with what this browser's
// code will be bound to. Who comes by another way goes by Pawl first.
func (s *site) showLogin(w http.ResponseWriter, r *http.Request) {
	handoff := r.FormValue("handoff")
	if handoff == "" {
		http.Redirect(w, r, "/auth/signin?return_to=/", http.StatusSeeOther)
		return
	}
	s.show(w, http.StatusOK, view{Handoff: handoff, ReturnTo: r.FormValue("return_to")})
}

// login checks who it is, gets a code for that user and this browser, and has
// the browser redeem it. Slowing down whoever guesses is for us to do.
func (s *site) login(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	userID := check(r.FormValue("name"), r.FormValue("password"))
	if userID == "" {
		s.show(w, http.StatusForbidden, view{Handoff: r.FormValue("handoff"), ReturnTo: r.FormValue("return_to"), Wrong: true})
		return
	}
	code, err := s.code(r.Context(), userID, r.FormValue("handoff"))
	if err != nil {
		log.Print(err)
		http.Error(w, "Try again later.", http.StatusServiceUnavailable)
		return
	}
	s.show(w, http.StatusOK, view{Code: code, ReturnTo: r.FormValue("return_to")})
}

// code vouches for a user.
func (s *site) code(ctx context.Context, userID, handoff string) (string, error) {
	body, err := json.Marshal(map[string]any{"user_id": userID, "transport": "cookie", "amr": []string{"pwd"}, "handoff": handoff})
	if err != nil {
		return "", err
	}
	r, err := http.NewRequestWithContext(ctx, "POST", s.service+"/v1/sessions", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	r.SetBasicAuth(s.name, s.secret)
	r.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	var out struct {
		Code string `json:"code"`
	}
	if err := json.UnmarshalRead(io.LimitReader(answer.Body, 1<<16), &out); err != nil || answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("asking for a code: Pawl answers %s: %w", answer.Status, err)
	}
	return out.Code, nil
}

func (s *site) home(w http.ResponseWriter, _ *http.Request, userID string) {
	s.show(w, http.StatusOK, view{UserID: userID})
}

// check is our table of users: passwords here, passkeys or another site's word
// as well.
func check(name, password string) (userID string) {
	if name == "ada" && subtle.ConstantTimeCompare([]byte(password), []byte("a wheel that turns forward")) == 1 {
		return "person-1"
	}
	return ""
}

// A view is what the page shows.
type view struct {
	UserID, Handoff, Code, ReturnTo string
	Wrong                           bool
}

func (s *site) show(w http.ResponseWriter, status int, v view) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := page.Execute(w, v); err != nil {
		log.Print(err)
	}
}

var page = template.Must(template.New("").Parse(`<!DOCTYPE html>
<html lang="en"><title>The portal</title>
{{if .UserID}}<p>Hello, {{.UserID}}.</p>
<form method="post" action="/auth/signout"><button>Sign out</button></form>
{{else if .Code}}<form method="post" action="/auth/redeem">
<input type="hidden" name="code" value="{{.Code}}"><input type="hidden" name="return_to" value="{{.ReturnTo}}">
<button>Continue</button></form><script>document.forms[0].submit()</script>
{{else}}<form method="post" action="/login">
{{if .Wrong}}<p role="alert">Name or password is wrong.</p>{{end}}
<label>Name <input name="name" autocomplete="username" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<input type="hidden" name="handoff" value="{{.Handoff}}"><input type="hidden" name="return_to" value="{{.ReturnTo}}">
<button>Sign in</button></form>{{end}}`))
