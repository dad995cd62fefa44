package service

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Scope is something that a service may do.
type Scope string

// The scopes. None contains another.
const (
	UsersRead       Scope = "users:read"       // look users up
	UsersWrite      Scope = "users:write"      // make, disable and enable users
	SessionsRead    Scope = "sessions:read"    // list the sessions of a user
	SessionsWrite   Scope = "sessions:write"   // start a session for any user, without the user's password
	SessionsEnd     Scope = "sessions:end"     // end one session, or all of a user
	EveryoneEnd     Scope = "everyone:end"     // end all sessions of everybody
	EventsRead      Scope = "events:read"      // read the events
	RevocationsRead Scope = "revocations:read" // follow which sessions end
	UsesWrite       Scope = "uses:write"       // report the use of access tokens
	Introspect      Scope = "introspect"       // ask whether an access token is good (RFC 7662)
)

// Scopes are all there are.
var Scopes = []Scope{EventsRead, EveryoneEnd, Introspect, RevocationsRead, SessionsEnd, SessionsRead, SessionsWrite, UsersRead, UsersWrite, UsesWrite}

var (
	// ErrScope says that a scope is unknown, or that none was given.
	ErrScope = errors.New("service: unknown scope")
	// ErrName says that a service cannot have the name.
	ErrName = errors.New("service: unusable name")
)

// maxName bounds the name of a service, in bytes.
const maxName = 40

// CheckName returns an error that matches [ErrName] unless a service may have
// the name: 1 to 40 lower-case letters, digits and hyphens, a letter first.
func CheckName(name string) error {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	if name == "" || len(name) > maxName || !strings.Contains(letters, name[:1]) || strings.Trim(name, letters+"0123456789-") != "" {
		return fmt.Errorf("%w: use 1 to %d of a-z, 0-9 and -, a letter first", ErrName, maxName)
	}
	return nil
}

// ParseScopes reads scopes as an operator writes them. It returns each once, in
// order, or an error that matches [ErrScope] and names those that there are.
func ParseScopes(texts ...string) ([]Scope, error) {
	var scopes []Scope
	for _, text := range texts {
		scope := Scope(text)
		if !slices.Contains(Scopes, scope) {
			return nil, fmt.Errorf("%w %q; there are %q", ErrScope, text, Scopes)
		}
		scopes = append(scopes, scope)
	}
	if len(scopes) == 0 {
		return nil, fmt.Errorf("%w: a service that may do nothing is none; give at least one of %q", ErrScope, Scopes)
	}
	slices.Sort(scopes)
	return slices.Compact(scopes), nil
}

// May reports whether the service was given the scope.
func (s Service) May(scope Scope) bool { return slices.Contains(s.Scopes, scope) }
