package dbsc

import (
	"strings"

	"github.com/go-json-experiment/json"
)

// The headers of the protocol.
const (
	RegistrationHeader = "Secure-Session-Registration"
	ChallengeHeader    = "Secure-Session-Challenge"
	ResponseHeader     = "Secure-Session-Response"
	IdentifierHeader   = "Sec-Secure-Session-Id"
	SkippedHeader      = "Secure-Session-Skipped"
)

// Offer is the value of [RegistrationHeader]: it asks a browser to make a key
// and to register it at a path of this site. Only ES256 is offered; Chromium
// takes the first of a list.
func Offer(path, challenge string) string {
	return `(ES256);path="` + path + `";challenge="` + challenge + `"`
}

// Ask is the value of [ChallengeHeader]: it asks for a proof of a session, now
// or, beside an answer that succeeds, at the next renewal.
func Ask(identifier, challenge string) string {
	return `"` + challenge + `";id="` + identifier + `"`
}

type instructions struct {
	Identifier  string       `json:"session_identifier"`
	RefreshURL  string       `json:"refresh_url,omitzero"`
	Continue    *bool        `json:"continue,omitzero"` // left out: it does
	Scope       *scope       `json:"scope,omitzero"`
	Credentials []credential `json:"credentials,omitempty"`
}

type scope struct {
	IncludeSite bool `json:"include_site"`
}

type credential struct {
	Type       string `json:"type"`
	Name       string `json:"name"`
	Attributes string `json:"attributes"`
}

// Instructions tell a browser which cookie to watch, and at what path to renew
// when it is missing. The attributes must be spelt as in Set-Cookie: a browser
// that finds others renews at every request.
func Instructions(identifier, refreshPath, cookie, attributes string) ([]byte, error) {
	return json.Marshal(&instructions{Identifier: identifier, RefreshURL: refreshPath, Scope: &scope{},
		Credentials: []credential{{"cookie", cookie, attributes}}})
}

// Over tells a browser that a session has ended, so that it forgets the key.
// Without the identifier Chromium takes it for an error.
func Over(identifier string) ([]byte, error) {
	return json.Marshal(&instructions{Identifier: identifier, Continue: new(bool)})
}

// SkippedReason returns why a browser says that it did not renew, from the
// value of [SkippedHeader]; "other" for words that nobody has agreed on.
// Anybody can send the header.
func SkippedReason(value string) string {
	word, _, _ := strings.Cut(value, ";")
	switch word = strings.TrimSpace(word); word {
	case "unreachable", "server_error", "quota_exceeded":
		return word
	}
	return "other"
}
