package token

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// AccessType is the JOSE "typ" of Pawl's access tokens (RFC 9068 §2.1).
const AccessType = "at+jwt"

// MaxAccess is the greatest length of an access token in bytes, checked before
// anything else is done with one. It leaves room for the cookie's name within
// the 4096 bytes that browsers keep (RFC 6265bis §5.6).
const MaxAccess = 3072

// What can be wrong with the form of an access token. None of them says
// anything about its signature.
var (
	ErrTooLong   = errors.New("token: longer than the limit")
	ErrMalformed = errors.New("token: malformed")
)

// Claims are what an access token says (RFC 9068 §2.2). Times are seconds
// since 1970, as RFC 7519 §2 has them, rounded down.
type Claims struct {
	Issuer     string        `json:"iss"`
	Subject    string        `json:"sub"`
	Audience   string        `json:"aud"` // exactly one resource, so that no token is good in two places
	ClientID   string        `json:"client_id"`
	IssuedAt   int64         `json:"iat"`
	NotBefore  int64         `json:"nbf,omitzero"`
	Expires    int64         `json:"exp"`
	ID         ID            `json:"jti"`
	Session    ID            `json:"sid"`
	Generation uint32        `json:"gen"`       // the session's generation when the token was made
	AuthTime   int64         `json:"auth_time"` // of the login; renewal does not move it
	Methods    []string      `json:"amr,omitempty"`
	Scope      string        `json:"scope,omitzero"` // space-separated (RFC 9068 §2.2.3)
	Binding    *Confirmation `json:"cnf,omitzero"`   // absent on an unbound session
}

// Confirmation names the key that the session of a bound token must prove (RFC
// 7800): one of the two, by the SHA-256 of its JWK (RFC 7638).
type Confirmation struct {
	// Thumbprint is of a key that must be proved at every use (RFC 9449 §6.1).
	Thumbprint string `json:"jkt,omitzero"`
	// Device is of a key that is proved at renewal only, by a browser. It is not
	// "jkt": whoever knows that name would ask for a proof that no browser gives.
	Device string `json:"dbsc,omitzero"`
}

// A Signer makes the signature of an access token with one key.
type Signer interface {
	// Header is the base64url form of the one JOSE header that this key
	// writes, made when the key was made.
	Header() string
	// Sign returns the JWS signature (RFC 7515 §5.1) of the signing input.
	Sign(signingInput []byte) ([]byte, error)
}

// EncodeAccess returns the signed access token in compact form.
func EncodeAccess(c Claims, s Signer) (Secret, error) {
	claims, err := json.Marshal(&c)
	if err != nil {
		return "", fmt.Errorf("token: encode claims: %w", err)
	}
	header := s.Header()
	out := make([]byte, 0, len(header)+1+(len(claims)+2)/3*4+1+128)
	out = append(out, header...)
	out = append(out, '.')
	out = AppendBase64URL(out, claims)
	signature, err := s.Sign(out)
	if err != nil {
		return "", fmt.Errorf("token: sign: %w", err)
	}
	out = append(out, '.')
	out = AppendBase64URL(out, signature)
	if len(out) > MaxAccess {
		return "", fmt.Errorf("access token of %d bytes, limit %d; shorten issuer, audience or scope: %w", len(out), MaxAccess, ErrTooLong)
	}
	return Secret(out), nil
}

// Segments are the three parts of a compact JWS (RFC 7515 §7.1), not decoded
// and not verified.
type Segments struct{ Header, Payload, Signature string }

// SplitAccess cuts a compact JWS into its parts. The length is checked first,
// then that there are exactly two dots; a JWE (four dots) and the JSON
// serializations have no such form.
func SplitAccess(raw string) (Segments, error) {
	if len(raw) > MaxAccess {
		return Segments{}, ErrTooLong
	}
	header, rest, ok := strings.Cut(raw, ".")
	if !ok {
		return Segments{}, ErrMalformed
	}
	payload, signature, ok := strings.Cut(rest, ".")
	if !ok || strings.IndexByte(signature, '.') >= 0 {
		return Segments{}, ErrMalformed
	}
	return Segments{header, payload, signature}, nil
}

// decoded is Claims with whatever else the payload says. A newer version may
// add a member, and both run side by side during an upgrade; a member that is
// one of ours in another case is never such an addition.
type decoded struct {
	Claims
	Binding *decodedBinding `json:"cnf,omitzero"` // in place of the one in Claims
	Unknown jsontext.Value  `json:",embed"`
}

type decodedBinding struct {
	Confirmation
	Unknown jsontext.Value `json:",embed"`
}

var (
	claimNames        = []string{"iss", "sub", "aud", "client_id", "iat", "nbf", "exp", "jti", "sid", "gen", "auth_time", "amr", "scope", "cnf"}
	confirmationNames = []string{"jkt", "dbsc"}
)

// DecodeClaims reads the payload segment. It refuses duplicate names, names
// that differ from ours only in case, invalid UTF-8, trailing data, and values
// of the wrong type, null among them. Call it only after the signature was
// verified: before that, nothing in it may be used or logged (RFC 8725 §3.3).
func DecodeClaims(payload string) (Claims, error) {
	text, err := AppendDecodedBase64URL(nil, payload)
	if err != nil {
		return Claims{}, ErrMalformed
	}
	var d decoded
	// The library refuses duplicate names and invalid UTF-8 unless told
	// otherwise, and matches names exactly. Its error may quote the token, so
	// it stays here.
	if err := json.Unmarshal(text, &d); err != nil {
		return Claims{}, ErrMalformed
	}
	if foldsOn(claimNames, d.Unknown) || saysNull(text) {
		return Claims{}, ErrMalformed
	}
	if d.Binding != nil {
		if foldsOn(confirmationNames, d.Binding.Unknown) {
			return Claims{}, ErrMalformed
		}
		d.Claims.Binding = &d.Binding.Confirmation
	}
	return d.Claims, nil
}

// foldsOn reports whether an object has a name that equals one of ours without
// regard to case.
func foldsOn(ours []string, object jsontext.Value) bool {
	if len(object) == 0 {
		return false
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(object, &members); err != nil {
		return true
	}
	for name := range members {
		if slices.ContainsFunc(ours, func(our string) bool { return strings.EqualFold(name, our) }) {
			return true
		}
	}
	return false
}

// saysNull reports whether an object has null for a claim of ours, or within
// it: the library takes null for "absent", which is not what it says.
func saysNull(object []byte) bool {
	if !bytes.Contains(object, []byte("null")) {
		return false
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(object, &members); err != nil || members == nil {
		return true
	}
	for _, name := range claimNames {
		value := jsontext.NewDecoder(bytes.NewReader(members[name]))
		for {
			part, err := value.ReadToken()
			if err != nil {
				break // the end
			}
			if part.Kind() == jsontext.KindNull {
				return true
			}
		}
	}
	return false
}

// WitnessOf reads the session id out of an access token without verifying
// anything. It answers one question only: do the two cookies of a request name
// the same session? The id is compared, never trusted, and it is read even
// when the key that signed it is long retired.
func WitnessOf(raw string) (ID, error) {
	parts, err := SplitAccess(raw)
	if err != nil {
		return ID{}, err
	}
	c, err := DecodeClaims(parts.Payload)
	if err != nil {
		return ID{}, err
	}
	if c.Session.IsZero() {
		return ID{}, ErrMalformed
	}
	return c.Session, nil
}
