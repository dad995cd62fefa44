package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/pawlauth/pawl/httpauth"
	"github.com/pawlauth/pawl/session"
)

// Bounds that browsers set (RFC 6265bis §5.6, §5.5), in bytes and seconds. A
// cookie beyond them would be dropped without a word.
const (
	maxCookie    = 4096 // name and value
	maxAttribute = 1024
	maxCookieAge = 400 * 24 * 60 * 60
)

var errCookie = errors.New("httpapi: no browser would keep this cookie as it is meant")

// accessCookie is the access token's cookie. It outlives the token inside, so
// that "expired" and "signed out" differ and so that it can be the refresh
// cookie's witness; the token's own "exp" is what counts.
func accessCookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: httpauth.AccessCookie, Value: value, Path: "/", MaxAge: maxAge,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// refreshCookie is the refresh token's cookie, which only the routes below
// the prefix receive.
func (a *API) refreshCookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: httpauth.RefreshCookie, Value: value, Path: a.Prefix, MaxAge: maxAge,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
}

// handoffAge is how long a sign-in at another program may take, in seconds.
const handoffAge = 10 * 60

// handoffCookie is what tells the browser that began a sign-in elsewhere from
// all others. It is only ever wanted with what a page of our own sends.
func handoffCookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: httpauth.HandoffCookie, Value: value, Path: "/", MaxAge: maxAge,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
}

// tokenCookies holds both cookies of a session, for as long as it can be
// renewed if the user asked to be remembered, and otherwise until the browser
// is closed.
func (a *API) tokenCookies(issued *session.Issued) ([]string, error) {
	maxAge := rememberedFor(issued)
	return encodeCookies(
		accessCookie(issued.Access.Reveal(), maxAge),
		a.refreshCookie(issued.Refresh.Reveal(), maxAge))
}

// rememberedFor is the Max-Age of a session's cookies.
func rememberedFor(issued *session.Issued) int {
	if !issued.Row.Remembered {
		return 0 // no Max-Age attribute
	}
	return max(1, int(issued.Row.IdleEnd().Sub(issued.Now)/time.Second))
}

// boundCookie is what the browser of a session that is bound to its device
// watches. It lives as long as the access token, authorises nothing, and its
// absence is what makes the browser renew before it asks for anything.
func boundCookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: httpauth.BoundCookie, Value: value, Path: "/", MaxAge: maxAge,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// boundAttributes are the attributes of the bound cookie as Set-Cookie spells
// them, without Max-Age.
func boundAttributes() string {
	_, attributes, _ := strings.Cut(boundCookie("1", 0).String(), "; ")
	return attributes
}

// boundCookies are those of an answer to a good proof. The refresh cookie of
// the time before is of no use any more. Without tokens, which come but once
// with a binding, the browser renews before its next request.
func (a *API) boundCookies(r *http.Request, issued *session.Issued) ([]string, error) {
	var cookies []*http.Cookie
	if issued.Access != "" {
		cookies = append(cookies, accessCookie(issued.Access.Reveal(), rememberedFor(issued)), boundCookie("1", lifeLeft(issued)))
	}
	if issued.Refresh == "" || len(httpauth.Cookies(r, httpauth.RefreshCookie)) > 0 {
		cookies = append(cookies, a.refreshCookie("", -1))
	}
	return encodeCookies(cookies...)
}

// emptyCookies takes all cookies of a session away: same names, same
// attributes, Max-Age 0. Only the answer to a sign-out may carry them.
func (a *API) emptyCookies(r *http.Request) ([]string, error) {
	empty := []*http.Cookie{accessCookie("", -1), a.refreshCookie("", -1)}
	if len(httpauth.Cookies(r, httpauth.BoundCookie)) > 0 {
		empty = append(empty, boundCookie("", -1))
	}
	return encodeCookies(empty...)
}

// encodeCookies checks and encodes all cookies, or none.
func encodeCookies(cookies ...*http.Cookie) ([]string, error) {
	lines := make([]string, 0, len(cookies))
	for _, c := range cookies {
		if err := checkCookie(c); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", errCookie, c.Name, err)
		}
		lines = append(lines, c.String())
	}
	return lines, nil
}

// checkCookie checks what net/http does not: the rules of the name prefixes
// (RFC 6265bis §4.1.3, and "Http" of its successor), the attributes that our
// cookies must have, and the sizes.
func checkCookie(c *http.Cookie) error {
	host := strings.HasPrefix(c.Name, "__Host-")
	switch {
	case c.Valid() != nil:
		return c.Valid()
	case !host && !strings.HasPrefix(c.Name, "__Secure-"):
		return errors.New("its name has no prefix; begin it with __Host- or __Secure-")
	case !c.Secure || !c.HttpOnly:
		return errors.New("it must be Secure and HttpOnly")
	case c.Domain != "":
		return errors.New("it must not have a Domain, or other hosts would get it")
	case host && c.Path != "/":
		return errors.New("with the prefix __Host- its path must be /")
	case c.Path == "" || len(c.Path) > maxAttribute:
		return errors.New("its path is missing or too long")
	case c.SameSite != http.SameSiteLaxMode && c.SameSite != http.SameSiteStrictMode:
		return errors.New("SameSite must be said, as Lax or Strict")
	case len(c.Name)+len(c.Value) > maxCookie:
		return fmt.Errorf("name and value of %d bytes exceed %d", len(c.Name)+len(c.Value), maxCookie)
	case c.MaxAge > maxCookieAge:
		return errors.New("Max-Age exceeds 400 days")
	}
	return nil
}

// setCookies writes encoded cookies into the answer, beside those that other
// parts of the program set.
func setCookies(w http.ResponseWriter, lines []string) {
	w.Header()["Set-Cookie"] = append(w.Header()["Set-Cookie"], lines...)
}

// withdrawCookies takes our cookies back out of an answer that was not sent.
func withdrawCookies(w http.ResponseWriter) {
	others := slices.DeleteFunc(w.Header()["Set-Cookie"], func(line string) bool {
		name, _, _ := strings.Cut(line, "=")
		return name == httpauth.AccessCookie || name == httpauth.RefreshCookie || name == httpauth.HandoffCookie || name == httpauth.BoundCookie
	})
	if len(others) == 0 {
		w.Header().Del("Set-Cookie")
		return
	}
	w.Header()["Set-Cookie"] = others
}
