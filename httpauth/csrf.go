package httpauth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"

	"github.com/pawlauth/pawl/token"
)

// Where a CSRF token is looked for, and nowhere else: not in a cookie, not in
// the query.
const (
	CSRFHeader = "X-Pawl-CSRF"
	CSRFField  = "csrf_token" // of a form, application/x-www-form-urlencoded
)

const (
	csrfRandom = 16
	csrfText   = (csrfRandom + sha256.Size) / 3 * 4
)

// CSRF makes and checks the tokens that prove a request comes from a page of
// ours where the browser sends neither Sec-Fetch-Site nor Origin. A token is a
// random value and an HMAC over session id and random value, so it is good for
// one session only and needs no store (OWASP CSRF cheat sheet, "signed double
// submit cookie", of which only the signed value is used). It is immutable.
type CSRF struct{ keys []*token.MAC }

// NewCSRF returns a CSRF that makes tokens with the first key and honours
// those of every key.
func NewCSRF(keys [][32]byte) (*CSRF, error) {
	if len(keys) == 0 {
		return nil, errors.New("httpauth: a key is required to make CSRF tokens")
	}
	c := &CSRF{}
	for _, key := range keys {
		c.keys = append(c.keys, token.NewMAC(key[:]))
	}
	return c, nil
}

// Token returns a fresh token of the session: 64 characters of base64url.
func (c *CSRF) Token(session token.ID) string {
	body := make([]byte, csrfRandom, csrfRandom+sha256.Size)
	rand.Read(body)
	return string(token.AppendBase64URL(nil, csrfTag(body, c.keys[0], session, body)))
}

// Check reports, in constant time, whether text is a token of the session.
func (c *CSRF) Check(session token.ID, text string) bool {
	if len(text) != csrfText || session.IsZero() {
		return false
	}
	var buf [csrfRandom + sha256.Size]byte
	body, err := token.AppendDecodedBase64URL(buf[:0], text)
	if err != nil {
		return false
	}
	random, tag := body[:csrfRandom], body[csrfRandom:]
	good := false
	for i := range c.keys {
		good = hmac.Equal(csrfTag(nil, c.keys[i], session, random), tag) || good
	}
	return good
}

// csrfTag appends the tag to dst. Both parts go in with their length before
// them, so that no other pair gives the same input.
func csrfTag(dst []byte, key *token.MAC, session token.ID, random []byte) []byte {
	message := make([]byte, 0, 2+len(session)+csrfRandom)
	message = append(append(message, byte(len(session))), session[:]...)
	message = append(append(message, byte(len(random))), random...)
	return key.AppendSum(dst, message)
}
