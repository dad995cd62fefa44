// Package storetest owns the conformance suite of [session.Store]: [Run] is
// the contract as tests, in tiers, and a store that does not pass all of them
// is not shipped.
//
// Beside it stand the tools that the suite is made of: [Faulty] makes writes
// fail in both ways that a write can fail, [Check] holds every row against the
// invariants of package session, [NewEngine] makes an engine with real keys
// that costs nothing, [Clock] and [Journal] take the place of time and of the
// event log.
//
// Only tests import it.
package storetest
