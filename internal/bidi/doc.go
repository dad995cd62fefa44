// Package bidi drives Firefox by WebDriver BiDi: it starts a process on a
// profile of its own, sends commands and tells events. It knows the protocol's
// envelope and no command but the first; what commands mean is its caller's.
// The tests of internal/browsertest call it, and nothing that ships does.
package bidi
