// Package dbsctest has a device that signs proofs, right ones and wrong ones,
// and a browser that renews its session with it as Chromium does. It is for
// tests, and refuses nothing.
package dbsctest
