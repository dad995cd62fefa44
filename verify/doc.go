// Package verify owns one question: is this access token good, here and now?
// The answer is a [Principal] or a typed refusal.
//
// It needs keys, an issuer, an audience, a clock reading and the set of
// sessions that were ended lately; it imports no store, and takes no lock
// that a writer holds for long. A resource server imports this package alone:
// tokens that are bound to a key are refused then, since only package httpauth
// has them proved.
//
// The order of work is fixed: length, form, pinned header, signature, claims,
// times, issuer and audience, revocation. Nothing in a token is used before
// its signature is verified (RFC 8725 §3.3).
package verify
