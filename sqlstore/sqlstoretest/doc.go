// Package sqlstoretest owns what every implementation of [sqlstore.Store] must
// do beyond the contracts of package session and package account, as a suite
// of tests ([Run]): events, signing keys, the erasing of what is personal,
// attempts to sign in that several processes share, and the check of what is
// kept. It opens one database twice, as two processes do. Stores call it from
// their tests, after the suites storetest and accounttest; nothing that ships
// imports it.
//
// [sqlstore.Store]: https://pkg.go.dev/github.com/pawlauth/pawl/sqlstore#Store
package sqlstoretest
