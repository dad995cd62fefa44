package pages

import (
	"bytes"
	"crypto/rand"
	"embed"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"path"
	"unicode/utf8"

	"github.com/pawlauth/pawl/httpapi"
	"github.com/pawlauth/pawl/httpauth"
)

//go:embed templates/*.html
var templateFiles embed.FS

// layouts are the files that every page is made with.
var layouts = []string{"templates/layout.html", "templates/icons.html"}

// loadTemplates parses each page with the layout. Escaping is html/template's;
// nothing is ever marked as safe.
func loadTemplates() (map[string]*template.Template, error) {
	names, err := templateFiles.ReadDir("templates")
	if err != nil {
		return nil, err
	}
	base, err := template.New("").Option("missingkey=error").ParseFS(templateFiles, layouts...)
	if err != nil {
		return nil, err
	}
	out := make(map[string]*template.Template)
	for _, entry := range names {
		file := path.Join("templates", entry.Name())
		if file == layouts[0] || file == layouts[1] {
			continue
		}
		page, err := template.Must(base.Clone()).ParseFS(templateFiles, file)
		if err != nil {
			return nil, err
		}
		out[entry.Name()] = page
	}
	return out, nil
}

// A message is what to say, in whatever language: a key, and what to fill in.
// The zero message says nothing.
type message struct {
	key  string
	fill []any
}

func say(key string, fill ...any) message { return message{key, fill} }

// Given reports whether there is anything to say.
func (m message) Given() bool { return m.key != "" }

// An alert tells what happened, above a form.
type alert struct {
	Kind        string // "bad", "good" or "note"
	Title, Text message
}

// A person is a user as shown.
type person struct{ Name string }

// Initial stands for a picture.
func (p person) Initial() string {
	r, _ := utf8.DecodeRuneInString(p.Name)
	if r == utf8.RuneError {
		return ""
	}
	return string(r)
}

// A viewer is the signed-in user that looks at a page.
type viewer struct {
	person
	CSRF string // for the hidden field of every form
}

// A link leads to a path of ours.
type link struct {
	Text   message // before the link; may be empty
	Link   message
	Path   string
	NewTab bool // so that what is behind this page stays as it is
}

// A view is everything that a template shows.
type view struct {
	*tongue
	Nonce  string // of this answer's script
	Script string // path; empty: none
	Site   *site
	GoOn   string  // path that the page leads on to by itself; empty: it stays
	Viewer *viewer // nil: nobody is signed in, or it does not matter who
	Nav    string  // which page of the account this is; empty: none

	Title    message
	Lead     message
	Failed   bool // the title says so
	Alert    *alert
	Form     *form
	Other    *link
	ReturnTo string
	Key      string // Idempotency-Key of a renewal
	Target   string // where a renewal leads
	By       string // by which page; empty: directly
	Devices  []device
	Others   bool // there are other devices
	Notice   *notice
}

// T returns words by key, and Say a message.
func (v *view) T(key string, fill ...any) (string, error) { return v.text(key, fill...) }
func (v *view) Say(m message) (string, error)             { return v.text(m.key, m.fill...) }

// A state of the renewal page, which its script shows.
type state struct {
	View              *view
	When, Title, Text string
}

// State returns the state of that name.
func (v *view) State(name string) state {
	return state{v, name, "renew_" + name, "renew_" + name + "_text"}
}

// A visit is one request for a page.
type visit struct {
	w http.ResponseWriter
	r *http.Request
	l *tongue
}

// render answers with a page. It is made whole before anything is sent, so
// that a fault in it does not leave half a page.
func (p *Pages) render(v visit, status int, name string, page *view) {
	page.tongue, page.Site, page.Nonce = v.l, &p.site, rand.Text()
	var body bytes.Buffer
	if err := p.templates[name].ExecuteTemplate(&body, "page", page); err != nil {
		p.api.Log.LogAttrs(v.r.Context(), slog.LevelError, "page cannot be shown", slog.String("page", name), slog.Any("error", err))
		p.harden(v, "default-src 'none'; frame-ancestors 'none'")
		http.Error(v.w, "Something went wrong.", http.StatusInternalServerError)
		return
	}
	scripts := "'none'"
	if page.Script != "" {
		scripts = "'nonce-" + page.Nonce + "'"
	}
	p.harden(v, "default-src 'none'; style-src 'self'; script-src "+scripts+"; connect-src 'self'; img-src 'self' data:; "+
		"form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"+p.reports)
	h := v.w.Header()
	if p.CSPReports != "" {
		h.Set("Reporting-Endpoints", `csp="`+p.CSPReports+`"`)
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.l.Lang())
	h.Set("Content-Length", fmt.Sprint(body.Len()))
	v.w.WriteHeader(status)
	if v.r.Method != http.MethodHead {
		v.w.Write(body.Bytes()) // who has gone away needs no answer
	}
}

// harden writes what every page says. None is stored, so that the back button
// shows nothing after a sign-out.
func (p *Pages) harden(v visit, policy string) {
	p.api.Guard.Harden(v.w, v.r, policy)
	h := v.w.Header()
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	// Not "no-referrer": it makes the Origin of our own forms "null" (Fetch
	// §3.2), which is refused where a browser sends no Sec-Fetch-Site.
	h.Set("Referrer-Policy", "same-origin")
}

// vary names what a page depends on.
const vary = httpauth.Vary + ", Accept-Language"

// redirect leads on after a form, to a page of ours that answers by itself (RFC
// 9110 §15.4.4: with GET, so that the form and its password are not sent again).
// To any other path, a page has to lead on: see [Pages.leadOn].
func (p *Pages) redirect(v visit, target string) {
	p.harden(v, "default-src 'none'; frame-ancestors 'none'")
	v.w.Header().Set("Location", target)
	v.w.WriteHeader(http.StatusSeeOther)
}

// leadOn answers with a page that goes on to a path of this site by itself.
// What that answers may lead anywhere, to another site as well. Browsers hold a
// form to form-action through every redirect that follows it (CSP §6.4.1), so
// where a redirect was the answer to the form they would stay on its page.
func (p *Pages) leadOn(v visit, title message, to string) {
	p.render(v, http.StatusOK, "notice.html", &view{Title: title, GoOn: to, Notice: &notice{
		Kind: "note", Text: say("moment"), Links: []link{{Link: say("continue"), Path: to}},
	}})
}

// viewer returns who looks at a page that anybody may see, or nil.
func (p *Pages) viewer(r *http.Request) *viewer {
	who, err := p.api.Viewer(asRead(r))
	if err != nil {
		return nil
	}
	return shown(who)
}

func shown(who httpapi.Viewer) *viewer {
	return &viewer{person: person{who.Username}, CSRF: who.CSRFToken}
}
