package dpop

import (
	"net/url"
	"strings"
)

// NormalizeURL returns the one spelling of an absolute http or https URL that
// proofs are compared in: without query and fragment (RFC 9449 §4.3, check 9),
// scheme and host in lower case, no default port, percent-encoding only where
// it is needed and with capital letters, and no dot segments (RFC 3986 §6.2.2
// and §6.2.3). A slash at the end stays: with and without are two URLs.
func NormalizeURL(text string) (string, bool) {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' || text[i] == '\\' {
			return "", false
		}
	}
	text, _, _ = strings.Cut(text, "#")
	text, _, _ = strings.Cut(text, "?")
	u, err := url.Parse(text)
	if err != nil || u.User != nil || u.Opaque != "" || u.Hostname() == "" {
		return "", false
	}
	host := strings.ToLower(u.Host)
	switch strings.ToLower(u.Scheme) {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	default:
		return "", false
	}
	return strings.ToLower(u.Scheme) + "://" + strings.TrimSuffix(host, ":") + normalizePath(u.EscapedPath()), true
}

// normalizePath: what needs no encoding is decoded before dot segments are
// looked for, and an encoded slash stays one.
func normalizePath(escaped string) string {
	if escaped == "" {
		return "/"
	}
	var b strings.Builder
	for i := 0; i < len(escaped); i++ {
		c := escaped[i]
		if c != '%' || i+2 >= len(escaped) {
			b.WriteByte(c)
			continue
		}
		decoded := unhex(escaped[i+1])<<4 | unhex(escaped[i+2])
		if unreserved(decoded) {
			b.WriteByte(decoded)
		} else {
			b.WriteString(strings.ToUpper(escaped[i : i+3]))
		}
		i += 2
	}
	return removeDots(b.String())
}

// removeDots removes dot segments (RFC 3986 §5.2.4), and nothing else: a
// doubled slash is another path.
func removeDots(p string) string {
	if !strings.Contains(p, "/.") {
		return p
	}
	var out []string
	segments := strings.Split(p[1:], "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch {
		case s == "." && last, s == ".." && last && len(out) == 0:
			out = append(out, "")
		case s == ".":
		case s == "..":
			if len(out) > 0 {
				out = out[:len(out)-1]
			}
			if last {
				out = append(out, "")
			}
		default:
			out = append(out, s)
		}
	}
	return "/" + strings.Join(out, "/")
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// unhex: net/url has refused what is no digit.
func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
