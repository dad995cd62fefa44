package dpop

import (
	"crypto"
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/pawlauth/pawl/token"
)

// Type is the JOSE "typ" of a proof (RFC 9449 §4.2).
const Type = "dpop+jwt"

// Bounds of a proof, in bytes. A proof is checked against the first before
// anything else is done with it.
const (
	MaxProof = 4096
	maxID    = 256 // "jti"
)

// algorithms may sign proofs: asymmetric ones only (RFC 9449 §11.6).
var algorithms = []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA}

// Algorithms returns the names of the algorithms that may sign proofs, as
// "dpop_signing_alg_values_supported" has them (RFC 9449 §5.1).
func Algorithms() []string {
	out := make([]string, len(algorithms))
	for i, a := range algorithms {
		out[i] = string(a)
	}
	return out
}

// A Proof is what a well-formed proof says whose signature is right. It may
// still be for another request.
type Proof struct {
	Thumbprint string    // SHA-256 of the public JWK (RFC 7638), base64url: "cnf.jkt" of what is bound to it
	ID         string    // "jti": unique for each request
	Method     string    // "htm"
	URL        string    // "htu", normalised: see [NormalizeURL]
	IssuedAt   time.Time // "iat", by the client's clock
	TokenHash  string    // "ath"; empty: for no token
	Nonce      string    // empty: none
}

// header is the JOSE header of a proof, as far as it decides (RFC 9449 §4.2).
type header struct {
	Type      string                    `json:"typ"`
	Algorithm string                    `json:"alg"`
	Key       map[string]jsontext.Value `json:"jwk"`

	// Not understood here (RFC 7515 §4.1.11), or another key than the one that
	// counts.
	Critical     jsontext.Value `json:"crit"`
	Encoding     jsontext.Value `json:"b64"`
	KeyURL       jsontext.Value `json:"jku"`
	CertURL      jsontext.Value `json:"x5u"`
	Certificates jsontext.Value `json:"x5c"`
}

// claims are those of a proof (RFC 9449 §4.2). Others are allowed and ignored.
type claims struct {
	ID        string  `json:"jti"`
	Method    string  `json:"htm"`
	URL       string  `json:"htu"`
	IssuedAt  float64 `json:"iat"` // RFC 7519 §2: may have a fraction
	TokenHash string  `json:"ath"`
	Nonce     string  `json:"nonce"`
}

// keyMembers may be in the public key. Whatever else there is may be part of
// a private key, or name one elsewhere.
var keyMembers = []string{"kty", "crv", "x", "y", "alg", "use", "key_ops", "kid", "ext"}

// maxTime is the last second of the year 9999: a later time is no time.
const maxTime = 253402300799

// Parse returns what a proof says, if it is one compact JWS with the right
// type, an algorithm of [Algorithms], a public key that fits it, and that key's
// signature (RFC 9449 §4.3, checks 2 to 7). The error matches [ErrProof].
func Parse(raw string) (*Proof, error) {
	algorithm, err := judgeForm(raw)
	if err != nil {
		return nil, err
	}
	jws, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{algorithm})
	if err != nil || len(jws.Signatures) != 1 {
		return nil, ErrKey // the rest of what it refuses was judged before
	}
	key := jws.Signatures[0].Protected.JSONWebKey
	if key == nil || !key.IsPublic() || !key.Valid() {
		return nil, ErrKey
	}
	payload, err := jws.Verify(key.Key)
	if err != nil {
		return nil, ErrSignature
	}
	print, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, ErrKey
	}
	proof, err := read(payload)
	if err != nil {
		return nil, err
	}
	proof.Thumbprint = encode(print)
	return proof, nil
}

// judgeForm judges what can be judged without the key's arithmetic, and
// returns the algorithm.
func judgeForm(raw string) (jose.SignatureAlgorithm, error) {
	if raw == "" {
		return "", ErrMissing
	}
	if len(raw) > MaxProof || strings.Count(raw, ".") != 2 {
		return "", ErrMalformed
	}
	var text []byte
	var first []byte
	for i, segment := range strings.Split(raw, ".") {
		decoded, err := token.AppendDecodedBase64URL(text, segment)
		if err != nil || len(decoded) == 0 {
			return "", ErrMalformed
		}
		if i == 0 {
			first = decoded
		}
	}
	var h header
	// The library refuses duplicate names and invalid UTF-8, and matches names
	// exactly. Its error may quote the proof, so it stays here.
	if err := json.Unmarshal(first, &h); err != nil {
		return "", ErrMalformed
	}
	algorithm := jose.SignatureAlgorithm(h.Algorithm)
	switch {
	case h.Type != Type:
		return "", ErrType
	case !slices.Contains(algorithms, algorithm):
		return "", ErrAlgorithm
	case h.Critical != nil || h.Encoding != nil || h.KeyURL != nil || h.CertURL != nil || h.Certificates != nil:
		return "", ErrMalformed
	case len(h.Key) == 0:
		return "", ErrKey
	}
	for name := range h.Key {
		if !slices.Contains(keyMembers, name) {
			return "", ErrKey
		}
	}
	return algorithm, nil
}

// read reads the payload, once it is verified.
func read(payload []byte) (*Proof, error) {
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return nil, ErrMalformed
	}
	if c.ID == "" || len(c.ID) > maxID || c.Method == "" || c.URL == "" || !(c.IssuedAt > 0 && c.IssuedAt <= maxTime) {
		return nil, ErrClaims
	}
	url, ok := NormalizeURL(c.URL)
	if !ok {
		return nil, ErrURL
	}
	return &Proof{ID: c.ID, Method: c.Method, URL: url, IssuedAt: time.Unix(int64(c.IssuedAt), 0), TokenHash: c.TokenHash, Nonce: c.Nonce}, nil
}

// fingerprint stands for a proof among those that were used: the key is in it,
// so that nobody uses up another's.
func (p *Proof) fingerprint() (out [16]byte) {
	sum := sha256.Sum256([]byte(p.Thumbprint + "." + p.ID)) // the first has a fixed length
	copy(out[:], sum[:])
	return out
}

// HashOf returns what "ath" must be in a proof that comes with the access token
// (RFC 9449 §4.2).
func HashOf(access string) string {
	sum := sha256.Sum256([]byte(access))
	return encode(sum[:])
}

// IsThumbprint reports whether text may be a thumbprint: 43 characters of
// canonical base64url.
func IsThumbprint(text string) bool {
	var buf [2 * sha256.Size]byte
	out, err := token.AppendDecodedBase64URL(buf[:0], text)
	return err == nil && len(out) == sha256.Size
}

func encode(b []byte) string { return string(token.AppendBase64URL(nil, b)) }
