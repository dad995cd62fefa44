package service

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/pawlauth/pawl/token"
)

// SecretPrefix is what the secret of a service begins with, so that scanners
// for secrets find a leaked one.
const SecretPrefix = "pawl_sk_"

var (
	// ErrCredentials is the one answer to whoever does not prove to be a
	// service.
	ErrCredentials = errors.New("service: name or secret is wrong")
	// ErrUnavailable says that the store could not answer. It wraps the store's
	// error, which is for the log.
	ErrUnavailable = errors.New("service: the store is not available; try again")
)

// Services knows which programs may call, and the codes they were given. It is
// safe for concurrent use.
type Services struct{ store Store }

// New returns the services of a store.
func New(store Store) *Services { return &Services{store} }

// Add makes a service and returns its secret, which is kept nowhere: show it
// once. Errors match [ErrName], [ErrScope], [ErrNameTaken] or [ErrUnavailable];
// after the last, the service may exist, with a secret that nobody knows.
func (s *Services) Add(ctx context.Context, name string, scopes []Scope) (Service, token.Secret, error) {
	texts := make([]string, len(scopes))
	for i, scope := range scopes {
		texts[i] = string(scope)
	}
	sorted, err := ParseScopes(texts...)
	if err := errors.Join(CheckName(name), err); err != nil {
		return Service{}, "", err
	}
	secret := SecretPrefix + random()
	added, err := s.store.AddService(ctx, Record{Service: Service{Name: name, Scopes: sorted}, Secret: hash(secret)})
	if err != nil {
		return Service{}, "", storeError(err)
	}
	return added, token.Secret(secret), nil
}

// List returns all services in ascending order of their names. An error matches
// [ErrUnavailable].
func (s *Services) List(ctx context.Context) ([]Service, error) {
	all, err := s.store.Services(ctx)
	return all, storeError(err)
}

// Remove takes a service's credentials away: from when it returns, they are
// refused. Errors match [ErrNotFound] or [ErrUnavailable].
func (s *Services) Remove(ctx context.Context, name string) error {
	return storeError(s.store.RemoveService(ctx, name))
}

// nobody is a name that no service has.
const nobody = "-"

// Authenticate returns the service that the credentials belong to. Errors match
// [ErrCredentials] or [ErrUnavailable]. The work is the same whether the name
// is known or not: one look-up, one SHA-256, one comparison in constant time.
func (s *Services) Authenticate(ctx context.Context, name, secret string) (Service, error) {
	if CheckName(name) != nil {
		name = nobody
	}
	record, err := s.store.Service(ctx, name)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Service{}, storeError(err)
	}
	// The zero hash of a record that was not found is that of no text.
	shown := hash(secret)
	if subtle.ConstantTimeCompare(shown[:], record.Secret[:]) != 1 || err != nil {
		return Service{}, ErrCredentials
	}
	return record.Service, nil
}

// random returns 32 random bytes in base64url.
func random() string {
	var b [32]byte
	rand.Read(b[:]) // never fails; the runtime ends the process instead
	return string(token.AppendBase64URL(nil, b[:]))
}

func hash(text string) Hash { return sha256.Sum256([]byte(text)) }

// storeError lets the store's answers pass and makes everything else
// ErrUnavailable.
func storeError(err error) error {
	if err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrNameTaken) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
