package proxytest

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// An application remembers what it got: every request, and every byte.
type application struct {
	raw lockedBuffer

	mu   sync.Mutex
	seen []*http.Request // guarded by mu
}

// ServeHTTP implements [http.Handler]. The answer's status is the one that
// the path asks for: /status/500.
func (a *application) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	a.mu.Lock()
	a.seen = append(a.seen, r)
	a.mu.Unlock()
	if status, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/status/")); err == nil {
		w.WriteHeader(status)
	}
	io.WriteString(w, "the application: "+r.Header.Get("X-Auth-User"))
}

// take returns the requests since it was asked last, and the bytes they came
// in.
func (a *application) take() (seen []*http.Request, raw string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	seen, a.seen, raw = a.seen, nil, a.raw.String()
	a.raw.Reset()
	return seen, raw
}

// wire remembers what is read from a connection.
func (a *application) wire(c net.Conn) net.Conn { return recorded{c, &a.raw} }

type recorded struct {
	net.Conn
	to io.Writer
}

// Read implements [net.Conn].
func (r recorded) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.to.Write(p[:n])
	return n, err
}
