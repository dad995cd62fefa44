package lab

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// tutorialSecret is the one that jwt.io shows, which has been found in
// production ever since.
const tutorialSecret = "your-256-bit-secret"

// A header is what a JWT says about itself, as far as anybody here looks at it.
type header struct {
	Algorithm string         `json:"alg"`
	Type      string         `json:"typ,omitempty"`
	KeyID     string         `json:"kid,omitempty"`
	KeySetURL string         `json:"jku,omitempty"`
	Key       map[string]any `json:"jwk,omitempty"`
}

// claims are those of the careless ways.
type claims struct {
	Subject string `json:"sub"`
	Expires int64  `json:"exp"`
}

// part is one part of a JWT.
func part(v any) string {
	text, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		panic(err) // of strings and numbers
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// signed makes a JWT with whatever header and signature.
func signed(h header, name string, life time.Duration, sign func(input string) []byte) string {
	input := part(h) + "." + part(claims{name, time.Now().Add(life).Unix()})
	return input + "." + base64.RawURLEncoding.EncodeToString(sign(input))
}

func mac(input string, secret []byte) []byte {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(input))
	return m.Sum(nil)
}

func signHS256(name string, life time.Duration, secret []byte) string {
	return signed(header{Algorithm: "HS256", Type: "JWT"}, name, life, func(input string) []byte { return mac(input, secret) })
}

// opened takes a JWT apart and hands its header to whoever says whether the
// signature is good; the subject if it is, and the time is not over.
func opened(raw string, good func(h header, input string, signature []byte) bool) string {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return ""
	}
	var h header
	var c claims
	for i, v := range []any{&h, &c} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(text, v) != nil {
			return ""
		}
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !good(h, parts[0]+"."+parts[1], signature) || time.Now().Unix() >= c.Expires {
		return ""
	}
	return c.Subject
}

// verifyHS256 allows no other algorithm, as libraries do now.
func verifyHS256(raw string, secret []byte) string {
	return opened(raw, func(h header, input string, signature []byte) bool {
		return h.Algorithm == "HS256" && hmac.Equal(signature, mac(input, secret))
	})
}
