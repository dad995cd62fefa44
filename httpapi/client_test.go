package httpapi_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/browser"
)

// Both names lead to the same bytes; only the one that is the bytes' own may be
// kept for ever.
func TestBrowserClientIsServed(t *testing.T) {
	w := newWorld(t)
	hashed := "/auth/pawl-" + browser.Hash + ".js"
	for path, caching := range map[string]string{"/auth/pawl.js": "public, max-age=300", hashed: "public, max-age=31536000, immutable"} {
		for _, headers := range [][]string{nil, {fromPage, "Sec-Fetch-Dest: script"}, {"Sec-Fetch-Site: none", "Sec-Fetch-Dest: document"}, {cookies(w.start()), fromPage}} {
			a := w.do("GET", path, "", headers...)
			h := a.Header()
			if a.Code != 200 || !bytes.Equal(a.Body.Bytes(), browser.Script) || h.Get("Content-Type") != "text/javascript; charset=utf-8" ||
				h.Get("Cache-Control") != caching || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("ETag") != `"`+browser.Hash+`"` ||
				h.Get("Vary") != "" || h["Set-Cookie"] != nil {
				t.Errorf("%s %q: %d %v", path, headers, a.Code, h)
			}
		}
		for have, want := range map[string]int{
			`"` + browser.Hash + `"`: 304, `"x", W/"` + browser.Hash + `"`: 304, `"x"`: 200, browser.Hash: 200,
		} {
			a := w.do("GET", path, "", "If-None-Match: "+have)
			if a.Code != want || (want == 304) != (a.Body.Len() == 0) || a.Header().Get("ETag") == "" || a.Header().Get("Cache-Control") != caching {
				t.Errorf("%s If-None-Match %q: %d %v", path, have, a.Code, a.Header())
			}
		}
		if a := w.do("POST", path, "", fromPage); a.Code != 405 {
			t.Errorf("POST %s: %d", path, a.Code)
		}
		if a := w.do("GET", path, "", "Sec-Fetch-Dest: iframe"); a.Code != 403 {
			t.Errorf("%s in a frame: %d", path, a.Code)
		}
	}
	other := strings.Repeat("A", len(browser.Hash))
	for _, path := range []string{"/auth/pawl-" + other + ".js", "/auth/pawl-{hash}.js", "/auth/pawl-.js", hashed + "/", "/auth/PAWL.js"} {
		if a := w.do("GET", path, ""); a.Code != 404 || a.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %q", path, a.Code, a.Header().Get("Cache-Control"))
		}
	}
	if a := w.do("GET", "/auth/session", "", fromPage, "Sec-Fetch-Dest: script"); a.Code != 403 {
		t.Errorf("the session document as a script: %d", a.Code)
	}
}
