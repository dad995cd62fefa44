// Command apionly is an API for programs that hold their tokens themselves:
// no pages, no cookies to think of. Its users are made by
//
//	pawl user add ada
//
// and choose a password with the one that it prints, by new_password at the
// first sign-in.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/pawlauth/pawl"
	"github.com/pawlauth/pawl/httpapi"
)

var options = pawl.Options{
	Data: "./pawl-data", Origins: []string{"http://localhost:8080"}, WithoutPages: true,
	// Without Origins of its own, no page in a browser can be this client.
	Clients: []httpapi.Client{{ID: "notes-cli", Scope: "notes:read"}},
}

func main() {
	p, err := pawl.Open(context.Background(), options)
	if err != nil {
		log.Fatal(err)
	}
	err = http.ListenAndServe("localhost:8080", site(p))
	log.Fatal(err, p.Close())
}

// site is Pawl's routes, of which a program uses three: /auth/login, once;
// /auth/token, to renew; /auth/revoke, to sign out.
func site(p *pawl.Pawl) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/auth/", p.Handler())
	mux.Handle("/.well-known/", p.Handler())
	mux.Handle("GET /notes", p.Protect(http.HandlerFunc(notes)))
	return mux
}

func notes(w http.ResponseWriter, r *http.Request) {
	caller, _ := pawl.PrincipalFrom(r.Context())
	if caller.Scope != "notes:read" {
		http.Error(w, "this token is not for notes", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, "{\"notes_of\":%q}\n", caller.UserID)
}
