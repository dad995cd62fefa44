package lab

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
)

// tutorialSecret is the one that jwt.io shows, which has been found in
// production ever since.
const tutorialSecret = "your-256-bit-secret"

// A header is what a JWT says about itself, as far as anybody here looks at it.
type header struct {
	Algorithm string  `json:"alg"`
	Type      string  `json:"typ,omitempty"`
	KeyID     string  `json:"kid,omitempty"`
	KeySetURL string  `json:"jku,omitempty"`
	Key       *rsaJWK `json:"jwk,omitempty"`
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

// An rsaJWK is a public key of RSA (RFC 7518 §6.3.1).
type rsaJWK struct {
	Type     string `json:"kty"`
	Modulus  string `json:"n"`
	Exponent string `json:"e"`
}

func jwkOf(k *rsa.PublicKey) *rsaJWK {
	return &rsaJWK{"RSA", base64.RawURLEncoding.EncodeToString(k.N.Bytes()), base64.RawURLEncoding.EncodeToString(big.NewInt(int64(k.E)).Bytes())}
}

func (j *rsaJWK) key() *rsa.PublicKey {
	n, _ := base64.RawURLEncoding.DecodeString(j.Modulus)
	e, _ := base64.RawURLEncoding.DecodeString(j.Exponent)
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
}

// bankKey is the key of the banks that sign by RS256; forgersKey is the thief's
// own. Both are made when they are first needed.
var bankKey, forgersKey = sync.OnceValue(newRSAKey), sync.OnceValue(newRSAKey)

func newRSAKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return key
}

func publicPEM(k *rsa.PublicKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		panic(err) // of an RSA key
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func rs256(input string, key *rsa.PrivateKey) []byte {
	sum := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err) // of a key of 2048 bits
	}
	return signature
}

func goodRS256(input string, signature []byte, key *rsa.PublicKey) bool {
	sum := sha256.Sum256([]byte(input))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil
}

func signRS256(name string, life time.Duration, key *rsa.PrivateKey) string {
	return signed(header{Algorithm: "RS256", Type: "JWT"}, name, life, func(input string) []byte { return rs256(input, key) })
}

// verifyAsTold is verify(token, key) of libraries that took the algorithm from
// the token, and the key for whatever that wants.
func verifyAsTold(raw string, key *rsa.PublicKey) string {
	return opened(raw, func(h header, input string, signature []byte) bool {
		switch h.Algorithm {
		case "none":
			return true
		case "HS256":
			return hmac.Equal(signature, mac(input, publicPEM(key)))
		case "RS256":
			return goodRS256(input, signature, key)
		}
		return false
	})
}

// namedKeys finds the key of a token where the token says that it is: in a file
// of the folder of keys, in a key set, or in the token.
type namedKeys struct {
	http *http.Client
	disk map[string][]byte // what is on it that matters, by path
}

func (k *namedKeys) sign(name string, life time.Duration) string {
	return signed(header{Algorithm: "HS256", Type: "JWT", KeyID: "2026"}, name, life, func(input string) []byte { return mac(input, k.file("2026")) })
}

func (k *namedKeys) file(id string) []byte { return k.disk[path.Join("/srv/bank/keys", id)] }

func (k *namedKeys) verify(raw string) string {
	return opened(raw, func(h header, input string, signature []byte) bool {
		_, there := k.disk[path.Join("/srv/bank/keys", h.KeyID)]
		switch {
		case h.Algorithm == "RS256" && h.Key != nil:
			return goodRS256(input, signature, h.Key.key())
		case h.Algorithm == "RS256" && h.KeySetURL != "":
			key := k.fetched(h.KeySetURL)
			return key != nil && goodRS256(input, signature, key.key())
		case h.Algorithm == "HS256" && there:
			return hmac.Equal(signature, mac(input, k.file(h.KeyID)))
		}
		return false
	})
}

// fetched is the first key of a key set.
func (k *namedKeys) fetched(address string) *rsaJWK {
	response, err := k.http.Get(address)
	if err != nil {
		return nil
	}
	defer response.Body.Close()
	var set struct {
		Keys []*rsaJWK `json:"keys"`
	}
	if json.UnmarshalRead(response.Body, &set) != nil || len(set.Keys) == 0 {
		return nil
	}
	return set.Keys[0]
}
