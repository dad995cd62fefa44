package httpapi

import (
	"net/http"
	"strings"

	"github.com/pawlauth/pawl/browser"
)

// browserClient answers with the client that pages import.
func (a *API) browserClient(w http.ResponseWriter, r *http.Request) error {
	return writeScript(w, r, publicMaxAge)
}

// hashedBrowserClient is the same below a name of its own bytes, which a browser
// never asks for twice.
func (a *API) hashedBrowserClient(w http.ResponseWriter, r *http.Request) error {
	return writeScript(w, r, "public, max-age=31536000, immutable")
}

func writeScript(w http.ResponseWriter, r *http.Request, caching string) error {
	tag := `"` + browser.Hash + `"`
	h := w.Header()
	h.Set("Cache-Control", caching)
	h.Set("ETag", tag)
	h.Del("Vary") // the same for everybody
	// Compared weakly (RFC 9110 §13.1.2): a proxy that compresses marks it W/.
	if strings.Contains(strings.Join(r.Header["If-None-Match"], ","), tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	w.Write(browser.Script)
	return nil
}
