package browsertest

import (
	"net/http"
	"os"
	"regexp"
	"testing"

	"github.com/pawlauth/pawl"
)

// The page of examples/spa works under its policy, which is a strict one, as
// somebody signs in, keeps a note, and signs out in another tab.
//
// Rows: 52, 69
func TestExamplePage(t *testing.T) {
	const folder = "../../examples/spa/"
	source, err := os.ReadFile(folder + "main.go")
	if err != nil {
		t.Fatal(err)
	}
	var policy string
	for _, part := range regexp.MustCompile(`(?s)const policy = "(.*?)" \+\s+"(.*?)"\n`).FindStringSubmatch(string(source)) {
		if part[0] != 'c' {
			policy += part
		}
	}
	if policy == "" {
		t.Fatal("the example has no policy")
	}
	notes := "[]"
	inBoth(t, func(t *testing.T, in *browser) {
		s := newSiteOf(t, appHost, pawl.Options{}, func(p *pawl.Pawl) (http.Handler, error) {
			mux := http.NewServeMux()
			mux.Handle("/auth/", p.Handler())
			mux.Handle("/api/notes", p.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "POST" {
					notes = `["<b>turn</b>"]`
				}
				w.Write([]byte(notes))
			})))
			files := http.FileServer(http.Dir(folder + "page"))
			mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Security-Policy", policy)
				files.ServeHTTP(w, r)
			})
			return mux, nil
		})
		notes = "[]"
		b := s.newTab(t, in)
		b.open("/")
		b.await(`document.getElementById("status").textContent === "Nobody is signed in."`)
		b.follow("#sign-in")
		b.arrive("/auth/signin?return_to=%2F")
		b.fill("username", "ada")
		b.fill("password", password)
		b.follow("main button[type=submit]")
		b.arrive("/")
		b.await(`document.getElementById("status").textContent === "Signed in as ada." && document.getElementById("devices").children.length === 1`)
		b.fill("text", "<b>turn</b>")
		b.click("#add button")
		b.await(`document.getElementById("notes").textContent === "<b>turn</b>"`)
		other := b.another()
		other.open("/")
		other.await(`document.getElementById("notes").textContent === "<b>turn</b>"`)
		other.click("#sign-out")
		for _, each := range []*tab{b, other} {
			each.await(`document.getElementById("status").textContent === "You have signed out." && document.getElementById("notes").textContent === "" && document.getElementById("somebody").hidden`)
		}
	})
}
