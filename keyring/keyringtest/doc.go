// Package keyringtest owns what every implementation of [keyring.Store] must
// do, as a suite of tests ([Run]), and the reference store in memory, which
// passes it. Stores call the suite from their tests; tests of what lies above
// the key ring use the reference store. Nothing that ships imports it.
//
// [keyring.Store]: https://pkg.go.dev/github.com/pawlauth/pawl/keyring#Store
package keyringtest
