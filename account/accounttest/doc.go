// Package accounttest proves that an account.Store keeps its contract. [Run] is the suite that every store passes;
// [Memory] is the store that tests of other packages use. It is imported by tests only.
package accounttest
