package httpauth

import (
	"net/url"
	"strings"
	"unicode/utf8"
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
// stands for a slash, a backslash, a dot segment, a control character or, since
// it could begin another escape, a percent sign.
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
	decoded, err := url.PathUnescape(path)
	if err != nil || strings.Count(decoded, "/") != strings.Count(path, "/") || !plainPath(decoded) {
		return home, false
	}
	return raw, true
}

// plainPath reports whether a path that was decoded once has only ordinary
// segments, and nothing that could be decoded again. Some servers cut off what
// follows a semicolon in a segment, and some read bytes that are not UTF-8 as
// the character they might have meant.
func plainPath(path string) bool {
	if !utf8.ValidString(path) {
		return false
	}
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		name, _, _ := strings.Cut(s, ";")
		if name == "." || name == ".." || s == "" && i < len(segments)-1 {
			return false
		}
	}
	return !strings.ContainsFunc(path, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\\' || c == '%' })
}
