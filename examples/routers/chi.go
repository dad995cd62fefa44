package routers

import (
	"fmt"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/pawlauth/pawl"
)

// Chi is an application with chi: Protect is a middleware as it is.
func Chi(p *pawl.Pawl) http.Handler {
	r := chi.NewRouter()
	r.Handle("/auth/*", p.Handler())
	r.Handle("/.well-known/*", p.Handler())
	r.Get("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "Everybody may read this.") })
	r.Route("/account", func(r chi.Router) {
		r.Use(p.Protect)
		r.Get("/{page}", func(w http.ResponseWriter, r *http.Request) {
			caller, _ := pawl.PrincipalFrom(r.Context())
			fmt.Fprintf(w, "%s of %s\n", chi.URLParam(r, "page"), caller.UserID)
		})
		r.With(p.RequireRecent(5*time.Minute)).Post("/close", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintln(w, "Closed.")
		})
	})
	return r
}
