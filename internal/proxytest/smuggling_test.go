package proxytest

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"
)

// A message is what an attacker writes on the wire. In it HOST, COOKIE and
// PAGE stand for what makes a request good; SMUGGLED is a request that only
// somebody who is believed may make.
type message struct{ name, bytes string }

const smuggled = "GET /smuggled HTTP/1.1\r\nHost: app.example.com\r\nX-Auth-User: evil\r\nContent-Length: 5\r\n\r\n"

// post is a message with these lines of framing and this body.
func post(name, framing, body string) message {
	return message{name, "POST / HTTP/1.1\r\nHOST\r\nCOOKIE\r\nPAGE\r\n" + framing + "\r\n\r\n" + body}
}

// get is a message with these header lines beside the good ones.
func get(name, lines string) message {
	return message{name, "GET / HTTP/1.1\r\nHOST\r\nCOOKIE\r\n" + lines + "\r\n\r\n"}
}

func corpus() []message {
	chunked := "0\r\n\r\n" + smuggled
	both := fmt.Sprintf("Content-Length: %d\r\n", len(chunked))
	list := []message{
		post("CL.TE", both+"Transfer-Encoding: chunked", chunked),
		post("TE.CL", "Transfer-Encoding: chunked\r\nContent-Length: 4", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled)),
		post("CL.0", "Content-Length: 0", smuggled),
		post("two lengths", "Content-Length: 0\r\nContent-Length: 5", "12345"+smuggled),
		post("one length twice", "Content-Length: 5\r\nContent-Length: 5", "12345"+smuggled),
		post("chunk size with sign", "Transfer-Encoding: chunked", "+0\r\n\r\n"+smuggled),
		post("chunk size that overflows", "Transfer-Encoding: chunked", "10000000000000005\r\n12345\r\n0\r\n\r\n"+smuggled),
		post("chunk size in another base", "Transfer-Encoding: chunked", "0x0\r\n\r\n"+smuggled),
		post("chunk extension with LF", "Transfer-Encoding: chunked", "1;a\nx\r\nx\r\n0\r\n\r\n"+smuggled),
		post("chunk ended by LF", "Transfer-Encoding: chunked", "1\nx\n0\n\n"+smuggled),
		post("trailer", "Transfer-Encoding: chunked\r\nTrailer: X-Auth-User", "0\r\nX-Auth-User: evil\r\n\r\n"),
		post("expectation", "Expect: 100-continue\r\nContent-Length: 0", smuggled),
		get("bare LF", "X: a\nX-Auth-User: evil"),
		get("bare CR", "X: a\rX-Auth-User: evil"),
		get("NUL", "X: a\x00\r\nX-Auth-User\x00: evil"),
		get("obs-fold", "X: a\r\n X-Auth-User: evil"),
		get("obs-fold of ours", "X-Auth-User:\r\n evil"),
		get("first line folded", " X-Auth-User: evil"),
		get("space before the colon", "X-Auth-User : evil"),
		get("tab before the colon", "X-Auth-User\t: evil"),
		get("no colon", "X-Auth-User evil"),
		get("two hosts", "Host: evil.example"),
		get("named as hop-by-hop", "Connection: close, X-Auth-User, X-Forwarded-Method, Cookie"),
		get("h2c", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
		get("h2c among others", "Connection: Upgrade\r\nUpgrade: websocket, h2c"),
		{"all bare LF", "GET / HTTP/1.1\nHOST\nCOOKIE\nX-Auth-User: evil\n\n"},
		{"HTTP/0.9", "GET /smuggled\r\n"},
		{"HTTP/1.0 without host", "GET /smuggled HTTP/1.0\r\nCOOKIE\r\nX-Auth-User: evil\r\n\r\n"},
		{"HTTP/2 by name", "GET /smuggled HTTP/2.0\r\nHOST\r\nCOOKIE\r\n\r\n"},
		{"absolute form elsewhere", "GET https://evil.example/smuggled HTTP/1.1\r\nHOST\r\nCOOKIE\r\n\r\n"},
		{"absolute form, host elsewhere", "GET https://app.example.com/ HTTP/1.1\r\nHost: evil.example\r\nCOOKIE\r\n\r\n"},
		{"absolute form without TLS", "GET http://app.example.com/ HTTP/1.1\r\nHOST\r\nCOOKIE\r\n\r\n"},
		{"authority form", "CONNECT evil.example:443 HTTP/1.1\r\nHOST\r\nCOOKIE\r\n\r\n"},
		{"user in the target", "GET @evil.example/smuggled HTTP/1.1\r\nHOST\r\nCOOKIE\r\n\r\n"},
		{"another host", "GET /smuggled HTTP/1.1\r\nHost: evil.example\r\nCOOKIE\r\n\r\n"},
		{"host with a path", "GET / HTTP/1.1\r\nHost: app.example.com/smuggled\r\nCOOKIE\r\n\r\n"},
		{"host with a user", "GET /smuggled HTTP/1.1\r\nHost: app.example.com@evil.example\r\nCOOKIE\r\n\r\n"},
		{"space in the target", "GET / HTTP/1.1\r\nX: HTTP/1.1\r\nHOST\r\nCOOKIE\r\n\r\n"},
		{"line ends in the target", "GET /%0d%0aX-Auth-User:%20evil HTTP/1.1\r\nHOST\r\nCOOKIE\r\n\r\n"},
		{"line ends in the scheme", "GET https://app.example.com%0d%0aX-Auth-User:%20evil/ HTTP/1.1\r\nHOST\r\nCOOKIE\r\n\r\n"},
		{"TRACE", "TRACE / HTTP/1.1\r\nHOST\r\nCOOKIE\r\n\r\n"},
		{"a method with a tab", "GET\t/smuggled HTTP/1.1\r\nHOST\r\nCOOKIE\r\n\r\n"},
	}
	for _, te := range []string{"xchunked", "chunked, identity", "identity, chunked", "\x0bchunked", "\"chunked\"", "chunked\r\nTransfer-Encoding: x", ",chunked"} {
		list = append(list, post("TE "+te, both+"Transfer-Encoding: "+te, chunked), post("TE alone "+te, "Transfer-Encoding: "+te, chunked))
	}
	for _, name := range []string{"Transfer-Encoding ", "Transfer_Encoding", "Transfer-Encoding\t", " Transfer-Encoding", "X: x\nTransfer-Encoding"} {
		list = append(list, post("TE as "+name, both+name+": chunked", chunked))
	}
	for _, length := range []string{"+5", "-1", "5,5", "5 5", "0x5", "5\x00", "99999999999999999999", ""} {
		list = append(list, post("length "+length, "Content-Length: "+length, "12345"+smuggled))
	}
	return list
}

