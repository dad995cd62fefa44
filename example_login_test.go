package pawl_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/pawlauth/pawl"
)

// quiet opens a Pawl whose data goes when the example ends.
func quiet(o pawl.Options) (p *pawl.Pawl, end func()) {
	dir, err := os.MkdirTemp("", "pawl-example")
	if err != nil {
		log.Fatal(err)
	}
	o.Data, o.Origins, o.Log = dir+"/data", []string{"http://localhost:8080"}, slog.New(slog.DiscardHandler)
	if p, err = pawl.Open(context.Background(), o); err != nil {
		log.Fatal(err)
	}
	return p, func() { p.Close(); os.RemoveAll(dir) }
}

// visit asks a handler as a browser does that opens a page, or sends a form of
// the site's own, with the cookies of an earlier answer.
func visit(h http.Handler, method, path string, before *http.Response) *http.Response {
	r := httptest.NewRequest(method, path, nil)
	r.Host = "localhost:8080"
	for name, value := range map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "same-origin"} {
		r.Header.Set(name, value)
	}
	if before != nil {
		for _, c := range before.Cookies() {
			r.AddCookie(c)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// A browser that opens a page is sent to sign in, and back afterwards. Anything
// else is told so in a document that a program can read.
func ExamplePawl_Protect() {
	p, end := quiet(pawl.Options{})
	defer end()

	invoices := p.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "1952: 3 invoices")
	}))

	browser := visit(invoices, "GET", "/invoices?year=1952", nil)
	fmt.Println(browser.StatusCode, browser.Header.Get("Location"))

	program := httptest.NewRequest("GET", "/invoices", nil)
	program.Host = "localhost:8080"
	answer := httptest.NewRecorder()
	invoices.ServeHTTP(answer, program)
	fmt.Println(answer.Code, answer.Header().Get("Content-Type"))
	// Output:
	// 303 /auth/signin?return_to=%2Finvoices%3Fyear%3D1952
	// 401 application/problem+json
}

// A program with users of its own checks who somebody is, and Pawl does the
// rest.
func ExamplePawl_SignIn() {
	p, end := quiet(pawl.Options{SignInPage: "/login"})
	defer end()

	login := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Here the program checks a password, a code, an answer of OpenID…
		if err := p.SignIn(w, r, "person-7", pawl.Username("grace"), pawl.Methods("pwd", "otp"), pawl.Remember()); err != nil {
			p.Refuse(w, r, err)
			return
		}
		http.Redirect(w, r, p.ReturnTo(r), http.StatusSeeOther)
	})
	home := p.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, _ := pawl.PrincipalFrom(r.Context())
		fmt.Println("hello,", caller.UserID, caller.Methods)
	}))

	answer := visit(login, "POST", "/login?return_to=/invoices", nil)
	fmt.Println(answer.StatusCode, answer.Header.Get("Location"))
	for _, c := range answer.Cookies() {
		fmt.Println(c.Name, c.HttpOnly, c.Secure)
	}
	visit(home, "GET", "/invoices", answer)
	// Output:
	// 303 /invoices
	// __Host-Http-pawl-access true true
	// __Secure-pawl-refresh true true
	// hello, person-7 [pwd otp]
}

// What a stolen session must not be enough for needs a login of just now; a
// second factor can be asked for as well.
func ExamplePawl_RequireRecent() {
	p, end := quiet(pawl.Options{SignInPage: "/login"}) // which asks for the second factor
	defer end()

	transfer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Println("transferred") })
	recent, twoFactors := p.RequireRecent(5*time.Minute), p.RequireAMR("otp")

	login := visit(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := p.SignIn(w, r, "person-7", pawl.Methods("pwd")); err != nil {
			p.Refuse(w, r, err)
		}
	}), "POST", "/login", nil)

	visit(p.Protect(recent(transfer)), "GET", "/transfer", login)
	answer := visit(p.Protect(twoFactors(transfer)), "GET", "/transfer", login)
	fmt.Println(answer.StatusCode, answer.Header.Get("Location"))
	// Output:
	// transferred
	// 303 /login?confirm=1&return_to=%2Ftransfer
}

// Signing out ends the session on the server, and then takes the cookies away.
func ExamplePawl_SignOut() {
	p, end := quiet(pawl.Options{})
	defer end()

	login := visit(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := p.SignIn(w, r, "person-7"); err != nil {
			p.Refuse(w, r, err)
		}
	}), "POST", "/login", nil)
	visit(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := p.SignOut(w, r); err != nil {
			p.Refuse(w, r, err)
		}
	}), "POST", "/logout", login)

	// Whoever kept the cookies has nothing.
	app := p.Protect(http.NotFoundHandler())
	fmt.Println(visit(app, "GET", "/", login).Header.Get("Location"))
	// Output:
	// /auth/signin?return_to=%2F
}

// Every fault is told at once, before anything is made.
func ExampleOptions_Validate() {
	err := pawl.Options{
		Data:        "./pawl-data",
		Origins:     []string{"https://app.example.com/"},
		Home:        "//elsewhere.example",
		Brand:       pawl.Brand{Colour: "blue"},
		MinPassword: 4,
	}.Validate()
	fmt.Println(strings.Count(err.Error(), "\n")+1, "faults")
	// Output:
	// 4 faults
}
