package pages_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Rows: 37, 253
func TestPagesSayWhatTheyTake(t *testing.T) {
	w := newWorld(t)
	allow := map[string]string{"/auth/signed-out": "GET, HEAD"}
	for _, path := range w.Paths() {
		want := allow[path]
		if want == "" {
			want = "GET, HEAD, POST"
		}
		for _, method := range []string{"PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"} {
			b := w.browser()
			if a := b.send(method, path, ""); a.Code != 405 || a.Header().Get("Allow") != want || !strings.Contains(a.Body.String(), "<h1>") {
				t.Errorf("%s %s: %d, Allow %q", method, path, a.Code, a.Header().Get("Allow"))
			}
			b.headers["Sec-Fetch-Mode"], b.headers["Sec-Fetch-Dest"], b.headers["Accept"] = "cors", "empty", "*/*"
			if a := b.send(method, path, ""); a.Code != 405 || a.Header().Get("Allow") != want || a.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s %s of a program: %d %s", method, path, a.Code, a.Body)
			}
		}
		if path == "/auth/signed-out" {
			w.browser().post(path).want(405)
			continue
		}
		for _, media := range []string{"multipart/form-data; boundary=x", "text/plain"} {
			b := w.holding(w.start())
			b.headers["Content-Type"] = media
			b.send(http.MethodPost, path, "username=ada").want(415, "!not found", "Error 415, unsupported_media_type")
		}
		b := w.holding(w.start())
		b.headers["Content-Encoding"] = "gzip"
		b.post(path).want(415)
	}
	b := w.browser()
	b.headers["Content-Type"], b.headers["Sec-Fetch-Mode"], b.headers["Sec-Fetch-Dest"], b.headers["Accept"] = "application/json", "cors", "empty", "*/*"
	if a := b.send(http.MethodPost, "/auth/signin", `{}`); a.Code != 415 || a.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("JSON to a page without a route: %d %s", a.Code, a.Body)
	}
}

// Rows: 70, 73
func TestPagesAreServedForThisSiteOverHTTPSOnly(t *testing.T) {
	w := newWorld(t)
	for _, path := range w.Paths() {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Host, r.TLS = "evil.example", &tls.ConnectionState{}
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		answer{rec, t}.want(http.StatusMisdirectedRequest, "This address is not served here")
		r = httptest.NewRequest(http.MethodGet, path, nil)
		r.Host = strings.TrimPrefix(origin, "https://")
		rec = httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		answer{rec, t}.want(http.StatusForbidden, "This connection is not secure")
	}
}

// A form that is too long is read nevertheless, up to a bound, or the browser
// would show a broken connection instead of the page.
//
// Rows: A84
func TestALongFormIsReadToItsEnd(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ size, atLeast, atMost int }{{1 << 20, 1 << 20, 1 << 20}, {32 << 20, 1 << 20, 8 << 20}} {
		body := &counting{Reader: io.LimitReader(endless{}, int64(c.size))}
		r := httptest.NewRequest(http.MethodPost, "/auth/signin", body)
		r.Host, r.TLS = strings.TrimPrefix(origin, "https://"), &tls.ConnectionState{}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		answer{rec, t}.want(http.StatusRequestEntityTooLarge, "That is too long")
		if body.n < c.atLeast || body.n > c.atMost {
			t.Errorf("%d of %d bytes were read", body.n, c.size)
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

type counting struct {
	io.Reader
	n int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}
