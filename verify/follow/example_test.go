package follow_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
	"github.com/pawlauth/pawl/token"
	"github.com/pawlauth/pawl/verify"
	"github.com/pawlauth/pawl/verify/follow"
)

// A resource server that has no database. Its handlers run with a principal in
// the context, and only then.
func ExampleOpen() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	follower, err := follow.Open(ctx, follow.Options{
		Issuer:     "https://login.example",
		Audience:   "https://api.example",
		Service:    "https://pawl.internal:9443",
		Credential: follow.Credential{Name: "api", Secret: token.Secret(os.Getenv("PAWL_SERVICE_SECRET"))},
		Leeway:     5 * time.Second,
		CacheSize:  10_000,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer follower.Close()

	site, err := httpauth.NewSite([]string{"https://api.example"})
	if err != nil {
		log.Fatal(err)
	}
	// Bearer tokens need no CSRF token, so this key is good for nothing.
	var key [32]byte
	rand.Read(key[:])
	csrf, err := httpauth.NewCSRF([][32]byte{key})
	if err != nil {
		log.Fatal(err)
	}
	guard, err := httpauth.NewGuard(httpauth.Options{
		Site: site, CSRF: csrf, Now: time.Now,
		Verifier:  follower.Verifier(),
		Note:      follower.Note,
		Record:    func(e session.Event) { log.Print(e.Type) },
		Pseudonym: func(token.ID) string { return "" },
	})
	if err != nil {
		log.Fatal(err)
	}
	orders := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, _ := verify.FromContext(r.Context())
		fmt.Fprintf(w, "orders of %s\n", caller.UserID)
	})
	refuse := func(w http.ResponseWriter, _ *http.Request, why error) {
		status := http.StatusUnauthorized
		if errors.Is(why, verify.ErrStale) {
			status = http.StatusServiceUnavailable // no fault of the caller's
		}
		http.Error(w, http.StatusText(status), status)
	}
	http.Handle("GET /orders", guard.Protect(orders, refuse))
	http.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !follower.Ready() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	log.Print(http.ListenAndServe("127.0.0.1:8080", nil))
}
