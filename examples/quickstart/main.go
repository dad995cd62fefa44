// Command quickstart is an application that only signed-in users reach. Run
// it, open http://localhost:8080 and make an account.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/pawlauth/pawl"
)

var options = pawl.Options{Data: "./pawl-data", Origins: []string{"http://localhost:8080"}, AllowSignup: true}

func main() {
	p, err := pawl.Open(context.Background(), options)
	if err != nil {
		log.Fatal(err)
	}
	err = http.ListenAndServe("localhost:8080", site(p))
	log.Fatal(err, p.Close())
}

// site is Pawl's routes and pages, and the application behind Protect.
func site(p *pawl.Pawl) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/auth/", p.Handler())
	mux.Handle("/.well-known/", p.Handler())
	mux.Handle("/", p.Protect(http.HandlerFunc(hello)))
	return mux
}

func hello(w http.ResponseWriter, r *http.Request) {
	caller, _ := pawl.PrincipalFrom(r.Context())
	fmt.Fprintln(w, "Hello,", caller.UserID)
}
