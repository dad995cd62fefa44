package account

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Hash is the hash of a password, as a PHC string: $argon2id$v=19$m=19456,t=2,p=1$<salt>$<tag>.
//
// It prints, logs and marshals as "[redacted]", since whoever reads it can guess passwords without asking anybody. A store
// writes string(h); it must not hand h itself to a driver, which may prefer its String method. fmt calls no methods on
// unexported fields, nor encoding/json on the keys of a map: a Hash is kept in exported fields and is no key.
type Hash string

// ErrHash matches every stored hash that cannot be used: malformed, of an algorithm or version other than Argon2id
// version 19, or with parameters outside what this package is willing to compute. It never contains the hash.
var ErrHash = errors.New("stored password hash is unusable; set a new password")

const (
	phcPrefix = "$argon2id$v=19$"
	// maxHashBytes bounds the text before it is parsed. The longest that this package accepts is shorter.
	maxHashBytes = 256
	// Salt and tag carry at least 128 bits (RFC 9106 §3.1 and §4; OWASP ASVS 5.0 §11.2.3).
	minSaltBytes, maxSaltBytes = 16, 64
	minTagBytes, maxTagBytes   = 16, 64
	// What a new hash gets (RFC 9106 §4).
	newSaltBytes, newTagBytes = 16, 32
)

// Params returns the parameters with which h was made. An error matches [ErrHash]; none means that h can be verified.
func (h Hash) Params() (Params, error) {
	parsed, err := h.parse()
	return parsed.params, err
}

// Format writes "[redacted]" for every verb.
func (Hash) Format(s fmt.State, _ rune) { io.WriteString(s, redacted) }

// String returns "[redacted]". string(h) is the hash.
func (Hash) String() string { return redacted }

// LogValue returns "[redacted]".
func (Hash) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "[redacted]".
func (Hash) MarshalText() ([]byte, error) { return []byte(redacted), nil }

func (h Hash) equal(other Hash) bool {
	return subtle.ConstantTimeCompare([]byte(h), []byte(other)) == 1
}

// phc is a Hash taken apart.
type phc struct {
	params    Params
	salt, tag []byte
}

// parse accepts exactly what phc.hash writes: no other order, spelling of a number, padding or optional part.
func (h Hash) parse() (phc, error) {
	if len(h) > maxHashBytes {
		return phc{}, fmt.Errorf("%w: too long", ErrHash)
	}
	rest, ok := strings.CutPrefix(string(h), phcPrefix)
	if !ok {
		return phc{}, fmt.Errorf("%w: not Argon2id version %d", ErrHash, argon2.Version)
	}
	parts := strings.Split(rest, "$")
	if len(parts) != 3 {
		return phc{}, fmt.Errorf("%w: not parameters, salt and tag", ErrHash)
	}
	var parsed phc
	var err error
	if parsed.params, err = parseParams(parts[0]); err != nil {
		return phc{}, err
	}
	if err = parsed.params.checkBounds(); err != nil {
		return phc{}, fmt.Errorf("%w: %w", ErrHash, err)
	}
	if parsed.salt, err = decodePart(parts[1], minSaltBytes, maxSaltBytes); err != nil {
		return phc{}, err
	}
	if parsed.tag, err = decodePart(parts[2], minTagBytes, maxTagBytes); err != nil {
		return phc{}, err
	}
	// One check for all that decoders let pass: leading zeros, signs, line breaks and loose bits in base64.
	if !parsed.hash().equal(h) {
		return phc{}, fmt.Errorf("%w: not in canonical form", ErrHash)
	}
	return parsed, nil
}

func parseParams(text string) (Params, error) {
	fields := strings.Split(text, ",")
	if len(fields) != 3 {
		return Params{}, fmt.Errorf("%w: not the parameters m, t and p", ErrHash)
	}
	var values [3]uint64
	for i, field := range []struct {
		name string
		bits int
	}{{"m=", 32}, {"t=", 32}, {"p=", 8}} {
		digits, ok := strings.CutPrefix(fields[i], field.name)
		if !ok {
			return Params{}, fmt.Errorf("%w: not the parameters m, t and p", ErrHash)
		}
		var err error
		if values[i], err = strconv.ParseUint(digits, 10, field.bits); err != nil {
			return Params{}, fmt.Errorf("%w: parameter %s is not a number in range", ErrHash, field.name[:1])
		}
	}
	return Params{Memory: uint32(values[0]), Time: uint32(values[1]), Parallelism: uint8(values[2])}, nil
}

func decodePart(text string, least, most int) ([]byte, error) {
	raw, err := base64.RawStdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: salt or tag is not base64", ErrHash)
	}
	if len(raw) < least || len(raw) > most {
		return nil, fmt.Errorf("%w: salt or tag has %d bytes, not %d to %d", ErrHash, len(raw), least, most)
	}
	return raw, nil
}

func (c phc) hash() Hash {
	return Hash(fmt.Sprintf("%sm=%d,t=%d,p=%d$%s$%s", phcPrefix, c.params.Memory, c.params.Time, c.params.Parallelism,
		base64.RawStdEncoding.EncodeToString(c.salt), base64.RawStdEncoding.EncodeToString(c.tag)))
}
