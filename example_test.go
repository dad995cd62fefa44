package pawl_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/pawlauth/pawl"
)

// The program of the README: routes, and an application that only signed-in
// users reach.
func Example() {
	serve := func(ctx context.Context) error {
		app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			caller, _ := pawl.PrincipalFrom(r.Context())
			fmt.Fprintln(w, "hello,", caller.UserID)
		})

		p, err := pawl.Open(ctx, pawl.Options{
			Data:    "./pawl-data",
			Origins: []string{"https://app.example.com"},
		})
		if err != nil {
			return err
		}
		defer p.Close()

		mux := http.NewServeMux()
		mux.Handle("/auth/", p.Handler())
		mux.Handle("/.well-known/", p.Handler())
		mux.Handle("/", p.Protect(app)) // pawl.PrincipalFrom(r.Context()) says who calls

		return http.ListenAndServe("localhost:8080", mux)
	}
	if err := serve(context.Background()); err != nil {
		log.Print(err)
	}
}
