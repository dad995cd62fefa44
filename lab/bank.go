package lab

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
)

//go:embed page
var pageFiles embed.FS

// The customers, and their password; a bank has worse faults here than that.
const (
	ada      = "ada"     // the owner
	mallory  = "mallory" // the thief, who has an account too
	password = "correct horse battery staple"
)

// A bank is the application that is attacked, without what keeps its customers
// signed in: see [build]. It has a notice board, onto which everybody may write,
// and which trusts what is written: the hole through which script gets in.
type bank struct {
	stage *stage
	page  *template.Template

	// who tells the customer of a request; empty: nobody. The build sets it.
	who func(*http.Request) string
	// keep is the script that keeps the token in the browser, and form where the
	// sign-in form leads without that script. The build sets both.
	keep, form string
	// embedded is what the server writes into the page for its script; nil:
	// nothing.
	embedded func(*http.Request) (any, bool)
	// subject is what tokens call a customer; nil: the name.
	subject func(name string) string
	// permissive has it answer other origins as people do who want the errors of
	// CORS to go away. An attack sets it.
	permissive bool
	// crossSite says that pages of other sites call the bank on purpose, so that a
	// cookie that says nothing of SameSite must say None for them to work. An
	// attack sets it before anybody signs in.
	crossSite bool
	// cached is what a cache before the bank has kept, by address; nil: there is
	// none. An attack sets it before it matters.
	cached map[string][]byte

	mu       sync.Mutex
	payments []string // guarded by mu: "from → to"
	board    string   // guarded by mu: what others have written
	pictures string   // guarded by mu: what others have put beside it
	log      []string // guarded by mu: of requests, as web servers write it
}

func newBank(s *stage) *bank {
	return &bank{stage: s, page: template.Must(template.ParseFS(pageFiles, "page/bank.html"))}
}

// frontDoor is what stands before every build: the log of requests, and a CORS
// middleware if it is there.
func (b *bank) frontDoor(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		b.log = append(b.log, fmt.Sprintf("%s %s referer=%q", r.Method, r.URL.RequestURI(), r.Header.Get("Referer")))
		permissive := b.permissive
		b.mu.Unlock()
		if origin := r.Header.Get("Origin"); permissive && origin != "" {
			w.Header().Set("Access-Control-Allow-Origin", origin)
			w.Header().Set("Access-Control-Allow-Credentials", "true")
			w.Header().Set("Access-Control-Allow-Headers", "Content-Type, Authorization")
			if r.Method == http.MethodOptions {
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		b.throughCache(w, r, next)
	})
}

// throughCache is a cache that is told to keep what does not change, and goes by
// how addresses end, as those of content delivery networks do until they are told
// otherwise. It keeps nothing that says it is not to be kept.
func (b *bank) throughCache(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if b.cached == nil || r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, ".css") {
		next.ServeHTTP(w, r)
		return
	}
	b.mu.Lock()
	have, ok := b.cached[r.URL.Path]
	b.mu.Unlock()
	if ok {
		w.Header().Set("Age", "1")
		w.Write(have)
		return
	}
	out := &recorder{ResponseWriter: w, status: http.StatusOK, limit: 1 << 20}
	next.ServeHTTP(out, r)
	if control := w.Header().Get("Cache-Control"); out.status == http.StatusOK && !strings.Contains(control, "no-store") && !strings.Contains(control, "private") {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.cached[r.URL.Path] = out.kept.Bytes()
	}
}

// ServeHTTP is the bank behind what keeps its customers signed in.
func (b *bank) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method + " " + r.URL.Path {
	case "GET /keep.js":
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		io.WriteString(w, b.keep)
	case "GET /statement":
		b.statement(w, r)
	case "GET /api/me":
		b.tellMe(w, r)
	case "GET /ws":
		b.listen(w, r)
	case "POST /transfer", "GET /pay":
		b.pay(w, r)
	default: // every address is the application's, as single-page ones have it
		b.home(w, r)
	}
}

// home is the bank's page. A customer whom the request names is greeted at once,
// others when their script has asked.
func (b *bank) home(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	board := b.board
	b.mu.Unlock()
	content := map[string]any{"Name": b.who(r), "Form": b.form, "Board": template.HTML(board), "To": r.URL.Query().Get("to")}
	if b.embedded != nil {
		if v, ok := b.embedded(r); ok {
			content["Embedded"] = v
		}
	}
	var page bytes.Buffer
	err := b.page.Execute(&page, content)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(page.Bytes())
}

// statement is a page of its own, with the notice board's pictures on it.
func (b *bank) statement(w http.ResponseWriter, r *http.Request) {
	name := b.who(r)
	if name == "" {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, `<!DOCTYPE html><title>Statement</title><h1 id="owner">%s</h1><p>%s</p>%s`, name, strings.Join(b.payments, "<br>"), b.pictures)
}

func (b *bank) tellMe(w http.ResponseWriter, r *http.Request) {
	name := b.who(r)
	if name == "" {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	writeJSON(w, map[string]string{"name": name})
}

// pay takes a form, JSON or a query, as frameworks do that mean well.
func (b *bank) pay(w http.ResponseWriter, r *http.Request) {
	name := b.who(r)
	if name == "" {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	to := r.FormValue("to")
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		var order struct {
			To string `json:"to"`
		}
		if err := json.UnmarshalRead(r.Body, &order); err != nil {
			http.Error(w, "that is no order", http.StatusBadRequest)
			return
		}
		to = order.To
	}
	b.mu.Lock()
	b.payments = append(b.payments, name+" → "+to)
	b.mu.Unlock()
	fmt.Fprintf(w, "%s has paid %s\n", name, to)
}

// paid reports whether one customer has paid another.
func (b *bank) paid(from, to string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Contains(b.payments, from+" → "+to)
}

// inject writes script onto the notice board.
func (b *bank) inject(script string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.board += "<script>" + script + "</script>"
}

// picture puts a picture onto the notice board.
func (b *bank) picture(address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pictures += `<img alt="" src="` + address + `">`
}

// called is what tokens call a customer.
func (b *bank) called(name string) string {
	if b.subject == nil {
		return name
	}
	return b.subject(name)
}

// script returns a file of page/.
func script(name string) string {
	text, err := pageFiles.ReadFile("page/" + name)
	if err != nil {
		panic(err) // it is in the program
	}
	return string(text)
}

// requestLog returns the log.
func (b *bank) requestLog() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.log, "\n")
}

// errCredentials says that name or password is wrong.
var errCredentials = errors.New("name or password is wrong")

// customer reads the credentials of a sign-in from JSON or a form.
func customer(r *http.Request) (string, error) {
	in := struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}{}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		if err := json.UnmarshalRead(r.Body, &in); err != nil {
			return "", fmt.Errorf("sign in: %w", err)
		}
	} else {
		in.Username, in.Password = r.PostFormValue("username"), r.PostFormValue("password")
	}
	if in.Password != password || in.Username != ada && in.Username != mallory {
		return "", errCredentials
	}
	return in.Username, nil
}

func writeJSON(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(body)
}
