package httpapi

import (
	"net/http"
	"slices"

	"github.com/rs/cors"
)

// harden writes what every answer says, failures included. A public document
// replaces Cache-Control and the resource policy by its own.
func (a *API) harden(w http.ResponseWriter, r *http.Request) {
	a.Guard.Harden(w, r, "default-src 'none'; frame-ancestors 'none'")
}

// clientCORS lets the pages of bearer clients call the routes that give
// tokens, without credentials: what they need is in the request's body. Nil if
// there is no such page; to the library, no origins would mean all of them.
func clientCORS(clients []Client) *cors.Cors {
	var origins []string
	for _, c := range clients {
		origins = append(origins, c.Origins...)
	}
	if len(origins) == 0 {
		return nil
	}
	return cors.New(cors.Options{
		// A function, since the library's list ignores case and knows patterns.
		AllowOriginFunc: func(origin string) bool { return slices.Contains(origins, origin) },
		AllowedMethods:  []string{http.MethodPost},
		AllowedHeaders:  []string{"Content-Type", idempotencyHeader, "DPoP"},
		ExposedHeaders:  []string{"Retry-After", "WWW-Authenticate", "DPoP-Nonce"},
		MaxAge:          600,
	})
}

// publicCORS lets every page read what is public anyway.
func publicCORS() *cors.Cors {
	return cors.New(cors.Options{
		AllowedOrigins: []string{"*"},
		AllowedMethods: []string{http.MethodGet, http.MethodHead},
		MaxAge:         600,
	})
}
