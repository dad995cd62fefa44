// Command spa is one page with script, which keeps itself signed in by pawl.js,
// and the little API of notes that it talks to. Run it, open
// http://localhost:8080 in two tabs, and make an account.
package main

import (
	"context"
	"embed"
	"log"
	"net/http"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"

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

//go:embed page
var files embed.FS

// site is the page, which everybody may have since nothing in it is anybody's,
// and the notes behind Protect, which also refuses what other sites send.
func site(p *pawl.Pawl) http.Handler {
	var n notes
	mux := http.NewServeMux()
	mux.Handle("/auth/", p.Handler())
	mux.Handle("/.well-known/", p.Handler())
	mux.HandleFunc("GET /{$}", file("page/index.html"))
	mux.HandleFunc("GET /app.js", file("page/app.js"))
	mux.HandleFunc("GET /style.css", file("page/style.css"))
	mux.Handle("GET /api/notes", p.Protect(http.HandlerFunc(n.list)))
	mux.Handle("POST /api/notes", p.Protect(http.HandlerFunc(n.add)))
	return mux
}

// policy lets the page load what is of this site, talk to this site, and make
// no markup of text. pawl.js needs no more.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

func file(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeFileFS(w, r, files, name)
	}
}

const maxNote = 1000 // bytes

// notes are everybody's, by the id of the user, while the program runs.
type notes struct {
	mu   sync.Mutex
	byID map[string][]string // guarded by mu
}

func (n *notes) list(w http.ResponseWriter, r *http.Request) {
	caller, _ := pawl.PrincipalFrom(r.Context())
	n.mu.Lock()
	defer n.mu.Unlock()
	answer(w, append([]string{}, n.byID[caller.UserID]...))
}

func (n *notes) add(w http.ResponseWriter, r *http.Request) {
	caller, _ := pawl.PrincipalFrom(r.Context())
	var note struct {
		Text string `json:"text"`
	}
	err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, 2*maxNote), &note)
	if err != nil || strings.TrimSpace(note.Text) == "" || len(note.Text) > maxNote {
		http.Error(w, "A note has 1 to 1000 bytes.", http.StatusBadRequest)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.byID == nil {
		n.byID = make(map[string][]string)
	}
	n.byID[caller.UserID] = append(n.byID[caller.UserID], note.Text)
	answer(w, n.byID[caller.UserID])
}

func answer(w http.ResponseWriter, list []string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.MarshalWrite(w, list)
}
