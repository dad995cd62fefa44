package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// A Step is something that was done in an attack, and what was seen of it.
type Step struct {
	Did       string
	Exchanges []Exchange
	Picture   []byte // of the browser, PNG; nil if it was not looked at
}

// An Exchange is a request and its answer.
type Exchange struct {
	Who     string // made it: "owner", "thief", or "browser"
	Method  string
	URL     string
	Request http.Header
	Body    string // of the request; long ones are cut
	Status  int
	Header  http.Header
	Answer  string // body of the answer; long ones are cut
}

// A stage is the world of one cell: a bank with its customers ada, who is the
// owner of what is attacked, and mallory, who is the thief; a sibling of the
// bank in the same domain; and a stranger. Both belong to the thief.
type stage struct {
	ctx     context.Context
	net     *internet
	http    *http.Client
	browser *browser

	app, sibling, stranger string // origins
	domain                 string // of app and sibling
	bank                   *bank
	build                  build

	mu    sync.Mutex
	steps []Step            // guarded by mu
	pages map[string]string // guarded by mu: of the thief, by address
	loot  []string          // guarded by mu: what came to him
	tabs  []*tab            // guarded by mu: to be closed
}

// newStage opens the bank of a way in the cell of that number.
func newStage(ctx context.Context, n *internet, b *browser, way Way, number int) (*stage, error) {
	domain := fmt.Sprintf("bank%d.test", number)
	s := &stage{ctx: ctx, net: n, http: n.client(), browser: b, pages: make(map[string]string), domain: domain,
		app: "https://app." + domain, sibling: "https://blog." + domain, stranger: fmt.Sprintf("https://stranger%d.test", number)}
	s.bank = newBank(s)
	var err error
	if s.build, err = way.build(s); err != nil {
		return nil, err
	}
	for origin, h := range map[string]http.Handler{s.app: s.bank.frontDoor(s.build), s.sibling: http.HandlerFunc(s.hostile), s.stranger: http.HandlerFunc(s.hostile)} {
		n.host(host(origin), s.recorded(h))
	}
	return s, nil
}

// close takes everything away again.
func (s *stage) close() error {
	for _, t := range s.tabs {
		t.close()
	}
	for _, origin := range []string{s.app, s.sibling, s.stranger} {
		s.net.host(host(origin), nil)
	}
	s.http.CloseIdleConnections()
	if c, ok := s.build.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

func host(origin string) string { return strings.TrimPrefix(origin, "https://") }

// broken carries a fault of the laboratory out of an attack.
type broken struct{ err error }

// fail ends the attack if err is one: the laboratory is broken.
func (s *stage) fail(err error) {
	if err != nil {
		panic(broken{err})
	}
}

// must is [stage.fail] for what returns something.
func must[T any](v T, err error) T {
	if err != nil {
		panic(broken{err})
	}
	return v
}

// did begins a step. What is seen from here on is seen of it.
func (s *stage) did(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = append(s.steps, Step{Did: fmt.Sprintf(format, args...)})
}

// picture keeps what the browser shows.
func (s *stage) picture(png []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.steps) > 0 {
		s.steps[len(s.steps)-1].Picture = png
	}
}

// seen returns the steps so far.
func (s *stage) seen() []Step {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.steps)
}

// cut is how much of a body is kept, in bytes; noise is what nobody wants to
// see.
const cut = 600

func noise(path string) bool {
	return path == "/keep.js" || path == "/favicon.ico" || strings.Contains(path, "/assets/")
}

// recorded has a host keep what was said in the step.
func (s *stage) recorded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if noise(r.URL.Path) {
			h.ServeHTTP(w, r)
			return
		}
		sent, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			return // the client has gone
		}
		r.Body = io.NopCloser(bytes.NewReader(sent))
		out := &recorder{ResponseWriter: w, status: http.StatusOK, limit: cut}
		asked := r.Header.Clone()
		h.ServeHTTP(out, r)
		who := r.Header.Get("User-Agent")
		if !slices.Contains([]string{"owner", "thief"}, who) {
			who = "browser"
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.steps) == 0 {
			return
		}
		at := &s.steps[len(s.steps)-1]
		at.Exchanges = append(at.Exchanges, Exchange{Who: who, Method: r.Method, URL: "https://" + r.Host + r.URL.RequestURI(), Request: asked, Body: shorten(string(sent)),
			Status: out.status, Header: maps.Clone(w.Header()), Answer: shorten(out.kept.String())})
	})
}

func shorten(text string) string {
	if len(text) <= cut {
		return text
	}
	return strings.ToValidUTF8(text[:cut], "") + " …"
}

// A recorder is an answer of which the beginning is kept.
type recorder struct {
	http.ResponseWriter
	status int
	limit  int
	kept   bytes.Buffer
}

// WriteHeader implements [http.ResponseWriter].
func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (r *recorder) Write(p []byte) (int, error) {
	if r.kept.Len() <= r.limit {
		r.kept.Write(p)
	}
	return r.ResponseWriter.Write(p)
}

// Unwrap is for [http.ResponseController].
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// page puts a page of the thief at an origin, his sibling's or his stranger's,
// and returns its address.
func (s *stage) page(origin, body string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.put(origin, `<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>You have won</title><link rel="icon" href="data:,"><body>`+body+`</body></html>`)
}

// document is [stage.page] for what is no page.
func (s *stage) document(origin, text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.put(origin, text)
}

// put needs mu.
func (s *stage) put(origin, text string) string {
	address := fmt.Sprintf("%s/%d", origin, len(s.pages)+1)
	s.pages[address] = text
	return address
}

// hostile is both hosts of the thief: it shows his pages and keeps what is sent
// to /loot, or looks like it.
func (s *stage) hostile(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if page, ok := s.pages["https://"+r.Host+r.URL.Path]; ok {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, page)
		return
	}
	s.loot = append(s.loot, string(body)+"\n"+r.URL.RawQuery+"\n"+r.Header.Get("Referer"))
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.WriteHeader(http.StatusNoContent)
}

// looted returns all that came to the thief so far.
func (s *stage) looted() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.loot, "\n")
}

// whom asks the bank who a device is.
func (s *stage) whom(d *device) string { return must(s.build.use(d)) }

// renewed reports whether a device gets new tokens.
func (s *stage) renewed(d *device) bool {
	b, ok := s.build.(renewing)
	return ok && must(b.renew(d))
}

// signedIn returns a program that is signed in as a customer, with what the
// bank's page would hold.
func (s *stage) signedIn(who, name string) *device {
	d := s.device(who)
	s.fail(s.build.signIn(d, name))
	if got := s.whom(d); got != name {
		s.fail(fmt.Errorf("signed %s in, and the bank says it is %q", name, got))
	}
	return d
}