// Whatever stands on the wire, the application gets whole requests of the
// signed-in user, framed in one way, or none: nothing inside a request becomes
// another one, no header of ours is the client's, and no other host or
// destination is served.
//
// Rows: 66, 67, A86
func TestNothingIsSmuggledThroughTheProxy(t *testing.T) {
	w := newWorld(t)
	access, _ := w.signIn()
	elsewhere := 0
	good := strings.NewReplacer("HOST", "Host: "+host, "COOKIE", access, "PAGE", "Origin: "+origin)
	reached := 0
	for _, m := range corpus() {
		w.app.take()
		c := w.dial("http/1.1")
		io.WriteString(c, good.Replace(m.bytes)+"GET /last HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
		back, _ := io.ReadAll(io.LimitReader(c, 1<<20))
		c.Close()
		seen, raw := w.app.take()
		reached += len(seen)
		if strings.HasPrefix(string(back), "HTTP/1.1 421 ") {
			elsewhere++
		}
		w.checkReached(m.name, seen, raw)
		if strings.Contains(string(back), "X-Auth-User") || len(back) == 0 && m.name != "HTTP/0.9" {
			t.Errorf("%s: answered %q", m.name, back)
		}
	}
	if reached < 10 || elsewhere < 3 {
		t.Errorf("%d messages reached the application and %d were for another host; the corpus is not what it says", reached, elsewhere)
	}
}

// checkReached holds what the application got against what it may get.
func (w *world) checkReached(name string, seen []*http.Request, raw string) {
	w.t.Helper()
	if len(seen) > 1 {
		w.t.Errorf("%q: the application got %d requests:\n%s", name, len(seen), raw)
	}
	for _, r := range seen {
		if strings.Contains(r.URL.Path, "smuggled") || r.Header.Get("X-Auth-User") != w.userID || len(r.Header["X-Auth-User"]) != 1 ||
			r.Host != host || len(r.Trailer) != 0 {
			w.t.Errorf("%q: the application got:\n%s", name, raw)
		}
		for header := range r.Header {
			if meansIdentity(header) && !strings.HasPrefix(header, "X-Auth-") || header == "Upgrade" || header == "Http2-Settings" && r.Header.Get("Upgrade") != "" {
				w.t.Errorf("%q: %s reached the application", name, header)
			}
		}
	}
	// The bytes, read once more by another rule: every line of a head ends
	// with CR and LF, and no message is framed twice.
	for in := bufio.NewReader(strings.NewReader(raw)); ; {
		r, err := http.ReadRequest(in)
		if err == io.EOF {
			return
		}
		if err != nil {
			w.t.Errorf("%q: the application got what is no request: %v\n%q", name, err, raw)
			return
		}
		head := raw
		if i := strings.Index(raw, "\r\n\r\n"); i >= 0 {
			head = raw[:i]
		}
		if strings.Count(head, "\n") != strings.Count(head, "\r\n") || strings.Count(head, "\r") != strings.Count(head, "\r\n") || strings.Contains(head, "\r\n ") ||
			strings.Contains(head, "Content-Length:") && strings.Contains(head, "Transfer-Encoding:") {
			w.t.Errorf("%q: the application got %q", name, head)
		}
		io.Copy(io.Discard, r.Body)
	}
}

// The path that is judged is the one that the application gets: no way of
// writing it makes a page of the application a public one, and none leads
// from the routes of Pawl into the application.
//
// Rows: 66, A86
func TestPathIsJudgedAsForwarded(t *testing.T) {
	w := newWorld(t)
	for _, target := range []string{
		"/public/../admin", "/public/..%2fadmin", "/public%2f..%2fadmin", "/public/%2e%2e/admin", "/public/.%2e/admin", "/public/..;/admin",
		"/public;/../admin", "/public//../admin", "/public/x/../../admin", "/public/%252e%252e/admin", "/public/%c0%ae%c0%ae/admin", "/public/..%5cadmin",
		"/public/..\\admin", "/public/x%00/../admin", "/public/x/..", "/public/.", "/PUBLIC/x", "/%70ublic/../admin", "//public/../admin", "/public",
		"/auth/../admin", "/auth/..%2fadmin", "/auth/%2e%2e/admin", "/.well-known/../admin", "/.well-known/jwks.json/../../admin",
		"/.well-known/jwks.json%2f..%2f..%2fadmin", "/auth/verify/../../admin", "/admin?/public/", "/admin#/public/", "/admin;/public/", "/./admin",
		"/?", "/public/?/../../admin", "/*", "*",
	} {
		w.app.take()
		c := w.dial("http/1.1")
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nX-Forwarded-Uri: /public/x\r\nX-Original-Url: /public/x\r\nX-Rewrite-Url: /public/x\r\n"+
			"X-Forwarded-Prefix: /public\r\nX-Forwarded-Method: OPTIONS\r\nConnection: close\r\n\r\n", target, host)
		back, _ := io.ReadAll(io.LimitReader(c, 1<<20))
		c.Close()
		seen, raw := w.app.take()
		for _, r := range seen {
			if !plainlyPublic(r.RequestURI) || strings.Contains(raw, "Rewrite") || strings.Contains(raw, "Original") ||
				strings.Contains(raw, "Prefix") || r.Header.Get("X-Forwarded-Uri") != target || r.Header.Get("X-Forwarded-Method") != "GET" {
				t.Errorf("%s reached the application as\n%s", target, raw)
			}
		}
		if len(back) == 0 {
			t.Errorf("%s: no answer", target)
		}
	}
}

// plainlyPublic reports whether a target is below /public/ for everybody: as
// it stands, and however often it is decoded, in any case, with any slash.
func plainlyPublic(target string) bool {
	p, _, _ := strings.Cut(target, "?")
	for range 4 {
		p = strings.ReplaceAll(p, "\\", "/")
		for _, cut := range []string{p, strings.ReplaceAll(p, ";", "")} {
			if !strings.HasPrefix(path.Clean(cut)+"/", "/public/") {
				return false
			}
		}
		decoded, err := url.PathUnescape(p)
		if err != nil {
			return false
		}
		p = decoded
	}
	return true
}
