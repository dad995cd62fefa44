package httpauth

import (
	"net/url"
	"strings"
)

// maxLocalPath bounds a path with its query, in bytes. Beyond it, it is
// nothing that a person was looking at.
const maxLocalPath = 2048

// LocalPath returns raw if it is an absolute path of our own site, with or
// without a query, and "/" and false if it is anything else. It is for a place
// to go on to that came with a request: nothing that it accepts leads a browser
// to another origin (RFC 9700 §4.11), or means one thing to a proxy and another
// to the server behind it.
//
// So it takes printable ASCII without backslash, quotes, angle brackets and
// fragment; no empty segment but the last, no dot segment, and no escape that
// stands for a slash, a backslash, a dot segment or a control character, once
// or doubly escaped.
func LocalPath(raw string) (string, bool) {
	const home = "/"
	if raw == "" || len(raw) > maxLocalPath || raw[0] != '/' {
		return home, false
	}
	for _, c := range []byte(raw) {
		if c <= ' ' || c > '~' || strings.IndexByte("\\\"<>#", c) >= 0 {
			return home, false
		}
	}
	path, _, _ := strings.Cut(raw, "?")
	slashes := strings.Count(path, "/")
	for range maxEscapes {
		if !plainPath(path) || strings.Count(path, "/") != slashes {
			return home, false
		}
		decoded, err := url.PathUnescape(path)
		if err != nil {
			return home, false
		}
		if decoded == path {
			return raw, true
		}
		path = decoded
	}
	return home, false
}

// maxEscapes bounds how often a path may be escaped, its last decoding, which
// changes nothing, included.
const maxEscapes = 3

// plainPath reports whether a path, decoded so far, has only ordinary
// segments.
func plainPath(path string) bool {
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		if s == "." || s == ".." || s == "" && i < len(segments)-1 {
			return false
		}
		for _, c := range []byte(s) {
			if c < ' ' || c == 0x7f || c == '\\' {
				return false
			}
		}
	}
	return true
}
