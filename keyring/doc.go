// Package keyring owns keys: the master key and everything derived from it,
// and the signing keys of access tokens with their life, which goes one way:
// next (published, not yet used), active (signs), retiring (verifies only),
// gone. A withdrawn key is refused at once.
//
// Private keys are sealed with AES-256-GCM under a key derived from the
// master key before they reach a [Store]; the public half, with the exact
// header that the key writes, is published as a JWK set.
//
// The package starts no goroutine and reads no clock: whoever runs a [Ring]
// calls [Ring.Sync] a few times a second, and time is the store's.
package keyring
