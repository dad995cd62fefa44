// Package token owns the two wire formats of Pawl: the access token, a JWS in
// compact form whose header is pinned, and the refresh token, an opaque string
// that names a session and a generation and carries two MACs.
//
// Both codecs are strict and canonical: a string is accepted only if encoding
// what was decoded gives the same bytes again. Sizes are checked before any
// other work.
//
// The package decides nothing about sessions, holds no clock, reads no store
// and manages no key: [keyring] makes and guards the keys, [verify] decides
// whether an access token is good, [session] decides what a refresh token may
// do.
//
// [keyring]: https://pkg.go.dev/github.com/pawlauth/pawl/keyring
// [verify]: https://pkg.go.dev/github.com/pawlauth/pawl/verify
// [session]: https://pkg.go.dev/github.com/pawlauth/pawl/session
package token
