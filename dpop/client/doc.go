// Package client owns the side of DPoP (RFC 9449) that programs in Go need: a
// [Key], a [Prover] that signs requests with it and answers demands for nonces,
// and a [Transport] that sends an access token with them and renews it.
//
// Sign in by a request of your own through an [http.Client] whose Transport is a
// Prover, and give what it answers to [New]. The package refuses to send a token
// to an origin that is not listed for it, and reads no body that it could not
// send again.
package client
