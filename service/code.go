package service

import (
	"context"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/pawlauth/pawl/token"
)

// CodeLife is how long a code is good: the time for an application's answer to
// reach the browser and for the browser to come here, not for a person to do
// anything.
const CodeLife = time.Minute

// ErrCode is the one answer to whoever presents a code that is no good in this
// browser: unknown, taken, expired, or another browser's.
var ErrCode = errors.New("service: no such code for this browser")

// ErrForeign is [ErrCode] for a code that is good, but not in this browser. It
// is for the record, not for the answer.
var ErrForeign error = foreign{}

type foreign struct{}

func (foreign) Error() string        { return "service: the code is another browser's" }
func (foreign) Is(target error) bool { return target == ErrCode }

// ErrBinding says that a text is no binding.
var ErrBinding = errors.New("service: not the binding of a cookie")

// NewCookie returns what a browser is to hold before a sign-in begins: 32
// random bytes in base64url.
func NewCookie() token.Secret { return token.Secret(random()) }

// IsCookie reports whether a text is of the form that [NewCookie] returns.
func IsCookie(text string) bool { _, ok := decode(text); return ok }

// BindingOf returns the binding of a cookie: the SHA-256 of its text. It is no
// secret: nobody gets from it to the cookie.
func BindingOf(cookie token.Secret) Hash { return hash(cookie.Reveal()) }

// String returns the hash in base64url, as it travels.
func (h Hash) String() string { return string(token.AppendBase64URL(nil, h[:])) }

// ParseBinding reads what [Hash.String] writes, and nothing else; an error is
// [ErrBinding].
func ParseBinding(text string) (Hash, error) {
	h, ok := decode(text)
	if !ok {
		return Hash{}, ErrBinding
	}
	return h, nil
}

func decode(text string) (h Hash, ok bool) {
	var buf [36]byte
	if len(text) != 43 {
		return h, false
	}
	out, err := token.AppendDecodedBase64URL(buf[:0], text)
	return h, err == nil && copy(h[:], out) == len(h) && len(out) == len(h)
}

// Offer makes a code for the login, for the browser whose cookie has that
// binding. An error matches [ErrUnavailable]; then nobody has the code.
func (s *Services) Offer(ctx context.Context, binding Hash, login Login) (token.Secret, error) {
	code := random()
	if err := s.store.PutCode(ctx, Code{Hash: hash(code), Binding: binding, Login: login}, CodeLife); err != nil {
		return "", storeError(err)
	}
	return token.Secret(code), nil
}

// Look returns what a code is for, if it is good in the browser with that
// cookie, and changes nothing. Errors match [ErrCode] or [ErrUnavailable]. With
// [ErrForeign], the code is returned too, for the record.
func (s *Services) Look(ctx context.Context, code, cookie token.Secret) (Code, error) {
	found, err := s.store.Code(ctx, hash(code.Reveal()))
	if errors.Is(err, ErrNotFound) {
		return Code{}, ErrCode
	}
	if err != nil {
		return Code{}, storeError(err)
	}
	shown := BindingOf(cookie)
	if subtle.ConstantTimeCompare(shown[:], found.Binding[:]) != 1 {
		return found, ErrForeign
	}
	return found, nil
}

// Take uses a code up. Call it once the session is stored, and end the session
// unless it returns nil. Errors match [ErrCode] or [ErrUnavailable]; after the
// last, the code may be used up.
func (s *Services) Take(ctx context.Context, code Code) error {
	_, err := s.store.TakeCode(ctx, code.Hash)
	if errors.Is(err, ErrNotFound) {
		return ErrCode
	}
	return storeError(err)
}

// Drop removes the codes for a user. Call it before ending all sessions of the
// user. An error matches [ErrUnavailable].
func (s *Services) Drop(ctx context.Context, userID string) error {
	return storeError(s.store.DropCodes(ctx, userID))
}

// Sweep removes codes that have expired, at most limit, and returns how many. An
// error matches [ErrUnavailable].
func (s *Services) Sweep(ctx context.Context, limit int) (int, error) {
	n, err := s.store.SweepCodes(ctx, limit)
	return n, storeError(err)
}
