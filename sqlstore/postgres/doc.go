// Package postgres owns the store that many nodes share: everything in one
// PostgreSQL, or in an engine that speaks its protocol and spreads rows by key.
// It implements [sqlstore.Store]; the server and the commands open it.
//
// It owns no rule of the packages whose contracts it keeps. What it owns is
// durability and order among nodes: a method that returns without error has
// its work committed, and every later call, of any node, sees it.
//
// # How it stays fast and portable
//
// Whatever a renewal needs takes one statement over all renewals of a batch,
// so two round trips for as many as there are, and no transaction is held
// between them. No lock is waited for: a row that somebody else is changing is
// a conflict, and its renewal is tried again by itself. Every statement of
// this path names the sessions by id, which is the key to spread rows by. What
// a user has is found by a second table, keyed by user. None of it needs
// LISTEN, advisory locks, sequences, triggers, or transactions over several
// statements; where NOTIFY works, other nodes learn of an end at once.
//
// The clock is the database's, read in the statement that reads or writes the
// rows, before them, so the nodes' own clocks do not matter.
//
// # When the database does not answer
//
// A call ends within [CallTimeout], whatever its context says: a call that was
// begun is not given up half-way, which would close its connection and leave
// its outcome unknown. Serialisation failures, deadlocks and locks that were
// waited for too long are tried again, and so is what never reached the
// database. Everything else is an error that leaves open whether a write took
// effect, which package session takes as ordinary.
//
// A server that takes no writes is not the store: a standby, or a primary that
// was demoted, does not know what has ended. Unless the URL says
// target_session_attrs, none is connected to, and who finds that a connection
// leads to one gives all connections up.
package postgres
