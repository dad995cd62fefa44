// Package dpop owns proofs of possession (RFC 9449): whether a request proves
// the key that its access token, or its session, is bound to.
//
// [Parse] judges a proof by itself: its form, its algorithm, its key and its
// signature. [Verifier.Check] judges it for one request: method, URL, time,
// nonce, and the token that it comes with. [Verifier.Spend] uses it up, and
// comes last: what anybody can invent must not fill the memory of used proofs.
//
// Every proof needs a nonce of this service ([Nonces]), so that none can be
// made ahead of time (RFC 9449 §11.2). Nonces are not stored: they are a time
// and a MAC, under keys that all nodes share. Those of the issuer are worthless
// at a resource, since their keys differ.
//
// The package refuses every algorithm but two, keys with private members,
// duplicate names, whatever is larger than its bounds, and, when it can
// remember no more proofs, all of them. It knows no HTTP and no clock. Package
// httpauth calls it for resources, and package httpapi where tokens are issued;
// package client makes proofs.
package dpop
