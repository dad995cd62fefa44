package httpauth

import "net/http"

// Harden writes what every answer of ours says, with the Content-Security-Policy
// that fits it. Who answers may replace what an answer needs otherwise.
func (g *Guard) Harden(w http.ResponseWriter, r *http.Request, policy string) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY") // for browsers that do not know frame-ancestors
	// Never over plain http (RFC 6797 §7.2), which is served for development on
	// loopback names only.
	if g.Proxies.HTTPS(r) {
		h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	}
}
