package httpauth

import (
	"net/http"
	"strings"

	"github.com/pawlauth/pawl/session"
)

// The cookies. Those of a session are each the other's witness. Browsers match the
// prefixes of names without regard to case but keep the cookies apart, so a
// name in another case is another cookie and none of ours.
const (
	// AccessCookie holds the access token. Its prefix says that only this
	// host, over https, by HTTP, can have set it.
	AccessCookie = "__Host-Http-pawl-access"
	// RefreshCookie holds the refresh token. It goes to the endpoints below
	// the prefix only, which is why it cannot have the stronger prefix.
	RefreshCookie = "__Secure-pawl-refresh"
	// BoundCookie is no credential: the browser of a session that is bound to its
	// device renews when it is missing. Chromium refuses the stronger prefix here.
	BoundCookie = "__Host-pawl-bound"
	// HandoffCookie is no credential: it says which browser a code was made for
	// with which a sign-in ends that another program carries out.
	HandoffCookie = "__Host-Http-pawl-handoff"
)

// A Credential is the access token that a request carries, and how.
type Credential struct {
	Token     string
	Transport session.Transport
	Proved    bool // it came under the scheme DPoP, with a proof of its key: to be checked
}

// CredentialOf returns the one credential of a request: the access cookie, or
// Authorization with the scheme Bearer or DPoP (RFC 9449 §7.1) in any case (RFC
// 9110 §11.1). A token
// in the query or in a body is never one (RFC 6750 §2.2 and §2.3 are not
// supported). The error is one of this package.
func CredentialOf(r *http.Request) (Credential, error) {
	if err := CheckOneCredential(r); err != nil {
		return Credential{}, err
	}
	if lines := r.Header["Authorization"]; len(lines) == 1 {
		return bearer(lines[0])
	}
	switch values := Cookies(r, AccessCookie); len(values) {
	case 0:
		return Credential{}, ErrNoCredential
	case 1:
		return Credential{Token: values[0], Transport: session.Cookie}, nil
	}
	return Credential{}, ErrDuplicateCookie
}

// CheckOneCredential returns [ErrTwoCredentials] if a request carries one of
// our cookies and Authorization, or several Authorization lines (RFC 6750
// §3.1: invalid_request).
func CheckOneCredential(r *http.Request) error {
	switch n := len(r.Header["Authorization"]); {
	case n > 1, n == 1 && CarriesCookie(r):
		return ErrTwoCredentials
	}
	return nil
}

// bearer reads an Authorization header. A scheme that is not ours is as good
// as no credential (RFC 6750 §3.1).
func bearer(line string) (Credential, error) {
	scheme, text, _ := strings.Cut(line, " ")
	text = strings.TrimLeft(text, " ") // RFC 9110 §11.4: one or more spaces
	switch {
	case scheme == "":
		return Credential{}, ErrAuthorization
	case !strings.EqualFold(scheme, "Bearer") && !strings.EqualFold(scheme, "DPoP"):
		return Credential{}, ErrNoCredential
	case text == "" || strings.IndexByte(text, ' ') >= 0 || strings.IndexByte(text, ',') >= 0:
		return Credential{}, ErrAuthorization
	}
	return Credential{Token: text, Transport: session.Bearer, Proved: strings.EqualFold(scheme, "DPoP")}, nil
}

// CarriesCookie reports whether the request carries a cookie of ours,
// whatever is in it.
func CarriesCookie(r *http.Request) bool {
	return len(Cookies(r, AccessCookie)) > 0 || len(Cookies(r, RefreshCookie)) > 0
}

// Cookies returns the value of every cookie of exactly that name, in the order
// of the request (RFC 6265 §5.4). Names are compared as bytes: a twin in
// another case, one without a name, and one behind a comma, "$Version" or an
// exotic space are other cookies. Values are taken as they are, quotes
// included: what they hold is for a stricter decoder than that of net/http.
func Cookies(r *http.Request, name string) (values []string) {
	for _, line := range r.Header["Cookie"] {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			got, value, found := strings.Cut(strings.Trim(pair, " \t"), "=")
			if found && got == name {
				values = append(values, value)
			}
		}
	}
	return values
}
