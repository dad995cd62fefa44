// Package servicetest proves that a service.Store keeps its contract. [Run] is
// the suite that every store passes, [Contend] what every store passes that
// several processes can open; [Memory] is the store that tests of other
// packages use. It is imported by tests only.
package servicetest
