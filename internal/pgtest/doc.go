// Package pgtest owns the PostgreSQL servers that tests run against: real
// processes, made for one run and gone after it.
//
// [Database] gives a test an empty database on a server that all tests of the
// binary share; it is fast and keeps nothing through a crash. [NewCluster] gives
// a test a server of its own that keeps what it commits, to kill, freeze,
// replicate, promote, dump and restore. [NewProxy] stands between a client and a server and loses what it
// is told to lose.
//
// Servers listen on 127.0.0.1, ask for a password, and run as an ordinary user,
// also when the tests run as root, which PostgreSQL refuses. What a test leaves
// behind, even one that panics or is killed, is ended and removed by a guard: a
// second process of the test binary that waits for the first one's end.
//
// Without PostgreSQL on the machine tests are skipped, and fail where the
// environment says CI=true. PAWL_TEST_POSTGRES may hold the URL of a server on
// which [Database] creates its databases instead; a cluster is always our own.
//
// Tests import it, and the benchmarks; nothing that ships. Linux only: elsewhere
// tests are skipped.
package pgtest
