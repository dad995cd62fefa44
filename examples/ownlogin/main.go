// Command ownlogin is an application with users and a sign-in page of its own,
// whose sessions are Pawl's: it checks who somebody is, Pawl does the rest.
package main

import (
	"context"
	"html/template"
	"log"
	"net/http"
	"time"

	"github.com/pawlauth/pawl"
)

var options = pawl.Options{Data: "./pawl-data", Origins: []string{"http://localhost:8080"}, SignInPage: "/login"}

func main() {
	people, err := openPeople("file:people.db")
	if err != nil {
		log.Fatal(err)
	}
	if err := people.add(context.Background(), "ada", "a wheel that turns forward"); err != nil {
		log.Print(err) // she is there already
	}
	p, err := pawl.Open(context.Background(), options)
	if err != nil {
		log.Fatal(err)
	}
	err = http.ListenAndServe("localhost:8080", (&site{p, people}).routes())
	log.Fatal(err, p.Close())
}

type site struct {
	pawl   *pawl.Pawl
	people *people
}

func (s *site) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/auth/", s.pawl.Handler()) // renewal, devices, and what sessions need
	mux.Handle("/.well-known/", s.pawl.Handler())
	mux.HandleFunc("GET /login", s.showLogin)
	mux.HandleFunc("POST /login", s.login)
	mux.HandleFunc("POST /logout", s.logout)
	mux.Handle("/", s.pawl.Protect(http.HandlerFunc(s.home)))
	// What a stolen session must not be enough for needs a recent login.
	recent := s.pawl.RequireRecent(5 * time.Minute)
	mux.Handle("/pay", s.pawl.Protect(recent(http.HandlerFunc(s.pay))))
	return mux
}

// showLogin is where Pawl sends whoever must sign in.
func (s *site) showLogin(w http.ResponseWriter, r *http.Request) {
	s.show(w, http.StatusOK, view{ReturnTo: s.pawl.ReturnTo(r)})
}

// login checks the password against our own table, and leaves the session to
// Pawl, which also refuses forms of other sites. Slowing down whoever guesses
// is for us to do.
func (s *site) login(w http.ResponseWriter, r *http.Request) {
	name := r.FormValue("name")
	id, err := s.people.check(r.Context(), name, r.FormValue("password"))
	switch {
	case err != nil:
		log.Print(err)
		http.Error(w, "Try again later.", http.StatusServiceUnavailable)
		return
	case id == "":
		s.show(w, http.StatusForbidden, view{ReturnTo: s.pawl.ReturnTo(r), Name: name, Wrong: true})
		return
	}
	if err := s.pawl.SignIn(w, r, id, pawl.Username(name), pawl.Methods("pwd"), pawl.Remember()); err != nil {
		s.pawl.Refuse(w, r, err)
		return
	}
	http.Redirect(w, r, s.pawl.ReturnTo(r), http.StatusSeeOther)
}

func (s *site) logout(w http.ResponseWriter, r *http.Request) {
	if err := s.pawl.SignOut(w, r); err != nil {
		s.pawl.Refuse(w, r, err)
		return
	}
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

func (s *site) home(w http.ResponseWriter, r *http.Request) {
	caller, _ := pawl.PrincipalFrom(r.Context())
	s.show(w, http.StatusOK, view{UserID: caller.UserID, CSRF: s.pawl.CSRFToken(r.Context())})
}

func (s *site) pay(w http.ResponseWriter, r *http.Request) {
	w.Write([]byte("Paid.\n"))
}

// A view is what the page shows.
type view struct {
	UserID, ReturnTo, Name, CSRF string
	Wrong                        bool
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
<html lang="en"><title>Our own sign-in</title>
{{if .UserID}}<p>Hello, {{.UserID}}. <a href="/pay">Pay</a></p>
<form method="post" action="/logout"><input type="hidden" name="csrf_token" value="{{.CSRF}}"><button>Sign out</button></form>
{{else}}<form method="post" action="/login">
{{if .Wrong}}<p role="alert">Name or password is wrong.</p>{{end}}
<label>Name <input name="name" value="{{.Name}}" autocomplete="username" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<input type="hidden" name="return_to" value="{{.ReturnTo}}"><button>Sign in</button>
</form>{{end}}`))
